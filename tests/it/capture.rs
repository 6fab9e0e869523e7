//! A chat server that keeps every request, byte for byte, and answers as the test decides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request: the head in lower case as far as names go, and the body.
#[derive(Clone, Debug)]
pub struct Captured {
    pub head: String,
    pub text: String,
}

impl Captured {
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

type Reply = dyn Fn(&Captured) -> (u16, Value) + Send + Sync;

/// The server.
pub struct Capture {
    pub address: String,
    requests: Arc<Mutex<Vec<Captured>>>,
}

impl Capture {
    /// A server that answers every question.
    pub fn start() -> Self {
        Self::with(|request| answer(&request.body()))
    }

    /// A server that replies with a status and a body.
    pub fn with(reply: impl Fn(&Captured) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, reply): (_, Arc<Reply>) = (Arc::clone(&requests), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                std::thread::spawn(move || drop(serve(&stream.unwrap(), &kept, &*reply)));
            }
        });
        Self { address, requests }
    }

    /// The model reference of a model with this name.
    pub fn model(&self, name: &str) -> String {
        format!("{name}@http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Captured> {
        self.requests.lock().unwrap().clone()
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.requests().iter().map(Captured::body).collect()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// An answer whose words depend on the last message.
pub fn answer(body: &Value) -> (u16, Value) {
    let last = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    finished(&format!("An answer about {last}"), "stop")
}

pub fn finished(text: &str, reason: &str) -> (u16, Value) {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 7});
    (200, json!({"model": "m", "choices": [{"message": {"content": text}, "finish_reason": reason}], "usage": usage}))
}

pub fn refused(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"error": {"message": message, "type": "invalid_request_error"}}))
}

fn serve(mut stream: &TcpStream, kept: &Mutex<Vec<Captured>>, reply: &Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).map_or("0", |rest| rest.split("\r\n").next().unwrap());
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body)?;
        let request = Captured { head, text: String::from_utf8(body).unwrap() };
        kept.lock().unwrap().push(request.clone());
        let (status, body) = reply(&request);
        let body = body.to_string();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes())?;
    }
}
