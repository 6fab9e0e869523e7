//! A wire format that the library does not know goes over the real transport: its own headers, required fields, named
//! events, words for the end, error bodies and lessons. And the configuration chooses among those that it knows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::{
    Answer, ConversationKey, FailureCode, Finish, Message, Question, Role, Sampling, Slot, Target, Usage,
};
use cohobate::model::sse::StreamEvent;
use cohobate::model::{
    Adjustment, Assembler, Call, CallResult, Capabilities, Dialect, EndpointPath, Failure, FailureClass, Header,
    HttpModel, HttpSettings, Model, OpenAiDialect, RefusedCall, RefusedRequest, RequestFormat, Secret,
};
use serde_json::{Value, json};

use crate::support::{Place, conversation, jsonl};

/// A format of which nothing is like another's.
struct Toy;

/// The server wants `most` instead of `limit`.
const MOST: &str = "most";

impl Dialect for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { path: EndpointPath::Below("/speak"), ..Capabilities::default() }
    }

    fn headers(&self, _: Option<&str>) -> Vec<Header> {
        vec![Header::JSON, Header::fixed("toy-version", "2020-01-01"), Header::key("x-toy-key", "")]
    }

    fn body(&self, question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure> {
        let Some(limit) = question.target.sampling().max_tokens else {
            return Err(Failure::new(
                FailureClass::Fatal,
                FailureCode::from("no_limit"),
                "toy servers want a limit: set max-tokens",
            ));
        };
        let said: Vec<&str> = question.messages.iter().map(|message| message.content()).collect();
        let name = if format.learned.uses(MOST) { "most" } else { "limit" };
        let key = format.cache_key;
        Ok(json!({"said": said, "stream": format.stream, "key": key, name: limit}).to_string().into_bytes())
    }

    fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
        let reply: Value = serde_json::from_slice(body).map_err(|error| garbage(&error))?;
        let mut assembler =
            Box::new(ToyAssembler { text: reply["words"].as_str().unwrap_or_default().to_owned(), end: None });
        assembler.end = reply["end"].as_str().map(str::to_owned);
        assembler.finish(question, attempt)
    }

    fn assembler(&self) -> Option<Box<dyn Assembler>> {
        Some(Box::new(ToyAssembler { text: String::new(), end: None }))
    }

    fn failure_of(&self, refusal: RefusedRequest<'_>) -> Failure {
        let fault: Value = serde_json::from_slice(refusal.body).unwrap_or_default();
        let class = match fault["fault"].as_str() {
            Some("busy") => FailureClass::RateLimited,
            Some("unknown field") => FailureClass::Permanent,
            _ => FailureClass::Transient,
        };
        let failure = Failure::new(class, FailureCode::from("toy_fault"), fault["words"].as_str().unwrap_or_default());
        Failure { retry_after: refusal.retry_after, ..failure }
    }

    fn learn(&self, refused: &RefusedCall<'_>) -> Vec<Adjustment> {
        let is_limit = refused.failure.message == "limit";
        is_limit.then_some(Adjustment::Use(MOST)).into_iter().collect()
    }
}

struct ToyAssembler {
    text: String,
    end: Option<String>,
}

impl Assembler for ToyAssembler {
    fn push(&mut self, event: StreamEvent<'_>) -> Result<(), Failure> {
        let data = std::str::from_utf8(event.data).map_err(|error| garbage(&error))?;
        match event.name {
            "word" => self.text.push_str(data),
            "end" => self.end = Some(data.to_owned()),
            "fault" => return Err(Failure::new(FailureClass::Transient, FailureCode::from("toy_fault"), data)),
            _ => {}
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    fn finish(self: Box<Self>, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        let finish = match self.end.as_deref() {
            Some("over") => Finish::Complete,
            Some("full") => Finish::Length,
            _ => return Err(Failure::new(FailureClass::Transient, FailureCode::Cut, "no known end")),
        };
        Ok(Answer {
            message: Message::new(Role::Assistant, self.text),
            reasoning: None,
            finish,
            finish_reason: self.end.unwrap_or_default(),
            model: question.target.model().to_owned(),
            system_fingerprint: None,
            usage: Usage::default(),
            attempts: attempt,
            dropped: Vec::new(),
            tokens: None,
        })
    }
}

fn garbage(error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureClass::Transient, FailureCode::Garbage, error.to_string())
}

/// The head and the body of each request.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// Gives one reply to each connection, in their order; returns its address and what was sent to it.
fn server(replies: Vec<String>) -> (String, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/speak", listener.local_addr().unwrap());
    let sent = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sent);
    std::thread::spawn(move || {
        for (reply, stream) in replies.into_iter().zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            head.make_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            kept.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    (url, sent)
}

fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn question(max_tokens: Option<u32>) -> Question {
    let target = Target::new("parrot", Toy.name(), Sampling { max_tokens, ..Sampling::default() });
    let messages = vec![Message::new(Role::User, "Hello"), Message::new(Role::Assistant, "Hm?")];
    Question { slot: Slot::main(0), target, sample: 0, messages: messages.into() }
}

fn model(url: &str) -> HttpModel {
    HttpModel::new(HttpSettings {
        dialect: &Toy,
        url: url.to_owned(),
        key: Secret::new("k-123"),
        prompt_cache_key: true,
        ..HttpSettings::default()
    })
    .unwrap()
}

fn ask(model: &HttpModel, question: &Question) -> CallResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let conversation = Some(ConversationKey([7; 32]));
    runtime.block_on(model.ask(Call { question, attempt: 1, conversation, avoids_flex: false }))
}

#[test]
fn a_format_of_its_own_is_sent_and_read_by_the_same_transport() {
    let streamed =
        "event: hello\ndata: parrot\n\nevent: word\ndata: Hel\n\nevent: word\ndata: lo\n\nevent: end\ndata: over\n\n";
    let cut = "event: word\ndata: Hel\n\n";
    let fault = "event: word\ndata: Hel\n\nevent: fault\ndata: out of words\n\n";
    let (url, sent) = server(vec![
        http("200 OK", "text/event-stream", streamed),
        http("200 OK", "application/json", r#"{"words": "Hel", "end": "full"}"#),
        http("200 OK", "text/event-stream", cut),
        http("200 OK", "text/event-stream", fault),
    ]);
    let (model, question) = (model(&url), question(Some(9)));
    let answer = ask(&model, &question).result.unwrap();
    assert_eq!((answer.text(), answer.finish, answer.finish_reason.as_str()), ("Hello", Finish::Complete, "over"));
    let answer = ask(&model, &question).result.unwrap();
    assert_eq!((answer.text(), answer.finish), ("Hel", Finish::Length));
    assert_eq!(ask(&model, &question).result.unwrap_err().message, "no known end");
    assert_eq!(ask(&model, &question).result.unwrap_err().message, "out of words");
    let sent = sent.lock().unwrap();
    let (head, body) = &sent[0];
    assert_eq!(body, &json!({"said": ["Hello", "Hm?"], "stream": true, "key": null, "limit": 9}));
    assert!(head.contains("\r\nx-toy-key: k-123\r\n") && head.contains("\r\ntoy-version: 2020-01-01\r\n"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[test]
fn a_format_classifies_its_refusals_and_learns_from_them() {
    let refusal = |fault: &str, words: &str| {
        http("400 No", "application/json", &json!({"fault": fault, "words": words}).to_string())
    };
    let busy = refusal("busy", "key k-123 is busy").replace("Connection", "Retry-After: 3\r\nConnection");
    let over = http("200 OK", "application/json", r#"{"words": "Hello", "end": "over"}"#);
    let (url, sent) = server(vec![busy, refusal("unknown field", "limit"), over, refusal("unknown field", "limit")]);
    let (model, question) = (model(&url), question(Some(9)));
    let failure = ask(&model, &question).result.unwrap_err();
    let expected = (FailureClass::RateLimited, "key *** is busy", Some(Duration::from_secs(3)));
    assert_eq!((failure.class, failure.message.as_str(), failure.retry_after), expected);
    assert_eq!(
        ask(&model, &question).result.unwrap_err().class,
        FailureClass::Learned,
        "it has learned and asks again"
    );
    assert_eq!(ask(&model, &question).result.unwrap().text(), "Hello");
    assert_eq!(ask(&model, &question).result.unwrap_err().class, FailureClass::Permanent, "there is no more to learn");
    let limits: Vec<(bool, bool)> =
        sent.lock().unwrap().iter().map(|(_, body)| (body["limit"] == 9, body["most"] == 9)).collect();
    assert_eq!(limits, [(true, false), (true, false), (false, true), (false, true)]);
}

#[test]
fn a_question_that_a_format_cannot_ask_is_not_sent() {
    let (url, sent) = server(Vec::new());
    let failure = ask(&model(&url), &question(None)).result.unwrap_err();
    assert_eq!(failure.to_string(), "no_limit: toy servers want a limit: set max-tokens");
    assert!(sent.lock().unwrap().is_empty());
}

/// A server that refuses `max_tokens` as `OpenAI`'s reasoning models do.
#[test]
fn calls_in_flight_when_the_length_field_is_learned_are_asked_again() {
    let refused = r#"{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model."}}"#;
    let said = r#"{"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}"#;
    let refused = http("400 Bad Request", "application/json", refused);
    let (url, sent) = server(vec![refused.clone(), refused, http("200 OK", "application/json", said)]);
    let model = HttpModel::new(HttpSettings { url, ..HttpSettings::default() }).unwrap();
    let question = question(Some(9));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = || Call { question: &question, attempt: 1, conversation: None, avoids_flex: false };
    let (first, second) = runtime.block_on(async { tokio::join!(model.ask(call()), model.ask(call())) });
    assert_eq!(first.result.unwrap_err().class, FailureClass::Learned);
    assert_eq!(second.result.unwrap_err().class, FailureClass::Learned);
    assert_eq!(runtime.block_on(model.ask(call())).result.unwrap().text(), "Yes.");
    let sent = sent.lock().unwrap();
    let fields: Vec<bool> = sent.iter().map(|(_, body)| body["max_completion_tokens"] == 9).collect();
    assert_eq!(fields, [false, false, true]);
}

#[test]
fn tokens_written_to_a_cache_are_counted() {
    let details = json!({"cached_tokens": 20, "cache_write_tokens": 30});
    let usage = json!({"prompt_tokens": 60, "completion_tokens": 5, "prompt_tokens_details": details});
    let choices = json!([{"message": {"content": "Yes."}, "finish_reason": "stop"}]);
    let reply = json!({"choices": choices, "usage": usage}).to_string();
    let answer = OpenAiDialect.read_whole(reply.as_bytes(), &question(Some(9)), 1).unwrap();
    let (cached, written) = (answer.usage.cached_tokens, answer.usage.cache_write_tokens);
    assert_eq!((cached, written), (Some(20), Some(30)));
}

#[test]
fn a_profile_names_its_dialect_and_a_wrong_name_is_told_the_right_ones() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    let plan = |dialect: &str| {
        place.write("cohobate.toml", format!("[models.sim]\nurl = \"http://localhost:1\"\ndialect = \"{dialect}\"\n"));
        place.run(&["plan", "in.jsonl", "--teacher", "sim"])
    };
    assert_eq!(plan("openai").code, Some(0));
    let unknown = plan("opnai");
    let message = "there is no dialect `opnai`; the known ones are openai, anthropic, scorer";
    assert!(unknown.code == Some(2) && unknown.stderr.contains(message), "{}", unknown.stderr);
    let scorer = plan("scorer");
    assert!(scorer.code == Some(2) && scorer.stderr.contains("which writes no text"), "{}", scorer.stderr);
}
