//! Refusals, outages and lost calls: who is at fault, what is recorded, and what is never paid for twice.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use cohobate::conversation::{FailureCode, Seed};
use cohobate::model::{Call, Failure, FailureClass, Model, PendingCall, Simulated};
use cohobate::recipe::Distill;
use cohobate::store::MemoryStore;
use cohobate::worker::{
    self, Admit, COMMANDS_MAX, Command, Control, Controls, Ended, Event, Observer, Seeds, Served, StopStage, Work,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::support::{Finished, Place, SeedList, jsonl, seed, target};

/// What the server does with a request.
enum Act {
    /// Answers.
    Answer,
    /// Replies with a status and a body.
    Reply(&'static str, String),
    /// Closes the connection without a byte.
    Close,
    /// Sends the beginning of a stream and closes.
    Cut,
}

/// What a request is, for the script.
struct Seen {
    /// The bytes of all messages.
    length: usize,
    /// The last message.
    last: String,
    /// How often the same messages have come, this time included.
    times: u64,
    /// Answers so far, this one not included.
    answered: u64,
    /// The time since the first request.
    since_first: Duration,
    /// The cheapest possible question: a probe.
    is_probe: bool,
    /// The model's name.
    model: String,
}

/// A server that follows a script.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, answered) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let server = Self { address, requests: Arc::clone(&requests) };
        let (script, first) = (Arc::new(script), Arc::new(Mutex::new(None::<Instant>)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, requests, answered, first) =
                    (Arc::clone(&script), Arc::clone(&requests), Arc::clone(&answered), Arc::clone(&first));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(body) = read_body(&mut reader) {
                        let messages = body["messages"].to_string();
                        let times = {
                            let mut requests = requests.lock().unwrap();
                            requests.push(messages.clone());
                            requests.iter().filter(|other| **other == messages).count() as u64
                        };
                        let since_first = first.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
                        let last = body["messages"].as_array().and_then(|all| all.last()?["content"].as_str());
                        let last = last.unwrap_or_default().to_owned();
                        let is_probe = last == "Hi" && body["max_tokens"] == 1;
                        let answers = answered.load(Ordering::SeqCst);
                        let model = body["model"].as_str().unwrap_or_default().to_owned();
                        let length = messages.len();
                        let seen = Seen { length, last, times, answered: answers, since_first, is_probe, model };
                        if !act(&script(&seen), &stream, &seen, &answered) {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    fn model(&self) -> String {
        format!("m@http://{}/v1", self.address)
    }

    /// Returns how many requests came whose messages contain a text.
    fn count(&self, text: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.contains(text)).count()
    }
}

fn act(act: &Act, mut stream: &TcpStream, seen: &Seen, answered: &AtomicU64) -> bool {
    let (status, body) = match act {
        Act::Close => return false,
        Act::Cut => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
            let chunk = json!({"choices": [{"index": 0, "delta": {"content": "half an "}, "finish_reason": null}]});
            let _ = stream.write_all(format!("{head}data: {chunk}\n\n").as_bytes());
            return false;
        }
        Act::Reply(status, body) => (*status, body.clone()),
        Act::Answer => {
            answered.fetch_add(1, Ordering::SeqCst);
            let text = format!("An answer about {}.", seen.last);
            let message = json!({"role": "assistant", "content": text});
            ("200 OK", json!({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}).to_string())
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_ok()
}

fn read_body(reader: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn error(message: &str) -> String {
    json!({"error": {"message": message}}).to_string()
}

/// Writes conversations of `turns` turns whose users ask about `ROW.TURN.`, and `words` more words in the rows that `is_long`
/// names.
fn dataset(place: &Place, rows: usize, turns: usize, is_long: impl Fn(usize) -> bool) {
    let row = |row: usize| {
        let turn = |turn: usize| {
            let more = if is_long(row) && turn == 0 { "a document ".repeat(300) } else { String::new() };
            [
                json!({"role": "user", "content": format!("{row}.{turn}. {more}")}),
                json!({"role": "assistant", "content": "old"}),
            ]
        };
        json!({"id": row.to_string(), "messages": (0..turns).flat_map(turn).collect::<Vec<_>>()})
    };
    place.write("in.jsonl", jsonl(&(0..rows).map(row).collect::<Vec<_>>()));
}

fn distill(place: &Place, server: &Server, more: &[&str]) -> Finished {
    let model = server.model();
    let arguments = [&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"][..], more].concat();
    place.run(&arguments)
}

fn rows(place: &Place) -> usize {
    if place.exists("out.jsonl") { place.rows("out.jsonl").len() } else { 0 }
}

#[test]
fn a_server_that_refuses_everything_for_a_while_after_answers_heals_and_nothing_is_lost() {
    for (status, body) in [
        ("404 Not Found", error("Model m not found")),
        ("404 Not Found", "404 page not found".to_owned()),
        ("400 Bad Request", error("Bad Request: Invalid state")),
        ("401 Unauthorized", error("Incorrect API key provided")),
        ("403 Forbidden", "<!DOCTYPE html><title>Just a moment...</title>".to_owned()),
        ("424 Failed Dependency", error("CUDA error: an illegal memory access was encountered")),
    ] {
        let (place, began) = (Place::new(), Mutex::new(None::<Instant>));
        dataset(&place, 40, 2, |_| false);
        let server = Server::start(move |seen| {
            let mut began = began.lock().unwrap();
            let is_away =
                seen.answered >= 10 && began.get_or_insert_with(Instant::now).elapsed() < Duration::from_secs(1);
            if is_away { Act::Reply(status, body.clone()) } else { Act::Answer }
        });
        let finished = distill(&place, &server, &["--concurrency", "4"]);
        assert_eq!((finished.code, rows(&place)), (Some(0), 40), "{status}: {}", finished.stderr);
    }
}

#[test]
fn a_server_that_refuses_everything_from_the_start_ends_the_run_and_records_nothing() {
    let (place, fixed) = (Place::new(), Arc::new(AtomicU64::new(0)));
    dataset(&place, 100, 2, |row| row < 30);
    let is_fixed = Arc::clone(&fixed);
    let server = Server::start(move |_| match is_fixed.load(Ordering::SeqCst) {
        0 => Act::Reply("400 Bad Request", error("a chat template is required; request 4711")),
        _ => Act::Answer,
    });
    let refused = distill(&place, &server, &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("a chat template is required"), "{}", refused.stderr);
    assert!(server.count("") <= 20, "{} requests", server.count(""));
    fixed.store(1, Ordering::SeqCst);
    let finished = distill(&place, &server, &[]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 100), "{}", finished.stderr);
}

#[test]
fn a_single_question_that_is_refused_ends_the_run_and_records_nothing() {
    let place = Place::new();
    dataset(&place, 1, 1, |_| false);
    let server = Server::start(|_| Act::Reply("404 Not Found", error("no such model")));
    for requests in 1..=2 {
        let refused = distill(&place, &server, &[]);
        assert_eq!((refused.code, server.count("")), (Some(2), requests), "{}", refused.stderr);
    }
}

#[test]
fn prompts_that_are_too_long_are_told_from_a_bad_request_whatever_the_words() {
    for body in [error("Prompt 超长"), error("no."), "<html>413</html>".to_owned(), String::new()] {
        let place = Place::new();
        // The longest conversations come first, more of them than may be in flight.
        dataset(&place, 60, 3, |row| row < 25);
        let server =
            Server::start(
                move |seen| {
                    if seen.length > 2_000 { Act::Reply("400 Bad Request", body.clone()) } else { Act::Answer }
                },
            );
        let finished = distill(&place, &server, &[]);
        assert_eq!((finished.code, rows(&place)), (Some(3), 35), "{}", finished.stderr);
        assert!(server.count("a document") <= 26, "{} requests", server.count("a document"));
        // They are recorded: the next run asks nothing.
        let before = server.count("");
        assert_eq!((distill(&place, &server, &[]).code, server.count("")), (Some(3), before));
    }
}

#[test]
fn a_question_that_is_refused_twice_while_others_are_answered_is_at_fault() {
    let place = Place::new();
    dataset(&place, 20, 1, |_| false);
    let server = Server::start(|seen| {
        if seen.last.starts_with("7.") { Act::Reply("400 Bad Request", error("no")) } else { Act::Answer }
    });
    for requests in [2, 2] {
        let finished = distill(&place, &server, &["--concurrency", "1"]);
        assert_eq!((finished.code, rows(&place)), (Some(3), 19), "{}", finished.stderr);
        assert_eq!(server.count("\"7.0. "), requests);
    }
}

#[test]
fn a_call_that_was_probably_paid_for_is_sent_at_most_four_times_over_all_runs() {
    for kind in 0..3 {
        let place = Place::new();
        dataset(&place, 12, 1, |_| false);
        let server = Server::start(move |seen| match kind {
            _ if !seen.last.starts_with("3.") => Act::Answer,
            0 => Act::Reply("504 Gateway Timeout", "<html>504 Gateway Time-out</html>".to_owned()),
            1 => Act::Cut,
            _ => Act::Reply("200 OK", json!({"error": {"message": "Provider disconnected", "code": 502}}).to_string()),
        });
        for _ in 0..2 {
            let finished = distill(&place, &server, &["--concurrency", "2"]);
            assert_eq!((finished.code, rows(&place)), (Some(3), 11), "{}", finished.stderr);
            assert_eq!(server.count("\"3.0. "), 4);
        }
        let again = distill(&place, &server, &["--concurrency", "2", "--retry-failed"]);
        assert_eq!((again.code, server.count("\"3.0. ")), (Some(3), 8), "{}", again.stderr);
    }
}

#[test]
fn calls_during_an_outage_count_for_no_question() {
    // Every gateway timeout comes while nothing is answered: six of them for each question, and no row is lost.
    let place = Place::new();
    dataset(&place, 4, 1, |_| false);
    let server = Server::start(|seen| {
        let is_away = seen.since_first < Duration::from_secs(4);
        if is_away { Act::Reply("504 Gateway Timeout", String::new()) } else { Act::Answer }
    });
    let finished = distill(&place, &server, &["--concurrency", "4"]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 4), "{}", finished.stderr);
    assert_eq!(server.count("\"0.0. "), 2, "a question is not sent again before the server has answered something");
}

#[test]
fn a_forwarder_that_accepts_and_closes_connections_is_an_outage() {
    let (place, began) = (Place::new(), Mutex::new(None::<Instant>));
    dataset(&place, 30, 2, |_| false);
    let server = Server::start(move |seen| {
        let mut began = began.lock().unwrap();
        let is_away = seen.answered >= 10 && began.get_or_insert_with(Instant::now).elapsed() < Duration::from_secs(3);
        if is_away { Act::Close } else { Act::Answer }
    });
    let finished = distill(&place, &server, &["--concurrency", "4"]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 30), "{}", finished.stderr);
    let place = Place::new();
    dataset(&place, 30, 2, |_| false);
    let server = Server::start(|seen| if seen.answered >= 10 { Act::Close } else { Act::Answer });
    let finished = distill(&place, &server, &["--concurrency", "4", "--give-up-after", "2s"]);
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
}

#[test]
fn a_server_that_keeps_refusing_after_answers_is_given_up_and_nothing_is_recorded() {
    let (place, fixed) = (Place::new(), Arc::new(AtomicU64::new(0)));
    dataset(&place, 20, 1, |_| false);
    let is_fixed = Arc::clone(&fixed);
    let server = Server::start(move |seen| match (seen.answered, is_fixed.load(Ordering::SeqCst)) {
        (5.., 0) => Act::Reply("404 Not Found", error("Model m not found")),
        _ => Act::Answer,
    });
    let refused = distill(&place, &server, &["--concurrency", "2", "--give-up-after", "1s"]);
    assert_eq!(refused.code, Some(75), "{}", refused.stderr);
    assert!(refused.stderr.contains("Model m not found"), "{}", refused.stderr);
    fixed.store(1, Ordering::SeqCst);
    let finished = distill(&place, &server, &["--concurrency", "2"]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 20), "{}", finished.stderr);
}

#[test]
fn a_probe_that_is_refused_for_its_own_form_does_not_pause_the_run() {
    // A server that demands more than one token of an answer refuses every probe.
    let place = Place::new();
    dataset(&place, 20, 1, |_| false);
    let server = Server::start(|seen| match seen.times {
        _ if seen.is_probe => Act::Reply("400 Bad Request", error("max_tokens must be at least 16")),
        1 if seen.answered >= 5 => Act::Reply("400 Bad Request", error("could not read the body")),
        _ => Act::Answer,
    });
    let finished = distill(&place, &server, &["--concurrency", "4"]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 20), "{}", finished.stderr);
}

#[test]
fn refusals_that_quote_the_request_or_an_id_heal_like_others() {
    let (place, began, number) = (Place::new(), Mutex::new(None::<Instant>), AtomicU64::new(0));
    dataset(&place, 40, 2, |_| false);
    let server = Server::start(move |seen| {
        let mut began = began.lock().unwrap();
        let is_away = seen.answered >= 10 && began.get_or_insert_with(Instant::now).elapsed() < Duration::from_secs(1);
        let id = number.fetch_add(1, Ordering::SeqCst);
        let body = error(&format!("trace {id:x}-ab{id}: no backend for {}", seen.last));
        if is_away { Act::Reply("422 Unprocessable Entity", body) } else { Act::Answer }
    });
    let finished = distill(&place, &server, &["--concurrency", "4"]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 40), "{}", finished.stderr);
}

#[test]
fn the_last_question_of_a_dataset_may_be_the_one_at_fault() {
    let place = Place::new();
    dataset(&place, 3, 1, |_| false);
    let server = Server::start(|seen| {
        if seen.last.starts_with("2.") { Act::Reply("400 Bad Request", error("no")) } else { Act::Answer }
    });
    assert_eq!(distill(&place, &server, &["--limit", "2"]).code, Some(0));
    // Nothing else is asked: a probe shows that the server answers.
    let finished = distill(&place, &server, &[]);
    assert_eq!((finished.code, rows(&place)), (Some(3), 2), "{}", finished.stderr);
    assert!(server.count("\"2.0. ") <= 3, "{} requests", server.count("\"2.0. "));
    let before = server.count("");
    assert_eq!((distill(&place, &server, &[]).code, server.count("")), (Some(3), before));
}

#[test]
fn a_server_that_refuses_its_probe_too_ends_a_run_with_a_single_question() {
    let (place, is_broken) = (Place::new(), Arc::new(AtomicU64::new(0)));
    dataset(&place, 3, 1, |_| false);
    let broken = Arc::clone(&is_broken);
    let server = Server::start(move |seen| match broken.load(Ordering::SeqCst) {
        0 => Act::Answer,
        _ => Act::Reply("400 Bad Request", error(&format!("no template for {}", seen.last))),
    });
    assert_eq!(distill(&place, &server, &["--limit", "2"]).code, Some(0));
    is_broken.store(1, Ordering::SeqCst);
    let refused = distill(&place, &server, &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    is_broken.store(0, Ordering::SeqCst);
    let finished = distill(&place, &server, &[]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 3), "{}", finished.stderr);
}

#[test]
fn a_shortest_question_that_fails_for_another_reason_is_no_proof() {
    let place = Place::new();
    dataset(&place, 30, 1, |row| row < 20);
    let server = Server::start(|seen| match seen.times {
        _ if seen.length > 2_000 => Act::Reply("400 Bad Request", error("E1234")),
        1 => Act::Reply("500 Internal Server Error", error("broken")),
        _ => Act::Answer,
    });
    let finished = distill(&place, &server, &["--concurrency", "8"]);
    assert_eq!((finished.code, rows(&place)), (Some(3), 10), "{}", finished.stderr);
}

#[test]
fn an_error_that_quotes_a_question_about_money_does_not_end_the_run() {
    let place = Place::new();
    let row = |row: usize| {
        let about = if row == 3 { "My rent is overdue and my account has no credit." } else { "Why do kites fly?" };
        json!({"id": row.to_string(), "messages": [
            {"role": "user", "content": format!("{row}. {about}")},
            {"role": "assistant", "content": "old"},
        ]})
    };
    place.write("in.jsonl", jsonl(&(0..10).map(row).collect::<Vec<_>>()));
    let server = Server::start(|seen| {
        let body = error(&format!("Value error, input: '{}'", seen.last));
        if seen.last.starts_with("3.") { Act::Reply("422 Unprocessable Entity", body) } else { Act::Answer }
    });
    let finished = distill(&place, &server, &["--concurrency", "1"]);
    assert_eq!((finished.code, rows(&place)), (Some(3), 9), "{}", finished.stderr);
}

#[test]
fn one_refusal_of_a_judge_waits_for_its_next_question() {
    let (place, judged) = (Place::new(), AtomicU64::new(0));
    dataset(&place, 12, 1, |_| false);
    let server = Server::start(move |seen| {
        if seen.model == "m" {
            let row: u64 = seen.last.split('.').next().and_then(|row| row.parse().ok()).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(20 * row));
            return Act::Answer;
        }
        match judged.fetch_add(1, Ordering::SeqCst) {
            0 => Act::Reply("400 Bad Request", error("not yet")),
            _ => {
                let message = json!({"role": "assistant", "content": "Score: 5\n5"});
                let reply = json!({"model": "j", "choices": [{"message": message, "finish_reason": "stop"}]});
                Act::Reply("200 OK", reply.to_string())
            }
        }
    });
    let judge = server.model().replacen('m', "j", 1);
    let finished = distill(&place, &server, &["--concurrency", "12", "--samples", "2", "--judge", &judge]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 12), "{}", finished.stderr);
}

#[test]
fn a_server_that_closes_every_second_request_answers_every_question() {
    let (place, number) = (Place::new(), AtomicU64::new(0));
    dataset(&place, 20, 2, |_| false);
    let server =
        Server::start(move |_| if number.fetch_add(1, Ordering::SeqCst) % 2 == 1 { Act::Close } else { Act::Answer });
    let finished = distill(&place, &server, &["--concurrency", "8"]);
    assert_eq!((finished.code, rows(&place)), (Some(0), 20), "{}", finished.stderr);
}

/// Refuses its first call and answers every other.
#[derive(Default)]
struct RefusesOnce(AtomicU64);

impl Model for RefusesOnce {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        let refused = || Failure::new(FailureClass::Refused, FailureCode::Http(404), "told to refuse");
        let result = if is_first { Err(refused()) } else { Ok(Simulated::answer(question, attempt)) };
        Box::pin(async { result.into() })
    }
}

/// Rows of which the second cannot be read before it is told so.
struct SlowRow(SeedList, (Mutex<bool>, Condvar));

impl Seeds for SlowRow {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        let (may_read, told) = &self.1;
        if row == 1 {
            drop(told.wait_while(may_read.lock().unwrap(), |may_read| !*may_read).unwrap());
        }
        self.0.seed(row)
    }
}

/// Refuses long questions, and answers a short one at its second call.
#[derive(Default)]
struct RefusesLong(AtomicU64);

impl Model for RefusesLong {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        let is_long = question.messages.iter().any(|message| message.content().len() > 1_000);
        let failed = |class, code| Err(Failure::new(class, FailureCode::Http(code), "no"));
        let result = if is_long {
            failed(FailureClass::Refused, 400)
        } else if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            failed(FailureClass::Transient, 500)
        } else {
            Ok(Simulated::answer(question, attempt))
        };
        Box::pin(async { result.into() })
    }
}

/// Tells of every call that failed.
struct Telling(mpsc::UnboundedSender<()>);

impl Observer for Telling {
    fn on_event(&mut self, event: &Event) {
        if matches!(event, Event::Failed { .. }) {
            let _ = self.0.send(());
        }
    }
}

/// Runs rows of which the second can be read once so many calls have failed. Returns how the run ended.
async fn with_a_slow_row(rows: Vec<Seed>, model: Arc<dyn Model>, failures: usize) -> (bool, Ended) {
    let count = rows.len() as u64;
    let rows = Arc::new(SlowRow(SeedList(rows), Default::default()));
    let models = HashMap::from([("simulated".to_owned(), Served::by_one("simulated", model))]);
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    let order = Box::new((0..count).map(|row| Ok(Admit::Row(row))));
    let store = Arc::new(MemoryStore::default());
    let seeds = Arc::clone(&rows) as Arc<dyn Seeds>;
    let work = Work {
        controls: Controls { held: Vec::new(), commands: Some(receiver) },
        ..Work::new(Arc::new(Distill::new(target(), None)), store, models, seeds, order)
    };
    let (_keep, stop) = watch::channel(StopStage::Go);
    let (tell, mut failed) = mpsc::unbounded_channel();
    let ended = tokio::spawn(worker::run(work, stop, Box::leak(Box::new(Telling(tell)))));
    for _ in 0..failures {
        failed.recv().await.unwrap();
    }
    // The reply comes once the run has seen what the failures show.
    let (reply, state) = oneshot::channel();
    let is_told = commands.send(Command { control: Control::Look, reply }).await.is_ok() && state.await.is_ok();
    *rows.1.0.lock().unwrap() = true;
    rows.1.1.notify_all();
    (is_told, ended.await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_refusal_shows_nothing_while_a_conversation_has_not_asked_yet() {
    let row = |name: &str| seed(name, &[format!("What is {name}?")]);
    let ended = with_a_slow_row(vec![row("first"), row("second")], Arc::new(RefusesOnce::default()), 1).await;
    assert_eq!(ended, (true, Ended::Finished));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_question_proves_nothing_while_a_shorter_one_waits_for_its_retry() {
    let row = |name: &str, times: usize| seed(name, &[name.repeat(times)]);
    let rows = vec![row("a long question ", 200), row("another long question ", 200), row("short ", 2)];
    let ended = with_a_slow_row(rows, Arc::new(RefusesLong::default()), 2).await;
    assert_eq!(ended, (true, Ended::Finished));
}
