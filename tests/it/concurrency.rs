//! `--concurrency N`: the total of calls in flight of a run, over its models and their replicas.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{MockServer, Place};

/// Runs every command that sends calls with `--concurrency 6` against one server, and returns the most in flight.
fn most_in_flight(arguments: &[&str], rows: usize) -> u64 {
    let place = Place::with_conversations(rows, 3);
    let server = MockServer::start(&["--latency", "15"]);
    let at = |name: &str| format!("{name}@http://{}", server.address);
    let arguments = arguments.iter().map(|word| match word.split_once('@') {
        Some((name, "twice")) => format!("{},http://localhost:{}", at(name), server.address.split_once(':').unwrap().1),
        Some((name, "")) => at(name),
        _ => (*word).to_owned(),
    });
    let mut arguments: Vec<String> = arguments.collect();
    arguments.extend(["--concurrency".to_owned(), "6".to_owned()]);
    let finished = place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(finished.code, Some(0 | 3)), "{arguments:?}\n{}", finished.stderr);
    server.count("in_flight_max")
}

#[test]
fn no_command_has_more_calls_in_flight_than_asked_for() {
    let commands: [&[&str]; 6] = [
        &["compare", "in.jsonl", "--a", "x@", "--b", "y@", "--judge", "j@", "-o", "out", "--controls"],
        &["evaluate", "in.jsonl", "--judge", "j@", "-o", "scores.jsonl"],
        &["simulate", "in.jsonl", "--teacher", "t@", "--user", "u@", "--turns", "3", "-o", "out.jsonl"],
        &["tutor", "in.jsonl", "--student", "s@", "--teacher", "t@", "-o", "out"],
        &["distill", "in.jsonl", "--teacher", "t@twice", "-o", "out.jsonl"],
        &[
            "distill",
            "in.jsonl",
            "--teacher",
            "t@",
            "--samples",
            "2",
            "--judge",
            "j@",
            "--gate",
            "strict",
            "-o",
            "out.jsonl",
        ],
    ];
    for command in commands {
        let most = most_in_flight(command, 12);
        assert!(most <= 6, "{command:?}: {most} calls in flight");
        assert!(most >= 5, "{command:?}: only {most} calls in flight");
    }
}

#[test]
fn a_kill_in_a_comparison_leaves_no_more_unknown_calls_than_asked_for() {
    let place = Place::with_conversations(40, 3);
    let server = MockServer::start(&["--latency", "20"]);
    let at = |name: &str| format!("{name}@http://{}", server.address);
    let (a, b, judge) = (at("x"), at("y"), at("j"));
    let arguments =
        ["compare", "in.jsonl", "--a", &a, "--b", &b, "--judge", &judge, "-o", "out", "--concurrency", "16"];
    let mut until = 0;
    for _ in 0..4 {
        until += 90;
        assert!(place.kill_at(&arguments, &server, until));
        // A run that stops at once says what the last one left.
        let stopped = place.run(&[&arguments[..], &["--max-requests", "1"]].concat());
        assert_eq!(stopped.code, Some(75), "{}", stopped.stderr);
        let left = stopped.stderr.split_once("the previous run ended with ").map_or("0", |(_, rest)| rest);
        let left: u64 = left.split(' ').next().unwrap().parse().unwrap();
        println!("{left} calls unknown");
        assert!(left <= 16, "{}", stopped.stderr);
    }
    let finished = place.run(&arguments);
    assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.stderr);
    assert!(server.count("in_flight_max") <= 16);
}

#[test]
fn a_model_may_have_a_number_of_its_own_below_that_of_the_run() {
    let place = Place::with_conversations(12, 2);
    let (teacher, judge) = (MockServer::start(&["--latency", "15"]), MockServer::start(&["--latency", "15"]));
    place.write("cohobate.toml", "[models.j]\nconcurrency = 2\n");
    let (t, j) = (format!("t@http://{}", teacher.address), format!("j@http://{}", judge.address));
    place.complete(&[
        "distill",
        "in.jsonl",
        "--teacher",
        &t,
        "--samples=2",
        "--judge",
        &j,
        "-o=out.jsonl",
        "--concurrency=8",
    ]);
    assert_eq!(judge.count("in_flight_max"), 2);
    let most = teacher.count("in_flight_max");
    assert!((5..=8).contains(&most), "{most} calls in flight at the teacher");
    place.write("cohobate.toml", "[models.j]\nconcurrency = 0\n");
    assert_eq!(place.run(&["distill", "in.jsonl", "--teacher", &t]).code, Some(2));
}

/// A server that accepts connections and never says anything.
fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            kept.push(stream);
        }
    });
    address
}

/// Runs a comparison of two systems until `server` has had so many requests; false if it never does.
fn reaches(a: &str, b: &str, judge: &str, server: &MockServer, requests: u64) -> bool {
    let place = Place::with_conversations(5, 4);
    let line = ["compare", "in.jsonl", "--a", a, "--b", b, "--judge", judge, "-o", "out", "--concurrency", "6"];
    let arguments = [&line[..], &["--no-controls"]].concat();
    let mut child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    while server.count("requests") < requests && Instant::now() < until && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    child.wait().unwrap();
    server.count("requests") >= requests
}

#[test]
fn a_model_that_hangs_does_not_starve_the_others() {
    let server = MockServer::start(&["--latency", "5"]);
    let at = |name: &str| format!("{name}@http://{}", server.address);
    let hung = |name: &str| format!("{name}@http://{}", silent_server());
    // Both systems answer every turn while the judge says nothing.
    assert!(reaches(&at("x"), &at("y"), &hung("j"), &server, 2 * 5 * 4), "the judge has starved the systems");
    let server = MockServer::start(&["--latency", "5"]);
    let at = |name: &str| format!("{name}@http://{}", server.address);
    assert!(reaches(&at("x"), &hung("y"), &at("j"), &server, 5 * 4), "one system has starved the other");
}
