//! A shard asks about its own rows, conversations that begin alike are in one shard, and all shards together are the whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, finish, jsonl, rows};

const COUNT: u32 = 4;

/// Conversations of which every third one begins like the one before it; a broken row, and one without a user.
fn written(place: &Place) {
    let mut rows = Vec::new();
    for row in 0..30 {
        let mut whole = conversation(&format!("kites {}", row - row % 3 / 2), 1 + row % 3);
        whole["id"] = json!(format!("row {row}"));
        rows.push(whole);
    }
    let without_user = json!({"id": "no user", "messages": [{"role": "system", "content": "Be brief."}]});
    place.write("in.jsonl", format!("{}broken\n{}", jsonl(&rows), jsonl(&[without_user])));
}

fn shard(number: u32) -> String {
    format!("{number}/{COUNT}")
}

#[test]
fn the_shards_of_an_input_are_the_whole_and_openings_stay_together() {
    let place = Place::new();
    written(&place);
    let distill = |more: &[&str]| place.run(&[&["distill", "in.jsonl", "--teacher", "simulated"], more].concat());
    assert_eq!(distill(&["--store", "whole", "-o", "whole.jsonl"]).code, Some(3), "a row is broken");
    let (mut found, mut listed, mut calls) = (BTreeMap::new(), Vec::new(), 0);
    let mut openings: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for number in 1..=COUNT {
        let ran = distill(&["--shard", &shard(number), "--progress", "json"]);
        let name = format!("distilled-0{number}-of-04.jsonl");
        let summary = ran.summary();
        assert_eq!(summary["shard"], json!(shard(number)));
        assert_eq!(summary["output"]["path"], json!(name));
        calls += summary["answered"].as_u64().unwrap();
        let (mut last, lines) = (None, place.read(&name));
        for (line, row) in lines.lines().zip(rows(&lines)) {
            let at: u32 = row["id"].as_str().unwrap().trim_start_matches("row ").parse().unwrap();
            assert!(last < Some(at), "in input order");
            last = Some(at);
            found.insert(at, line.to_owned());
            let opening = row["messages"][0]["content"].as_str().unwrap().to_owned();
            openings.entry(opening).or_default().insert(number);
        }
        if place.exists(&format!("{name}.incomplete.jsonl")) {
            listed.extend(place.rows(&format!("{name}.incomplete.jsonl")));
        }
        assert!(place.exists(&format!(".cohobate/shard-0{number}-of-04/journal")));
        let again = place.run(&["plan", "in.jsonl", "--teacher", "simulated", "--shard", &shard(number), "--json"]);
        let plan: Value = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!((&plan["calls"], &plan["shard"]), (&json!(0), &json!(shard(number))));
    }
    let whole: Vec<String> = place.read("whole.jsonl").lines().map(str::to_owned).collect();
    assert_eq!(found.into_values().collect::<Vec<_>>(), whole);
    assert!(openings.len() > 10 && openings.values().all(|shards| shards.len() == 1), "{openings:?}");
    assert!(openings.values().flatten().collect::<BTreeSet<_>>().len() > 1, "the rows are spread");
    let kinds: BTreeSet<String> = listed.iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!((listed.len(), kinds), (2, ["invalid", "skipped"].map(str::to_owned).into()), "each is listed once");
    let alone = place.run(&["plan", "in.jsonl", "--teacher", "simulated", "--store", "none", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&alone.stdout).unwrap()["calls"], json!(calls), "nothing is asked twice");
}

#[test]
fn a_shard_takes_its_number_from_the_cluster_and_keeps_it() {
    let place = Place::new();
    written(&place);
    let start = |command: &str, variables: &[(&str, &str)], more: &[&str]| {
        let mut started = place.command(&[&[command, "in.jsonl", "--teacher", "simulated"], more].concat());
        for name in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
            started.env_remove(name);
        }
        finish(started.envs(variables.iter().copied()))
    };
    let slurm = [("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "4")];
    let kubernetes = [("JOB_COMPLETION_INDEX", "2")];
    start("distill", &slurm, &["--shard", "auto", "--store", "s-{shard}", "-o", "slurm-{shard}.jsonl"]);
    start("distill", &kubernetes, &["--shard", "auto/4", "--store", "k-{shard}", "-o", "kubernetes-{shard}.jsonl"]);
    assert_eq!(place.read("slurm-03-of-04.jsonl"), place.read("kubernetes-03-of-04.jsonl"));
    // Later commands find the shard in the store, without variables.
    place.run(&["export", "--store", "s-03-of-04", "-o", "again.jsonl"]);
    assert_eq!(place.read("again.jsonl"), place.read("slurm-03-of-04.jsonl"));
    let verified = place.run(&["verify", "--store", "s-03-of-04", "-o", "slurm-03-of-04.jsonl"]);
    assert!(verified.stdout.contains("rows that it must have, in order"), "{verified:?}");
    let verified = start("verify", &slurm, &["--shard", "auto", "--store", "s-{shard}", "-o", "slurm-{shard}.jsonl"]);
    assert!(verified.stdout.contains("rows that it must have, in order"), "{verified:?}");
    let refused = start("distill", &[], &["--shard", "auto"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set"), "{refused:?}");
    let refused = start("distill", &[], &["--shard", "3/4", "-o", "out.jsonl"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("hint: write {shard} into the name"), "{refused:?}");
    assert_eq!(start("distill", &[], &["-o", "out-{shard}.jsonl"]).code, Some(2), "there is no shard");
}

#[test]
fn every_command_that_asks_takes_a_shard() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let other = server.model();
    written(&place);
    for (line, output) in [
        (&["evaluate", "in.jsonl", "--judge", "simulated"][..], "scores-0N-of-04.jsonl"),
        (
            &["simulate", "in.jsonl", "--teacher", "simulated", "--user", "simulated", "--turns", "2"],
            "simulated-0N-of-04.jsonl",
        ),
        (
            &["compare", "in.jsonl", "--a", "simulated", "--b", &other, "--judge", "simulated"],
            "comparison-0N-of-04/verdicts.jsonl",
        ),
        (&["tutor", "in.jsonl", "--student", &other, "--teacher", "simulated"], "tutored-0N-of-04/sft.jsonl"),
    ] {
        let mut ids = Vec::new();
        for number in 1..=COUNT {
            let ran = place.run(&[line, &["--shard", &shard(number)]].concat());
            assert!(matches!(ran.code, Some(0 | 3)), "{line:?}: {ran:?}");
            let of_shard = format!("{number}/{COUNT}, ");
            assert!(ran.stderr.contains(&format!("shard      {of_shard}")), "{ran:?}");
            let rows = place.rows(&output.replace('N', &number.to_string()));
            let found: BTreeSet<String> = rows.iter().map(|row| row["id"].to_string()).collect();
            ids.extend(found);
        }
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{line:?}: a row is in two shards");
    }
}
