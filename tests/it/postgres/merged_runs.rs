//! Runs on databases and in directories become one, with the program itself.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::cluster::{Cluster, QUICK};
use crate::merging::{calls, written};
use crate::support::{MockServer, Place, conversation, jsonl};
use crate::viewing::Viewed;

/// The address of a schema, as a person writes it; the server asks for no password, so that any is right.
fn address(cluster: &Cluster, schema: &str) -> String {
    cluster.sql(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    format!(
        "postgres://worker:opensesame@/postgres?host={}&port={}&options=-csearch_path%3D{schema}",
        cluster.folder().display(),
        cluster.port()
    )
}

fn planned(place: &Place, model: &str, store: &str) -> u64 {
    let plan = place.complete(&["plan", "in.jsonl", "--teacher", model, "--store", store, "--json"]);
    serde_json::from_str::<Value>(&plan.stdout).unwrap()["calls"].as_u64().unwrap()
}

fn exported(place: &Place, model: &str, store: &str) -> String {
    place.complete(&["export", "in.jsonl", "--teacher", model, "--store", store, "-o", "exported.jsonl"]);
    place.read("exported.jsonl")
}

#[test]
fn shards_and_a_shared_store_are_the_run_of_one_machine() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "2"]));
    written(&place, 45);
    let model = server.model();
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "--store", "whole", "-o", "whole.jsonl"]);
    let (whole, distinct) = (place.read("whole.jsonl"), server.count("distinct"));
    let shard = |number: &str, store: &str| {
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "--shard", number, "--store", store, "-q"]);
    };
    shard("1/2", "one");
    shard("2/2", "two");
    let (merged, native) = (address(&cluster, "merged"), address(&cluster, "native"));
    // Both halves are merged into a database; a run on another one is merged into a directory.
    let said = place.complete(&["merge", "one", "two", "--into", &merged, "--progress", "json"]);
    assert!(!said.stderr.contains("opensesame") && !said.stdout.contains("opensesame"), "{said:?}");
    assert_eq!((exported(&place, &model, &merged), calls(&place, &merged)), (whole.clone(), distinct));
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "--store", &native, "-o", "native.jsonl"]);
    assert_eq!(place.read("native.jsonl"), whole);
    place.complete(&["merge", &native, "--into", "copied"]);
    assert_eq!((exported(&place, &model, "copied"), calls(&place, "copied")), (whole.clone(), distinct));
    // Back again it is known, and a directory beside it comes on top.
    let before = server.count("requests");
    let again = place.complete(&["merge", "copied", "--into", &native]);
    assert!(again.stderr.contains(&format!("0 added, {distinct} already there")), "{}", again.stderr);
    let both = address(&cluster, "several");
    place.complete(&["merge", &native, "one", &merged, "two", "--into", &both]);
    assert_eq!(calls(&place, &both), 2 * distinct, "each has paid");
    for store in [&merged, &native, &both] {
        assert_eq!(planned(&place, &model, store), 0);
        let line = ["distill", "in.jsonl", "--teacher", &model, "--store", store, "-o", "again.jsonl"];
        place.complete(&line);
        assert_eq!(place.read("again.jsonl"), whole);
        let verified =
            place.complete(&["verify", "in.jsonl", "--teacher", &model, "--store", store, "-o", "again.jsonl"]);
        assert!(verified.stdout.contains("rows that it must have, in order"), "{}", verified.stdout);
    }
    assert_eq!(server.count("requests"), before, "nothing is asked again");
    // The spending of the halves counts against a cap of a run on the database.
    place.write("in.jsonl", place.read("in.jsonl") + &jsonl(&[conversation("a new one", 3)]));
    let cap = (distinct + 1).to_string();
    let line =
        ["distill", "in.jsonl", "--teacher", &model, "--store", &merged, "-o", "more.out", "--max-requests", &cap];
    let capped = place.run(&line);
    assert_eq!(capped.code, Some(75), "{capped:?}");
    assert!(server.count("requests") <= before + 1, "the requests of the halves are counted");
    let status = place.complete(&["status", "--store", &merged]).stdout;
    assert!(status.contains(&format!("{distinct} requests")) && status.contains("of that by other stores"), "{status}");
}

#[test]
fn answers_that_are_replaced_in_a_database_are_asked_again_from_there_on() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let place = Place::new();
    // One store has the first turns only: what follows them has to be asked.
    let rows =
        |turns: usize| jsonl(&(0..12).map(|row| conversation(&format!("kites {row}"), turns)).collect::<Vec<_>>());
    place.write("first-turns.jsonl", rows(1));
    place.write("in.jsonl", rows(3));
    let answering = |tokens: &str| MockServer::start(&["--answer", tokens]);
    let (short, long) = (answering("5"), answering("9"));
    let native = address(&cluster, "native");
    place.complete(&["distill", "first-turns.jsonl", "--teacher", &short.model(), "--store", "a", "-o", "a.jsonl"]);
    place.complete(&["distill", "in.jsonl", "--teacher", &long.model(), "--store", &native, "-o", "native.jsonl"]);
    let other = address(&cluster, "other");
    place.complete(&["merge", &native, "a", "--into", "c"]);
    place.complete(&["merge", "a", &native, "--into", &other]);
    let merged = place.complete(&["merge", "a", "--into", &native]);
    assert!(merged.stderr.contains("twice      ") && merged.stderr.contains("replaced in "), "{}", merged.stderr);
    assert!(merged.stderr.contains("follows one that is not used"), "{}", merged.stderr);
    let model = long.model();
    let missing = planned(&place, &model, "c");
    assert!(missing > 0, "no answer has lost its history");
    let stores = ["c", &other, &native];
    for store in stores {
        assert_eq!(planned(&place, &model, store), missing, "{store}");
    }
    for store in stores {
        // The run on the database had ended: it is opened again.
        let line = ["distill", "in.jsonl", "--teacher", &model, "--store", store, "-o", "out.jsonl"];
        place.complete(&line);
        place.complete(&["verify", "in.jsonl", "--teacher", &model, "--store", store, "-o", "out.jsonl"]);
        assert_eq!(planned(&place, &model, store), 0);
        let first = place.exists("first.jsonl").then(|| place.read("first.jsonl"));
        assert_eq!(first.unwrap_or_else(|| place.read("out.jsonl")), place.read("out.jsonl"), "{store}");
        place.write("first.jsonl", place.read("out.jsonl"));
    }
}

#[test]
fn a_merge_into_a_database_that_is_killed_is_completed_by_the_same_merge() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let (place, server) = (Place::new(), MockServer::start(&["--answer", "300"]));
    place.write("in.jsonl", jsonl(&(0..60).map(|row| conversation(&format!("kites {row}"), 8)).collect::<Vec<_>>()));
    let model = server.model();
    for (number, store) in [("1/2", "one"), ("2/2", "two")] {
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "--shard", number, "--store", store, "-q"]);
    }
    place.complete(&["merge", "one", "two", "--into", "c", "-q"]);
    let into = address(&cluster, "killed");
    place.complete(&["store", "init", "--store", &into]);
    let line = ["merge", "two", "one", "--into", &into, "-q"];
    let (mut kills, mut wait) = (0, Duration::from_millis(20));
    for _ in 0..10 {
        let mut child = place.command(&line).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(wait);
        wait = wait * 5 / 4;
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(place.complete(&["verify", "--store", &into]).stdout.contains("sound"));
    }
    println!("{kills} merges were killed");
    place.complete(&line);
    assert_eq!(exported(&place, &model, &into), exported(&place, &model, "c"));
    assert_eq!((calls(&place, &into), planned(&place, &model, &into)), (480, 0));
}

#[test]
fn a_merge_is_refused_while_somebody_works_on_the_database_and_never_into_itself() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "200"]));
    written(&place, 12);
    let (model, into) = (server.model(), address(&cluster, "busy"));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "a", "-o", "a.jsonl"]);
    let line = ["distill", "in.jsonl", "--teacher", &model, "--store", &into, "-o", "out.jsonl", "--concurrency", "1"];
    let mut running = place.command(&line).stderr(Stdio::null()).spawn().unwrap();
    while server.count("requests") < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused = place.run(&["merge", "a", "--into", &into]);
    assert_eq!(refused.code, Some(75), "{refused:?}");
    assert!(refused.stderr.contains("is at work") && refused.stderr.contains("ctl stop"), "{}", refused.stderr);
    // Its answers so far can be had.
    place.complete(&["merge", &into, "--into", "sofar"]);
    running.kill().unwrap();
    running.wait().unwrap();
    let alias = into.replace("worker:opensesame", "worker");
    let refused = place.run(&["merge", "a", &alias, "--into", &into]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("is the store that --into names") && !refused.stderr.contains("opensesame"));
    assert_eq!(place.run(&["merge", "none", "--into", &into]).code, Some(2));
}

/// The page copies a database, and follows what is added to it.
#[test]
fn a_database_is_viewed_as_a_directory_and_followed() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let place = Place::new();
    let store = address(&cluster, "viewed");
    written(&place, 6);
    let run = ["distill", "in.jsonl", "--teacher", "simulated", "--store", &store, "-o", "out.jsonl"];
    place.complete(&[&run[..], &["--limit", "4"]].concat());
    let viewed = Viewed::start(&place, &["--store", &store, "--input", "in.jsonl", "--teacher", "simulated"]);
    viewed.wait();
    let complete = || {
        let list = viewed.json("/api/list");
        list["items"].as_array().unwrap().iter().filter(|item| item["status"] == "complete").count()
    };
    assert_eq!(complete(), 4);
    place.complete(&run);
    let followed = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        complete() == 6
    });
    assert!(followed, "the page has not followed the database");
    let page = viewed.json("/api/about").to_string();
    assert!(!page.contains("opensesame"), "{page}");
}
