//! Bugs that were found, each with the test that fails without its fix.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, finish, jsonl};

/// A server that answers each request with the bytes of a script and hangs up, or keeps the connection for ever.
pub struct Scripted {
    pub address: String,
    requests: Arc<AtomicU64>,
}

impl Scripted {
    pub fn start(script: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static, keeps_open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicU64::new(0));
        let (count, script) = (Arc::clone(&requests), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, script) = (Arc::clone(&count), Arc::clone(&script));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    if read_request(&mut stream).is_some() {
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.write_all(&script(number));
                        if keeps_open {
                            std::thread::sleep(Duration::from_secs(60));
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub fn model(&self) -> String {
        format!("sim@http://{}", self.address)
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn read_request(stream: &mut TcpStream) -> Option<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if request.len() >= head + 4 + length.unwrap_or(0) {
            return Some(());
        }
    }
}

pub fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}

fn completion(text: &str) -> Vec<u8> {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    reply("200 OK", "Content-Type: application/json\r\n", &json!({"choices": [choice]}).to_string())
}

/// A stream whose answer is whole, with some end.
fn stream(end: &str) -> Vec<u8> {
    let chunk =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let pieces = [chunk(json!({"content": "A whole answer."}), Value::Null), chunk(json!({}), json!("stop"))];
    let text = pieces.map(|piece| format!("data: {piece}\n\n")).concat() + end;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    // The last chunk of the transfer never comes.
    format!("{head}{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

#[test]
fn an_answer_that_is_whole_is_kept_however_its_stream_ends() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":3}}\n\n";
    for (end, keeps_open) in [
        (format!("{usage}data: [DONE]\n\n"), false),
        (format!("{usage}data: [DONE]\n\n"), true),
        (usage.to_owned(), false),
        (String::new(), false),
        (usage.trim_end().to_owned(), false),
    ] {
        let place = Place::new();
        place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
        let bytes = stream(&end);
        let server = Scripted::start(move |_| bytes.clone(), keeps_open);
        place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
        assert_eq!(place.rows("out.jsonl")[0]["messages"][1]["content"], "A whole answer.");
        assert_eq!(server.requests(), 1, "a whole answer was paid for again, end {end:?}, kept open {keeps_open}");
    }
}

#[test]
fn a_reply_that_is_too_large_takes_no_other_answer_with_it() {
    let place = Place::new();
    let rows: Vec<Value> = (0..32).map(|row| conversation(&format!("{row}"), 1)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let huge = completion(&"x".repeat(17 << 20));
    let server = Scripted::start(move |number| if number == 9 { huge.clone() } else { completion("fine") }, false);
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--stream", "false"];
    let finished = place.run(&arguments);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(place.rows("out.jsonl").len(), 31);
    place.run(&arguments);
    assert_eq!(server.requests(), 32, "nothing is asked again");
}

#[test]
fn thoughts_in_parts_are_read_as_mistral_writes_them() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    let content = json!([
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "So it is."}
    ]);
    let message = json!({"role": "assistant", "content": content});
    let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string();
    let server = Scripted::start(move |_| reply("200 OK", "Content-Type: application/json\r\n", &body), false);
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    assert_eq!(place.rows("out.jsonl")[0]["messages"][1]["content"], "So it is.");
}

#[test]
fn counts_of_tokens_that_cannot_be_are_not_believed() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let choice = json!({"message": {"content": "x"}, "finish_reason": "stop"});
    let body =
        json!({"choices": [choice], "usage": {"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}}).to_string();
    let server = Scripted::start(move |_| reply("200 OK", "Content-Type: application/json\r\n", &body), false);
    let model = server.model();
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
    place.complete(&["plan", "in.jsonl", "--teacher", &model, "--temperature", "1"]);
}

#[test]
fn a_wait_of_no_time_is_still_a_wait() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    let busy = reply("429 Too Many Requests", "retry-after: 0\r\n", "{\"error\":{\"message\":\"slow\"}}");
    let server = Scripted::start(move |number| if number < 3 { busy.clone() } else { completion("fine") }, false);
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    assert_eq!(server.requests(), 4);
}

#[test]
fn a_redirect_or_a_login_page_stops_the_run_and_is_remembered_of_nobody() {
    for status in ["308 Permanent Redirect", "407 Proxy Authentication Required"] {
        let place = Place::new();
        place.write("in.jsonl", jsonl(&(0..5).map(|row| conversation(&format!("{row}"), 1)).collect::<Vec<_>>()));
        let server = Scripted::start(
            move |number| if number < 5 { reply(status, "Location: /x\r\n", "") } else { completion("fine") },
            false,
        );
        let model = server.model();
        let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
        let stopped = place.run(&arguments);
        assert_eq!(stopped.code, Some(2), "{status}: {}", stopped.stderr);
        while server.requests() < 5 {
            let _ = TcpStream::connect(&server.address).unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n");
            std::thread::sleep(Duration::from_millis(2));
        }
        place.complete(&arguments);
    }
}

#[test]
fn one_refusal_among_answers_is_asked_again() {
    for refusal in [
        reply("403 Forbidden", "", "blocked"),
        reply("401 Unauthorized", "", "Incorrect API key provided"),
        reply("400 Bad Request", "", "We could not parse the JSON body of your request."),
        reply("404 Not Found", "", "404 page not found"),
    ] {
        let place = Place::new();
        place.write("in.jsonl", jsonl(&(0..20).map(|row| conversation(&format!("{row}"), 1)).collect::<Vec<_>>()));
        let server =
            Scripted::start(move |number| if number == 7 { refusal.clone() } else { completion("fine") }, false);
        let arguments = ["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl", "--concurrency", "1"];
        place.complete(&arguments);
        assert_eq!((place.rows("out.jsonl").len(), server.requests()), (20, 21));
    }
}

#[test]
fn a_pipe_as_input_is_read_whole() {
    let place = Place::new();
    let rows: Vec<Value> = (0..3_000).map(|row| conversation(&format!("{row}"), 1)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let binary = env!("CARGO_BIN_EXE_cohobate");
    let script = format!("{binary} distill <(cat in.jsonl) --teacher simulated -o out.jsonl -q");
    let finished = finish(Command::new("bash").args(["-c", &script]).current_dir(place.path("")));
    assert_eq!((finished.code, place.rows("out.jsonl").len()), (Some(0), 3_000), "{}", finished.stderr);
}

#[test]
fn a_stray_bracket_in_an_array_ends_it_with_a_reason() {
    let place = Place::new();
    let row = conversation("kites", 1);
    for (text, good) in [(format!("[{row}}}, {row}]"), 1), (format!("[}}{row}]"), 0), (format!("[{row},]]"), 1)] {
        place.write("in.json", &text);
        let finished = place.run(&["distill", "in.json", "--teacher", "simulated", "-o", "out.jsonl"]);
        // Without a usable row there is nothing to write.
        assert_eq!(finished.code, Some(if good == 0 { 2 } else { 3 }), "{}", finished.stderr);
        assert!(finished.stderr.contains("the rest is not read"), "{}", finished.stderr);
        if good == 0 {
            assert!(!place.exists("out.jsonl"));
            continue;
        }
        assert_eq!(place.rows("out.jsonl").len(), good);
        std::fs::remove_file(place.path("out.jsonl")).unwrap();
    }
}

#[test]
fn a_closed_standard_error_takes_no_answer_with_it() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "1200"]));
    place.write("in.jsonl", jsonl(&(0..20).map(|row| conversation(&format!("{row}"), 3)).collect::<Vec<_>>()));
    let model = server.model();
    let mut command =
        place.command(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "20"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while server.count("in_flight") < 20 {
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(child.stderr.take());
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let status: Value = serde_json::from_str(&place.complete(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["spending"]["sim"]["answers"], 20);
}

#[test]
fn a_run_that_waits_for_its_input_can_be_interrupted() {
    let place = Place::new();
    let mut command = place.command(&["distill", "-", "--teacher", "simulated", "-o", "out.jsonl"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let _input = child.stdin.take();
    while !place.exists(".cohobate/spool") {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(50));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_run_under_nohup_survives_the_hangup() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "50"]));
    place.write("in.jsonl", jsonl(&[conversation("kites", 10)]));
    let model = server.model();
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_cohobate")).args(["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
    command.current_dir(place.path("")).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().unwrap();
    while server.count("requests") < 3 {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_output_that_is_no_file_is_written_where_it_is() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    let pipe = place.path("pipe");
    let reader = std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap());
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "pipe"]);
    assert_eq!(reader.join().unwrap().lines().count(), 1);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "/dev/null"]);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn looking_at_a_store_leaves_it_closed() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    place.complete(&["status"]);
    place.complete(&["export", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    assert!(place.read(".cohobate/index.state").starts_with("closed "));
}

#[test]
fn an_index_from_before_a_damaged_answer_was_replaced_finds_the_new_one() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    place.write("in.jsonl", jsonl(&[conversation("kites", 3)]));
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    place.complete(&arguments);
    let copy = |from: &str, to: &str| {
        assert!(Command::new("cp").args(["-r", from, to]).current_dir(place.path("")).status().unwrap().success());
    };
    copy(".cohobate/index", "old-index");
    copy(".cohobate/index.state", "old-state");
    let path = place.path(".cohobate/journal/00000001.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let frames: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"cohf")).collect();
    bytes[frames[2] + 40] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    place.complete(&arguments);
    assert_eq!(server.count("requests"), 4, "the damaged answer alone is asked again");
    std::fs::remove_dir_all(place.path(".cohobate/index")).unwrap();
    copy("old-index", ".cohobate/index");
    copy("old-state", ".cohobate/index.state");
    place.complete(&arguments);
    assert_eq!(server.count("requests"), 4, "the new answer is in the journal");
}

#[test]
fn more_calls_than_the_system_has_files_for_are_refused_before_anything_is_sent() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    let binary = env!("CARGO_BIN_EXE_cohobate");
    let script = |calls: u32| {
        format!("ulimit -n 300; {binary} distill in.jsonl --teacher simulated -o out.jsonl --concurrency {calls}")
    };
    let run = |calls| finish(Command::new("bash").args(["-c", &script(calls)]).current_dir(place.path("")));
    let refused = run(1_000);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("lower it to 172, or raise the limit"), "{}", refused.stderr);
    assert_eq!(run(100).code, Some(0));
}

#[test]
fn a_limit_that_the_headers_say_is_used_up_is_waited_for_without_a_refusal() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 3)]));
    let headers =
        "Content-Type: application/json\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 300ms\r\n";
    let choice = json!({"message": {"content": "fine"}, "finish_reason": "stop"});
    let body = json!({"choices": [choice]}).to_string();
    let server = Scripted::start(move |_| reply("200 OK", headers, &body), false);
    let finished = place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl", "-v"]);
    assert!(finished.stderr.contains("a limit of the server is used up, next call in 0.3 s"), "{}", finished.stderr);
}

#[test]
fn a_stream_that_stands_still_is_given_up_although_comments_keep_coming() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let piece = json!({"choices": [{"delta": {"content": "half a "}}]});
    let stalled = format!("{head}data: {piece}\n\n{}", ": keep-alive\n\n".repeat(50));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let stalled = stalled.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                if read_request(&mut stream).is_none() {
                    return;
                }
                if number > 0 {
                    let _ = stream.write_all(&completion("whole"));
                    return;
                }
                let _ = stream.write_all(stalled.as_bytes());
                while stream.write_all(b": keep-alive\n\n").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
    });
    place.write(
        "cohobate.toml",
        format!("teacher = \"sim\"\n[models.sim]\nurl = \"http://{address}\"\nidle-timeout-s = 0.5\n"),
    );
    let finished = place.complete(&["distill", "in.jsonl", "-o", "out.jsonl"]);
    assert!(finished.stderr.contains("1 × timeout_idle"), "{}", finished.stderr);
    assert_eq!(place.rows("out.jsonl")[0]["messages"][1]["content"], "whole");
}

/// Columns are carried through untouched, the last digit of a number included.
#[test]
fn a_number_of_the_source_keeps_its_last_digit() {
    let place = Place::new();
    let row =
        r#"{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}],"score":3.2277614858260026}"#;
    place.write("in.jsonl", row);
    place.complete(&["convert", "in.jsonl", "-o", "out.jsonl"]);
    assert!(place.read("out.jsonl").contains("3.2277614858260026"), "{}", place.read("out.jsonl"));
}

/// Makes a pipe that gives every reader the text, and counts the readers.
fn counting_pipe(path: &std::path::Path, text: &'static str) -> Arc<AtomicUsize> {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let (path, count) = (path.to_owned(), Arc::new(AtomicUsize::new(0)));
    let readers = Arc::clone(&count);
    std::thread::spawn(move || {
        loop {
            // Opening waits for a reader.
            let mut pipe = fs::OpenOptions::new().write(true).open(&path).unwrap();
            readers.fetch_add(1, Ordering::SeqCst);
            pipe.write_all(text.as_bytes()).unwrap();
            drop(pipe);
            // The reader sees the end before the next one is waited for.
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    count
}

/// A prompt or a system message is read once: a file that changes during a run cannot lead to two kinds of questions.
#[test]
fn a_file_of_instructions_is_read_once() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let systems = counting_pipe(&place.path("system.txt"), "Be brief.");
    place.complete(&["distill", "in.jsonl", "--teacher=simulated", "--system=@system.txt", "-o=out.jsonl"]);
    assert_eq!(systems.load(Ordering::SeqCst), 1);
    let prompts =
        counting_pipe(&place.path("prompt.txt"), "{{ conversation_a }} or {{ conversation_b }}? [[A]] or [[B]]");
    let pair = ["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-y", "--judge=simulated"];
    place.run(&[&pair[..], &["--prompt=prompt.txt", "--controls", "-o=compared"]].concat());
    assert!(place.path("compared/report.json").exists());
    assert_eq!(prompts.load(Ordering::SeqCst), 1);
}
