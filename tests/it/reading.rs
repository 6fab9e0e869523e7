//! What servers really answer is understood: side fields of any type destroy no answer, half an answer is never written,
//! reasoning and template tokens stay out of the text, and a rejected reply can be looked at.

use std::io::Write;

use serde_json::{Value, json};

use crate::regressions::{Scripted, reply};
use crate::support::{Finished, Place, conversation, jsonl};

const JSON: &str = "Content-Type: application/json\r\n";
const EVENTS: &str = "Content-Type: text/event-stream\r\n";
const ANSWER: &str = "A kite flies because its tilted face turns the wind downwards. The line holds it at that tilt.";

/// Asks one question for each reply, one after the other. Further requests get the last reply.
fn distill(replies: Vec<Vec<u8>>, options: &[&str]) -> (Place, Scripted, Finished) {
    let place = Place::new();
    place.write(
        "in.jsonl",
        jsonl(&(0..replies.len()).map(|row| conversation(&format!("{row}"), 1)).collect::<Vec<_>>()),
    );
    let last = replies.len() - 1;
    let server = Scripted::start(move |number| replies[last.min(number as usize)].clone(), false);
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "1"];
    let finished = place.run(&[&arguments, options].concat());
    (place, server, finished)
}

/// Each of these replies is a whole answer, for which one request is enough. Returns the answers' texts, sorted: which
/// conversation gets which reply is not fixed.
fn complete(replies: Vec<Vec<u8>>) -> Vec<String> {
    let count = replies.len();
    let (place, server, finished) = distill(replies, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(server.requests(), count as u64, "an answer was paid for twice\n{}", finished.stderr);
    let text = |row: &Value| row["messages"][1]["content"].as_str().unwrap().to_owned();
    let mut texts: Vec<String> = place.rows("out.jsonl").iter().map(text).collect();
    texts.sort();
    texts
}

fn whole(message: Value, more: Value) -> Value {
    let mut body = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn chunk(delta: Value, finish: Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!("data: {}\n\n", json!({"choices": [choice]}))
}

/// A streamed answer with something before it.
fn stream_after(noise: &str) -> String {
    let text = chunk(json!({"content": ANSWER}), Value::Null);
    format!("{noise}{text}{}data: [DONE]\n\n", chunk(json!({}), json!("stop")))
}

#[test]
fn a_side_field_of_any_type_destroys_no_answer() {
    let content = || json!({"content": ANSWER});
    let with = |name: &str, value: Value| json!({"content": ANSWER, name: value});
    let bodies = [
        whole(content(), json!({"usage": {"prompt_tokens": 9, "completion_tokens": -35}})),
        whole(content(), json!({"usage": {"prompt_tokens": 20.0, "completion_tokens": 37.25}})),
        whole(content(), json!({"usage": {"prompt_tokens": "20", "completion_tokens_details": []}})),
        whole(content(), json!({"usage": "pending"})),
        whole(content(), json!({"error": {"code": 0, "message": "success"}})),
        whole(content(), json!({"error": ""})),
        whole(content(), json!({"error": {}, "model": 7, "id": [], "system_fingerprint": {"a": 1}, "created": "x"})),
        whole(with("tool_calls", json!({})), json!({})),
        whole(with("refusal", json!(false)), json!({})),
        whole(with("reasoning", json!(4)), json!({"object": null})),
        whole(json!({"content": {"type": "text", "text": ANSWER}}), json!({})),
        whole(json!({"content": [{"type": "text", "text": ANSWER}]}), json!({})),
        json!({"choices": [{"message": content(), "finish_reason": {"type": "stop"}, "logprobs": "none"}]}),
        json!([whole(content(), json!({}))]),
    ];
    let mut replies: Vec<Vec<u8>> = bodies.iter().map(|body| reply("200 OK", JSON, &body.to_string())).collect();
    let odd = whole(content(), json!({})).to_string();
    for text in [
        odd.replacen('{', "{\"cost\": NaN, \"rate\": -Infinity, ", 1),
        odd.replace("\"content\"", "\"content\": \"\", \"content\""),
        odd.replacen('{', "\u{feff}\n\n {\"note\": \"a\nb\", \"half\": \"\\ud83e\", ", 1),
    ] {
        replies.push(reply("200 OK", JSON, &text));
    }
    let mut bytes = reply("200 OK", "", "");
    let not_utf8 = [b"{\"note\": \"\xff\xfe\", ", &odd.as_bytes()[1..]].concat();
    bytes.truncate(bytes.len() - "Content-Length: 0\r\nConnection: close\r\n\r\n".len());
    write!(bytes, "Content-Length: {}\r\nConnection: close\r\n\r\n", not_utf8.len()).unwrap();
    replies.push([bytes, not_utf8].concat());
    assert!(complete(replies).iter().all(|text| text == ANSWER));
}

#[test]
fn a_stream_is_one_whatever_its_content_type_and_its_noise() {
    let plain = stream_after("");
    let pretty = json!({"choices": [{"delta": {"content": ANSWER}, "finish_reason": "stop"}]});
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    let pretty = format!("data: {}\n", pretty.replace('\n', "\ndata: "));
    let mut replies = vec![
        reply("200 OK", "", &plain),
        reply("200 OK", "Content-Type: text/plain; charset=utf-8\r\n", &plain),
        reply("200 OK", JSON, &plain),
        reply("200 OK", EVENTS, &format!("{}\n\ndata: [DONE]\n\n", whole(json!({"content": ANSWER}), json!({})))),
        reply("200 OK", EVENTS, &format!("{pretty}\ndata: [DONE]\n\n")),
        reply("200 OK", EVENTS, &plain.replace("\n\n", "\n")),
        reply("200 OK", EVENTS, &plain.replace("finish_reason\":\"stop", "finishReason\":\"stop")),
    ];
    for noise in [
        "data: ping\n\n",
        "data: null\n\n",
        "data: \"\"\n\n",
        "data: []\n\n",
        "data:\n\n",
        ": comment\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "id: 4\nretry: 1000\nevent: progress\ndata: {\"progress\": 0.5, \"message\": \"half\"}\n\n",
        "data: {\"choices\": [], \"usage\": \"pending\"}\n\n",
    ] {
        replies.push(reply("200 OK", EVENTS, &stream_after(noise)));
    }
    assert!(complete(replies).iter().all(|text| text == ANSWER));
}

#[test]
fn characters_that_a_stream_divides_are_joined() {
    let piece = |text: &[u8]| [b"data: {\"choices\":[{\"delta\":{\"content\":\"", text, b"\"}}]}\n\n"].concat();
    let wind = "风".as_bytes();
    let pieces = [b"A \\ud83e".as_slice(), b"\\ude81 ", &wind[..2], &wind[2..], b" \\ud83e."].map(piece).concat();
    let body = [pieces.as_slice(), chunk(json!({}), json!("stop")).as_bytes()].concat();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{EVENTS}\r\n", body.len());
    let sent = [head.as_bytes(), &body].concat();
    assert_eq!(complete(vec![sent.clone()]), ["A 🪁 风 \u{fffd}."]);
    let (_, _, finished) = distill(vec![sent], &[]);
    assert!(finished.stderr.contains("damaged    1 answer with U+FFFD"), "{}", finished.stderr);
}

#[test]
fn a_compressed_reply_is_read_although_none_was_asked_for() {
    let body = whole(json!({"content": ANSWER}), json!({})).to_string();
    let level = flate2::Compression::default();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(body.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    let sent = |encoding: &str, bytes: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\n{encoding}Content-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
        [head.as_bytes(), bytes].concat()
    };
    let replies = vec![
        sent("Content-Encoding: gzip\r\n", &gzip),
        sent("", &gzip),
        sent("Content-Encoding: deflate\r\n", &zlib),
        sent("Content-Encoding: gzip\r\n", body.as_bytes()),
    ];
    assert!(complete(replies).iter().all(|text| text == ANSWER));
}

#[test]
fn a_finish_reason_in_every_chunk_does_not_end_half_an_answer() {
    let (half, rest) = ANSWER.split_at(40);
    let stop = |text: &str| chunk(json!({"content": text}), json!("stop"));
    let chunked = |text: &str, end: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{EVENTS}Transfer-Encoding: chunked\r\n\r\n");
        format!("{head}{:x}\r\n{text}\r\n{end}", text.len()).into_bytes()
    };
    let undelimited = |text: &str| format!("HTTP/1.1 200 OK\r\n{EVENTS}Connection: close\r\n\r\n{text}").into_bytes();
    let good = chunked(&[stop(half), stop(rest)].concat(), "0\r\n\r\n");
    let late = [chunk(json!({"content": half}), Value::Null), chunk(json!({}), json!("stop"))].concat();
    for cut in [
        chunked(&stop(half), ""),
        chunked(&[stop(""), stop(half)].concat(), ""),
        chunked(&[stop(&half[..9]), stop(&half[9..])].concat(), ""),
        undelimited(&stop(half)),
        // Text after a finish reason revokes it.
        chunked(&[&late, &*chunk(json!({"content": &rest[..9]}), Value::Null)].concat(), "0\r\n\r\n"),
    ] {
        let (place, server, finished) = {
            let (cut, good) = (cut.clone(), good.clone());
            let place = Place::new();
            place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
            let server = Scripted::start(move |number| if number == 0 { cut.clone() } else { good.clone() }, false);
            let finished = place.run(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
            (place, server, finished)
        };
        let shown = String::from_utf8_lossy(&cut);
        // The call was probably paid for: a probe shows first that the server answers.
        assert_eq!((finished.code, server.requests()), (Some(0), 3), "{shown}\n{}", finished.stderr);
        assert_eq!(place.rows("out.jsonl")[0]["messages"][1]["content"], ANSWER, "{shown}");
    }
}

#[test]
fn a_reply_without_a_known_finish_is_asked_for_four_times_and_never_written() {
    let word = |finish: Value| {
        let body = json!({"choices": [{"message": {"content": ANSWER}, "finish_reason": finish}]});
        reply("200 OK", JSON, &body.to_string())
    };
    let done = format!("{}data: [DONE]\n\n", chunk(json!({"content": ANSWER}), Value::Null));
    for unusable in [word(Value::Null), word(json!("OTHER")), reply("200 OK", EVENTS, &done)] {
        let shown = String::from_utf8_lossy(&unusable).into_owned();
        let (place, server, finished) = distill(vec![unusable], &[]);
        assert_eq!((finished.code, server.requests()), (Some(3), 4), "{shown}\n{}", finished.stderr);
        assert!(place.rows("out.jsonl").is_empty());
    }
    let filtered = distill(vec![word(json!("PROHIBITED_CONTENT"))], &[]);
    assert_eq!((filtered.2.code, filtered.1.requests()), (Some(3), 1), "{}", filtered.2.stderr);
}

#[test]
fn an_answer_over_the_limit_is_whole_and_one_at_the_limit_is_not() {
    for (tokens, code) in [(120, 0), (100, 3)] {
        let body = whole(json!({"content": ANSWER}), json!({"usage": {"completion_tokens": tokens}}));
        let (_, server, finished) = distill(vec![reply("200 OK", JSON, &body.to_string())], &["--max-tokens", "100"]);
        assert_eq!((finished.code, server.requests()), (Some(code), 1), "{tokens}\n{}", finished.stderr);
    }
}

#[test]
fn errors_inside_a_good_status_show_the_words_of_the_server() {
    let words = "the maximum context length is exceeded";
    let error = json!({"code": 400, "message": words}).to_string();
    for (kind, body) in [
        (JSON, format!("{{\"error\":{error}}}")),
        (JSON, error.clone()),
        (EVENTS, format!("error: {error}\n\ndata: [DONE]\n\n")),
        (EVENTS, format!("event: error\ndata: {error}\n\n")),
        (EVENTS, format!("[{{\"error\":{error}}}]")),
        (EVENTS, format!("{}data: {{\"error\":{error}}}\n\n", chunk(json!({"content": "half"}), Value::Null))),
    ] {
        let (_, server, finished) = distill(vec![reply("200 OK", kind, &body)], &[]);
        assert_eq!((finished.code, server.requests()), (Some(3), 1), "{body}\n{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
}

#[test]
fn a_web_page_is_shown_with_its_beginning_and_kept() {
    let page = "<!DOCTYPE html>\n<html><head><title>Open WebUI</title></head></html>";
    let (place, server, finished) = distill(vec![reply("200 OK", "Content-Type: text/html\r\n", page)], &["-v"]);
    assert_eq!((finished.code, server.requests()), (Some(2), 1), "{}", finished.stderr);
    let words = "a web page instead of JSON: <!DOCTYPE html> <html><head><title>Open WebUI</title></head></html>";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
    assert!(finished.stderr.contains("a rejected reply is kept in .cohobate/rejected"), "{}", finished.stderr);
    assert!(place.read(".cohobate/rejected/00000001.txt").ends_with(page));
}

#[test]
fn rejected_replies_are_bounded_and_hold_no_key() {
    let key = "sk-test-91b7f2ac";
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..30).map(|row| conversation(&format!("{row}"), 1)).collect::<Vec<_>>()));
    let body = format!("{{\"key\": \"{key}\", \"choices\": [], \"text\": \"{}\"}}", "long ".repeat(40_000));
    let server = Scripted::start(move |_| reply("200 OK", JSON, &body), false);
    let model = server.model();
    // Numbers continue where the last run stopped, and the oldest file goes.
    std::fs::create_dir_all(place.path(".cohobate/rejected")).unwrap();
    for number in 1..=100 {
        place.write(&format!(".cohobate/rejected/{number:08}.txt"), "old");
    }
    let mut command =
        place.command(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--max-requests", "2"]);
    crate::support::finish(command.env("COHOBATE_API_KEY", key));
    let files: Vec<_> = std::fs::read_dir(place.path(".cohobate/rejected")).unwrap().flatten().collect();
    assert_eq!(files.len(), 100);
    assert!(!place.exists(".cohobate/rejected/00000001.txt"));
    let kept = place.read(".cohobate/rejected/00000101.txt");
    assert!(kept.starts_with("no_choice: the reply contains no choice\n\n{\"key\": \"***\""), "{}", &kept[..99]);
    assert!(kept.len() < 70_000 && kept.ends_with("long \"}"), "{} bytes", kept.len());
}

#[test]
fn reasoning_is_separated_and_what_mentions_a_tag_keeps_its_words() {
    let plan = "The user asks about kites.";
    let said = |content: String| reply("200 OK", JSON, &whole(json!({"content": content}), json!({})).to_string());
    let field = |name: &str, value: Value| {
        reply("200 OK", JSON, &whole(json!({"content": ANSWER, name: value}), json!({})).to_string())
    };
    let replies = vec![
        said(format!("<think>{plan}</think>\n{ANSWER}")),
        said(format!("<thinking>{plan}</thinking>\n{ANSWER}")),
        said(format!("[THINK]{plan}[/THINK]{ANSWER}")),
        said(format!("◁think▷{plan}◁/think▷{ANSWER}")),
        said(format!("<think>\n\n</think>\n\n{plan}</think>\n{ANSWER}")),
        said(format!(
            "<|channel|>analysis<|message|>{plan}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}"
        )),
        said(format!("analysis{plan}assistantfinal{ANSWER}")),
        field("thinking", json!(plan)),
        field("thought", json!(plan)),
        field("reasoning_details", json!([{"type": "reasoning.text", "text": plan}])),
    ];
    let count = replies.len();
    let (place, _, finished) = distill(replies, &["--to", "per-turn"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.len(), count);
    for row in rows {
        let answer = row["messages"].as_array().unwrap().last().unwrap();
        assert_eq!((&answer["content"], &answer["reasoning_content"]), (&ANSWER.into(), &plan.into()));
    }
    let mentions = ["1. Plan. 2. End it with </think>. 3. Answer.", "Close the block with </think> and write."];
    assert_eq!(complete(mentions.iter().map(|text| said((*text).to_owned())).collect()), mentions);
}

#[test]
fn reasoning_without_an_end_and_template_tokens_are_never_written_as_an_answer() {
    let said = |content: &str| reply("200 OK", JSON, &whole(json!({"content": content}), json!({})).to_string());
    let (place, server, finished) = distill(vec![said(&format!("<think>A plan. {ANSWER}"))], &[]);
    assert_eq!((finished.code, server.requests()), (Some(3), 1), "{}", finished.stderr);
    assert!(finished.stderr.contains("turn 1: empty"), "{}", finished.stderr);
    assert!(place.rows("out.jsonl").is_empty());
    let leaks = [
        format!("<think>A plan. {ANSWER}"),
        format!("{ANSWER}<end_of_turn>"),
        format!("{ANSWER}</s>"),
        format!("{ANSWER}]~b]"),
        format!("{ANSWER} [/INST] So it flies."),
        format!("<|begin_of_box|>{ANSWER}<|end_of_box|>"),
        "<tool_call>\n{\"name\": \"search\"}\n</tool_call>".to_owned(),
        format!("{ANSWER}\n\nHuman: And then?"),
    ];
    for leak in leaks {
        let (place, _, finished) = distill(vec![said(&leak)], &["--gate", "strict"]);
        assert_eq!(finished.code, Some(3), "{leak}\n{}", finished.stderr);
        assert!(place.rows("out.jsonl").is_empty(), "{leak}");
    }
}
