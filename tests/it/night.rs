//! A whole night in a minute: the real program against a server that fails in every way, killed, frozen, warned.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cohobate::conversation::Dice;
use serde_json::Value;

use crate::support::{MockServer, Place, conversation, finish, jsonl};

fn dataset(place: &Place, conversations: usize, turns: usize) -> u64 {
    let rows: Vec<Value> = (0..conversations).map(|row| conversation(&format!("subject {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
    (conversations * turns) as u64
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn without_attempts(text: &str) -> Vec<Value> {
    let mut rows = crate::support::rows(text);
    for turn in rows.iter_mut().flat_map(|row| row["meta"]["turns"].as_array_mut().unwrap()) {
        turn.as_object_mut().unwrap().remove("attempts");
    }
    rows
}

const FAULTS: [&str; 18] = [
    "--fault",
    "500:0.02",
    "--fault",
    "429:0.01",
    "--fault",
    "429-bare:0.02",
    "--fault",
    "drop:0.02",
    "--fault",
    "half:0.02",
    "--fault",
    "garbage:0.01",
    "--fault",
    "no-choice:0.01",
    "--fault",
    "error-200:0.02",
    "--fault",
    "hang:0.004",
];

#[test]
fn fifty_kills_and_freezes_against_a_failing_server_change_nothing() {
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(50u64);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    let mut dice = Dice::new("night", &seed.to_le_bytes());
    let place = Place::new();
    let turns = dataset(&place, 40, 10);
    let calm = MockServer::start(&[]);
    place.complete(&["distill", "in.jsonl", "--teacher", &calm.model(), "-o", "calm.jsonl", "--store", "calm"]);
    let mut arguments = FAULTS.to_vec();
    arguments.extend(["--latency", "10"]);
    let server = MockServer::start(&arguments);
    // A hung request is given up after a second here, not after a quarter of an hour.
    place.write(
        "cohobate.toml",
        format!(
            "teacher = \"sim\"\n[models.sim]\nurl = \"http://{}/v1\"\nfirst-byte-timeout-s = 1.0\n",
            server.address
        ),
    );
    let run = ["distill", "in.jsonl", "-o", "out.jsonl", "--concurrency", "8"];
    let (mut kills, mut freezes) = (0, 0);
    while kills < 50 {
        let mut child = place.command(&run).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(20_000 + dice.below(80_000) as u64));
        if dice.below(4) == 0 && child.try_wait().unwrap().is_none() {
            signal(&child, "STOP");
            std::thread::sleep(Duration::from_millis(30));
            signal(&child, "CONT");
            freezes += 1;
        }
        // A run that is done before its kill still counts as one that was not harmed.
        let _ = child.kill();
        child.wait().unwrap();
        kills += 1;
    }
    let finished = place.complete(&run);
    let repeated = server.count("repeated");
    println!(
        "{kills} kills, {freezes} freezes, {repeated} of {turns} answers given again, {} faults",
        server.count("faults")
    );
    assert_eq!(server.count("distinct"), turns, "{}", finished.stderr);
    assert!(repeated <= 12 * kills, "{repeated} answers were given again after {kills} kills");
    assert_eq!(without_attempts(&place.read("out.jsonl")), without_attempts(&place.read("calm.jsonl")));
    let verified = place.complete(&["verify", "in.jsonl", "-o", "out.jsonl"]);
    assert!(verified.stdout.contains("the store is sound"), "{}", verified.stdout);
}

#[test]
fn after_a_crash_the_next_run_says_what_was_in_the_air_and_what_it_cost_at_most() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "1200"]));
    dataset(&place, 6, 2);
    place.write(
        "cohobate.toml",
        format!(
            "teacher = \"sim\"\nmax-tokens = 300\n[models.sim]\nurl = \"http://{}/v1\"\nprice = {{ input = 10.0, output = 20.0 }}\n",
            server.address
        ),
    );
    let run = ["distill", "in.jsonl", "-o", "out.jsonl", "--concurrency", "6"];
    let mut child = place.command(&run).stderr(Stdio::null()).spawn().unwrap();
    while server.count("in_flight") < 6 {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let finished = place.complete(&run);
    let words = "the previous run ended with 6 requests in flight; whether they were answered and billed is unknown, at most $0.0";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
    let again = place.complete(&run);
    assert!(!again.stderr.contains("in flight; whether"), "{}", again.stderr);
}

#[test]
fn an_outage_of_three_seconds_is_waited_out_and_charged_to_nobody() {
    let place = Place::new();
    let turns = dataset(&place, 30, 8);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let serve = || {
        let mut command = place.command(&["mock", "--port", &port, "--latency", "20"]);
        command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    };
    let mut server = serve();
    let model = format!("sim@http://127.0.0.1:{port}");
    let mut run =
        place.command(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "16"]);
    let run = run.stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    server.kill().unwrap();
    server.wait().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let mut server = serve();
    let output = run.wait_with_output().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("sim does not answer") && stderr.contains("answers again"), "{stderr}");
    assert_eq!(place.rows("out.jsonl").len() as u64 * 8, turns);
}

#[test]
fn a_server_that_takes_twelve_at_a_time_is_found_out_with_few_refusals() {
    let (place, server) = (Place::new(), MockServer::start(&["--slots", "12", "--latency", "20"]));
    let turns = dataset(&place, 150, 8);
    let finished = place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl", "-v"]);
    let refused = server.count("faults");
    println!("{refused} of {} requests refused for {turns} turns", server.count("requests"));
    assert_eq!(server.count("distinct"), turns);
    assert!(refused * 4 < turns, "{refused} refusals for {turns} turns\n{}", finished.stderr);
}

#[test]
fn a_loop_is_cut_off_kept_and_named() {
    let (place, server) = (Place::new(), MockServer::start(&["--fault", "loop:1"]));
    dataset(&place, 2, 3);
    let finished = place.run(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let missing = place.rows("out.jsonl.incomplete.jsonl");
    assert!(missing.iter().all(|row| row["reason"] == "turn 1: loop"), "{missing:?}");
    let journal = std::fs::metadata(place.path(".cohobate/journal/00000001.journal")).unwrap().len();
    assert!(journal < 20_000, "{journal} bytes: the loop was read to its end");
}

#[test]
fn caps_are_kept_over_restarts_and_end_with_75() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let turns = dataset(&place, 20, 5);
    let model = server.model();
    let base = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let with = |more: &[&str]| place.run(&[&base[..], more].concat());
    let first = with(&["--max-requests", "30"]);
    assert_eq!((first.code, server.count("requests")), (Some(75), 30), "{}", first.stderr);
    assert!(first.stderr.contains("--max-requests is reached; raise it"), "{}", first.stderr);
    let second = with(&["--max-requests", "30"]);
    assert_eq!((second.code, server.count("requests")), (Some(75), 30), "{}", second.stderr);
    assert_eq!((with(&["--max-requests", "1000"]).code, server.count("requests")), (Some(0), turns));
    // Money and tokens need a worst case.
    let unknown = with(&["--max-cost", "1"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    let unknown = with(&["--max-cost", "1", "--max-tokens", "50"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("the price of `sim` is unknown"), "{}", unknown.stderr);
    place.write("cohobate.toml", "[models.sim]\nprice = { input = 100.0, output = 1000.0 }\n");
    let capped = with(&["--max-cost", "0.5", "--max-tokens", "300", "--store", "other"]);
    assert_eq!(capped.code, Some(75), "{}", capped.stderr);
    let status: Value =
        serde_json::from_str(&place.complete(&["status", "--json", "--store", "other"]).stdout).unwrap();
    let cost = status["spending"]["sim"]["cost"].as_f64().unwrap();
    assert!(cost > 0.0 && cost <= 0.5, "{cost}");
}

#[test]
fn time_runs_out_in_order() {
    for option in ["--time-limit", "--stop-signal"] {
        let (place, server) = (Place::new(), MockServer::start(&["--latency", "100"]));
        let turns = dataset(&place, 10, 20);
        let model = server.model();
        let value = if option == "--time-limit" { "0.7s" } else { "USR1" };
        let base = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "10"];
        let mut command = place.command(&base);
        let child = command.args([option, value]).stderr(Stdio::piped()).spawn().unwrap();
        if option == "--stop-signal" {
            while server.count("requests") < 20 {
                std::thread::sleep(Duration::from_millis(5));
            }
            signal(&child, "USR1");
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(75), "{option}: {stderr}");
        place.complete(&base);
        assert_eq!(server.count("requests"), turns, "{option}: nothing is asked twice after an orderly stop");
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let (place, server) = (Place::new(), MockServer::start(&["--fault", "hang:1"]));
    dataset(&place, 3, 1);
    let model = server.model();
    let mut child = place.command(&["distill", "in.jsonl", "--teacher", &model]).stderr(Stdio::null()).spawn().unwrap();
    while server.count("in_flight") < 3 {
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "calls in flight are waited for");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn verify_proves_a_store_and_an_output_and_repairs_what_is_damaged() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    dataset(&place, 8, 3);
    let model = server.model();
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
    let verify = ["verify", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let sound = place.complete(&verify);
    assert!(sound.stdout.contains("has the 8 rows that it must have, in order"), "{}", sound.stdout);
    // Looking at it twice changes nothing: the index is still trusted.
    assert!(place.complete(&verify).stdout.contains("index          agrees"), "verify itself spoils the index");
    let good = place.read("out.jsonl");
    let lines: Vec<&str> = good.lines().collect();
    let whole = |lines: &[&str]| lines.join("\n") + "\n";
    let swapped: Vec<&str> = [&[lines[1], lines[0]], &lines[2..]].concat();
    for (what, text, words) in [
        ("a row is missing", whole(&lines[1..]), "1 are missing or differ, 0 do not belong there"),
        ("a row is doubled", whole(&[&lines[..1], &lines[..]].concat()), "0 are missing or differ, 1 do not belong"),
        ("the order is another", whole(&swapped), "the rows are right, their order is not"),
        ("the end is torn", good[..good.len() - 20].to_owned(), "ends in the middle of a row"),
        ("a word is another", good.replacen("harbor", "hxrbor", 1), "1 are missing or differ, 1 do not belong there"),
    ] {
        place.write("out.jsonl", text);
        let found = place.run(&verify);
        assert!(found.code == Some(4) && found.stdout.contains(words), "{what}: {:?}\n{}", found.code, found.stdout);
    }
    place.write("out.jsonl", &good);
    let path = place.path(".cohobate/journal/00000001.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&path, &bytes).unwrap();
    let damaged = place.run(&["verify"]);
    assert!(damaged.code == Some(4) && damaged.stdout.contains("damaged        "), "{}", damaged.stdout);
    let repaired = place.complete(&["verify", "--repair"]);
    assert!(repaired.stdout.contains("the store is sound"), "{}", repaired.stdout);
    let before = server.count("requests");
    place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"]);
    assert!(server.count("requests") - before <= 1, "the damaged answer alone is asked again");
    assert_eq!(place.read("out.jsonl"), good);
    // One of the two names is enough: the last run knows the other, and the settings.
    assert!(place.complete(&["verify", "in.jsonl"]).stdout.contains("has the 8 rows that it must have, in order"));
    // Where the log is gone, nobody knows.
    std::fs::remove_dir_all(place.path(".cohobate/runs")).unwrap();
    let nothing = finish(place.command(&["verify", "in.jsonl"]).arg("-q"));
    assert_eq!(nothing.code, Some(2), "{}", nothing.stderr);
}
