//! Controls: what a judge makes of answers that are known to be right or wrong decides whether its verdicts are used.

use serde_json::{Value, json};

use crate::capture::{Capture, finished};
use crate::support::{MockServer, Place, conversation, jsonl};

/// Pairs in the controls, in both orders: all known answers, half of them twice, half of them beside another answer.
const PAIR_CALLS: u64 = 2 * (48 + 24 + 24);
/// Both answers to each known question.
const MARK_CALLS: u64 = 2 * 48;

fn place(rows: usize) -> Place {
    let place = Place::new();
    let rows: Vec<Value> = (0..rows).map(|row| conversation(&format!("subject {row}"), 1)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place
}

fn report(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read(name)).unwrap()
}

#[test]
fn an_evaluation_that_is_stopped_never_says_that_more_is_done_than_there_is() {
    let (place, server) = (place(3), MockServer::start(&[]));
    let judge = server.model();
    let line = ["evaluate", "in.jsonl", "-o=out.jsonl", "--judge", &judge, "--concurrency=1"];
    for (cap, said) in
        [("--max-requests=50", "stopped: 50 of 96 marks"), ("--max-requests=98", "stopped: 98 of 99 marks")]
    {
        let stopped = place.run(&[&line[..], &[cap]].concat());
        assert_eq!(stopped.code, Some(75), "{}", stopped.stderr);
        assert!(stopped.stderr.contains(said), "{}", stopped.stderr);
    }
}

const PAIR: [&str; 5] = ["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-y", "-o=out"];

#[test]
fn controls_come_first_are_planned_with_their_cost_and_are_asked_once_of_a_judge() {
    let (place, server) = (place(12), MockServer::start(&[]));
    let judge = server.model();
    let compare = [&PAIR[..], &["--judge", &judge]].concat();
    let plan = || -> Value {
        serde_json::from_str(&place.complete(&[&compare[..], &["--dry-run", "--progress=json"]].concat()).stdout)
            .unwrap()
    };
    let calls = |plan: &Value| {
        let roles = plan["roles"].as_array().unwrap().iter();
        roles.filter(|role| role["role"] == "judge, controls").map(|role| role["calls"].as_u64().unwrap()).sum::<u64>()
    };
    let planned = plan();
    assert_eq!((calls(&planned), &planned["calls"]), (PAIR_CALLS, &json!(PAIR_CALLS + 2 * 12 + 24)), "{planned}");
    // A run that is stopped early has asked nothing but controls.
    let stopped = place.run(&[&compare[..], &["--max-requests=50"]].concat());
    assert_eq!(stopped.code, Some(75), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("controls   the judge is shown answers"), "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("12 conversations, 48 answers"),
        "the header is about the rows: {}",
        stopped.stderr
    );
    assert_eq!(plan()["calls"], json!(PAIR_CALLS + 48 - 50));
    let finished = place.complete(&compare);
    assert_eq!(server.count("requests"), PAIR_CALLS + 24);
    assert!(finished.stderr.contains("48 of 48 decided pairs right (100 %)"), "{}", finished.stderr);
    let controls = &report(&place, "out/report.json")["controls"];
    assert_eq!((&controls["known"]["right"], &controls["failed"]), (&json!(48), &json!([])), "{controls}");
    assert_eq!(controls["known"]["languages"].as_object().unwrap().len(), 4);
    // Another comparison by the same judge asks none of them again.
    place.complete(&["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-z", "-o=other", "--judge", &judge]);
    assert_eq!(server.count("requests"), PAIR_CALLS + 24 + 24);
    assert_eq!(report(&place, "other/report.json")["controls"]["known"]["right"], 48);
}

#[test]
fn a_judge_that_always_gives_the_same_mark_is_not_reliable_and_said_to_be_so() {
    let server = Capture::with(|_| finished("It is fine.\n[[5]]", "stop"));
    let place = place(10);
    let judge = server.model("m");
    let line = ["evaluate", "in.jsonl", "-o", "out.jsonl", "--judge", &judge];
    let plan = place.complete(&[&line[..], &["--dry-run"]].concat()).stdout;
    assert!(plan.contains("judge, controls"), "{plan}");
    let finished = place.run(&line);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(server.count() as u64, MARK_CALLS + 10);
    let found = report(&place, "out.report.json");
    let cautions = found["cautions"].to_string();
    assert!(cautions.contains("the judge gave the same verdict 10 times out of 10: 5"), "{cautions}");
    assert!(cautions.contains("known answers failed: 0 of 0 decided pairs right, 48 undecided"), "{cautions}");
    assert!(finished.stderr.contains("judge not reliable") && finished.stderr.contains("caution: the judge gave"));
    let page = place.read("out.report.html");
    assert!(page.contains("judge not reliable") && page.contains("the judge gave the same verdict"), "{page}");
    // Without controls it is still a caution, and under the first prompts it is their example.
    let finished = place.complete(&[&line[..], &["--no-controls", "--rules-version=1"]].concat());
    assert!(finished.stderr.contains("5, the example in its prompt"), "{}", finished.stderr);
}

#[test]
fn a_judge_that_knows_better_is_reliable_in_every_mode() {
    let (place, server) = (place(3), MockServer::start(&[]));
    place.write("criteria.txt", "It is short.\n");
    let judge = server.model();
    for mode in ["score", "check", "rubric"] {
        let line = ["evaluate", "in.jsonl", "-o", "out.jsonl", "--judge", &judge, "--mode", mode];
        let criteria: &[&str] = if mode == "score" { &[] } else { &["--criteria=criteria.txt"] };
        place.complete(&[&line[..], criteria].concat());
        let controls = &report(&place, "out.report.json")["controls"];
        assert_eq!((&controls["known"]["right"], &controls["known"]["decided"]), (&json!(48), &json!(48)), "{mode}");
    }
}

#[test]
fn a_simulated_judge_is_exempt_and_labelled() {
    let place = place(12);
    let label = "the judge is simulated: its verdicts mean nothing";
    let finished = place.complete(&[&PAIR[..], &["--judge=simulated"]].concat());
    assert!(finished.stderr.contains(label), "{}", finished.stderr);
    assert_eq!(report(&place, "out/report.json")["controls"], Value::Null);
    let finished = place.complete(&[&PAIR[..], &["--judge=simulated", "--controls"]].concat());
    assert!(finished.stderr.contains(label), "{}", finished.stderr);
    assert_eq!(report(&place, "out/report.json")["controls"]["is_exempt"], true);
    let finished = place.complete(&["evaluate", "in.jsonl", "-o", "out.jsonl", "--judge=simulated"]);
    assert!(finished.stderr.contains(label), "{}", finished.stderr);
}
