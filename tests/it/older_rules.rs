//! A conversation is finished under the rules under which it was begun: better rules do not buy answers again.

use serde_json::Value;

use crate::support::{Finished, Place};

/// A place with the rows and the store of a run under version 1 of the rules. That version rejected English that a German user
/// had asked for, and took German for an answer to a question about the French fleet.
fn frozen() -> Place {
    let place = Place::new();
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-gated");
    std::fs::create_dir_all(place.path(".cohobate/journal")).unwrap();
    for file in std::fs::read_dir(fixture.join("journal")).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), place.path(".cohobate/journal").join(file.file_name())).unwrap();
    }
    for (from, to) in [("rows.jsonl", "rows.jsonl"), ("out.jsonl", "frozen.jsonl")] {
        std::fs::copy(fixture.join(from), place.path(to)).unwrap();
    }
    place
}

/// Nobody answers there: a call would end the run.
const LINE: [&str; 8] = [
    "rows.jsonl",
    "--teacher=m@http://127.0.0.1:1/v1",
    "--stream=false",
    "--gate=standard",
    "-o",
    "out.jsonl",
    "--give-up-after",
    "1s",
];

fn run(place: &Place, command: &str, more: &[&str]) -> Finished {
    place.run(&[&[command], &LINE[..], more].concat())
}

fn plan(place: &Place, more: &[&str]) -> Value {
    let finished = run(place, "distill", &[&["--dry-run", "--progress=json"], more].concat());
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr))
}

#[test]
fn a_store_of_the_first_rules_is_resumed_without_a_call_and_exported_as_it_was() {
    let place = frozen();
    let resumed = run(&place, "distill", &[]);
    // One conversation was stopped by the first rules, and stays so.
    assert_eq!(resumed.code, Some(3), "{}", resumed.stderr);
    assert_eq!(place.read("out.jsonl"), place.read("frozen.jsonl"));
    assert!(resumed.stderr.contains("new        0 answers"), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains(
            "rules      3 conversations continue under version 1 of rules and prompts; --rules-version 2 would ask 1 of the stored \
             turns again"
        ),
        "{}",
        resumed.stderr
    );
    for command in ["export", "verify"] {
        let finished = run(&place, command, &[]);
        assert_eq!(finished.code, Some(3), "{command}: {}", finished.stderr);
    }
    assert_eq!(place.read("out.jsonl"), place.read("frozen.jsonl"));
}

#[test]
fn a_plan_says_what_newer_rules_would_ask_and_a_version_can_be_named() {
    let place = frozen();
    let unnamed = plan(&place, &[]);
    assert_eq!(unnamed["calls"], 0, "{unnamed}");
    assert!(unnamed["rules"].as_str().unwrap().starts_with("3 conversations continue under version 1"), "{unnamed}");
    let first = plan(&place, &["--rules-version=1"]);
    assert_eq!((&first["calls"], &first["rules"]), (&0.into(), &Value::Null), "{first}");
    // The English answer is good now; the German one is rejected, so both of its turns are open.
    let second = plan(&place, &["--rules-version=2"]);
    assert_eq!((&second["calls"], &second["rules"]), (&3.into(), &Value::Null), "{second}");
}

#[test]
fn new_conversations_of_an_old_store_begin_under_the_newest_rules() {
    let place = frozen();
    let mut rows = place.read("rows.jsonl");
    rows = rows.replace("our town", "their town").replace("unserer Stadt", "der alten Stadt");
    place.write("more.jsonl", &rows);
    let finished = place.run(&[
        "distill",
        "rows.jsonl",
        "more.jsonl",
        "--teacher=m@http://127.0.0.1:1/v1",
        "--gate=standard",
        "--dry-run",
        "--progress=json",
    ]);
    let plan: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(plan["calls"], 6, "{plan}");
    assert!(plan["rules"].as_str().unwrap().starts_with("3 conversations"), "{plan}");
}

#[test]
fn an_old_conversation_is_shown_with_the_rule_that_stopped_it() {
    let place = frozen();
    run(&place, "distill", &[]);
    let shown = place.complete(&["show", "englisch"]);
    assert!(shown.stdout.contains("language"), "{}", shown.stdout);
}
