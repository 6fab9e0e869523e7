//! A full disk stops the run in order; with space again the same command finishes, and nothing is paid twice.

use std::process::Command;

use cohobate::job::RunHistory;
use serde_json::Value;

use crate::support::{MockServer, Place, conversation, jsonl};

/// A file system of a few megabytes, unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: std::path::PathBuf, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let size = format!("size={kilobytes}k");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        match output {
            Ok(output) if output.status.success() => Some(Self(path)),
            _ => {
                println!("skipped: mounting a small file system is not allowed here");
                None
            }
        }
    }

    fn resize(&self, kilobytes: u32) {
        let size = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_cannot_be_written_is_named() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(place.path("disk"), 2_000) else { return };
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "disk/store", "-o", "disk/out.jsonl"]);
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap().success());
    for arguments in [["--store", "disk/store", "-o", "out.jsonl"], ["--store", "elsewhere", "-o", "disk/out.jsonl"]] {
        let finished = place.run(&[&["distill", "in.jsonl", "--teacher", "simulated"][..], &arguments].concat());
        assert_eq!(finished.code, Some(4), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("Read-only file system") && finished.stderr.contains("hint: "),
            "{}",
            finished.stderr
        );
    }
    // What is there can still be looked at and written elsewhere.
    place.complete(&["export", "in.jsonl", "--teacher", "simulated", "--store", "disk/store", "-o", "out.jsonl"]);
    assert_eq!(place.read("out.jsonl"), place.read("disk/out.jsonl"));
    for command in [&["status"][..], &["verify"], &["plan", "in.jsonl", "--teacher", "simulated"]] {
        let looked = place.complete(&[command, &["--store", "disk/store"]].concat());
        assert!(!looked.stderr.contains("journal"), "{command:?}: {}", looked.stderr);
    }
}

fn dataset(place: &Place) -> u64 {
    let rows: Vec<Value> = (0..400).map(|row| conversation(&format!("subject {row}"), 4)).collect();
    place.write("in.jsonl", jsonl(&rows));
    1_600
}

#[test]
fn a_full_disk_under_the_store_stops_the_run_and_loses_nothing() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "2"]));
    let Some(disk) = SmallDisk::mount(place.path("disk"), 400) else { return };
    let turns = dataset(&place);
    let model = server.model();
    let arguments = [
        "distill",
        "in.jsonl",
        "--teacher",
        &model,
        "-o",
        "out.jsonl",
        "--store",
        "disk/a store",
        "--concurrency",
        "16",
    ];
    let finished = place.run(&arguments);
    assert_eq!(finished.code, Some(4), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("No space left on device") && finished.stderr.contains("hint: free some space"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(!place.exists("out.jsonl"));
    let asked = server.count("requests");
    assert!(asked > 0 && asked < turns, "{asked} calls before the disk was full");
    disk.resize(200_000);
    let finished = place.complete(&arguments);
    let repeated = server.count("requests") - turns;
    println!("full after {asked} calls, {repeated} repeated");
    assert!(repeated <= 16 + 4, "{repeated} repeated\n{}", finished.stderr);
    assert_eq!(server.count("distinct"), turns);
    assert_eq!(place.rows("out.jsonl").len(), 400);
}

#[test]
fn a_full_disk_under_the_output_leaves_the_old_output_and_all_answers() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let Some(disk) = SmallDisk::mount(place.path("disk"), 64) else { return };
    let turns = dataset(&place);
    place.write("disk/out.jsonl", "the old output\n");
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "disk/out.jsonl"];
    let finished = place.run(&arguments);
    assert_eq!(finished.code, Some(4), "{}", finished.stderr);
    assert!(finished.stderr.contains("cannot write disk/out.jsonl"), "{}", finished.stderr);
    assert_eq!(place.read("disk/out.jsonl"), "the old output\n");
    disk.resize(100_000);
    place.complete(&arguments);
    assert_eq!((server.count("requests"), place.rows("disk/out.jsonl").len()), (turns, 400));
}

#[test]
fn a_full_disk_under_the_run_log_alone_changes_nothing() {
    let place = Place::with_conversations(40, 3);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "calm.jsonl", "--store", "calm"]);
    std::fs::create_dir(place.path(".cohobate")).unwrap();
    let Some(disk) = SmallDisk::mount(place.path(".cohobate/runs"), 4) else { return };
    std::fs::write(place.path(".cohobate/runs/filling"), [0; 4_096]).unwrap();
    let arguments = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"];
    place.complete(&arguments);
    assert_eq!(place.read("out.jsonl"), place.read("calm.jsonl"));
    assert!(RunHistory::read(&place.path(".cohobate"), 10).runs.is_empty());
    place.complete(&["status"]);
    // With room again the next run is told.
    disk.resize(1_000);
    place.complete(&arguments);
    assert_eq!(RunHistory::read(&place.path(".cohobate"), 10).runs.len(), 1);
}
