//! Messages that refer to a replaced answer: what is certain is cut or rewritten, what is doubtful is marked, and a judge may
//! decide.

use serde_json::{Value, json};

use crate::support::{Finished, Place, jsonl};

fn row(id: &str, said: &[&str]) -> Value {
    let role = |at: usize| if at.is_multiple_of(2) { "user" } else { "assistant" };
    let messages: Vec<Value> =
        said.iter().enumerate().map(|(at, text)| json!({"role": role(at), "content": text})).collect();
    json!({"id": id, "messages": messages})
}

/// A place with messages that certainly refer to the replaced answer, that may, and that do not.
fn place() -> Place {
    let place = Place::new();
    let rows = [
        row(
            "quote",
            &["How do I get there?", "Take the old harbor road.", "Where is the harbor road you mentioned?", "There."],
        ),
        row("answer", &["我头疼。", "您晚上疼得厉害吗？", "是的，晚上更疼。", "请多休息。"]),
        row(
            "pointer",
            &["Wie schlafe ich besser?", "1. Wenig Kaffee.\n2. Dunkelheit.", "Warum denn der zweite Punkt?", "Darum."],
        ),
        row("doubt", &["Which town should I visit?", "Visit Marenholm.", "Is Marenholm crowded in August?", "Yes."]),
        row("sound", &["How do I get there?", "Take the bus.", "When does the last one leave?", "At nine."]),
    ];
    place.write("in.jsonl", jsonl(&rows));
    place
}

fn run(place: &Place, more: &[&str]) -> Finished {
    place.run(&[&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"], more].concat())
}

/// The marks of the second turn of each row; `cut` where it has none.
fn marks(place: &Place) -> Vec<(String, String)> {
    let mark = |row: Value| {
        let turn = &row["meta"]["turns"][1];
        let mark = if turn.is_null() { "cut" } else { turn["flags"][0].as_str().unwrap_or("-") };
        (row["id"].as_str().unwrap().to_owned(), mark.to_owned())
    };
    place.rows("out.jsonl").into_iter().map(mark).collect()
}

fn with(strong: &str, weak: &str) -> Vec<(String, String)> {
    let marks = [("quote", strong), ("answer", strong), ("pointer", strong), ("doubt", weak), ("sound", "-")];
    marks.map(|(id, mark)| (id.to_owned(), mark.to_owned())).to_vec()
}

#[test]
fn what_is_certain_is_marked_cut_or_rewritten_and_what_is_doubtful_is_marked() {
    let place = place();
    for (rule, code, strong) in
        [("keep", 0, "orphan_reference"), ("truncate", 3, "cut"), ("rewrite", 0, "user_rewritten")]
    {
        let finished = run(&place, &["--orphans", rule]);
        assert_eq!(finished.code, Some(code), "{rule}: {}", finished.stderr);
        assert_eq!(marks(&place), with(strong, "orphan_reference_weak"), "{rule}");
        for line in [
            "orphans in cmn: 1 strong, 0 weak, of 1 message after a new answer",
            "orphans in deu: 1 strong, 0 weak, of 1 message after a new answer",
            "orphans in eng: 1 strong, 1 weak, of 3 messages after a new answer",
        ] {
            assert!(finished.stderr.contains(line), "{rule}: {}", finished.stderr);
        }
        let again = run(&place, &["--orphans", rule]);
        assert!(again.stderr.contains("new        0 answers"), "{rule}: {}", again.stderr);
    }
    let rows = place.rows("out.jsonl");
    assert_eq!(rows[3]["messages"][2]["content"], "Is Marenholm crowded in August?", "a doubt is not rewritten");
}

#[test]
fn a_judge_decides_on_doubts_once_and_its_verdict_is_stored() {
    let place = place();
    let judged = ["--orphans", "truncate", "--orphans-judge", "simulated"];
    run(&place, &["--orphans", "truncate"]);
    let plan = run(&place, &[&judged[..], &["--dry-run", "--progress=json"]].concat());
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["calls"], 1, "{plan}");
    let finished = run(&place, &judged);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(finished.stderr.contains("new        1 answer"), "{}", finished.stderr);
    let marks = marks(&place);
    assert!(marks.iter().any(|(id, mark)| id == "doubt" && (mark == "cut" || mark == "-")), "{marks:?}");
    let again = run(&place, &judged);
    assert!(again.stderr.contains("new        0 answers"), "{}", again.stderr);
}

#[test]
fn the_older_rules_can_be_named() {
    let place = place();
    let finished = run(&place, &["--orphans", "keep", "--rules-version", "1"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    // They take what follows a pointer for a reference in English and Chinese alone.
    let found: Vec<String> = marks(&place).into_iter().filter(|(_, mark)| mark != "-").map(|(id, _)| id).collect();
    assert!(found.iter().all(|id| id == "quote"), "{found:?}");
    let refused = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--rules-version", "1"]);
    assert!(refused.stderr.contains("needs --gate or --orphans"), "{}", refused.stderr);
    let refused = run(&place, &["--orphans-judge", "simulated"]);
    assert!(refused.stderr.contains("--orphans-judge has no effect without --orphans"), "{}", refused.stderr);
}
