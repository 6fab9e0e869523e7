//! Caps hold over kills: however often a run dies, the server never gets more than the cap allows.

use std::process::Stdio;
use std::time::Duration;

use cohobate::conversation::Dice;

use crate::support::{MockServer, Place};

/// Only answers cost anything, and each is as long as it may be: so the worst case is what a call costs.
const PRICE: &str = "[models.sim]\nprice = { input = 0.0, output = 4000.0 }\n";
const MAX_TOKENS: u64 = 50;

/// Kills a run twenty times at random moments, lets it go on until its cap ends it, and returns the server's counters.
fn kill_twenty_times(cap: &str, options: &[&str], seed: u64) -> serde_json::Value {
    let mut dice = Dice::new("capped", &seed.to_le_bytes());
    let place = Place::with_conversations(120, 4);
    place.write("cohobate.toml", PRICE);
    let server = MockServer::start(&[&["--latency", "6", "--answer", "50"], options].concat());
    let model = server.model();
    let max_tokens = MAX_TOKENS.to_string();
    let mut arguments =
        vec!["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--max-tokens", &max_tokens];
    arguments.extend(["--concurrency", "8", cap]);
    let mut kills = 0;
    for _ in 0..20 {
        let mut child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let before = server.count("requests");
        let wanted = before + dice.below(10) as u64;
        let mut looks = 0;
        while server.count("requests") < wanted && looks < 2_000 && child.try_wait().unwrap().is_none() {
            looks += 1;
            std::thread::sleep(Duration::from_micros(500));
        }
        std::thread::sleep(Duration::from_micros(dice.below(9_000) as u64));
        kills += u64::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    let finished = place.run(&arguments);
    assert_eq!(finished.code, Some(75), "{cap}: {}", finished.stderr);
    assert!(finished.stderr.contains("is reached"), "{}", finished.stderr);
    let status = place.complete(&["status"]);
    println!("{cap}, seed {seed}: {kills} kills, {}", server.stats());
    assert!(kills < 5 || status.stdout.contains("without a stored answer"), "{}", status.stdout);
    server.stats()
}

fn seed() -> u64 {
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_127u64);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    seed
}

#[test]
fn twenty_kills_send_no_more_requests_than_the_cap() {
    let stats = kill_twenty_times("--max-requests=200", &[], seed());
    let requests = stats["requests"].as_u64().unwrap();
    assert!(requests <= 200, "{requests} requests");
    assert!(requests > 100, "{requests} requests: the cap ended the run far too early");
}

#[test]
fn requests_that_fail_count_over_kills_too() {
    let stats = kill_twenty_times("--max-requests=200", &["--fault", "500:0.2", "--fault", "429:0.1"], seed());
    let requests = stats["requests"].as_u64().unwrap();
    assert!(requests <= 200, "{requests} requests");
}

#[test]
fn twenty_kills_have_no_more_tokens_written_than_the_cap() {
    let stats = kill_twenty_times("--max-output-tokens=10000", &[], seed());
    let tokens = stats["completion_tokens"].as_u64().unwrap();
    assert!(tokens <= 10_000, "{tokens} tokens");
}

#[test]
fn twenty_kills_cost_no_more_than_the_cap() {
    let stats = kill_twenty_times("--max-cost=40", &[], seed());
    let cost = stats["completion_tokens"].as_u64().unwrap() as f64 * 4000.0 / 1e6;
    assert!(cost <= 40.0 + 1e-9, "${cost}");
}
