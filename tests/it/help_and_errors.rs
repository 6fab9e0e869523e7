//! What the program says when asked for help and when something is wrong, whole.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use cohobate::store::{Loss, StoreError};

use crate::docs::tables;
use crate::support::{Place, conversation, finish, jsonl};

const COMMANDS: [&str; 24] = [
    "",
    "distill",
    "plan",
    "export",
    "convert",
    "inspect",
    "filter",
    "evaluate",
    "compare",
    "agreement",
    "simulate",
    "tutor",
    "status",
    "show",
    "view",
    "verify",
    "merge",
    "ctl",
    "store",
    "trust",
    "init",
    "completions",
    "man",
    "mock",
];

fn help(columns: &str) -> String {
    let mut text = String::new();
    for command in COMMANDS {
        let shown = tables::help(command, columns);
        let width = columns.parse().unwrap();
        let long = shown.lines().find(|line| line.chars().count() > width);
        assert_eq!(long, None, "{command} at {columns} columns");
        writeln!(text, "$ cohobate {}\n{shown}", format!("{command} --help").trim_start()).unwrap();
    }
    text
}

#[test]
fn every_command_can_report_as_json() {
    for command in &COMMANDS[1..] {
        assert!(tables::help(command, "100").contains("--progress"), "{command}");
    }
    let place = Place::new();
    for line in [&["ctl", "status", "--progress=json"][..], &["init", "nobody", "--progress", "json"]] {
        let refused = place.run(line);
        let last = refused.stderr.lines().last().unwrap();
        let end: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
        assert_eq!((&end["event"], &end["exit_code"]), (&"end".into(), &2.into()), "{line:?}: {}", refused.stderr);
    }
}

#[test]
fn help_of_every_command_at_80_columns() {
    insta::assert_snapshot!(help("80"));
}

#[test]
fn help_of_every_command_at_100_columns() {
    insta::assert_snapshot!(help("100"));
}

#[test]
fn help_of_every_verb_of_ctl() {
    let (place, mut text) = (Place::new(), String::new());
    for verb in ["status", "pause", "resume", "stop", "set", "add-replica", "drain", "retry-failed", "tail"] {
        let mut command = place.command(&["ctl", verb, "--help"]);
        let shown = finish(command.env("COLUMNS", "100")).stdout;
        writeln!(text, "$ cohobate ctl {verb} --help\n{shown}").unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_list_of_commands_is_complete() {
    assert_eq!(tables::commands(), COMMANDS[1..]);
}

/// The whole line of `distill` can be given to `plan`, `export` and `verify`; elsewhere an option without effect is
/// refused.
#[test]
fn options_without_effect_are_ignored_on_the_distill_line_and_refused_elsewhere() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let line = [
        "in.jsonl",
        "--teacher=simulated",
        "-o=out.jsonl",
        "--keep-partial",
        "--report=r.json",
        "--retry-failed",
        "--to=sharegpt",
        "--gate=standard",
        "--min-turns=2",
        "--temperature=0.5",
        "--concurrency=4",
        "--rpm=100000",
        "--max-requests=100",
        "--time-limit=1h",
        "--stop-signal=USR1",
        "--stream=false",
        "--keep=best",
        "-v",
    ];
    // What decides the output must be the same for all; elsewhere each option of the line is in use.
    for command in ["plan", "distill", "plan", "export", "verify"] {
        place.complete(&[&[command], &line[..]].concat());
    }
    for (option, needs) in [
        ("--judge=simulated", "--samples"),
        ("--prompt=p.txt", "--judge"),
        ("--min-turns=2", "--gate"),
        ("--license=mit", "-o DIR/"),
    ] {
        let finished = place.run(&["distill", "in.jsonl", "--teacher=simulated", option]);
        let expected = format!("has no effect without {needs}");
        assert!(finished.code == Some(2) && finished.stderr.contains(&expected), "{option}: {}", finished.stderr);
        place.complete(&["plan", "in.jsonl", "--teacher=simulated", option]);
    }
    for (command, option) in [
        ("convert", "--store=s"),
        ("inspect", "--store=s"),
        ("filter", "--store=s"),
        ("filter", "--temperature=1"),
        ("simulate", "--samples=2"),
        ("evaluate", "--gate=strict"),
    ] {
        let finished = place.run(&[command, "in.jsonl", option]);
        let name = option.split('=').next().unwrap();
        assert!(finished.code == Some(2) && finished.stderr.contains(name), "{command} {option}: {}", finished.stderr);
    }
}

#[test]
fn every_mistake_gets_one_line_a_hint_and_its_exit_code() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    place.write("bad.toml", "temprature = 1\n");
    place.write("broken.toml", "temperature = \n");
    place.write(
        "secretless.toml",
        "[models.m]\nurl = \"http://127.0.0.1:1\"\nkey-env = \"NOBODY_SETS_THIS\"\n[models.n]\n",
    );
    place.write("table.parquet", "PAR1....");
    std::fs::create_dir(place.path("folder")).unwrap();
    place.write("file-as-store", "");
    let mut text = String::new();
    for arguments in [
        "distill in.jsonl",
        "distill --teacher simulated",
        "distill missing.jsonl --teacher simulated",
        "distill folder --teacher simulated",
        "distill table.parquet --teacher simulated",
        "distill in.jsonl --teacher nobody",
        "distill in.jsonl --teacher q@http://",
        "distill in.jsonl --teacher q@ftp://x",
        "distill in.jsonl --teacher simulated -o in.jsonl",
        "distill in.jsonl --teacher simulated -o out.parquet",
        "distill in.jsonl --teacher simulated -o nowhere/out.jsonl",
        "distill in.jsonl --teacher simulated --store file-as-store",
        "distill in.jsonl --teacher simulated --temperature 99",
        "distill in.jsonl --teacher simulated --concurrency 0",
        "distill in.jsonl --teacher simulated --concurrency many",
        "distill in.jsonl --teacher simulated --system @missing.txt",
        "distill in.jsonl --teacher simulated --config missing.toml",
        "distill in.jsonl --teacher simulated --config bad.toml",
        "distill in.jsonl --teacher simulated --config broken.toml",
        "distill in.jsonl --teacher m --config secretless.toml",
        "distill in.jsonl --teacher n --config secretless.toml",
        "export in.jsonl --teacher simulated --store nothing-here",
        "status --store nothing-here",
        "mock --fault fire:0.5",
        "mock --fault 500:2",
        "destill",
    ] {
        let finished = place.run(&arguments.split(' ').collect::<Vec<_>>());
        assert!(!finished.stderr.contains("panicked"), "{arguments}: {}", finished.stderr);
        let code = finished.code.unwrap();
        // On a busy machine the run that succeeds takes longer.
        let said: Vec<&str> = finished.stderr.lines().filter(|line| !line.starts_with("done: ")).collect();
        writeln!(text, "$ cohobate {arguments}\n[{code}] {}\n", said.join("\n")).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    let rows: Vec<_> = (0..2_000).map(|row| conversation(&format!("{row}"), 1)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let binary = env!("CARGO_BIN_EXE_cohobate");
    let script = format!("set -o pipefail; {binary} distill in.jsonl --teacher simulated -o - -q | head -n 1");
    let mut command = std::process::Command::new("bash");
    let finished = crate::support::finish(command.args(["-c", &script]).current_dir(place.path("")));
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
}

#[test]
fn progress_for_machines_is_json_on_every_line() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 3)]));
    let finished =
        place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--progress", "json"]);
    let lines: Vec<serde_json::Value> = crate::support::rows(&finished.stderr);
    assert_eq!(lines.iter().rev().find(|line| line["done"].is_u64()).unwrap()["done"], 3);
    assert_eq!(lines.last().unwrap()["event"], "end", "{}", finished.stderr);
}

#[test]
fn every_error_of_a_store_is_said_with_what_to_do() {
    let path = || PathBuf::from("store");
    let of_system = |kind| io::Error::new(kind, "what the system says");
    let io = |kind| StoreError::Io { action: "write", path: path(), source: of_system(kind) };
    let changed = |count: u32| StoreError::Lost {
        path: path(),
        losses: (1..=count).map(|segment| Loss::Changed { segment }).collect(),
    };
    let kinds = vec![
        Loss::Missing { first: 2, last: 2 },
        Loss::Missing { first: 4, last: 6 },
        Loss::Short { segment: 7, length: 10, closed: 20 },
        Loss::Misplaced { segment: 8, holds: 9 },
        Loss::Behind { segment: 10, offset: 30 },
    ];
    let errors = [
        StoreError::Locked { path: path(), holder: "7".to_owned() },
        io(io::ErrorKind::StorageFull),
        io(io::ErrorKind::PermissionDenied),
        io(io::ErrorKind::ReadOnlyFilesystem),
        io(io::ErrorKind::TimedOut),
        StoreError::Intruded { path: path() },
        StoreError::Lost { path: path(), losses: kinds },
        changed(5),
        changed(6),
        StoreError::HalfRepaired { path: "new".into(), segment: "segment".into() },
        StoreError::Poisoned,
        StoreError::Index { path: path(), reason: "it is damaged".to_owned() },
        StoreError::TooLarge { length: 20, limit: 10 },
        StoreError::Newer { path: path(), version: 9 },
        StoreError::Missing { path: path() },
    ];
    let said: Vec<String> = errors.iter().map(|error| format!("{error}\n  {}", error.hint())).collect();
    insta::assert_snapshot!(said.join("\n"));
}
