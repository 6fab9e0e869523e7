//! `--progress json`: every line on standard error is an event, for every command, and the last one is the end.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use cohobate::job::EventKind;
use serde_json::{Value, json};

use crate::docs::tables::commands;
use crate::schema::Schema;
use crate::support::{Finished, MockServer, Place, conversation, jsonl};

/// Checks every line of a command, and returns the events.
fn events(finished: &Finished, line: &[&str]) -> Vec<Value> {
    let schema = Schema::read("docs/events.schema.json");
    let parse =
        |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| panic!("{line:?}: no JSON: {text}"));
    let events: Vec<Value> = finished.stderr.lines().map(parse).collect();
    for event in &events {
        assert_eq!(schema.faults(event), Vec::<String>::new(), "{line:?}");
    }
    let last = events.last().unwrap_or_else(|| panic!("{line:?} says nothing"));
    assert_eq!((&last["event"], last["exit_code"].as_i64()), (&json!("end"), finished.code.map(i64::from)), "{line:?}");
    let ends = events.iter().filter(|event| event["event"] == "end").count();
    assert_eq!(ends, 1, "{line:?}");
    events
}

fn place() -> Place {
    let place = Place::new();
    let rows: Vec<Value> = (0..4).map(|row| conversation(&format!("kite number {row}"), 3)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place.write("odd.jsonl", [jsonl(&rows[..1]).as_str(), "{\"messages\": 7}\n", "no JSON\n"].concat());
    place.write("bad.toml", "concurrency = \"many\"\n");
    place.write("plain.toml", "progress = \"json\"\n");
    place.write("votes.jsonl", "{\"question_id\": \"1\", \"turn\": 1, \"model_a\": \"a\", \"model_b\": \"b\", \"winner\": \"a\", \"judge\": \"x\"}\n");
    place
}

#[test]
fn every_line_of_every_command_is_an_event() {
    let (place, server) = (place(), MockServer::start(&["--fault", "500:0.3"]));
    let faulty = server.model();
    let distill = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"];
    let mut lines: Vec<Vec<&str>> = vec![
        [&distill[..], &["--max-requests", "5"]].concat(),
        distill.to_vec(),
        vec![
            "distill",
            "in.jsonl",
            "--teacher",
            &faulty,
            "-o",
            "faulty.jsonl",
            "-v",
            "--store",
            "faulty",
            "--gate",
            "strict",
        ],
        vec!["distill", "odd.jsonl", "--teacher", "simulated", "-o", "odd.out.jsonl"],
        vec!["plan", "in.jsonl", "--teacher", "simulated", "--json"],
        vec!["export", "in.jsonl", "--teacher", "simulated", "-o", "again.jsonl"],
        vec!["convert", "odd.jsonl", "-o", "converted.jsonl"],
        vec!["inspect", "odd.jsonl"],
        vec!["filter", "out.jsonl", "-o", "kept.jsonl"],
        vec!["evaluate", "out.jsonl", "--judge", "simulated"],
        vec!["compare", "in.jsonl", "--a", "simulated", "--b", &faulty, "--judge", "simulated", "--controls"],
        vec!["agreement", "--judge", "votes.jsonl", "--human", "votes.jsonl"],
        vec![
            "simulate",
            "in.jsonl",
            "--teacher",
            "simulated",
            "--user",
            "simulated",
            "--turns",
            "4",
            "-o",
            "more.jsonl",
        ],
        vec!["tutor", "in.jsonl", "--student", "simulated", "--teacher", &faulty, "-o", "lessons"],
        vec!["status"],
        vec!["verify", "--json"],
        vec!["verify", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"],
        vec!["merge", ".cohobate", "--into", "merged"],
        vec!["store", "init"],
        vec!["trust", "plain.toml"],
        // What cannot work: the same in every command.
        vec!["distill"],
        vec!["distill", "in.jsonl", "--teacher", "simulated", "--no-such-option"],
        vec!["distill", "missing.jsonl", "--teacher", "simulated"],
        vec!["distill", "in.jsonl", "--teacher", "nobody"],
        vec!["distill", "in.jsonl", "--teacher", "simulated", "--config", "bad.toml"],
        vec!["status", "--store", "nowhere"],
        vec!["agreement", "--judge", "missing", "--human", "missing"],
        vec!["mock", "--fault", "nonsense"],
        vec!["trust", "missing.toml"],
        vec!["show", "nobody"],
        vec!["no-such-command"],
    ];
    let mut seen = BTreeSet::new();
    for line in &mut lines {
        line.extend(["--progress", "json"]);
        let finished = place.run(line);
        let events = events(&finished, line);
        if matches!(finished.code, Some(1 | 2)) {
            let error = events.iter().find(|event| event["event"] == "error");
            assert!(error.is_some_and(|error| !error["text"].as_str().unwrap().starts_with("error")), "{line:?}");
        }
        seen.extend(events.iter().map(|event| event["event"].as_str().unwrap().to_owned()));
    }
    for kind in
        ["start", "progress", "summary", "report", "error", "message", "row_invalid", "call_failed", "stopping", "end"]
    {
        assert!(seen.contains(kind), "no {kind} among {seen:?}");
    }
    let run: BTreeSet<&str> = lines.iter().map(|line| line[0]).collect();
    // They show data alone, serve a page, or have a JSON of their own, and take no --progress.
    let others = ["view", "ctl", "init", "completions", "man"];
    for command in commands().into_iter().filter(|command| !others.contains(&command.as_str())) {
        assert!(run.contains(command.as_str()), "{command} is not run here");
    }
}

#[test]
fn a_configuration_may_ask_for_events_and_quiet_leaves_errors_and_the_end() {
    let place = place();
    let line = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--config", "plain.toml"];
    let kinds = |events: Vec<Value>| events.iter().map(|event| event["event"].clone()).collect::<Vec<_>>();
    let finished = place.run(&line);
    assert!(kinds(events(&finished, &line)).contains(&json!("summary")));
    let line = [&line[..], &["-q"]].concat();
    assert_eq!(kinds(events(&place.run(&line), &line)), ["end"]);
    let line = ["distill", "odd.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "-q", "--progress=json"];
    assert_eq!(kinds(events(&place.run(&line), &line)), ["error", "end"]);
}

#[test]
fn a_server_that_is_interrupted_ends_with_an_event() {
    let place = Place::new();
    let mut command = place.command(&["mock", "--port", "0", "--progress", "json"]);
    let mut server = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(first["text"].as_str().unwrap().starts_with("listening on http://"), "{first}");
    let killed = std::process::Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let last: Value = serde_json::from_str(&lines.last().unwrap().unwrap()).unwrap();
    assert_eq!((last["event"].as_str(), last["exit_code"].as_u64()), (Some("end"), Some(0)));
    server.wait().unwrap();
}

#[test]
fn the_schema_has_every_kind_of_event_and_no_other() {
    let schema: Value = serde_json::from_str(include_str!("../../docs/events.schema.json")).unwrap();
    let known: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(schema["properties"]["event"]["enum"], json!(known));
    let defined: Vec<&str> = schema["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(defined, known);
    for kind in known {
        assert_eq!(schema["$defs"][kind]["properties"]["event"]["const"], kind);
        assert!(schema["oneOf"].as_array().unwrap().contains(&json!({"$ref": format!("#/$defs/{kind}")})), "{kind}");
    }
}

#[test]
fn what_json_prints_is_as_its_schema_says() {
    let (place, schema) = (place(), Schema::read("docs/output.schema.json"));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    place.write("short.jsonl", place.read("out.jsonl").lines().next().unwrap());
    let model = "m@http://127.0.0.1:9/v1";
    for (name, line) in [
        ("inspect", vec!["inspect", "odd.jsonl", "--json"]),
        ("plan", vec!["plan", "in.jsonl", "--teacher", "simulated", "--json"]),
        ("plan", vec!["plan", "odd.jsonl", "--teacher", model, "--json", "--show-request", "--store", "other"]),
        ("verify", vec!["verify", "--json"]),
        ("verify", vec!["verify", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--json"]),
        ("verify", vec!["verify", "in.jsonl", "--teacher", "simulated", "-o", "short.jsonl", "--json"]),
        ("verify", vec!["verify", "--repair", "--json"]),
    ] {
        let finished = place.run(&line);
        let value: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{line:?}: {finished:?}"));
        assert_eq!(schema.faults_in(name, &value), Vec::<String>::new(), "{line:?}");
        if name == "verify" {
            assert_eq!(value["exit_code"].as_i64(), finished.code.map(i64::from), "{line:?}");
        }
    }
    // A damaged store says where.
    let path = place.path(".cohobate/journal/00000001.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let found: Value = serde_json::from_str(&place.run(&["verify", "--json"]).stdout).unwrap();
    assert_eq!(schema.faults_in("verify", &found), Vec::<String>::new());
    assert!(
        found["is_sound"] == false && found["damages"][0]["path"].is_string() && found["exit_code"] == 4,
        "{found}"
    );
}
