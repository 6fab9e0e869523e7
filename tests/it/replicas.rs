//! Several servers of one model: conversations stay with theirs, and nobody is missed when one dies.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl};

fn reference(servers: &[MockServer]) -> String {
    let urls: Vec<String> = servers.iter().map(|server| format!("http://{}/v1", server.address)).collect();
    format!("sim@{}", urls.join(","))
}

fn servers(count: usize, arguments: &[&str]) -> Vec<MockServer> {
    (0..count).map(|_| MockServer::start(arguments)).collect()
}

fn hit_rate(servers: &[MockServer]) -> f64 {
    let sum = |name: &str| servers.iter().map(|server| server.count(name)).sum::<u64>() as f64;
    sum("cached_tokens") / sum("prompt_tokens")
}

/// Conversations of which each group shares a system prompt that is longer than a turn.
fn grouped(count: usize) -> String {
    let rows: Vec<Value> = (0..count)
        .map(|row| {
            let mut row_value = conversation(&format!("subject {row}"), 2 + row % 5);
            let group = format!("You belong to group {}. {}", row % 6, "Be kind, be brief. ".repeat(20));
            row_value["messages"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": group}));
            row_value
        })
        .collect();
    jsonl(&rows)
}

#[test]
fn eight_replicas_find_nearly_as_much_in_their_caches_as_one_and_round_robin_little() {
    let place = Place::new();
    place.write("in.jsonl", grouped(120));
    place.write("round.toml", "[models.sim]\nrouting = \"round-robin\"\n");
    let mut outputs = Vec::new();
    let mut rate = |name: &str, count: usize, more: &[&str]| {
        let servers = servers(count, &["--latency", "4", "--cache", "1000000"]);
        let model = reference(&servers);
        let base =
            ["distill", "in.jsonl", "--teacher", &model, "--store", name, "-o", "out.jsonl", "--concurrency", "16"];
        place.complete(&[&base[..], more].concat());
        outputs.push(place.read("out.jsonl"));
        hit_rate(&servers)
    };
    let (one, eight) = (rate("one", 1, &[]), rate("eight", 8, &[]));
    let round = rate("round", 8, &["--config", "round.toml"]);
    println!("one {one:.3}, eight {eight:.3}, round-robin {round:.3}");
    assert!(eight > one - 0.04 && round < one - 0.2, "one {one:.3}, eight {eight:.3}, round-robin {round:.3}");
    for other in &outputs[1..] {
        let differing = outputs[0].lines().zip(other.lines()).find(|(one, other)| one != other);
        assert_eq!(differing, None, "the output depends on the servers");
        assert_eq!(outputs[0].len(), other.len(), "the output depends on the servers");
    }
}

#[test]
fn a_replica_that_dies_in_the_middle_costs_nothing_but_its_calls_in_flight() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..60).map(|row| conversation(&format!("s {row}"), 6)).collect::<Vec<_>>()));
    let mut servers = servers(3, &["--latency", "20"]);
    let model = reference(&servers);
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "12", "-v"];
    let child = place.command(&arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while servers[1].count("requests") < 20 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let before = servers[1].count("requests");
    drop(servers.remove(1));
    let finished = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert_eq!(finished.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("does not answer"), "{stderr}");
    let after: u64 = servers.iter().map(|server| server.count("requests")).sum();
    assert!(before + after <= 360 + 12 + 12, "{before} + {after} requests for 360 turns\n{stderr}");
    assert_eq!(place.rows("out.jsonl").len(), 60);
    let simulated = place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "s", "-o", "s.jsonl"]);
    let ids = |name: &str| place.rows(name).iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids("out.jsonl"), ids("s.jsonl"), "{}", simulated.stderr);
}

#[test]
fn a_replica_that_comes_back_is_used_again() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..80).map(|row| conversation(&format!("s {row}"), 6)).collect::<Vec<_>>()));
    let alive = MockServer::start(&["--latency", "60"]);
    // A port where nobody listens, until somebody does.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let model = format!("sim@http://{}/v1,http://127.0.0.1:{port}/v1", alive.address);
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "8"];
    let child = place.command(&arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while alive.count("requests") < 30 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let late = MockServer::start_at(port, &["--latency", "60"]);
    let finished = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&finished.stderr);
    assert_eq!(finished.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains(&format!("sim at 127.0.0.1:{port} answers again")), "{stderr}");
    assert!(late.count("requests") > 20, "{} requests", late.count("requests"));
}

/// Distils some conversations with one good server and one at `bad`, and returns what was said.
fn distil_beside(bad: &str, more: &[&str]) -> String {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..24).map(|row| conversation(&format!("s {row}"), 3)).collect::<Vec<_>>()));
    let good = MockServer::start(&["--latency", "20"]);
    let model = format!("sim@http://{bad}/v1,http://{}/v1", good.address);
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "-v"];
    let finished = place.complete(&[&arguments[..], more].concat());
    assert_eq!(place.rows("out.jsonl").len(), 24);
    finished.stderr
}

#[test]
fn a_question_that_one_replica_fails_goes_to_another() {
    let bad = MockServer::start(&["--fault", "no-choice:1.0"]);
    distil_beside(&bad.address, &["--concurrency", "8"]);
    let bad = MockServer::start(&["--fault", "500:1.0"]);
    distil_beside(&bad.address, &["--concurrency", "8"]);
}

#[test]
fn a_replica_that_wants_an_hours_rest_does_not_keep_its_conversations() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1 << 14];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nConnection: close\r\nContent-Length: 2";
            let _ = write!(stream, "{head}\r\n\r\n{{}}");
        }
    });
    let stderr = distil_beside(&address, &["--concurrency", "8"]);
    assert!(stderr.contains("429") || stderr.contains("rate"), "{stderr}");
}

#[test]
fn a_probe_that_is_never_answered_takes_no_slot() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let silent = std::thread::spawn({
        let address = address.clone();
        move || {
            // Refused at first; then somebody listens and never says anything.
            std::thread::sleep(std::time::Duration::from_millis(600));
            TcpListener::bind(&address)
        }
    });
    let stderr = distil_beside(&address, &["--concurrency", "1"]);
    assert!(stderr.contains("does not answer"), "{stderr}");
    drop(silent.join());
}

#[test]
fn the_conversations_name_goes_where_the_profile_says() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    std::thread::spawn({
        let seen = Arc::clone(&seen);
        move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = vec![0; 1 << 16];
                let mut length = 0;
                while !request[..length].ends_with(b"}") {
                    length += stream.read(&mut request[length..]).unwrap();
                }
                seen.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
                let body = json!({"choices": [{"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]});
                let body = body.to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        }
    });
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 3), conversation("tides", 2)]));
    place.write(
        "cohobate.toml",
        format!(
            "[models.sim]\nurl = \"http://{address}\"\nprompt-cache-key = true\nsession-header = \"X-Session-Id\"\n"
        ),
    );
    place.complete(&["distill", "in.jsonl", "--teacher", "sim", "-o", "out.jsonl"]);
    let seen = seen.lock().unwrap();
    let name_of = |request: &String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header = head.lines().find_map(|line| line.strip_prefix("x-session-id: ")).unwrap();
        let key = serde_json::from_str::<Value>(body).unwrap()["prompt_cache_key"].clone();
        assert_eq!(json!(header), key);
        header.to_owned()
    };
    let names: HashSet<String> = seen.iter().map(name_of).collect();
    assert_eq!((seen.len(), names.len()), (5, 2));
}
