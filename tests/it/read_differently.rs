//! Rows that an earlier version read differently: their stored answers no longer match, and that is said before the first
//! call.

use serde_json::{Value, json};

use crate::capture::Capture;
use crate::support::{Place, jsonl};

fn pair() -> Value {
    json!([{"role": "user", "content": "Depth?"}, {"role": "assistant", "content": "Nine."}])
}

/// Rows as they are, and what version 0.1.0 asked for them.
fn rows() -> Vec<(&'static str, Value, Value)> {
    let plain = json!({"messages": pair()});
    let question = json!({"messages": [{"role": "user", "content": "Depth?"}]});
    vec![
        ("system column", json!({"system": "Be brief.", "messages": pair()}), plain.clone()),
        (
            "exchanges",
            json!({"system_prompt": "x", "conversation": [{"human": "Depth?", "assistant": "Nine."}]}),
            plain.clone(),
        ),
        (
            "overruled column",
            json!({"system": "Column.", "conversations": [{"from": "system", "value": "Row."}, {"from": "human", "value": "Depth?"}]}),
            json!({"messages": [{"role": "system", "content": "Column."}, {"role": "user", "content": "Depth?"}]}),
        ),
        (
            "tools",
            json!({"tools": [{"type": "function", "function": {"name": "tide"}}], "messages": pair()}),
            plain.clone(),
        ),
        ("names", json!({"messages": [{"role": "user", "name": "Ann", "content": "Depth?"}]}), question.clone()),
        (
            "names of two",
            json!({"messages": [{"role": "user", "name": "Ann", "content": "a"}, {"role": "user", "name": "Bo", "content": "b"}]}),
            json!({"messages": [{"role": "user", "content": "a\n\nb"}]}),
        ),
        ("context", json!({"instruction": "Depth?", "context": "The harbor."}), question.clone()),
        ("media", json!({"image": "a.png", "messages": pair()}), plain),
        (
            "transcript",
            json!({"prompt": "Human: a\nAssistant: b\nHuman: c\nAssistant:"}),
            json!({"messages": [{"role": "user", "content": "Human: a\nAssistant: b\nHuman: c\nAssistant:"}]}),
        ),
        (
            "whole sides",
            json!({"prompt": "Depth?", "chosen": [{"role": "system", "content": "x"}, {"role": "user", "content": "Depth?"}]}),
            question,
        ),
    ]
}

#[test]
fn answers_that_no_longer_match_are_counted_before_the_first_call() {
    for (name, now, then) in rows() {
        let server = Capture::start();
        let place = Place::new();
        let model = server.model("m");
        place.write(
            "then.jsonl",
            jsonl(&[then.clone(), json!({"id": "same", "messages": [{"role": "user", "content": "Same?"}]})]),
        );
        place.write(
            "now.jsonl",
            jsonl(&[now.clone(), json!({"id": "same", "messages": [{"role": "user", "content": "Same?"}]})]),
        );
        place.complete(&["distill", "then.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
        // A store of this version has no such rows, and nobody looks for them.
        let quiet = place.complete(&["plan", "now.jsonl", "--teacher", &model]);
        assert!(!quiet.stderr.contains("no longer match"), "{name}: {}", quiet.stderr);
        std::fs::remove_file(place.path(".cohobate/edition")).unwrap();
        let before = server.count();
        let said = "1 answer of this store no longer match";
        for arguments in [vec!["plan"], vec!["plan"], vec!["distill", "-o", "out.jsonl"]] {
            let line = [&arguments[..1], &["now.jsonl", "--teacher", &model], &arguments[1..]].concat();
            let finished = place.complete(&line);
            assert!(finished.stderr.contains(said), "{name}: {}", finished.stderr);
            let first = finished.stderr.find(said).unwrap();
            assert!(finished.stderr.find("done:").is_none_or(|done| first < done), "{name}: {}", finished.stderr);
        }
        let asked = server.count() - before;
        assert!(asked <= 2 && (asked > 0) == (name != "media"), "{name}: {asked}");
    }
}

#[test]
fn a_row_that_is_read_as_before_is_not_counted() {
    let server = Capture::start();
    let place = Place::with_conversations(5, 2);
    let model = server.model("m");
    let line = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    place.complete(&line);
    std::fs::remove_file(place.path(".cohobate/edition")).unwrap();
    let before = server.count();
    let finished = place.complete(&line);
    assert!(!finished.stderr.contains("no longer match"), "{}", finished.stderr);
    assert_eq!(server.count(), before);
}
