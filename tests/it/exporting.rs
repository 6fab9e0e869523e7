//! What is in the store can be written and looked at at any time.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl};

#[test]
fn an_unfinished_store_can_be_exported_and_looked_at_while_the_run_goes_on() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "60"]));
    let rows: Vec<Value> = (0..12).map(|row| conversation(&format!("{row}"), if row < 6 { 40 } else { 2 })).collect();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model();
    let common = ["in.jsonl", "--teacher", &model, "-o"];
    let mut run = place.command(&["distill"]);
    run.args(common).args(["whole.jsonl", "--concurrency", "12"]).stderr(Stdio::null());
    let mut run = run.spawn().unwrap();
    while server.count("distinct") < 60 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut export = place.command(&["export"]);
    let during = crate::support::finish(export.args(common).arg("during.jsonl"));
    assert_eq!(during.code, Some(3), "{}", during.stderr);
    assert!(during.stderr.contains("is in use by process"), "{}", during.stderr);
    let status = place.complete(&["status"]);
    assert!(status.stdout.contains("open"), "{}", status.stdout);
    let verified = place.complete(&["verify"]);
    assert!(
        verified.stdout.contains("index          not verified: the store is in use by process"),
        "{}",
        verified.stdout
    );
    let second = crate::support::finish(place.command(&["distill"]).args(common).arg("second.jsonl"));
    assert_eq!(second.code, Some(75), "{}", second.stderr);
    assert!(second.stderr.contains(&format!("in use by process {}", run.id())), "{}", second.stderr);
    run.kill().unwrap();
    run.wait().unwrap();
    // The short ones are complete, the long ones are listed as unanswered.
    let complete: Vec<Value> = place.rows("during.jsonl").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(complete, (6..12).map(|row| json!(row.to_string())).collect::<Vec<_>>());
    let missing = place.rows("during.jsonl.incomplete.jsonl");
    assert!(missing.iter().all(|row| row["kind"] == "unanswered" && row["turns"] == 40), "{missing:?}");
    assert!(missing.iter().all(|row| row["turns_answered"].as_u64().unwrap() > 0), "{missing:?}");
    // Cut after the last good turn, they are in the output too.
    let partial = crate::support::finish(place.command(&["export"]).args(common).args(["cut.jsonl", "--keep-partial"]));
    assert_eq!(partial.code, Some(3));
    assert_eq!(place.rows("cut.jsonl").len(), 12);
    assert!(place.rows("cut.jsonl").iter().all(|row| row["messages"].as_array().unwrap().len() % 2 == 0));
    assert!(!place.exists("whole.jsonl"), "a killed run leaves no output");
}

#[test]
fn a_read_only_store_can_still_be_exported() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "one.jsonl"]);
    // Without an index nothing but the journal can answer; that is what a reader falls back to.
    std::fs::remove_dir_all(place.path(".cohobate/index")).unwrap();
    place.complete(&["export", "in.jsonl", "--teacher", "simulated", "-o", "two.jsonl"]);
    assert_eq!(place.read("one.jsonl"), place.read("two.jsonl"));
}

#[test]
fn an_old_output_stays_until_the_new_one_is_whole_and_stale_lists_go() {
    let place = Place::new();
    place.write("in.jsonl", "broken\n".to_owned() + &jsonl(&[conversation("kites", 1)]));
    assert_eq!(place.run(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]).code, Some(3));
    assert!(place.exists("out.jsonl.incomplete.jsonl"));
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    assert!(
        !place.exists("out.jsonl.incomplete.jsonl")
            && std::fs::read_dir(place.path("")).unwrap().all(|file| !file
                .unwrap()
                .path()
                .to_string_lossy()
                .ends_with("partial"))
    );
}

#[test]
fn a_symbolic_link_stays_and_what_it_leads_to_is_replaced() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    std::fs::create_dir(place.path("disk")).unwrap();
    for (link, target) in [("out.jsonl", "disk/rows.jsonl"), ("shards", "disk/shards")] {
        std::os::unix::fs::symlink(target, place.path(link)).unwrap();
        let output = if link == "shards" { "shards/" } else { link };
        // Once while the target is missing, once over it.
        for _ in 0..2 {
            place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", output]);
            assert!(std::fs::symlink_metadata(place.path(link)).unwrap().is_symlink(), "{link}");
            assert!(std::fs::metadata(place.path(target)).is_ok(), "{target}");
        }
    }
    let left = std::fs::read_dir(place.path("disk")).unwrap().count();
    assert_eq!(left, 2, "no temporary file is left over");
}

#[test]
fn compressed_outputs_hold_the_same_rows() {
    use std::io::Read as _;
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    for name in ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"] {
        place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", name]);
    }
    let mut unzipped = String::new();
    let file = std::fs::File::open(place.path("out.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut unzipped).unwrap();
    let unpacked = zstd::decode_all(std::fs::File::open(place.path("out.jsonl.zst")).unwrap()).unwrap();
    assert_eq!(unzipped, place.read("out.jsonl"));
    assert_eq!(String::from_utf8(unpacked).unwrap(), unzipped);
}
