//! What a server does not support is learned once; no question is charged for it, and the identity stays as it is.

use serde_json::{Value, json};

use crate::capture::{Capture, Captured, answer, finished, refused};
use crate::support::{Place, conversation, jsonl};

fn place(rows: usize, turns: usize) -> Place {
    let place = Place::new();
    let rows: Vec<Value> = (0..rows).map(|row| conversation(&format!("kites {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place
}

fn has(request: &Captured, field: &str) -> bool {
    request.body().get(field).is_some()
}

#[test]
fn every_call_in_flight_is_retried_when_a_field_is_learned_and_none_is_charged() {
    let server = Capture::with(|request| {
        for field in ["max_tokens", "temperature", "top_p", "seed", "stream_options", "top_k"] {
            if has(request, field) {
                std::thread::sleep(std::time::Duration::from_millis(20));
                let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
                return (400, json!({"error": {"message": message, "param": field, "code": "unsupported_parameter"}}));
            }
        }
        answer(&request.body())
    });
    let place = place(120, 2);
    let model = server.model("m");
    let options = [
        "--max-tokens",
        "50",
        "--temperature",
        "0.5",
        "--top-p",
        "0.9",
        "--seed",
        "1",
        "--concurrency",
        "48",
        "--body",
        r#"{"top_k": 20}"#,
    ];
    let line = [&["in.jsonl", "-o", "out.jsonl", "--teacher", &model][..], &options].concat();
    let run = place.complete(&[&["distill"][..], &line].concat());
    assert_eq!(run.stderr.matches("top_k is not sent: the server does not support it").count(), 2, "{}", run.stderr);
    assert!(run.stderr.contains("the server needs max_completion_tokens"), "{}", run.stderr);
    for row in place.rows("out.jsonl") {
        for turn in row["meta"]["turns"].as_array().unwrap() {
            assert_eq!(turn["attempts"], 1);
        }
        let dropped = &row["meta"]["turns"][1]["dropped"];
        assert_eq!(*dropped, json!(["temperature", "top_p", "seed", "top_k", "stream_options"]));
    }
    // Six fields, each refused at most once on each of the 48 connections, and 240 answers.
    assert!(server.count() <= 6 * 48 + 240, "{}", server.count());
    let before = server.count();
    place.complete(&[&["distill"][..], &line].concat());
    assert_eq!(server.count(), before, "the identity is what was asked for");
    place.complete(&[&["export"][..], &line].concat());
    assert!(place.complete(&[&["plan"][..], &line].concat()).stdout.contains("0 calls"));
    assert!(place.complete(&["verify", "--store", ".cohobate"]).stdout.contains("the store is sound"));
}

#[test]
fn further_attempts_stay_within_what_the_server_accepts() {
    let server = Capture::with(|request| {
        let body = request.body();
        if body["temperature"].as_f64().is_some_and(|temperature| temperature > 1.0) {
            return refused(400, "invalid temperature: only between 0 and 1 is allowed");
        }
        if body["max_tokens"].as_u64().is_some_and(|limit| limit > 100) {
            return refused(400, "max_tokens is too large: 200. This model supports at most 100 completion tokens");
        }
        let is_first = body["temperature"] == 0.9;
        if is_first { finished("half an answer", "length") } else { answer(&body) }
    });
    let place = place(3, 2);
    let model = server.model("m");
    let line = [
        "distill",
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--teacher",
        &model,
        "--gate",
        "standard",
        "--temperature",
        "0.9",
        "--max-tokens",
        "100",
    ];
    let run = place.complete(&line);
    assert!(run.stderr.contains("further attempts send at most 1 as temperature"), "{}", run.stderr);
    assert!(run.stderr.contains("further attempts send at most 100 as max_tokens"), "{}", run.stderr);
    let turn = &place.rows("out.jsonl")[2]["meta"]["turns"][1];
    assert_eq!(turn["dropped"], json!(["temperature above 1", "max_tokens above 100"]));
    let before = server.count();
    place.complete(&line);
    assert_eq!(server.count(), before);
}

#[test]
fn a_value_that_the_user_asked_for_is_not_lowered() {
    let server = Capture::with(|request| {
        if request.body()["temperature"].as_f64().is_some_and(|temperature| temperature > 1.0) {
            return refused(400, "invalid temperature: only between 0 and 1 is allowed");
        }
        answer(&request.body())
    });
    let place = place(1, 1);
    let model = server.model("m");
    let run = place.run(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--temperature", "1.5"]);
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("only between 0 and 1"), "{}", run.stderr);
}

#[test]
fn a_refusal_inside_a_successful_reply_teaches_too() {
    let server = Capture::with(|request| {
        if has(request, "seed") {
            return (200, json!({"error": {"message": "openai does not support parameters: ['seed'], for model=m"}}));
        }
        answer(&request.body())
    });
    let place = place(4, 1);
    let model = server.model("m");
    place.complete(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--seed", "1"]);
    assert!(server.bodies().iter().filter(|body| body.get("seed").is_some()).count() <= 4);
}

#[test]
fn a_server_that_does_not_stream_is_asked_for_whole_answers() {
    let server = Capture::with(|request| {
        if request.body()["stream"] == true {
            let message = "Your organization must be verified to stream this model.";
            let error = json!({"message": message, "param": "stream", "code": "unsupported_value"});
            return (400, json!({"error": error}));
        }
        answer(&request.body())
    });
    let place = place(3, 2);
    let model = server.model("m");
    place.complete(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model]);
    let streamed = server.bodies().iter().filter(|body| body["stream"] == true).count();
    assert!(streamed <= 3 && server.count() == 6 + streamed, "{streamed} of {}", server.count());
}
