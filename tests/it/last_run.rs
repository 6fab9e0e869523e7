//! `export` and `verify` take the whole line of `distill`, use the last run's settings where theirs is bare, and name a
//! setting that was forgotten.

use std::fs;

use crate::support::{Finished, Place, conversation, finish, jsonl};

/// A store whose last run set a few options, on its line and in the configuration.
fn distilled() -> Place {
    let place = Place::with_conversations(5, 3);
    place.write("cohobate.toml", "top-p = 0.9\n");
    place.complete(&[
        "distill",
        "in.jsonl",
        "--teacher",
        "simulated",
        "-o",
        "out.jsonl",
        "--temperature",
        "0.7",
        "--system",
        "Be brief.",
        "--to",
        "sharegpt",
    ]);
    place
}

fn said(finished: &Finished) -> String {
    format!("{}{}", finished.stdout, finished.stderr)
}

#[test]
fn export_without_settings_uses_those_of_the_last_run_and_says_which() {
    let place = distilled();
    fs::remove_file(place.path("cohobate.toml")).unwrap();
    for line in [&["export", "-o", "again.jsonl"][..], &["export", "in.jsonl", "-o", "again.jsonl"]] {
        let finished = place.complete(line);
        assert_eq!(place.read("again.jsonl"), place.read("out.jsonl"), "{line:?}");
        let said = said(&finished);
        for words in
            ["with the settings of run 1", "--teacher simulated", "--temperature 0.7", "--top-p 0.9", "'Be brief.'"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
        fs::remove_file(place.path("again.jsonl")).unwrap();
    }
    // The place of an output is never taken from the log.
    place.complete(&["export", "-q"]);
    assert_eq!(place.read("distilled.jsonl"), place.read("out.jsonl"));
}

#[test]
fn the_last_run_is_found_from_another_directory_too() {
    let place = distilled();
    fs::create_dir(place.path("elsewhere")).unwrap();
    let store = place.path(".cohobate").display().to_string();
    let mut command = place.command(&["export", "--store", &store, "-o", "again.jsonl"]);
    let finished = finish(command.current_dir(place.path("elsewhere")));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(place.read("elsewhere/again.jsonl"), place.read("out.jsonl"));
}

#[test]
fn verify_without_settings_uses_those_of_the_last_run() {
    let place = distilled();
    for line in
        [&["verify", "in.jsonl"][..], &["verify", "-o", "out.jsonl"], &["verify", "in.jsonl", "-o", "out.jsonl"]]
    {
        let finished = place.complete(line);
        let said = said(&finished);
        assert!(said.contains("out.jsonl has the 5 rows that it must have"), "{line:?}: {said}");
        assert!(said.contains("with the settings of run 1"), "{line:?}: {said}");
    }
    let alone = said(&place.complete(&["verify"]));
    assert!(!alone.contains("settings of run") && !alone.contains("output "), "{alone}");
}

#[test]
fn a_forgotten_setting_is_named_in_place_of_a_count() {
    let place = distilled();
    fs::remove_file(place.path("cohobate.toml")).unwrap();
    let line = ["export", "in.jsonl", "--teacher", "simulated", "--system", "Be brief.", "-o", "again.jsonl"];
    let finished = place.run(&[&line[..], &["--top-p", "0.5"]].concat());
    let said_there = said(&finished);
    assert_eq!(finished.code, Some(3), "{said_there}");
    assert!(said_there.contains("the last run used --temperature 0.7; this line does not"), "{said_there}");
    assert!(said_there.contains("the last run used --top-p 0.9; this line uses --top-p 0.5"), "{said_there}");
    assert!(said_there.contains("5 rows without an answer") && !said_there.contains("5 × unanswered"), "{said_there}");
    let verified = place.run(&["verify", "in.jsonl", "--teacher", "other@http://127.0.0.1:1", "-o", "out.jsonl"]);
    let said_there = said(&verified);
    assert!(said_there.contains("the last run asked the teacher `simulated`; this line asks `other`"), "{said_there}");
    // Without a log the store's own record names it.
    fs::remove_dir_all(place.path(".cohobate/runs")).unwrap();
    let said_there = said(&place.run(&line));
    assert!(said_there.contains("the last run had temperature = 0.7; this line has server default"), "{said_there}");
    let bare = place.run(&["export", "-o", "again.jsonl"]);
    assert_eq!(bare.code, Some(2), "{}", bare.stderr);
}

#[test]
fn a_line_with_settings_and_a_run_that_is_unfinished_keep_their_counts() {
    let place = distilled();
    let mut rows: Vec<_> = (0..5).map(|row| conversation(&format!("kites {row}"), 3)).collect();
    rows.push(conversation("new", 2));
    place.write("in.jsonl", jsonl(&rows));
    let finished = place.run(&["export", "-o", "again.jsonl"]);
    let said = said(&finished);
    assert_eq!(finished.code, Some(3), "{said}");
    assert!(said.contains("1 × unanswered") && !said.contains("this line"), "{said}");
}

#[test]
fn standard_input_and_a_masked_option_are_asked_for_again() {
    const KEY: &str = "sk-test-3f9a1c77e0b24d55";
    let place = Place::with_conversations(2, 1);
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        let input = fs::File::open(place.path("in.jsonl")).unwrap();
        let status = command.env("COHOBATE_API_KEY", KEY).stdin(input).output().unwrap();
        (status.status.code(), String::from_utf8(status.stderr).unwrap())
    };
    assert_eq!(run(&["distill", "-", "--teacher", "simulated", "-o", "out.jsonl"]).0, Some(0));
    let (code, stderr) = run(&["export", "-o", "again.jsonl"]);
    assert!(code == Some(2) && stderr.contains("read standard input, which is gone"), "{stderr}");
    assert_eq!(run(&["export", "in.jsonl", "-o", "again.jsonl"]).0, Some(0));
    let body = format!("--body={{\"user\": \"{KEY}\"}}");
    assert_eq!(run(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", &body]).0, Some(0));
    let (code, stderr) = run(&["export", "-o", "again.jsonl"]);
    assert!(code == Some(2) && stderr.contains("the run log does not hold --body of run 2 whole"), "{stderr}");
}

#[test]
fn export_and_verify_take_the_whole_line_and_need_no_key() {
    let place = Place::with_conversations(3, 2);
    place.write(
        "p.toml",
        "[models.simulated]\nprice = { input = 1, output = 1 }\n[models.far]\nname = \"simulated-far\"\nurl = \"https://a.example/v1\"\n\
         key-env = \"NOT_SET_HERE\"\n",
    );
    let line = [
        "in.jsonl",
        "--teacher",
        "simulated",
        "-o",
        "out.jsonl",
        "--config",
        "p.toml",
        "--max-tokens",
        "500",
        "--concurrency",
        "3",
        "--rpm",
        "100000",
        "--max-cost",
        "5",
        "--time-limit",
        "8h",
        "--until",
        "23:59",
        "--lane",
        "online",
        "--stream",
        "true",
        "--retry-failed",
        "--report",
        "report.json",
        "-v",
        "--gate",
        "standard",
        "--keep-partial",
        "--progress",
        "plain",
    ];
    place.complete(&[&["distill"][..], &line].concat());
    let first = place.read("out.jsonl");
    fs::remove_file(place.path("report.json")).unwrap();
    for command in ["export", "verify"] {
        place.complete(&[&[command][..], &line].concat());
        assert!(!place.exists("report.json"), "{command} has no report");
        let help = place.complete(&[command, "--help"]).stdout;
        for hidden in ["--concurrency", "--max-cost", "--retry-failed", "--report", "--lane", "--until"] {
            assert!(!help.contains(hidden), "{command} {hidden}");
        }
    }
    assert_eq!(place.read("out.jsonl"), first);
    let far = place.run(&["export", "in.jsonl", "--teacher", "far", "--config", "p.toml", "-o", "far.jsonl"]);
    assert_eq!(far.code, Some(3), "{}", far.stderr);
    assert!(!far.stderr.contains("NOT_SET_HERE"), "{}", far.stderr);
}
