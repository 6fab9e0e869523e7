//! The dialect anthropic over the real transport, the mock server's Messages, and templates without a system role.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, finish, jsonl, recorder, requests, run_python_client};

const PROFILE: &str = "[models.sim]\ndialect = \"anthropic\"\n";

fn dataset(place: &Place, conversations: usize, turns: usize) {
    let rows: Vec<Value> = (0..conversations).map(|row| conversation(&format!("主题 {row} 🙂"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
}

fn with_system(mut row: Value) -> Value {
    let system = json!({"role": "system", "content": "Be brief."});
    row["messages"].as_array_mut().unwrap().insert(0, system);
    row
}

/// The rows' messages, without what a server reports about itself.
fn messages(place: &Place, name: &str) -> Vec<Value> {
    place.rows(name).iter().map(|row| row["messages"].clone()).collect()
}

#[test]
fn the_mock_says_over_messages_what_the_built_in_model_says() {
    let (place, server) = (Place::new(), MockServer::start(&["--model", "simulated"]));
    let rows: Vec<Value> = (0..5).map(|row| with_system(conversation(&format!("主题 {row} 🙂"), 3))).collect();
    place.write("in.jsonl", jsonl(&rows));
    place.write("cohobate.toml", PROFILE.replace("sim", "simulated"));
    let model = format!("simulated@http://{}", server.address);
    for (name, teacher, stream) in
        [("a", "simulated", "true"), ("b", model.as_str(), "true"), ("c", model.as_str(), "false")]
    {
        let output = format!("{name}.jsonl");
        let sampling = ["--temperature", "0.3", "--max-tokens", "200"];
        let run = ["distill", "in.jsonl", "--teacher", teacher, "--stream", stream, "-o", &output, "--store", name];
        place.complete(&[&run[..], &sampling].concat());
    }
    assert_eq!(messages(&place, "a.jsonl"), messages(&place, "b.jsonl"));
    assert_eq!(messages(&place, "a.jsonl"), messages(&place, "c.jsonl"));
    let turn = &place.rows("b.jsonl")[0]["meta"]["turns"][0];
    assert!(turn["prompt_tokens"].as_u64().unwrap() > 0 && turn["completion_tokens"].as_u64().unwrap() > 0, "{turn}");
}

#[test]
fn killed_runs_end_where_an_uninterrupted_one_ends_and_pay_once() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "60"]));
    dataset(&place, 12, 6);
    place.write("cohobate.toml", PROFILE);
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "8"];
    let kills = [20, 45].iter().filter(|requests| place.kill_at(&arguments, &server, **requests)).count() as u64;
    place.complete(&arguments);
    assert!(kills > 0);
    assert_eq!(server.count("distinct"), 72);
    // Ten conversations are open, so at most ten answers wait for their commit.
    assert!(server.count("requests") <= 72 + 10 * kills, "{}", server.stats());
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "calm.jsonl", "--store", "calm"]);
    assert_eq!(place.read("out.jsonl"), place.read("calm.jsonl"));
}

#[test]
fn passing_faults_heal_and_no_answer_is_paid_twice() {
    let place = Place::new();
    dataset(&place, 8, 2);
    place.write("cohobate.toml", PROFILE);
    let clean = MockServer::start(&[]);
    place.complete(&["distill", "in.jsonl", "--teacher", &clean.model(), "-o", "clean.jsonl", "--store", "clean"]);
    let kinds = [
        "500",
        "503",
        "429-bare",
        "drop",
        "half",
        "garbage",
        "no-choice",
        "error-200",
        "early-stop",
        "no-finish",
        "noise",
    ];
    let faults: Vec<String> = kinds.iter().map(|kind| format!("{kind}:0.04")).collect();
    let arguments: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault.as_str()]).collect();
    for stream in ["true", "false"] {
        let server = MockServer::start(&arguments);
        let model = server.model();
        let run = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--store", stream];
        place.complete(&[&run[..], &["--stream", stream]].concat());
        assert_eq!(messages(&place, "out.jsonl"), messages(&place, "clean.jsonl"), "stream {stream}");
        assert!(server.count("faults") > 0);
        assert_eq!(server.count("repeated"), 0, "stream {stream}");
    }
}

#[test]
fn an_account_without_credit_stops_the_run_and_records_nothing() {
    let (place, server) = (Place::new(), MockServer::start(&["--fault", "quota:1"]));
    dataset(&place, 6, 1);
    place.write("cohobate.toml", PROFILE);
    let finished = place.run(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
    assert!(finished.stderr.contains("the account has no credit left"), "{}", finished.stderr);
    drop(server);
    let server = MockServer::start(&[]);
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    assert_eq!(place.rows("out.jsonl").len(), 6);
}

/// The bytes of the first connection of a run of one question under this profile.
fn sent(profile: &str, options: &[&str]) -> (String, Value) {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    place.write("in.jsonl", jsonl(&[with_system(conversation("kites", 1))]));
    place.write("cohobate.toml", format!("[models.sim]\n{profile}\n"));
    let (model, sent) = recorder(&server);
    let run = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let mut command = place.command(&[&run[..], options].concat());
    let finished = finish(command.env("COHOBATE_API_KEY", "k-123"));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let text = String::from_utf8(sent.lock().unwrap()[0].clone()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), serde_json::from_str(body).unwrap())
}

#[test]
fn the_version_decides_the_key_header_and_the_sampling() {
    let sampling = ["--temperature", "0.5", "--max-tokens", "900"];
    let (head, body) = sent("dialect = \"anthropic\"", &sampling);
    assert!(head.starts_with("post /v1/messages http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-api-key: k-123\r\n") && head.contains("\r\nanthropic-version: 2023-06-01"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(
        (&body["temperature"], &body["max_tokens"], &body["system"]),
        (&json!(0.5), &json!(900), &json!("Be brief."))
    );
    let profile = "dialect = \"anthropic\"\nanthropic-version = \"2026-10-21\"";
    let (head, body) = sent(profile, &sampling);
    assert!(head.contains("\r\nauthorization: bearer k-123") && !head.contains("x-api-key"), "{head}");
    assert!(head.contains("\r\nanthropic-version: 2026-10-21"), "{head}");
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&Value::Null, &json!(900)));
}

#[test]
fn the_version_and_the_length_that_the_api_requires_are_no_part_of_a_question() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    dataset(&place, 3, 2);
    let model = server.model();
    for version in ["", "anthropic-version = \"2026-10-21\"\n", "cache-control = true\n"] {
        place.write("cohobate.toml", format!("{PROFILE}{version}"));
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--temperature", "0.5"]);
    }
    assert_eq!(server.count("requests"), 6, "the second and the third run reuse everything");
}

#[test]
fn a_growing_conversation_is_cached_and_writing_to_the_cache_has_its_price() {
    let (place, server) = (Place::new(), MockServer::start(&["--cache", "100000"]));
    dataset(&place, 4, 5);
    let price = "price = { input = 1000, cached-input = 100, cache-write = 1250, output = 0 }\n";
    let cost = |options: &str| {
        place.write("cohobate.toml", format!("{PROFILE}{price}{options}"));
        let store = format!("store{}", options.len());
        let model = server.model();
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--store", &store]);
        let status: Value =
            serde_json::from_str(&place.complete(&["status", "--json", "--store", &store]).stdout).unwrap();
        status["spending"]["sim"].clone()
    };
    let plain = cost("");
    let prompt = plain["prompt_tokens"].as_u64().unwrap();
    assert_eq!((&plain["cached_tokens"], &plain["cache_write_tokens"]), (&json!(0), &json!(0)), "nothing is marked");
    let cached = cost("cache-control = true\n");
    let count = |name: &str| cached[name].as_u64().unwrap();
    assert_eq!((count("prompt_tokens"), count("cached_tokens") + count("cache_write_tokens")), (prompt, prompt));
    assert!(count("cached_tokens") > prompt / 2, "{cached}");
    let expected = (count("cached_tokens") * 100 + count("cache_write_tokens") * 1250) as f64 / 1e6;
    assert!((cached["cost"].as_f64().unwrap() - expected).abs() < 1e-6, "{cached}, expected {expected}");
}

#[test]
fn options_of_the_dialect_are_refused_elsewhere() {
    let place = Place::new();
    dataset(&place, 1, 1);
    for option in ["anthropic-version = \"2023-06-01\"", "cache-control = true"] {
        place.write("cohobate.toml", format!("[models.sim]\nurl = \"http://localhost:1\"\n{option}\n"));
        let finished = place.run(&["plan", "in.jsonl", "--teacher", "sim"]);
        assert_eq!(finished.code, Some(2));
        assert!(finished.stderr.contains("which has no") && finished.stderr.contains("hint:"), "{}", finished.stderr);
        place.write("cohobate.toml", format!("[models.sim]\nurl = \"https://api.anthropic.com\"\n{option}\n"));
        place.complete(&["plan", "in.jsonl", "--teacher", "sim"]);
    }
}

#[test]
fn a_replayed_tool_call_is_sent_as_blocks() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let call =
        json!({"id": "x.1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Rome\"}"}});
    let row = json!({"id": "r", "messages": [
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "x.1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
    ]});
    place.write("in.jsonl", jsonl(&[row]));
    place.write("cohobate.toml", PROFILE);
    let (model, sent) = recorder(&server);
    place.complete(&[
        "distill",
        "in.jsonl",
        "--teacher",
        &model,
        "-o",
        "out.jsonl",
        "--tools",
        "replay",
        "--to",
        "axolotl",
    ]);
    let expected = json!([
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]},
    ]);
    assert_eq!(requests(&sent.lock().unwrap()[0])[0], expected);
}

const COMPLETION: &str = r#"{"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}"#;
const MESSAGE: &str = r#"{"content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn"}"#;

/// Answers each connection with `refusal` if the request says `word`, and else with `answer`.
fn refusing_server(status: &'static str, refusal: &'static str, word: &'static str, answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut buffer) = (String::new(), [0; 4096]);
            while !request.ends_with('}') {
                let count = stream.read(&mut buffer).unwrap();
                request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            }
            let (status, body) = if request.contains(word) { (status, refusal) } else { ("200 OK", answer) };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: \
                 {length}\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    format!("sim@http://{address}")
}

#[test]
fn a_template_without_a_system_role_is_named_in_the_hint_and_served_by_folding() {
    let refusal = r#"{"object": "error", "message": "System role not supported", "code": 400}"#;
    let model = refusing_server("400 Bad Request", refusal, "\"system\"", COMPLETION);
    let place = Place::new();
    let rows: Vec<Value> = (0..30).map(|row| with_system(conversation(&format!("{row}"), 1))).collect();
    place.write("in.jsonl", jsonl(&rows));
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--stream", "false"];
    let refused = place.run(&arguments);
    assert!(refused.code != Some(0) && refused.stderr.contains("fold-system = true"), "{}", refused.stderr);
    place.write("cohobate.toml", "[models.sim]\nfold-system = true\n");
    place.complete(&arguments);
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.len(), 30);
    assert_eq!(rows[0]["messages"][0], json!({"role": "system", "content": "Be brief."}), "the row keeps its messages");
}

#[test]
fn folding_is_part_of_the_questions_that_have_a_system_message() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    place.write("in.jsonl", jsonl(&[with_system(conversation("with", 2)), conversation("without", 2)]));
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    place.complete(&arguments);
    place.write("cohobate.toml", "[models.sim]\nfold-system = true\n");
    let folded = place.complete(&arguments);
    assert_eq!(server.count("requests"), 6, "two turns are asked again: {}", folded.stderr);
    place.complete(&arguments);
    assert_eq!(server.count("requests"), 6);
    place.write("in.jsonl", jsonl(&[with_system(conversation("with", 1))]));
    let arguments = [&arguments[..], &["--store", "other"]].concat();
    place.complete(&arguments);
    place.write("cohobate.toml", "");
    let plain = place.complete(&arguments);
    assert!(plain.stderr.contains("fold-system is `unset`, was `true`"), "{}", plain.stderr);
}

#[test]
fn a_model_that_is_offered_at_another_endpoint_ends_the_run_with_its_name() {
    let refusal = r#"{"error": {"message": "This model is only supported in v1/responses and not in v1/chat/completions.",
        "type": "invalid_request_error", "param": "model", "code": null}}"#;
    for status in ["404 Not Found", "400 Bad Request"] {
        let model = refusing_server(status, refusal, "model", COMPLETION);
        let place = Place::new();
        dataset(&place, 30, 1);
        let finished = place.run(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
        assert!(finished.code != Some(0) && finished.code != Some(3), "{}", finished.stderr);
        for words in ["at /v1/responses only", "hint: name a model that the server offers at /v1/chat/completions"] {
            assert!(finished.stderr.contains(words), "{}", finished.stderr);
        }
    }
}

#[test]
fn a_parameter_that_the_model_refuses_is_left_out() {
    let refusal = r#"{"type": "error", "error": {"type": "invalid_request_error",
        "message": "`temperature` is deprecated for this model."}}"#;
    let place = Place::new();
    dataset(&place, 30, 2);
    place.write("cohobate.toml", PROFILE);
    let model = refusing_server("400 Bad Request", refusal, "\"temperature\"", MESSAGE);
    let run =
        ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--temperature", "0.5", "--stream", "false"];
    place.complete(&run);
    assert_eq!(place.rows("out.jsonl").len(), 30);
    let again = place.complete(&run);
    assert!(again.stderr.contains("reused     60 of 60 turns"), "{}", again.stderr);
}

const CLIENT: &str = r#"
import sys, anthropic
client = anthropic.Anthropic(base_url=sys.argv[1], api_key="sk-test", max_retries=0, timeout=20)
messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Again"}]
call = dict(model="sim", max_tokens=200, system="Be brief.", messages=messages)
whole = client.messages.create(**call)
assert (whole.type, whole.role, whole.stop_reason) == ("message", "assistant", "end_turn") and whole.usage.input_tokens > 0, whole
cut = client.messages.create(**{**call, "max_tokens": 1})
assert cut.stop_reason == "max_tokens" and cut.usage.output_tokens == 1, cut
with client.messages.stream(**call) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
assert (text, final.stop_reason) == (whole.content[0].text, "end_turn"), (text, final)
assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens), final
assert client.messages.count_tokens(model="sim", messages=messages).input_tokens > 0
for wrong, error in [({"model": "other"}, anthropic.NotFoundError), ({"messages": []}, anthropic.BadRequestError),
                     ({"messages": messages[1:]}, anthropic.BadRequestError), ({"extra_body": {"temperature": 1.5}}, anthropic.BadRequestError)]:
    try:
        client.messages.create(**{**call, **wrong})
    except error as refused:
        assert refused.body["error"]["message"], refused.body
    else:
        raise AssertionError(wrong)
"#;

#[test]
fn the_official_python_client_accepts_the_server() {
    run_python_client("anthropic", CLIENT, "");
}
