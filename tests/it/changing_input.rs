//! An input that changes while a run reads it: appended to, replaced, deleted, cut short, changed in place, lost.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Finished, MockServer, Place, conversation, jsonl};

const ROWS: usize = 16;

/// Rows of falling length: the first is asked first, the last is asked last.
fn rows() -> Vec<Value> {
    (0..ROWS)
        .map(|row| conversation(&format!("subject-{row:02}"), if row == 0 { 4 } else { 1 + usize::from(row < 8) }))
        .collect()
}

fn arguments(model: &str) -> [&str; 8] {
    ["distill", "in.jsonl", "--teacher", model, "-o", "out.jsonl", "--concurrency", "2"]
}

/// Runs until the server has had some requests, changes the input, and waits for the end. Where the first pass is to be
/// remembered, a run that was killed before has made it.
fn run_with_change(is_remembered: bool, change: impl Fn(&Path)) -> (Place, MockServer, Finished) {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "25"]));
    place.write("in.jsonl", jsonl(&rows()));
    let model = server.model();
    if is_remembered {
        assert!(place.kill_at(&arguments(&model), &server, 3));
        assert!(place.path(".cohobate/rows").read_dir().unwrap().next().is_some());
    }
    let mut child = place.command(&arguments(&model)).stderr(Stdio::piped()).spawn().unwrap();
    let until = server.count("requests") + 6;
    while server.count("requests") < until {
        std::thread::sleep(Duration::from_millis(1));
        assert!(child.try_wait().unwrap().is_none(), "the run was over too soon");
    }
    change(&place.path("in.jsonl"));
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let finished = Finished { code: output.status.code(), stdout: String::new(), stderr };
    (place, server, finished)
}

fn ids(place: &Place) -> Vec<String> {
    place.rows("out.jsonl").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn all_ids() -> Vec<String> {
    (0..ROWS).map(|row| format!("subject-{row:02}")).collect()
}

#[test]
fn rows_that_are_appended_are_taken_by_the_next_run() {
    for is_remembered in [false, true] {
        let (place, server, finished) = run_with_change(is_remembered, |path| {
            let mut file = File::options().append(true).open(path).unwrap();
            file.write_all(jsonl(&[conversation("late", 1)]).as_bytes()).unwrap();
        });
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stderr.contains("in.jsonl was appended to"), "{}", finished.stderr);
        assert_eq!(ids(&place), all_ids());
        let before = server.count("requests");
        let again = place.complete(&arguments(&server.model()));
        assert!(!again.stderr.contains("appended"), "{}", again.stderr);
        assert_eq!((ids(&place).len(), server.count("requests") - before), (ROWS + 1, 1));
    }
}

#[test]
fn a_file_that_is_replaced_or_deleted_is_read_to_its_end_as_it_was() {
    for is_remembered in [false, true] {
        let (place, server, finished) = run_with_change(is_remembered, |path| {
            let new = path.with_extension("new");
            fs::write(&new, jsonl(&[conversation("new", 1)])).unwrap();
            fs::rename(&new, path).unwrap();
        });
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stderr.contains("in.jsonl was replaced"), "{}", finished.stderr);
        assert_eq!(ids(&place), all_ids());
        place.complete(&arguments(&server.model()));
        assert_eq!(ids(&place), ["new"]);
        let (place, _server, finished) = run_with_change(is_remembered, |path| fs::remove_file(path).unwrap());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stderr.contains("in.jsonl was deleted"), "{}", finished.stderr);
        assert_eq!(ids(&place), all_ids());
    }
}

/// Writes another word of the same length over a row's subject, in place.
fn overwrite(path: &Path, row: usize) {
    let text = fs::read_to_string(path).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    let name = format!("about subject-{row:02}");
    for (at, found) in text.match_indices(&name) {
        file.write_all_at(found.replace("subject", "sabject").as_bytes(), at as u64).unwrap();
    }
}

#[test]
fn a_row_that_is_changed_in_place_is_left_out_with_a_reason_and_only_that_row() {
    // Asked already, and not asked yet.
    for row in [0, ROWS - 1] {
        for is_remembered in [false, true] {
            let (place, server, finished) = run_with_change(is_remembered, |path| overwrite(path, row));
            assert_eq!(finished.code, Some(3), "{}", finished.stderr);
            let mut expected = all_ids();
            expected.remove(row);
            assert_eq!(ids(&place), expected, "{}", finished.stderr);
            let listed = place.read("out.jsonl.incomplete.jsonl");
            assert!(listed.contains("was changed in its file") && listed.lines().count() == 1, "{listed}");
            let again = place.complete(&arguments(&server.model()));
            assert_eq!(ids(&place), all_ids(), "{}", again.stderr);
        }
    }
}

#[test]
fn rows_that_are_cut_off_are_left_out_with_a_reason() {
    for is_remembered in [false, true] {
        let (place, server, finished) = run_with_change(is_remembered, |path| {
            let text = fs::read_to_string(path).unwrap();
            let length: usize = text.lines().take(ROWS - 3).map(|line| line.len() + 1).sum();
            File::options().write(true).open(path).unwrap().set_len(length as u64).unwrap();
        });
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        assert_eq!(ids(&place), all_ids()[..ROWS - 3], "{}", finished.stderr);
        assert_eq!(place.read("out.jsonl.incomplete.jsonl").matches("cut short").count(), 3);
        place.complete(&arguments(&server.model()));
        assert_eq!(ids(&place).len(), ROWS - 3);
    }
}

#[test]
fn of_many_files_the_later_ones_are_known_by_their_identity() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "100"]));
    for number in 0..100 {
        place.write(&format!("data/{number:03}.jsonl"), jsonl(&[conversation(&format!("file {number}"), 1)]));
    }
    let model = server.model();
    let arguments = ["distill", "data/*.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "2"];
    let mut child = place.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    while server.count("requests") < 6 {
        std::thread::sleep(Duration::from_millis(1));
        assert!(child.try_wait().unwrap().is_none());
    }
    for number in [3, 97] {
        place.write("data/new", jsonl(&[conversation("new", 1)]));
        fs::rename(place.path("data/new"), place.path(&format!("data/{number:03}.jsonl"))).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("003.jsonl was replaced") && stderr.contains("097.jsonl was replaced"), "{stderr}");
    let ids = ids(&place);
    assert!(ids.len() == 99 && ids.contains(&"file 3".to_owned()) && !ids.contains(&"file 97".to_owned()), "{ids:?}");
    assert!(place.read("out.jsonl.incomplete.jsonl").contains("the first 64 inputs are kept open"));
}

/// Makes reading `in.jsonl` fail with an error number once the file that LOST names exists.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        if (strstr(path, "in.jsonl") && access(getenv("LOST"), F_OK) == 0) {
            errno = atoi(getenv("LOST_ERRNO"));
            return -1;
        }
    }
    return real(fd, buffer, count, offset);
}
"#;

#[test]
fn a_file_system_that_loses_the_file_stops_the_run_which_can_be_resumed() {
    let place = Place::new();
    place.write("shim.c", SHIM);
    let (shim, source) = (place.path("shim.so"), place.path("shim.c"));
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&shim, &source]).arg("-ldl").output();
    if !compiled.is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no C compiler to make a failing file system with");
        return;
    }
    // EIO and ESTALE on Linux.
    for error in ["5", "116"] {
        for is_early in [true, false] {
            let server = MockServer::start(&["--latency", "25"]);
            let model = server.model();
            let place = Place::new();
            place.write("in.jsonl", jsonl(&rows()));
            if is_early {
                place.write("lost", "");
            }
            let mut command = place.command(&arguments(&model));
            command.env("LD_PRELOAD", &shim).env("LOST", place.path("lost")).env("LOST_ERRNO", error);
            let child = command.stderr(Stdio::piped()).spawn().unwrap();
            while !is_early && server.count("requests") < 6 {
                std::thread::sleep(Duration::from_millis(1));
            }
            place.write("lost", "");
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(75), "{error} {is_early}: {stderr}");
            let before = server.count("requests");
            place.complete(&arguments(&model));
            assert_eq!(server.count("distinct"), server.count("requests"), "nothing that was answered was lost");
            assert!(is_early || before > 0);
        }
    }
}
