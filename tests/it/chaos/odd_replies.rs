//! Odd replies in the middle of a run: it ends by itself, in order, and keeps what it had.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::odd_bodies::{ODD, Odd};
use super::questions::{Before, departures};
use super::recorder::{Recorder, read_log};
use super::server::{Piece, Server, answer, stream_of, whole};
use super::{Findings, KEY, Table, for_each_case, scaled, seed, words};
use crate::support::{Finished, Place, conversation, finish, jsonl};

/// The questions, by the order in which they arrive, that get the odd reply.
const ODD_REQUESTS: std::ops::Range<usize> = 4..7;
/// A run that has not ended by then hangs. It takes a second or two.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn forty_six_odd_replies_end_no_run_and_cost_no_answer() {
    let seed = seed();
    let place = Place::new();
    let Some(recorder) = Recorder::build(&place) else { return };
    let rows: Vec<_> = (0..4).map(|row| conversation(&format!("boats {row}"), 3)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let mut table = Table::default();
    let both = scaled(1, 2) > 1;
    for streams in [false, true] {
        let found = for_each_case(ODD.len(), |number| {
            // Usually half of them in each way; which half, the seed decides.
            let is_due = both || (number as u64 + seed).is_multiple_of(2) == streams;
            if is_due { try_reply(&place, &recorder, number, streams) } else { Findings::default() }
        });
        table.row(format!("odd replies, {}", if streams { "streamed" } else { "in one piece" }), found);
    }
    table.finish();
}

fn try_reply(place: &Place, recorder: &Recorder, number: usize, streams: bool) -> Findings {
    let (name, odd) = ODD[number];
    let directory = place.path(&format!("{number}-{streams}"));
    std::fs::create_dir(&directory).unwrap();
    let server = Server::start(move |number, body| reply(number, body, odd));
    let profile = format!(
        "[models.sim]\nurl = \"http://{}/v1\"\nfirst-byte-timeout-s = 2.0\nidle-timeout-s = 2.0\ntotal-timeout-s = 4.0\n",
        server.address
    );
    std::fs::write(directory.join("profile.toml"), profile).unwrap();
    let streams = streams.to_string();
    let line = ["distill", "../in.jsonl", "--config", "profile.toml", "--teacher", "sim", "-o", "out.jsonl"];
    let line = words(&[&line[..], &["--stream", &streams, "--concurrency", "2"]].concat());
    let run = |log: &Path| {
        let mut command = place.command(&line.iter().map(String::as_str).collect::<Vec<_>>());
        command.current_dir(&directory).env("COHOBATE_API_KEY", KEY);
        let command = recorder.record_fast(&mut command, log);
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap())
    };
    let (first_log, second_log) = (directory.join("first.log"), directory.join("second.log"));
    let first = run(&first_log);
    let second = run(&second_log);
    let events = read_log(&first_log);
    let before = Before::event(&events, &departures(&events), events.len(), "out.jsonl");
    let asked = departures(&read_log(&second_log));
    let lost = asked.iter().filter(|departure| before.acknowledged.contains(&departure.asked())).count();
    let mut found = Findings { tried: 1, acknowledged: before.acknowledged.len(), ..Findings::default() };
    let text =
        || format!("{name}, stream {streams}: {:?} {}\n{:?} {}", first.code, first.stderr, second.code, second.stderr);
    found.lost(lost, || format!("{lost} acknowledged answers asked again: {}", text()));
    for finished in [&first, &second] {
        let is_in_order = matches!(finished.code, Some(0 | 2 | 3 | 75)) && !finished.stderr.contains("panicked");
        found.wrong_if(!is_in_order, || format!("not ended in order: {}", text()));
        let leaks = finished.stderr.contains(KEY) || finished.stdout.contains(KEY);
        found.leaked += usize::from(leaks);
        found.wrong_if(leaks, || format!("the key is shown: {}", text()));
    }
    // An answer may have been kept that says odd things, or stops its conversation. The output is what the store says.
    let mut verify =
        place.command(&["verify", "../in.jsonl", "--config", "profile.toml", "--teacher", "sim", "-o", "out.jsonl"]);
    let verified = finish(verify.current_dir(&directory).env("COHOBATE_API_KEY", KEY));
    found.wrong_if(verified.code != second.code, || {
        format!("verify: {:?} {} {}", verified.code, verified.stdout, text())
    });
    let _ = (std::fs::remove_file(&first_log), std::fs::remove_file(&second_log));
    found.look_for_key(&directory);
    found
}

fn reply(number: usize, body: &serde_json::Value, odd: Odd) -> Vec<Piece> {
    if ODD_REQUESTS.contains(&number) {
        return odd(body);
    }
    let reply = answer(body, 80);
    let bytes = if body["stream"] == true { stream_of(&reply) } else { whole(&reply) };
    vec![Piece::Pause(Duration::from_millis(5)), Piece::Bytes(bytes)]
}

/// Waits for a run to end by itself; one that does not is killed, and has no exit code.
fn wait(mut child: Child) -> Finished {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
