//! Servers misbehave: passing faults heal, final ones are named, nothing is built on half an answer.

use serde_json::Value;

use crate::support::{MockServer, Place, conversation, jsonl};

fn dataset(place: &Place, conversations: usize, turns: usize) {
    let rows: Vec<Value> = (0..conversations).map(|row| conversation(&format!("{row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
}

/// The rows without how often each answer was asked for.
fn without_attempts(place: &Place, name: &str) -> Vec<Value> {
    let mut rows = place.rows(name);
    for row in &mut rows {
        for turn in row["meta"]["turns"].as_array_mut().unwrap() {
            turn.as_object_mut().unwrap().remove("attempts");
        }
    }
    rows
}

#[test]
fn passing_faults_of_every_kind_heal_and_leave_no_trace_in_the_output() {
    let place = Place::new();
    dataset(&place, 12, 3);
    let clean = MockServer::start(&[]);
    place.complete(&["distill", "in.jsonl", "--teacher", &clean.model(), "-o", "clean.jsonl", "--store", "clean"]);
    for stream in ["true", "false"] {
        let faults = [
            "500:0.04",
            "503:0.04",
            "429-bare:0.04",
            "drop:0.04",
            "half:0.04",
            "early-stop:0.04",
            "no-finish:0.02",
            "noise:0.1",
            "think:0.1",
            "garbage:0.02",
            "no-choice:0.02",
            "error-200:0.04",
        ];
        let arguments: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", *fault]).collect();
        let server = MockServer::start(&arguments);
        let store = format!("store-{stream}");
        let finished = place.complete(&[
            "distill",
            "in.jsonl",
            "--teacher",
            &server.model(),
            "-o",
            "out.jsonl",
            "--store",
            &store,
            "--stream",
            stream,
        ]);
        assert_eq!(without_attempts(&place, "out.jsonl"), without_attempts(&place, "clean.jsonl"), "stream {stream}");
        assert!(server.count("faults") > 0);
        assert_eq!(server.count("repeated"), 0, "an answer was paid twice\n{}", finished.stderr);
    }
}

#[test]
fn a_rate_limit_waits_as_long_as_the_server_says_and_fails_nothing() {
    let (place, server) = (Place::new(), MockServer::start(&["--fault", "429:0.2"]));
    dataset(&place, 4, 2);
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl", "--concurrency", "2"]);
    assert_eq!(place.rows("out.jsonl").len(), 4);
    assert_eq!(server.count("distinct"), 8);
}

#[test]
fn a_question_that_is_refused_for_good_is_asked_once_and_remembered() {
    // A prompt over the mock's context is refused; the other conversation is not touched by it.
    let (place, server) = (Place::new(), MockServer::start(&["--context", "200"]));
    let mut long = conversation("long", 3);
    long["messages"][2]["content"] = "many words ".repeat(200).into();
    place.write("in.jsonl", jsonl(&[conversation("short", 1), long]));
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let finished = place.run(&arguments);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(server.count("requests"), 3);
    let missing = place.rows("out.jsonl.incomplete.jsonl");
    assert_eq!((missing.len(), &missing[0]["kind"], &missing[0]["turns_answered"]), (1, &"failed".into(), &1.into()));
    assert!(missing[0]["reason"].as_str().unwrap().starts_with("turn 2: context: "), "{missing:?}");
    assert!(finished.stderr.contains("1 × failed: context"), "{}", finished.stderr);
    // The same again asks nothing; told to, it asks that one question.
    assert_eq!(place.run(&arguments).code, Some(3));
    assert_eq!(server.count("requests"), 3);
    let mut again = arguments.to_vec();
    again.push("--retry-failed");
    assert_eq!(place.run(&again).code, Some(3));
    assert_eq!(server.count("requests"), 4);
    let status = place.complete(&["status"]);
    assert!(status.stdout.contains("1 × failed: context"), "{}", status.stdout);
}

#[test]
fn a_wrong_key_or_an_empty_account_stops_the_run_at_once_and_it_can_go_on() {
    let key = ("401:1", 2, "set COHOBATE_API_KEY, the provider's own variable");
    for (fault, code, words) in [key, ("quota:1", 75, "no credit")] {
        let (place, server) = (Place::new(), MockServer::start(&["--fault", fault, "--latency", "30"]));
        dataset(&place, 200, 2);
        let model = server.model();
        let finished =
            place.run(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "8"]);
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
        assert!(server.count("requests") <= 16, "{} requests", server.count("requests"));
        assert!(!place.exists("out.jsonl"));
        assert_eq!(finished.stderr.matches("error:").count(), 1, "{}", finished.stderr);
    }
}

#[test]
fn a_run_in_which_every_first_question_is_refused_is_stopped() {
    let (place, server) = (Place::new(), MockServer::start(&["--fault", "400:1", "--latency", "5"]));
    dataset(&place, 300, 1);
    let finished =
        place.run(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl", "--concurrency", "4"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(server.count("requests") < 40, "{} requests", server.count("requests"));
}

#[test]
fn an_answer_that_is_not_whole_is_paid_kept_and_never_becomes_context() {
    for (fault, reason) in [("length:1", "length"), ("filter:1", "content_filter"), ("empty:1", "empty")] {
        for stream in ["true", "false"] {
            let (place, server) = (Place::new(), MockServer::start(&["--fault", fault]));
            dataset(&place, 3, 4);
            let model = server.model();
            let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--stream", stream];
            let finished = place.run(&arguments);
            assert_eq!(finished.code, Some(3), "{}", finished.stderr);
            assert!(place.rows("out.jsonl").is_empty());
            let missing = place.rows("out.jsonl.incomplete.jsonl");
            let expected = format!("turn 1: {reason}");
            assert!(missing.iter().all(|row| row["kind"] == "stopped" && row["reason"] == expected), "{missing:?}");
            // Paid once: the second run asks nothing.
            assert_eq!(place.run(&arguments).code, Some(3));
            assert_eq!(server.count("requests"), 3, "{fault}");
        }
    }
}

#[test]
fn a_server_that_comes_up_late_is_waited_for() {
    let place = Place::new();
    dataset(&place, 3, 2);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let model = format!("sim@http://127.0.0.1:{port}");
    let mut run = place.command(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
    let run = run.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut server =
        place.command(&["mock", "--port", &port.to_string()]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let output = run.wait_with_output().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("sim does not answer") && stderr.contains("sim answers again"), "{stderr}");
}
