//! Caps on requests and money hold over kills: what was in flight at a kill counts as paid.

use std::process::Stdio;
use std::time::Duration;

use super::server::Server;
use super::{Findings, KEY, Table, dice, seed};
use crate::support::{Place, conversation, jsonl};

const KILLS: usize = 20;
const REQUESTS_MAX: usize = 120;
/// Each call has 20 tokens in and 30 out (`server::answer`): at these prices it costs 0.05 dollars.
const PRICES: &str = "{ input = 1000.0, output = 1000.0 }";
const COST_OF_A_CALL: f64 = 0.05;
/// What is in flight at a kill counts with its worst case, some ten cents, so that fewer calls than this buys are made.
const COST_MAX: f64 = 20.0;

#[test]
fn caps_hold_over_twenty_kills() {
    let seed = seed();
    let mut table = Table::default();
    let (requests, cost) = (REQUESTS_MAX.to_string(), COST_MAX.to_string());
    let capped = |case, arguments: &[&str], limit: f64| kill_capped(seed, case, arguments, limit);
    table.row("caps: --max-requests, 20 kills", capped(0, &["--max-requests", &requests], REQUESTS_MAX as f64));
    let most = COST_MAX / COST_OF_A_CALL;
    table.row("caps: --max-cost, 20 kills", capped(1, &["--max-cost", &cost, "--max-tokens", "100"], most));
    table.finish();
}

/// Kills a run with a cap again and again, and lets it end; `requests_max` is what the server may have had by then.
fn kill_capped(seed: u64, case: usize, arguments: &[&str], requests_max: f64) -> Findings {
    let (place, mut dice) = (Place::new(), dice("caps", seed, case));
    let server = Server::of_words(Duration::from_millis(10), 60);
    let rows: Vec<_> = (0..200).map(|row| conversation(&format!("subject {row}"), 10)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let profile = format!("[models.sim]\nurl = \"http://{}/v1\"\nprice = {PRICES}\n", server.address);
    place.write("profile.toml", profile);
    let line = ["distill", "in.jsonl", "--config", "profile.toml", "--teacher", "sim", "-o", "out.jsonl"];
    let line = [&line[..], &["--stream", "false", "--concurrency", "4"], arguments].concat();
    let mut found = Findings { tried: KILLS, ..Findings::default() };
    for _ in 0..KILLS {
        let mut command = place.command(&line);
        let mut child = command.env("COHOBATE_API_KEY", KEY).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + dice.below(120) as u64));
        let _ = child.kill();
        child.wait().unwrap();
    }
    let ended = crate::support::finish(place.command(&line).env("COHOBATE_API_KEY", KEY));
    let requests = server.requests() as f64;
    println!("{arguments:?}: {requests} of {requests_max} requests after {KILLS} kills");
    found.over_a_cap = usize::from(requests > requests_max);
    if requests > requests_max {
        found.notes.push(format!("{arguments:?}: {requests} requests, at most {requests_max}: {}", ended.stderr));
    }
    found.wrong_if(ended.code != Some(75), || format!("{arguments:?}: {:?} {}", ended.code, ended.stderr));
    found.look_for_key(&place.path(""));
    found
}
