//! `--serve`: a server that lives as long as the run, whatever ends it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{Finished, Place, finish};

/// A port that is free now, and the command that serves the simulated model there. The processes of a test are told from
/// others by the port on their command lines.
fn served(latency_ms: u32) -> (u16, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (port, format!("'{}' mock --port {port} --latency {latency_ms}", env!("CARGO_BIN_EXE_cohobate")))
}

fn model(port: u16) -> String {
    format!("m@http://127.0.0.1:{port}/v1")
}

/// Returns the servers at a port: processes of this program whose command line is that of `mock`.
fn servers_at(port: u16) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_server = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&&b"mock"[..]) && words.contains(&port.to_string().as_bytes())
    };
    processes.filter(is_server).collect()
}

/// Waits until there are `count` servers at a port.
fn wait_for(port: u16, count: usize) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let servers = servers_at(port);
        if servers.len() == count {
            return servers;
        }
        assert!(Instant::now() < deadline, "{} servers, and {count} are wanted", servers.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns how many turns the store has.
fn answered(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).stdout;
    serde_json::from_str::<serde_json::Value>(&status).ok().and_then(|status| status["turns"].as_u64()).unwrap_or(0)
}

/// Waits until a run has asked its server.
fn wait_for_answers(place: &Place, port: u16) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while answered(place) == 0 {
        assert!(Instant::now() < deadline, "the server at {port} has given no answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(process: u32) {
    let killed = finish(std::process::Command::new("kill").args(["-9", &process.to_string()]));
    assert_eq!(killed.code, Some(0), "{}", killed.stderr);
}

#[test]
fn a_server_is_started_for_the_run_and_stopped_at_its_end() {
    let (port, command) = served(1);
    let place = Place::with_conversations(6, 2);
    let line = ["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model(port), "--serve", &command];
    place.complete(&line);
    assert_eq!((place.rows("out.jsonl").len(), servers_at(port)), (6, Vec::new()));
    assert!(place.read(".cohobate/served.log").contains("listening on"));
    // A plan needs no server.
    let planned = place.complete(&["plan", "in.jsonl", "--teacher", &model(port), "--serve", &command]);
    assert!(planned.stdout.contains("answered       12 turns"), "{}", planned.stdout);
}

/// Each death costs at most the calls in flight, and nothing that was answered.
#[test]
fn a_server_that_is_killed_five_times_is_started_again() {
    let (port, command) = served(40);
    let place = Place::with_conversations(40, 4);
    let model = model(port);
    let line =
        ["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--serve", &command, "--concurrency", "4"];
    let mut run = place.command(&line).stderr(std::process::Stdio::null()).spawn().unwrap();
    for _ in 0..5 {
        let server = wait_for(port, 1)[0];
        let before = answered(&place);
        let deadline = Instant::now() + Duration::from_secs(60);
        while answered(&place) <= before && Instant::now() < deadline && run.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        kill(server);
        wait_for(port, 0);
    }
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!((place.rows("out.jsonl").len(), servers_at(port)), (40, Vec::new()));
    place.complete(&["verify"]);
}

/// Whoever kills the run kills the server: nobody is left who would stop it.
#[test]
fn no_server_is_left_when_the_run_is_killed() {
    let (port, command) = served(50);
    let place = Place::with_conversations(40, 4);
    let model = model(port);
    let mut run = place.command(&["distill", "in.jsonl", "--teacher", &model, "--serve", &command]).spawn().unwrap();
    wait_for(port, 1);
    run.kill().unwrap();
    run.wait().unwrap();
    wait_for(port, 0);
}

#[test]
fn what_a_server_has_started_ends_with_it() {
    let (port, command) = served(1);
    let place = Place::with_conversations(2, 1);
    // The shell stays, and the server is its child.
    let line = format!("sh -c \"{}; true\"", command.replace('\'', ""));
    let model = model(port);
    place.complete(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--serve", &line]);
    assert_eq!(servers_at(port), [0u32; 0]);
}

/// Daemons leave the group of the server that starts them.
#[cfg(target_os = "linux")]
#[test]
fn what_has_left_the_servers_group_ends_with_it() {
    let (port, command) = served(1);
    let place = Place::with_conversations(2, 1);
    // The number tells it from other processes.
    let stray = format!("9{port}");
    place.write("start.sh", format!("setsid sleep {stray} &\nexec {command}\n"));
    let model = model(port);
    place.complete(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", &model, "--serve", "sh start.sh"]);
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        std::fs::read(entry.ok()?.path().join("cmdline")).ok().filter(|line| line.starts_with(b"sleep"))
    });
    assert!(!lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(&stray)));
}

#[test]
fn a_server_whose_guard_is_killed_is_stopped_and_the_run_with_it() {
    let (port, command) = served(30);
    let place = Place::with_conversations(400, 4);
    let model = model(port);
    let line = ["distill", "in.jsonl", "--teacher", &model, "--serve", &command, "--concurrency", "2"];
    let mut run = place.command(&line).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let server = wait_for(port, 1)[0];
    // A guard that dies between the start of its server and the word about it leaves nobody who knows the server.
    wait_for_answers(&place, port);
    let parent = std::fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
    kill(parent.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap());
    wait_for(port, 0);
    let ended = run.wait().unwrap();
    assert!(matches!(ended.code(), Some(2 | 75)), "{ended:?}");
}

/// A second server would take the port and the memory of the first one.
#[test]
fn nothing_is_served_to_a_run_that_does_not_begin() {
    let place = Place::with_conversations(2, 1);
    let (port, command) = served(1);
    let model = model(port);
    let missing = place.run(&["distill", "none.jsonl", "--teacher", &model, "--serve", &command]);
    assert_eq!((missing.code, place.exists(".cohobate/served.log")), (Some(2), false), "{}", missing.stderr);
}

#[test]
fn a_command_that_keeps_ending_stops_the_run() {
    let place = Place::with_conversations(2, 1);
    let stopped = |command: &str| -> Finished {
        let model = "m@http://127.0.0.1:9/v1";
        place.run(&["distill", "in.jsonl", "-o", "out.jsonl", "--teacher", model, "--serve", command])
    };
    let finished = stopped("sh -c 'echo no such model; exit 3'");
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    for words in ["has failed 5 times without an answer", "served.log", "no such model", "correct the command"] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
    assert_eq!(place.read(".cohobate/served.log").matches("no such model").count(), 5);
    let missing = stopped("there-is-no-such-program");
    assert!(missing.stderr.contains("cannot be started"), "{}", missing.stderr);
}
