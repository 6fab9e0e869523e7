//! The real program, killed with SIGKILL at random moments, against a mock server that counts.

use std::process::Stdio;
use std::time::Duration;

use cohobate::conversation::Dice;
use serde_json::Value;

use crate::support::{MockServer, Place, conversation, jsonl};

fn dataset(place: &Place, conversations: usize, turns: usize) -> usize {
    let rows: Vec<Value> = (0..conversations).map(|row| conversation(&format!("subject {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
    conversations * turns
}

/// Kills the run when the server has had `until` requests in all. Returns false where the run was done before.
fn run_and_kill(place: &Place, arguments: &[&str], server: &MockServer, until: u64) -> bool {
    let mut child = place.command(arguments).stderr(Stdio::null()).spawn().unwrap();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if server.count("requests") >= until {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

#[test]
fn sixty_long_conversations_killed_three_times_repeat_at_most_what_was_in_flight() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "40"]));
    let turns = dataset(&place, 60, 20) as u64;
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "64"];
    let mut kills = 0;
    for share in [0.2, 0.5, 0.8] {
        let until = (turns as f64 * share) as u64 + 64 * kills;
        kills += u64::from(run_and_kill(&place, &arguments, &server, until));
    }
    place.complete(&arguments);
    let extra = server.count("requests") - turns;
    println!("{kills} kills, {extra} of {turns} calls repeated");
    assert_eq!(kills, 3);
    assert!(extra <= 64 * kills, "{extra} calls repeated after {kills} kills");
    assert_eq!(server.count("distinct"), turns);
    let killed = place.read("out.jsonl");
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "calm.jsonl", "--store", "calm"]);
    assert_eq!(killed, place.read("calm.jsonl"));
}

#[test]
fn killed_at_thirty_random_moments_the_output_is_byte_for_byte_the_same() {
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122u64);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    let mut dice = Dice::new("kills", &seed.to_le_bytes());
    let mut kills = 0;
    let mut round = 0;
    while kills < 30 {
        round += 1;
        let (place, server) = (Place::new(), MockServer::start(&["--latency", "4"]));
        let turns = dataset(&place, 12, 6) as u64;
        let model = server.model();
        let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "8"];
        let mut kills_here = 0;
        for _ in 0..10 {
            // At a moment within the run, the open, the first calls, the end or the export.
            let pause = Duration::from_micros(dice.below(120_000) as u64);
            let mut child = place.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(pause);
            if child.try_wait().unwrap().is_none() {
                kills_here += 1;
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
        place.complete(&arguments);
        let extra = server.count("requests") - turns;
        // A call is in flight until its answer is on disk; as many conversations as that are open.
        assert!(extra <= (8 + 4) * kills_here, "round {round}: {extra} repeated after {kills_here} kills");
        assert_eq!(server.count("distinct"), turns);
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "calm.jsonl", "--store", "calm"]);
        assert_eq!(place.read("out.jsonl"), place.read("calm.jsonl"), "round {round}");
        kills += kills_here;
    }
    println!("{kills} kills in {round} rounds");
}

#[test]
fn a_signal_lets_calls_in_flight_finish_and_commits_them() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        if signal == "HUP" && ignores_hangups() {
            println!("skipped: below nohup a hangup is ignored, as it should be");
            continue;
        }
        let (place, server) = (Place::new(), MockServer::start(&["--latency", "250"]));
        let turns = dataset(&place, 10, 6) as u64;
        let model = server.model();
        let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "10"];
        let mut command = place.command(&arguments);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        while server.count("requests") < 15 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains("run the same command again to resume"), "{stderr}");
        assert!(!place.exists("out.jsonl"));
        place.complete(&arguments);
        assert_eq!(server.count("requests"), turns, "{signal}: nothing is asked twice after an orderly stop");
    }
}

/// True where this process was told to ignore SIGHUP; its children inherit that.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(ignored.trim(), 16).is_ok_and(|mask| mask & 1 != 0)
}
