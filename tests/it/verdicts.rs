//! Verdicts, grades and goal cards as JSON of a schema: asked for where the server can, read in either form.

use serde_json::{Value, json};

use crate::capture::{Capture, Captured, finished, refused};
use crate::support::{Place, conversation, jsonl};

fn place(rows: usize) -> Place {
    let place = Place::new();
    let rows: Vec<Value> = (0..rows).map(|row| conversation(&format!("kites {row}"), 2)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place
}

/// The schema that a request asks for.
fn schema(request: &Captured) -> Option<Value> {
    let body = request.body();
    (body["response_format"]["type"] == "json_schema").then(|| {
        assert_eq!(body["response_format"]["json_schema"]["strict"], true);
        body["response_format"]["json_schema"]["schema"].clone()
    })
}

/// A server that follows schemas: every text says so, every choice is the last one, every list is empty.
fn follow(schema: &Value) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        return choices.last().unwrap().clone();
    }
    match schema["type"].as_str().unwrap() {
        "object" => {
            assert_eq!(schema["additionalProperties"], false);
            let fields = schema["properties"].as_object().unwrap();
            assert_eq!(schema["required"].as_array().unwrap().len(), fields.len());
            fields.iter().map(|(name, schema)| (name.clone(), follow(schema))).collect()
        }
        "array" => json!([]),
        "string" => json!("so it is </think> {[[3]]}"),
        other => panic!("{other}"),
    }
}

/// A server that follows schemas where one is asked for, and says `otherwise` where none is.
fn obedient(otherwise: &'static str) -> Capture {
    Capture::with(move |request| match schema(request) {
        Some(schema) => finished(&follow(&schema).to_string(), "stop"),
        None => finished(otherwise, "stop"),
    })
}

fn report(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read(name)).unwrap()
}

fn evaluate(place: &Place, judge: &str, more: &[&str]) -> (Value, String) {
    let line = [&["evaluate", "in.jsonl", "-o", "out.jsonl", "--no-controls", "--judge", judge][..], more].concat();
    let run = place.complete(&line);
    (report(place, "out.report.json"), run.stderr)
}

fn profile(place: &Place, text: &str) -> [&'static str; 2] {
    place.write("models.toml", format!("[models.m]\n{text}\n"));
    ["--config", "models.toml"]
}

#[test]
fn verdicts_are_asked_for_as_json_and_found_again_without() {
    let server = obedient("[[7]]");
    let place = place(6);
    let (first, words) = evaluate(&place, &server.model("m"), &[]);
    assert_eq!(first["judge"]["replies"]["json"]["replies"], 12, "{first}");
    assert_eq!(first["judge"]["replies"]["text"]["replies"], 0);
    assert_eq!(first["overall"]["mean"], 10.0);
    assert!(words.contains("12 as JSON (0.0 % repaired, 0.0 % invalid)"), "{words}");
    assert!(place.read("out.report.html").contains("12 as JSON (0.0 % repaired, 0.0 % invalid)"));
    assert_eq!(server.count(), 12);
    // Whether the schema is asked for is no part of the identity.
    let off = profile(&place, "structured = false");
    let (again, _) = evaluate(&place, &server.model("m"), &off);
    assert_eq!((server.count(), &again["overall"]), (12, &first["overall"]));
    let (_, words) = evaluate(&place, &server.model("m"), &[&off[..], &["--store", "other"]].concat());
    assert!(words.contains("12 as text"), "{words}");
    assert!(server.requests()[12..].iter().all(|request| schema(request).is_none()));
    evaluate(&place, &server.model("m"), &["--store", "other"]);
    assert_eq!(server.count(), 24, "a verdict of a run without schemas is found again");
}

#[test]
fn a_refused_schema_is_learned_once_and_nothing_is_charged() {
    for (status, message) in [
        (400, "This response_format type is unavailable now"),
        (400, "This model does not support response format `json_schema`."),
        (400, "Invalid schema for response_format 'verdict': In context=(), 'enum' is not permitted."),
        (400, "Failed to parse grammar"),
        (404, "No endpoints found that can handle the requested parameters."),
        (422, "Input validation error"),
        (500, "guided decoding is broken"),
        (400, "Bad Request"),
    ] {
        let server = Capture::with(move |request| match schema(request) {
            Some(_) => refused(status, message),
            None => finished("It is fine.\n[[7]]", "stop"),
        });
        let place = place(20);
        let (report, words) = evaluate(&place, &server.model("m"), &["--concurrency", "4"]);
        assert_eq!(
            report["judge"]["replies"]["text"],
            json!({"replies": 40, "repaired": 0, "repaired_share": 0.0, "invalid": 0, "invalid_share": 0.0})
        );
        let note = "response_format.json_schema is not sent: the server does not support it";
        assert!(words.contains(note), "{message}: {words}");
        assert!(server.count() <= 40 + 4, "{message}: {}", server.count());
        let count = server.count();
        evaluate(&place, &server.model("m"), &[]);
        assert_eq!(server.count(), count, "{message}");
    }
}

/// Some gateways turn a schema into a tool; others answer with nothing at all.
#[test]
fn a_server_that_answers_a_schema_without_words_is_asked_without() {
    for (reason, call) in [("tool_calls", true), ("stop", false)] {
        let server = Capture::with(move |request| {
            if schema(request).is_none() {
                return finished("[[7]]", "stop");
            }
            let function = json!({"name": "json_tool_call", "arguments": "{\"score\": 3}"});
            let calls = json!([{"id": "1", "type": "function", "function": function}]);
            let message = if call { json!({"content": null, "tool_calls": calls}) } else { json!({"content": ""}) };
            (200, json!({"model": "m", "choices": [{"message": message, "finish_reason": reason}]}))
        });
        let place = place(10);
        let (report, words) = evaluate(&place, &server.model("m"), &["--concurrency", "1"]);
        assert_eq!((&report["judge"]["unparsed"], &report["overall"]["mean"]), (&json!(0), &json!(7.0)), "{words}");
        assert!(server.count() <= 22, "{reason}: {}", server.count());
        let messages = server.bodies().into_iter().flat_map(|body| body["messages"].as_array().unwrap().clone());
        assert!(messages.into_iter().all(|message| message["role"] == "user"), "no call without a reply goes back");
    }
}

#[test]
fn a_server_that_writes_white_space_under_a_schema_is_asked_without() {
    let server = Capture::with(|request| match schema(request) {
        Some(_) => finished("\n \n \n", "length"),
        None => finished("[[7]]", "stop"),
    });
    let place = place(10);
    let (report, words) = evaluate(&place, &server.model("m"), &["--concurrency", "1"]);
    assert_eq!(report["judge"]["unparsed"], 0, "{words}");
    assert_eq!(report["judge"]["replies"]["text"]["repaired"], 1);
    assert_eq!(server.count(), 21);
}

#[test]
fn a_cut_reply_in_json_is_repaired_by_the_verdict_alone() {
    for (cut, is_asked_again) in [("so {".to_owned(), true), (format!("so\",{}", "\n".repeat(99)), false)] {
        let cut = format!("{{\"explanation\": \"{cut}");
        let server = Capture::with(move |request| {
            let Some(schema) = schema(request) else { return finished("[[7]]", "stop") };
            // The repair asks for the verdict alone.
            if schema["required"] != json!(["score"]) {
                return finished(&cut, "length");
            }
            finished(&follow(&schema).to_string(), "stop")
        });
        let place = place(2);
        let (report, words) = evaluate(&place, &server.model("m"), &[]);
        assert_eq!(report["judge"]["replies"]["json"]["repaired"], 4, "{words}");
        assert!(words.contains("4 as JSON (100.0 % repaired, 0.0 % invalid)"), "{words}");
        assert_eq!(report["overall"]["mean"], if is_asked_again { 10.0 } else { 7.0 });
    }
}

#[test]
fn the_users_own_fields_and_prompt_take_precedence() {
    let server = obedient("[[7]]");
    for own in [r#"body = { response_format = { type = "text" } }"#, r#"body = { guided_regex = "x" }"#] {
        let place = place(1);
        let config = profile(&place, own);
        evaluate(&place, &server.model("m"), &config);
        let last = server.bodies().pop().unwrap();
        assert_ne!(last["response_format"]["type"], "json_schema", "{own}");
    }
    let place = place(1);
    place.write("prompt.txt", "{{ conversation }} Write JSON with strengths, weaknesses and score.");
    evaluate(&place, &server.model("m"), &["--prompt", "prompt.txt"]);
    assert!(schema(server.requests().last().unwrap()).is_none(), "it may ask for more than the schema holds");
    let config = profile(&place, "structured = true");
    evaluate(&place, &server.model("m"), &[&config[..], &["--prompt", "prompt.txt", "--store", "other"]].concat());
    assert!(schema(server.requests().last().unwrap()).is_some(), "the profile says so");
}

#[test]
fn anthropics_api_is_asked_for_a_schema_beside_the_effort() {
    let server = Capture::with(|request| {
        let output = &request.body()["output_config"];
        if request.body()["model"] == "old" && !output["format"].is_null() {
            let message = "output_config.format: Extra inputs are not permitted";
            let error = json!({"type": "invalid_request_error", "message": message});
            return (400, json!({"type": "error", "error": error}));
        }
        assert_eq!(output["effort"], "low");
        let text = match output["format"].get("schema") {
            Some(schema) => follow(schema).to_string(),
            None => "[[7]]".to_owned(),
        };
        let usage = json!({"input_tokens": 5, "output_tokens": 7});
        let content = json!([{"type": "text", "text": text}]);
        (200, json!({"type": "message", "model": "m", "content": content, "stop_reason": "end_turn", "usage": usage}))
    });
    for (name, form) in [("new", "json"), ("old", "text")] {
        let place = place(3);
        let profile = format!("[models.{name}]\ndialect = \"anthropic\"\neffort = \"low\"\n");
        place.write("models.toml", profile);
        let (report, words) = evaluate(&place, &server.model(name), &["--config", "models.toml"]);
        assert_eq!(report["judge"]["replies"][form]["replies"], 6, "{name}: {words}");
        assert_eq!(report["judge"]["unparsed"], 0);
    }
}

/// Teacher and judge may be the same model on the same server.
#[test]
fn a_refused_schema_takes_nothing_from_the_users_own_field() {
    let server = Capture::with(|request| match schema(request) {
        Some(_) => refused(400, "This response_format type is unavailable now"),
        None if request.text.contains("double square brackets") => finished("Fine.\n[[7]]", "stop"),
        None => {
            assert_eq!(request.body()["response_format"]["type"], "json_object");
            finished("{\"a\": 1}", "stop")
        }
    });
    let (place, model) = (place(6), server.model("m"));
    let own = r#"{"response_format": {"type": "json_object"}}"#;
    let line = ["distill", "in.jsonl", "-o", "best.jsonl", "--teacher", &model, "--samples", "2", "--judge", &model];
    let run = place.complete(&[&line[..], &["--body", own]].concat());
    assert!(run.stderr.contains("response_format.json_schema is not sent"), "{}", run.stderr);
    let asked =
        server.requests().iter().filter(|request| request.body()["response_format"]["type"] == "json_object").count();
    assert_eq!(asked, 24, "6 conversations, 2 turns, 2 samples");
}

#[test]
fn comparisons_and_best_of_ask_for_schemas_too_and_answers_never_have_one() {
    let server = Capture::with(|request| match schema(request) {
        Some(schema) => finished(&follow(&schema).to_string(), "stop"),
        None => finished(&format!("An answer of {} words.", request.text.len()), "stop"),
    });
    let place = place(4);
    let model = server.model("m");
    let line = ["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-y", "-o", "out", "--judge", &model];
    let run = place.complete(&[&line[..], &["--no-controls"]].concat());
    let found = report(&place, "out/report.json");
    assert_eq!(found["judge"]["replies"]["json"]["replies"], 16, "{}", run.stderr);
    assert!(run.stderr.contains("16 as JSON (0.0 % repaired, 0.0 % invalid)"), "{}", run.stderr);
    assert!(place.read("out/report.html").contains("16 as JSON"));
    let (judge, count) = (server.model("j"), server.count());
    place.complete(&[
        "distill",
        "in.jsonl",
        "-o",
        "best.jsonl",
        "--teacher",
        &model,
        "--samples",
        "2",
        "--judge",
        &judge,
    ]);
    for request in &server.requests()[count..] {
        assert_eq!(schema(request).is_some(), request.body()["model"] == "j", "{}", request.text);
    }
}

#[test]
fn grades_and_goal_cards_are_asked_for_as_json_of_a_schema() {
    let server = Capture::with(|request| {
        let Some(schema) = schema(request) else {
            let turns = request.body()["messages"].as_array().unwrap().len();
            return finished(&format!("A plain answer with enough words in it, number {turns}, about kites."), "stop");
        };
        let grade = json!({"score": 8, "errors": [], "verdict": "keep"});
        let is_grade = schema["properties"].get("errors").is_some();
        finished(&if is_grade { grade } else { follow(&schema) }.to_string(), "stop")
    });
    let place = place(2);
    let (student, teacher) = (server.model("student"), server.model("teacher"));
    let run = place.run(&[
        "tutor",
        "in.jsonl",
        "--student",
        &student,
        "--teacher",
        &teacher,
        "-o",
        "taught",
        "--gate",
        "off",
    ]);
    let pass = &report(&place, "taught/report.json")["passes"][0];
    let grades = pass["replies"]["grader"]["json"]["replies"].as_u64().unwrap();
    assert!(grades >= 2, "{pass} {}", run.stderr);
    assert!(run.stderr.contains(" as JSON (0.0 % repaired, 0.0 % invalid)"), "{}", run.stderr);
    assert!(place.read("taught/report.html").contains(" as JSON (0.0 % repaired"));

    let user = server.model("user");
    let line = ["simulate", "in.jsonl", "--teacher", &teacher, "--user", &user, "--turns", "3", "-o", "more.jsonl"];
    let run = place.run(&line);
    let found = report(&place, "more.report.json");
    let asked = found["cards"]["json"]["replies"].as_u64().unwrap();
    assert!(asked >= 1 && found["goals_unread"] == 0, "{found} {}", run.stderr);
    assert!(run.stderr.contains("cards"), "{}", run.stderr);
    assert!(place.read("more.report.html").contains("cards"));
}
