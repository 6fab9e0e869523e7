//! The stores of shards become one: nothing is asked again, nothing is counted twice, and the output is that of one machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cohobate::store::{DiskStore, Reader};
use serde_json::{Value, json};

use crate::support::{Finished, MockServer, Place, conversation, jsonl};

/// Conversations of which every third one begins like the one before it.
pub fn written(place: &Place, count: usize) {
    let whole = |row: usize| conversation(&format!("kites {}", row - row % 3 / 2), 1 + row % 4);
    place.write("in.jsonl", jsonl(&(0..count).map(whole).collect::<Vec<_>>()));
}

/// Returns the answers that a store has paid for.
pub fn calls(place: &Place, store: &str) -> u64 {
    let status: Value = serde_json::from_str(&place.complete(&["status", "--store", store, "--json"]).stdout).unwrap();
    let spent = status["spending"].as_object().unwrap().values();
    spent.map(|spent| spent["answers"].as_u64().unwrap()).sum()
}

fn report(finished: &Finished) -> Value {
    let events = crate::support::rows(&finished.stderr);
    events.into_iter().find(|event| event["event"] == "report").unwrap_or_else(|| panic!("{finished:?}"))["report"]
        .clone()
}

#[test]
fn shards_that_are_merged_are_the_run_of_one_machine() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "8"]));
    written(&place, 60);
    let model = server.model();
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "--store", "whole", "-o", "whole.jsonl"]);
    let distinct = server.count("distinct");
    assert_eq!(server.count("requests"), distinct);
    let line = |number: u32| -> Vec<String> {
        let shard = format!("{number}/4");
        ["distill", "in.jsonl", "--teacher", &model, "--concurrency", "4", "--shard", &shard].map(str::to_owned).into()
    };
    for number in 1..=4 {
        let line = line(number);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        if number == 2 {
            assert!(place.kill_at(&line, &server, server.count("requests") + 5), "it was killed");
        }
        place.complete(&line);
    }
    let asked = server.count("requests") - distinct;
    assert!(
        (distinct..=distinct + 4).contains(&asked),
        "{asked} calls for {distinct} questions, 4 in flight at the kill"
    );
    let shards: Vec<String> = (1..=4).map(|number| format!(".cohobate/shard-0{number}-of-04")).collect();
    let [one, two, three, four] = &shards[..] else { unreachable!() };
    for (into, order) in [(".cohobate", [one, two, three, four]), ("other", [four, two, one, three])] {
        let order = order.map(String::as_str);
        let merged = place.complete(&[&["merge"], &order[..], &["--into", into, "--progress", "json"]].concat());
        let added: u64 =
            report(&merged)["sources"].as_array().unwrap().iter().map(|s| s["added"].as_u64().unwrap()).sum();
        assert_eq!(added, distinct);
        let output = format!("{into}.jsonl");
        place.complete(&["export", "in.jsonl", "--teacher", &model, "--store", into, "-o", &output]);
        assert_eq!(place.read(&output), place.read("whole.jsonl"), "byte for byte");
        let verified = place.complete(&["verify", "in.jsonl", "--teacher", &model, "--store", into, "-o", &output]);
        assert!(verified.stdout.contains("the store is sound"), "{}", verified.stdout);
        assert_eq!(calls(&place, into), distinct);
    }
    let before = server.count("requests");
    let plan = place.complete(&["plan", "in.jsonl", "--teacher", &model, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&plan.stdout).unwrap()["calls"], json!(0));
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "again.jsonl"]);
    assert_eq!(place.read("again.jsonl"), place.read("whole.jsonl"));
    assert_eq!(server.count("requests"), before, "nothing is asked again");
    // The spending of all shards counts against the cap.
    let rows = place.read("in.jsonl") + &jsonl(&[conversation("a new one", 3)]);
    place.write("more.jsonl", rows);
    let cap = (calls(&place, ".cohobate") + 1).to_string();
    let capped = place.run(&["distill", "more.jsonl", "--teacher", &model, "-o", "more.out", "--max-requests", &cap]);
    assert_eq!(capped.code, Some(75), "{capped:?}");
    assert!(server.count("requests") <= before + 1, "the requests of the shards are counted");
}

#[test]
fn a_store_that_grows_is_merged_again_and_counted_once() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "4"]));
    written(&place, 30);
    let model = server.model();
    let distill = |limit: &str| {
        place.complete(&[
            "distill",
            "in.jsonl",
            "--teacher",
            &model,
            "--store",
            "a",
            "-o",
            "a.jsonl",
            "--limit",
            limit,
        ]);
    };
    let merge = || report(&place.complete(&["merge", "a", "--into", "c", "--progress", "json"]))["sources"][0].clone();
    distill("10");
    let first = merge();
    assert_eq!((&first["known"], first["added"].as_u64().unwrap()), (&json!(0), calls(&place, "a")));
    let journal = |place: &Place| fs::read(place.path("c/journal/00000001.journal")).unwrap();
    let bytes = journal(&place);
    assert_eq!(merge()["added"], json!(0));
    assert_eq!(journal(&place), bytes, "nothing is written twice");
    // A run that is at work is merged as it is.
    let mut running = place.command(&["distill", "in.jsonl", "--teacher", &model, "--store", "a", "-o", "a.jsonl"]);
    let mut running = running.stderr(Stdio::null()).spawn().unwrap();
    let asked = server.count("requests");
    while server.count("requests") < asked + 10 {
        std::thread::sleep(Duration::from_millis(1));
    }
    merge();
    running.wait().unwrap();
    let last = merge();
    assert_eq!(last["added"].as_u64().unwrap() + last["known"].as_u64().unwrap(), calls(&place, "a"));
    assert_eq!(calls(&place, "c"), calls(&place, "a"));
    place.complete(&["export", "in.jsonl", "--teacher", &model, "--store", "c", "-o", "c.jsonl"]);
    assert_eq!(place.read("c.jsonl"), place.read("a.jsonl"));
}

#[test]
fn answers_that_lose_their_history_are_named_and_asked_again_once() {
    let place = Place::new();
    written(&place, 12);
    let answering = |tokens: &str| MockServer::start(&["--answer", tokens]);
    let (short, long) = (answering("5"), answering("9"));
    for (server, store) in [(&short, "a"), (&long, "b")] {
        let model = server.model();
        let output = format!("{store}.jsonl");
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "--store", store, "-o", &output]);
    }
    let merge = |sources: &[&str], into: &str| place.complete(&[&["merge"], sources, &["--into", into]].concat());
    let merged = merge(&["a", "b"], "c");
    merge(&["b", "a"], "d");
    let openings = place.rows("in.jsonl").iter().map(|row| row["messages"][0].to_string()).collect::<BTreeSet<_>>();
    assert!(merged.stderr.contains(&format!("twice      {} questions", openings.len())), "{}", merged.stderr);
    assert!(merged.stderr.contains("history    ") && merged.stderr.contains("follows one that is not used"));
    assert!(merged.stderr.contains("more answers; -v names all of them"), "{}", merged.stderr);
    let named = |finished: &Finished| finished.stderr.lines().filter(|line| line.contains("follows one")).count();
    assert_eq!(named(&merged), 10);
    assert!(named(&place.complete(&["merge", "-v", "a", "b", "--into", "e"])) > 10);
    assert_eq!(calls(&place, "c"), calls(&place, "a") + calls(&place, "b"), "both have paid");
    let model = long.model();
    let plan = |store: &str| {
        let line = ["plan", "in.jsonl", "--teacher", &model, "--store", store, "--json"];
        serde_json::from_str::<Value>(&place.complete(&line).stdout).unwrap()["calls"].as_u64().unwrap()
    };
    assert_eq!(plan("c"), plan("d"), "in any order");
    for store in ["c", "d"] {
        let output = format!("{store}.jsonl");
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "--store", store, "-o", &output]);
        let line = ["verify", "in.jsonl", "--teacher", &model, "--store", store, "-o", &output];
        let verified = place.complete(&line);
        assert!(verified.stdout.contains("rows that it must have, in order"), "{}", verified.stdout);
        assert_eq!(plan(store), 0);
    }
    assert_eq!(place.read("c.jsonl"), place.read("d.jsonl"));
}

#[test]
fn a_merge_that_is_killed_is_completed_by_the_same_merge() {
    let (place, server) = (Place::new(), MockServer::start(&["--answer", "300"]));
    let rows: Vec<Value> = (0..150).map(|row| conversation(&format!("kites {row}"), 8)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model();
    for number in 1..=2 {
        let shard = format!("{number}/2");
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "--shard", &shard, "-q"]);
    }
    let line = ["merge", ".cohobate/shard-01-of-02", ".cohobate/shard-02-of-02", "--into", "c", "-q"];
    let (mut kills, mut wait) = (0, Duration::from_millis(3));
    for _ in 0..12 {
        let mut child = place.command(&line).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(wait);
        wait = wait * 5 / 4;
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if place.exists("c/journal") {
            // Whatever is there can be opened and read.
            let (store, opened) = DiskStore::open(&place.path("c"), &mut |_, _| {}).unwrap();
            assert!(opened.damages.is_empty(), "{opened:?}");
            store.close().unwrap();
        }
    }
    assert!(kills > 3, "{kills} merges were killed");
    place.complete(&line);
    place.complete(&["merge", ".cohobate/shard-01-of-02", ".cohobate/shard-02-of-02", "--into", "d", "-q"]);
    for store in ["c", "d"] {
        let output = format!("{store}.jsonl");
        place.complete(&["export", "in.jsonl", "--teacher", &model, "--store", store, "-o", &output]);
        assert!(place.complete(&["verify", "--store", store]).stdout.contains("the store is sound"));
    }
    assert_eq!(place.read("c.jsonl"), place.read("d.jsonl"));
    assert_eq!((calls(&place, "c"), place.rows("c.jsonl").len()), (1_200, 150));
}

#[test]
fn stores_of_every_version_merge() {
    let place = Place::new();
    let mut stores = Vec::new();
    for version in 1..=5 {
        let name = format!("v{version}");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/store-v{version}")), &place.path(&name));
        stores.push(name);
    }
    let names: Vec<&str> = stores.iter().map(String::as_str).collect();
    let reversed: Vec<&str> = names.iter().rev().copied().collect();
    place.complete(&[&["merge"], &names[..], &["--into", "c"]].concat());
    place.complete(&[&["merge"], &reversed[..], &["--into", "d"]].concat());
    place.complete(&[&["merge"], &names[..], &["c", "--into", "d"]].concat());
    let all = |store: &str| {
        let (store, _) = DiskStore::open(&place.path(store), &mut |_, _| {}).unwrap();
        let mut states = Vec::new();
        store.for_each_state(&mut |key, state| states.push((key, state))).unwrap();
        states.sort_by_key(|(key, _)| *key);
        (states, store.runs().unwrap(), store.spending().unwrap())
    };
    assert_eq!(all("c"), all("d"));
    let (_, runs, spending) = all("c");
    // They begin alike, as copies that have grown do.
    assert!(!runs.is_empty() && spending.values().map(|spent| spent.calls).sum::<u64>() > 0);
    assert!(place.complete(&["verify", "--store", "c"]).stdout.contains("the store is sound"));
    let before = fs::read(place.path("v1/journal/00000001.journal")).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-v1/journal/00000001.journal");
    assert_eq!(before, fs::read(fixture).unwrap(), "a source stays as it is");
}

#[test]
fn what_cannot_be_read_of_a_source_is_named_and_the_rest_is_merged() {
    let place = Place::new();
    written(&place, 12);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "a", "-o", "a.jsonl"]);
    let journal = place.path("a/journal/00000001.journal");
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let merged = place.run(&["merge", "a", "--into", "c"]);
    assert_eq!(merged.code, Some(4), "{merged:?}");
    assert!(merged.stderr.contains("are damaged") && merged.stderr.contains("everything else is merged"), "{merged:?}");
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "c", "-o", "c.jsonl"]);
    assert_eq!(place.read("c.jsonl"), place.read("a.jsonl"));
    fs::remove_file(&journal).unwrap();
    let lost = place.run(&["merge", "a", "--into", "d"]);
    assert_eq!(lost.code, Some(4), "{lost:?}");
    assert!(lost.stderr.contains("has lost answers"), "{lost:?}");
    place.complete(&["merge", "a", "--into", "d", "--accept-loss"]);
}

#[test]
fn a_store_is_not_merged_into_itself() {
    let place = Place::new();
    written(&place, 3);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "a", "-o", "a.jsonl"]);
    std::os::unix::fs::symlink(place.path("a"), place.path("link")).unwrap();
    fs::create_dir(place.path("b")).unwrap();
    std::os::unix::fs::symlink(place.path("a/journal"), place.path("b/journal")).unwrap();
    for (source, into) in [("a", "a"), ("link", "a"), ("a", "./link"), ("b", "a")] {
        let refused = place.run(&["merge", source, "--into", into]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("is the store that --into names"), "{refused:?}");
    }
    assert_eq!(place.run(&["merge", "none", "--into", "c"]).code, Some(2));
    assert!(!place.exists("c"), "nothing was created");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
