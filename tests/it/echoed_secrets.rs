//! What a server says beside its answer is bounded and shows no part of a key, wherever it says it.

use serde_json::{Value, json};

use crate::capture::Capture;
use crate::support::{Finished, Place, conversation, files_below, finish, jsonl};

const KEY: &str = "sk-test-3f9a1c77e0b24d55";

fn place() -> Place {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    place
}

fn distill(place: &Place, server: &Capture, more: &[&str]) -> Finished {
    let model = server.model("m");
    let line = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "-v"];
    finish(place.command(&[&line[..], more].concat()).env("COHOBATE_API_KEY", KEY))
}

/// Fails if eight characters of the key follow each other in anything that was printed or written.
fn assert_unseen(place: &Place, finished: &Finished, what: &str) {
    let mut texts = vec![finished.stdout.clone().into_bytes(), finished.stderr.clone().into_bytes()];
    texts.extend(files_below(&place.path("")).iter().map(|path| std::fs::read(path).unwrap()));
    // The journal is compressed: what it holds is what an export and a report say.
    for command in [&["status", "--json"][..], &["status"]] {
        texts.push(place.run(command).stdout.into_bytes());
    }
    for text in texts {
        for piece in KEY.as_bytes().windows(8).filter(|piece| !piece.starts_with(b"sk-test")) {
            let found = text.windows(8).any(|window| window == piece);
            assert!(!found, "{what}: {}", String::from_utf8_lossy(&text));
        }
    }
}

/// Every way in which servers quote a key.
fn quotes() -> [String; 5] {
    let (beginning, end) = (&KEY[..12], &KEY[KEY.len() - 4..]);
    [
        KEY.to_owned(),
        format!("{beginning}..."),
        format!("{beginning}***{end}"),
        format!("{beginning}…"),
        KEY[4..].into(),
    ]
}

#[test]
fn a_key_that_a_server_quotes_is_masked_in_every_field_that_is_kept() {
    for quote in quotes() {
        for field in ["model", "system_fingerprint", "both"] {
            let said = quote.clone();
            let server = Capture::with(move |request| {
                let (status, mut reply) = crate::capture::answer(&request.body());
                for name in ["model", "system_fingerprint"].iter().filter(|name| [**name, "both"].contains(&field)) {
                    reply[*name] = format!("m for {said}").into();
                }
                (status, reply)
            });
            let place = place();
            let finished = distill(&place, &server, &[]);
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
            if field != "system_fingerprint" {
                let row = &place.rows("out.jsonl")[0];
                assert_eq!(row["meta"]["turns"][0]["model"], "m for ***", "{row}");
            }
            assert_unseen(&place, &finished, field);
        }
    }
}

#[test]
fn an_error_is_shortened_after_its_key_is_masked() {
    // The cut at 300 characters falls on every place of the key.
    for before in [0, 282, 291, 298] {
        for status in [400, 401, 200] {
            for quote in quotes() {
                let words = format!("{} {quote} {}", "x".repeat(before), "y ".repeat(400));
                let server = Capture::with(move |_| (status, json!({"error": {"message": words}})));
                let place = place();
                let finished = distill(&place, &server, &["--time-limit", "2s"]);
                assert_ne!(finished.code, Some(0), "{}", finished.stderr);
                assert_unseen(&place, &finished, &format!("{status} after {before}"));
                if before > 0 {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_finish_reason_and_a_list_of_models_show_no_key() {
    for reply in [
        (200, json!({"choices": [{"message": {"content": "x"}, "finish_reason": format!("stop {KEY}")}]})),
        (200, json!({"choices": [{"message": {"content": {"a": KEY}}, "finish_reason": "stop"}]})),
        (200, json!({"choices": [], "detail": KEY})),
        (404, json!({"error": {"message": "The model does not exist", "code": KEY}})),
        (404, json!({"data": [{"id": format!("model-{KEY}")}]})),
    ] {
        let server = Capture::with(move |_| reply.clone());
        let place = place();
        let finished = distill(&place, &server, &["--time-limit", "2s"]);
        assert_ne!(finished.code, Some(0), "{}", finished.stderr);
        assert_unseen(&place, &finished, "finish");
    }
}

#[test]
fn a_reply_with_endless_side_fields_costs_nothing_but_their_end() {
    let place = Place::new();
    let rows: Vec<Value> = (0..6).map(|row| conversation(&format!("kites {row}"), 2)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let server = Capture::with(|request| {
        let (status, mut reply) = crate::capture::answer(&request.body());
        if request.text.contains("kites 3") {
            for name in ["model", "system_fingerprint"] {
                reply[name] = "m".repeat(20 << 20).into();
            }
        }
        (status, reply)
    });
    let finished = distill(&place, &server, &["--stream", "false"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.len(), 6);
    let longest =
        rows.iter().filter_map(|row| row["meta"]["turns"][0]["model"].as_str()).map(|name| name.chars().count()).max();
    assert_eq!(longest, Some(513), "512 characters and an ellipsis");
    assert!(finished.stderr.len() < 20_000, "{} bytes", finished.stderr.len());
    // A run after it finds everything.
    let again = distill(&place, &server, &["--stream", "false"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(server.count(), 12);
}

/// Bytes that are no text become three bytes each, so that an answer may be larger in the store than on its way.
#[test]
fn an_answer_that_the_store_cannot_hold_is_a_failure_of_its_own_conversation() {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let model = format!("m@http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).unwrap();
                }
                if let Some(line) = head.lines().find(|line| line.to_lowercase().starts_with("content-length:")) {
                    length = line.split(':').nth(1).unwrap().trim().parse().unwrap();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let is_huge = String::from_utf8(body).unwrap().contains("kites 2");
                let text = if is_huge { vec![0xff; 7 << 20] } else { b"Yes.".to_vec() };
                let reply =
                    [&b"{\"choices\":[{\"message\":{\"content\":\""[..], &text, b"\"},\"finish_reason\":\"stop\"}]}"];
                let reply = reply.concat();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", reply.len())
                    .unwrap();
                let _ = stream.write_all(&reply);
            });
        }
    });
    let place = Place::with_conversations(5, 1);
    let finished = place.run(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--stream", "false"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(place.rows("out.jsonl").len(), 4);
    let missing = place.read("out.jsonl.incomplete.jsonl");
    assert!(missing.contains("too_long"), "{missing}");
}
