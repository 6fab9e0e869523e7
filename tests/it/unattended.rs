//! Runs that nobody watches: in the background, with commands at the end and at a stall, with counts for Prometheus.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::docs::page::Page;
use crate::support::{MockServer, Place, finish};

/// A command that writes what it is told into a file.
fn writes(name: &str) -> String {
    format!("sh -c 'cat > {name}.part && mv {name}.part {name}'")
}

fn told(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read(name)).unwrap()
}

fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_hears_of_the_end_however_it_comes() {
    let place = Place::with_conversations(6, 2);
    let on_end = writes("end.json");
    let distill = ["distill", "in.jsonl", "-o", "out.jsonl", "--on-end", &on_end];
    place.complete(&[&distill[..], &["--teacher", "simulated"]].concat());
    let end = told(&place, "end.json");
    assert_eq!((&end["event"], &end["exit_code"], &end["error"]), (&"end".into(), &0.into(), &Value::Null), "{end:#}");
    assert_eq!((&end["summary"]["answered"], &end["summary"]["ended"]), (&12.into(), &"done".into()), "{end:#}");
    assert_eq!((&end["status"]["phase"], &end["store"]), (&"finishing".into(), &".cohobate".into()), "{end:#}");

    // Nobody is there.
    let refused =
        place.run(&[&distill[..], &["--teacher", "sim@http://127.0.0.1:9", "--give-up-after", "1s"]].concat());
    assert_eq!(refused.code, Some(75), "{}", refused.stderr);
    let end = told(&place, "end.json");
    assert_eq!((&end["exit_code"], &end["summary"]["ended"]), (&75.into(), &"stopped".into()), "{end:#}");

    // An error.
    fs::create_dir(place.path("taken")).unwrap();
    place.write("taken/row.txt", "not a store");
    let failed = place.run(&[&distill[..], &["--teacher", "simulated", "--store", "in.jsonl"]].concat());
    assert_ne!(failed.code, Some(0));
    let end = told(&place, "end.json");
    assert_eq!(end["exit_code"], failed.code.unwrap(), "{end:#}");
    assert!(end["error"].is_string() && end["summary"].is_null(), "{end:#}");
}

#[test]
fn a_signal_runs_the_command_too() {
    let (place, server) = (Place::with_conversations(40, 3), MockServer::start(&["--latency", "50"]));
    let (model, on_end) = (server.model(), writes("end.json"));
    let mut command = place.command(&["distill", "in.jsonl", "--teacher", &model, "--on-end", &on_end]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until(|| server.count("requests") > 4);
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert_eq!(told(&place, "end.json")["exit_code"], 143);
}

#[test]
fn a_command_that_fails_never_changes_the_exit_code() {
    let place = Place::with_conversations(2, 1);
    for (command, reason) in [
        ("false", "`false` failed with exit status: 1"),
        ("there-is-no-such-program secret", "`there-is-no-such-program` cannot be started"),
    ] {
        let distill = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--on-end", command];
        let finished = place.complete(&distill);
        assert!(finished.stderr.contains(reason) && !finished.stderr.contains("secret"), "{}", finished.stderr);
    }
    let finished = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--on-end", "sh -c 'x"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
}

#[test]
fn a_command_hears_of_a_stall_once_and_a_pause_is_none() {
    let (place, server) =
        (Place::with_conversations(20, 3), MockServer::start(&["--latency", "20", "--fault", "429:1"]));
    let model = server.model();
    let count = "sh -c 'cat >> stalls.jsonl'";
    let mut command = place.command(&["distill", "in.jsonl", "--teacher", &model, "--concurrency", "2"]);
    command.args(["--on-stall", count, "--stall-after", "200ms"]);
    let finished = finish(&mut command);
    assert_eq!(finished.code, Some(2), "a time is written with a unit that is known: {}", finished.stderr);
    let mut command = place.command(&["distill", "in.jsonl", "--teacher", &model, "--concurrency", "2"]);
    command.args(["--on-stall", count, "--stall-after", "0.2s", "--time-limit", "3s"]);
    let finished = finish(&mut command);
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
    let stalls = place.rows("stalls.jsonl");
    assert_eq!(stalls.len(), 1, "{stalls:?}");
    assert_eq!((&stalls[0]["event"], &stalls[0]["status"]["phase"]), (&"stall".into(), &"running".into()));
    assert!(stalls[0]["idle_s"].as_f64().unwrap() >= 0.2, "{}", stalls[0]);

    fs::remove_file(place.path("stalls.jsonl")).unwrap();
    let server = MockServer::start(&["--latency", "20"]);
    let model = server.model();
    let mut command = place.command(&["distill", "in.jsonl", "--teacher", &model, "--concurrency", "2"]);
    command.args(["--on-stall", count, "--stall-after", "0.5s", "--store", "calm"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(|| server.count("requests") > 4);
    place.complete(&["ctl", "pause", "--store", "calm"]);
    std::thread::sleep(Duration::from_millis(1_500));
    place.complete(&["ctl", "resume", "--store", "calm"]);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert!(!place.exists("stalls.jsonl"));
    let without = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--stall-after", "1m"]);
    assert!(without.stderr.contains("--stall-after has no effect without --on-stall"), "{}", without.stderr);
}

#[test]
fn commands_and_listeners_of_a_found_configuration_need_trust() {
    for setting in ["on-end = \"touch pwned\"", "on-stall = \"touch pwned\"", "metrics = \"0.0.0.0:0\""] {
        let place = Place::with_conversations(2, 1);
        place.write("cohobate.toml", format!("{setting}\n"));
        let distill = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"];
        let refused = place.run(&distill);
        assert_eq!(refused.code, Some(2), "{setting}: {}", refused.stderr);
        assert!(refused.stderr.contains("is not trusted") && !place.exists("pwned"), "{setting}: {}", refused.stderr);
        place.complete(&["trust"]);
        place.complete(&distill);
        assert_eq!(place.exists("pwned"), setting.starts_with("on-end"), "{setting}");
    }
}

/// Returns what a server says to a request.
fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // The server may have had enough.
    let _ = stream.write_all(request.as_bytes());
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    reply
}

#[test]
fn the_counts_are_served_where_they_are_wanted_and_hold_no_names() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "30"]));
    place.write("cohobate.toml", "[models.sim]\nprice = { input = 1.0, output = 2.0 }\n");
    let model = server.model();
    let mut command = place.command(&["distill", "in.jsonl", "--teacher", &model, "--concurrency", "4"]);
    let mut child = command.args(["--metrics=0", "--progress", "plain"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    until(|| {
        said.clear();
        std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
        said.contains("metrics at http://")
    });
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    let address = said.trim().split_once("http://").unwrap().1.strip_suffix("/metrics").unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    until(|| server.count("requests") > 4);
    place.complete(&["ctl", "pause"]);
    until(|| place.complete(&["ctl", "status"]).stdout.contains("0 in flight"));
    let requests = server.count("requests");
    let mut reply = String::new();
    // A call is no longer in flight a moment before its answer is counted.
    until(|| {
        reply = http(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        reply.contains(&format!("cohobate_answers_paid_total {requests}\n"))
    });
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    for line in [
        format!("cohobate_calls_sent_total {requests}"),
        "cohobate_answers 160".to_owned(),
        "cohobate_calls_in_flight 0".to_owned(),
        "cohobate_paused 1".to_owned(),
    ] {
        assert!(body.lines().any(|other| other == line), "{line}\n{body}");
    }
    for secret in ["sim", "127.0.0.1", "kites"] {
        assert!(!body.replace("simulated", "").contains(secret), "{secret}\n{body}");
    }
    let names =
        body.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').next().unwrap().to_owned());
    let names: Vec<String> = names.collect();
    assert_eq!(
        names,
        Page::read("docs/steering.md").names_under("Metrics"),
        "the metrics that the documentation lists"
    );
    assert!(http(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(http(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    assert_eq!(http(address, &"x".repeat(100_000)), "", "a head without an end is cut off");
    let other = format!("--metrics={address}");
    let taken = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--store", "other", &other]);
    assert_eq!(taken.code, Some(2), "{}", taken.stderr);
    assert!(
        place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--metrics=here"]).stderr.contains("no address")
    );
    place.complete(&["ctl", "stop"]);
    assert_eq!(child.wait().unwrap().code(), Some(75));
}

#[test]
fn a_run_in_the_background_outlives_its_command_and_can_be_looked_at() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "30"]));
    let model = server.model();
    let distill = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "4"];
    let on_end = writes("end.json");
    let started = place.complete(&[&distill[..], &["--detach", "--on-end", &on_end]].concat());
    assert!(started.stdout.starts_with("started in the background: process "), "{}", started.stdout);
    assert!(started.stdout.contains(".cohobate/detached.log") && started.stdout.contains("cohobate ctl status"));
    assert!(place.complete(&["ctl", "status"]).stdout.starts_with("running, process "));
    until(|| place.exists("end.json"));
    assert_eq!(told(&place, "end.json")["exit_code"], 0);
    assert_eq!(place.rows("out.jsonl").len(), 40);
    assert!(place.read(".cohobate/detached.log").contains("done: 40 conversations"));
    assert_eq!(server.count("requests"), 160);
}

#[test]
fn a_run_that_cannot_start_in_the_background_says_why_at_once() {
    let place = Place::with_conversations(2, 1);
    let missing = place.run(&["distill", "nowhere.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--detach"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("nowhere.jsonl") && missing.stderr.contains("hint: "), "{}", missing.stderr);
    for streams in [["-", "-o", "out.jsonl"], ["in.jsonl", "-o", "-"]] {
        let finished = place.run(&[&["distill", "--teacher", "simulated", "--detach"], &streams[..]].concat());
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("`-` names one of them"), "{}", finished.stderr);
    }
    let plan = place.complete(&["plan", "in.jsonl", "--teacher", "simulated", "--detach"]);
    assert!(plan.stdout.contains("2 turns"), "plan stays where it is: {}", plan.stdout);
    place.write("cohobate.toml", "detach = true\n");
    let refused = place.run(&["distill", "in.jsonl", "--teacher", "simulated"]);
    assert!(refused.stderr.contains("`detach` is an option of the command line only"), "{}", refused.stderr);
}
