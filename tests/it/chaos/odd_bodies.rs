//! Replies that no server should give, and some server has given.

use std::time::Duration;

use serde_json::{Value, json};

use super::KEY;
use super::server::{Piece, answer, response, whole};

/// A reply to a question.
pub type Odd = fn(&Value) -> Vec<Piece>;

const JSON: &str = "Content-Type: application/json\r\n";
const LETTERS: usize = 80;

fn good(body: &Value) -> Value {
    answer(body, LETTERS)
}

fn raw(bytes: impl Into<Vec<u8>>) -> Vec<Piece> {
    vec![Piece::Bytes(bytes.into()), Piece::Close]
}

fn ok(headers: &str, bytes: impl AsRef<[u8]>) -> Vec<Piece> {
    vec![Piece::Bytes(response("200 OK", headers, bytes.as_ref()))]
}

fn text(bytes: impl AsRef<[u8]>) -> Vec<Piece> {
    ok(JSON, bytes)
}

/// A good answer with one place changed.
fn with(body: &Value, path: &str, value: Value) -> Vec<Piece> {
    let mut reply = good(body);
    *reply.pointer_mut(path).unwrap() = value;
    vec![Piece::Bytes(whole(&reply))]
}

/// A good answer with these bytes for its text, quotes and escapes included.
fn with_text(body: &Value, bytes: &[u8]) -> Vec<Piece> {
    let mut reply = good(body);
    reply["choices"][0]["message"]["content"] = "HERE".into();
    let reply = reply.to_string().into_bytes();
    let at = memchr::memmem::find(&reply, b"\"HERE\"").unwrap();
    text([&reply[..at], bytes, &reply[at + 6..]].concat())
}

/// A good answer with something in front of its first field.
fn with_field(body: &Value, field: &str) -> Vec<Piece> {
    text(format!("{{{field},{}", &good(body).to_string()[1..]))
}

fn chunked(chunks: &str) -> Vec<Piece> {
    raw(format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{chunks}"))
}

/// Each with its name.
pub const ODD: [(&str, Odd); 46] = [
    ("no bytes", |_| raw("")),
    ("no body", |_| text("")),
    ("no content, 204", |_| raw("HTTP/1.1 204 No Content\r\n\r\n")),
    ("a page", |_| ok("Content-Type: text/html\r\n", "<html>resting</html>")),
    ("half of the JSON", |body| text(&good(body).to_string()[..60])),
    ("JSON and more behind it", |body| text(format!("{} and so on", good(body)))),
    ("two replies in one", |body| text(format!("{0}{0}", good(body)))),
    ("a byte order mark", |body| text(format!("\u{feff}{}", good(body)))),
    ("UTF-16", |body| text(good(body).to_string().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())),
    ("an escaped NUL", |body| with_text(body, b"\"a\\u0000b\"")),
    ("raw NUL bytes", |body| with_text(body, b"\"a\0\0b\"")),
    ("raw control characters", |body| with_text(body, b"\"a\n\x01\x1b[2Jb\"")),
    ("text that is not UTF-8", |body| with_text(body, b"\"a\xff\xfeb\"")),
    ("half of a surrogate pair", |body| with_text(body, b"\"a\\ud83d b\"")),
    ("a deep side field", |body| with_field(body, &format!("\"side\":{}{}", "[".repeat(100_000), "]".repeat(100_000)))),
    ("depth alone", |_| text("[".repeat(1_000_000))),
    ("a side field of 20 MB", |body| with_field(body, &format!("\"side\":\"{}\"", "x".repeat(20 << 20)))),
    ("a text of 70 MB", |body| with_text(body, format!("\"{}\"", "word ".repeat(14 << 20)).as_bytes())),
    ("100,000 choices", |body| {
        text(format!("{{\"choices\":[{}{{}}]}}", format!("{},", good(body)["choices"][0]).repeat(100_000)))
    }),
    ("choices are an object", |body| with(body, "/choices", json!({"0": "x"}))),
    ("a choice is null", |body| with(body, "/choices/0", Value::Null)),
    ("the message is a text", |body| with(body, "/choices/0/message", json!("Hello."))),
    ("the text is a number", |body| with(body, "/choices/0/message/content", json!(12))),
    ("parts of unknown types", |body| with(body, "/choices/0/message/content", json!([null, {"type": "smell"}, 7]))),
    ("the role is a user's", |body| with(body, "/choices/0/message/role", json!("user"))),
    ("a finish reason is a number", |body| with(body, "/choices/0/finish_reason", json!(4))),
    ("an unknown finish reason", |body| with(body, "/choices/0/finish_reason", json!("bored"))),
    ("tokens below zero", |body| with(body, "/usage/completion_tokens", json!(-5))),
    ("more tokens than numbers", |body| {
        with_field(body, "\"usage\":{\"prompt_tokens\":1e999,\"completion_tokens\":99999999999999999999999}")
    }),
    ("usage is a text", |body| with(body, "/usage", json!("plenty"))),
    ("the model is a list", |body| with(body, "/model", json!(["sim"]))),
    ("each key twice", |body| {
        with_field(body, "\"choices\":[],\"choices\":[{\"message\":{\"content\":\"a\",\"content\":\"b\"}}]")
    }),
    ("events, not asked for", |_| {
        ok("Content-Type: text/event-stream\r\n", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n")
    }),
    ("gzip that is none", |body| ok("Content-Encoding: gzip\r\n", good(body).to_string())),
    ("a gzip bomb", |_| ok(&format!("{JSON}Content-Encoding: gzip\r\n"), bomb())),
    ("sizes of chunks that are none", |_| chunked("zz\r\n{}\r\n0\r\n\r\n")),
    ("a chunk without an end", |_| chunked("ffffffffffffffff\r\n{}")),
    ("chunks that end early", |_| chunked("5\r\n{\"ch\r\n")),
    ("20,000 headers", |body| ok(&"X-Flood: 1\r\n".repeat(20_000), good(body).to_string())),
    ("a header of 10 MB", |body| ok(&format!("X-Long: {}\r\n", "x".repeat(10 << 20)), good(body).to_string())),
    ("a length that is none", |_| raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}")),
    ("a longer length than the body", |_| raw("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{}")),
    ("two lengths", |_| raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}")),
    ("a redirection to itself", |_| {
        raw("HTTP/1.1 307 Again\r\nLocation: /v1/chat/completions\r\nContent-Length: 0\r\n\r\n")
    }),
    ("a byte at a time, without an end", |_| drip()),
    ("an error that quotes the key", |_| vec![Piece::Bytes(quoting())]),
];

fn drip() -> Vec<Piece> {
    let head = Piece::Bytes(format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 9999\r\n\r\n").into_bytes());
    let drops = (0..200).flat_map(|_| [Piece::Pause(Duration::from_millis(50)), Piece::Bytes(b" ".to_vec())]);
    std::iter::once(head).chain(drops).chain([Piece::Close]).collect()
}

fn quoting() -> Vec<u8> {
    let body = json!({"error": {"message": format!("no key like {KEY} is known, {KEY}"), "code": KEY, "type": "server_error"}});
    response(&format!("500 {KEY}"), &format!("X-Key: {KEY}\r\n{JSON}"), body.to_string().as_bytes())
}

/// A hundred megabytes of nothing.
fn bomb() -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..100).for_each(|_| encoder.write_all(&vec![b' '; 1 << 20]).unwrap());
    encoder.finish().unwrap()
}
