//! A server of raw bytes: what it answers is a function of the question, or whatever a test has it say.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cohobate::conversation::Dice;
use serde_json::{Value, json};

/// What goes out, piece by piece. After the last piece the connection is kept unless it says otherwise.
pub enum Piece {
    Bytes(Vec<u8>),
    Pause(Duration),
    Close,
}

/// A request's number, from 0, and its body; null where it has none.
type Respond = dyn Fn(usize, &Value) -> Vec<Piece> + Send + Sync;

/// The server; its threads end with the test's process.
pub struct Server {
    pub address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each question with words drawn from it, after a pause.
    pub fn of_words(pause: Duration, letters: usize) -> Self {
        Self::start(move |_, body| vec![Piece::Pause(pause), Piece::Bytes(whole(&answer(body, letters)))])
    }

    pub fn start(respond: impl Fn(usize, &Value) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, requests) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
        let (count, respond): (_, Arc<Respond>) = (Arc::clone(&requests), Arc::new(respond));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, respond) = (Arc::clone(&count), Arc::clone(&respond));
                std::thread::spawn(move || serve(stream, &count, &*respond));
            }
        });
        Self { address, requests }
    }

    pub fn model(&self) -> String {
        format!("sim@http://{}", self.address)
    }

    /// How many questions have arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, count: &AtomicUsize, respond: &Respond) {
    let _ = stream.set_nodelay(true);
    let mut received = Vec::new();
    while let Some(body) = next_request(&mut stream, &mut received) {
        if body.is_null() {
            // A probe of the server's own pages, such as /metrics.
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            continue;
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        for piece in respond(number, &body) {
            match piece {
                Piece::Bytes(bytes) if stream.write_all(&bytes).is_ok() => {}
                Piece::Pause(pause) => std::thread::sleep(pause),
                Piece::Bytes(_) | Piece::Close => return,
            }
        }
    }
}

fn next_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<Value> {
    let mut buffer = [0; 8_192];
    loop {
        if let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let end = end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
            if received.len() >= end {
                let body = received.drain(..end).collect::<Vec<u8>>();
                let start = memchr::memmem::find(&body, b"\r\n\r\n").unwrap() + 4;
                return Some(serde_json::from_slice(&body[start..]).unwrap_or_default());
            }
        }
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        received.extend_from_slice(&buffer[..read]);
    }
}

/// Words that depend on the messages alone and hardly compress.
pub fn text_for(body: &Value, letters: usize) -> String {
    let mut dice = Dice::new("words of an answer", body["messages"].to_string().as_bytes());
    let mut text = String::new();
    while text.len() < letters {
        let word: String = (0..2 + dice.below(8)).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
        text.push_str(&word);
        text.push(' ');
    }
    text.trim_end().to_owned()
}

/// The reply that answers a question.
pub fn answer(body: &Value, letters: usize) -> Value {
    json!({
        "id": "chaos", "object": "chat.completion", "created": 1, "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": text_for(body, letters)}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
    })
}

/// A complete response with this body.
pub fn whole(body: &Value) -> Vec<u8> {
    response("200 OK", "Content-Type: application/json\r\n", body.to_string().as_bytes())
}

/// A response with its length and these further headers.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same as server-sent events.
pub fn stream_of(reply: &Value) -> Vec<u8> {
    let choice = &reply["choices"][0];
    let event = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        let mut event = reply.clone();
        event["choices"] = choices;
        format!("data: {event}\n\n")
    };
    let text = event(choice["message"].clone(), Value::Null) + &event(json!({}), choice["finish_reason"].clone());
    response("200 OK", "Content-Type: text/event-stream\r\n", format!("{text}data: [DONE]\n\n").as_bytes())
}
