//! Nothing that comes from data, models, servers or names of files reaches a terminal as more than text.

use serde_json::{Value, json};

use crate::capture::Capture;
use crate::support::{Finished, Place, jsonl};

/// Red, a title, a reset in C1, a bell, a carriage return, an override of direction, a separator of lines.
const NASTY: &str = "x\u{1b}[31m\u{1b}]0;t\u{7}\u{9b}2J\r\u{202e}\u{2028}y";

fn assert_plain(finished: &Finished, what: &str) {
    for text in [&finished.stdout, &finished.stderr] {
        let hidden = text.chars().find(|letter| {
            let is_layout = matches!(letter, '\n' | '\t');
            (letter.is_control() && !is_layout) || matches!(letter, '\u{2028}'..='\u{202e}')
        });
        assert!(hidden.is_none(), "{what}: {hidden:?} in {text:?}");
    }
}

fn place() -> Place {
    let place = Place::new();
    let row = json!({"id": NASTY, NASTY: NASTY, "messages": [{"role": "user", "content": NASTY},
        {"role": "assistant", "content": NASTY}]});
    let odd = json!({"messages": [{"role": NASTY, "content": NASTY}]});
    place.write(&format!("{NASTY}.jsonl"), jsonl(&[row, odd]));
    place
}

#[test]
fn data_and_names_of_files_are_shown_as_text() {
    let place = place();
    let name = format!("{NASTY}.jsonl");
    let table = format!("[models.m]\nurl = {}\n{} = 1\n", json!(NASTY), json!(NASTY));
    place.write("bad.toml", table);
    for line in [
        &["inspect", &name][..],
        &["inspect", &name, "--json"],
        &["convert", &name, "-o", "out.jsonl", "--skip-invalid"],
        &["convert", &name, "-o", "out.jsonl"],
        &["plan", &name, "--teacher", "simulated", "--skip-invalid"],
        &["plan", &name, "--teacher", "simulated", "--skip-invalid", "--json"],
        &["distill", &name, "--teacher", "simulated", "-o", &format!("{NASTY}.out"), "--skip-invalid", "-v"],
        &["distill", &name, "--teacher", "simulated", "-o", "o2.jsonl", "--progress", "json", "--skip-invalid"],
        &["filter", &name, "-o", "kept.jsonl", "--skip-invalid"],
        &["distill", NASTY, "--teacher", NASTY],
        &["distill", &format!("--{NASTY}")],
        &["distill", &name, "--teacher", "m", "--config", "bad.toml"],
        &["distill", &name, "--teacher", "m", "--config", NASTY],
        &["trust", "bad.toml"],
        &["status"],
        &["status", "--store", NASTY],
        &["verify"],
    ] {
        let finished = place.run(line);
        assert_plain(&finished, &format!("{line:?}"));
        if line.contains(&"--json") && finished.code == Some(0) {
            serde_json::from_str::<Value>(&finished.stdout).unwrap();
        }
        if line.contains(&"json") {
            finished
                .stderr
                .lines()
                .filter(|line| line.starts_with('{'))
                .for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    let shown = place.run(&["inspect", &name]).stdout;
    assert!(shown.contains("x\\u001b[31m"), "{shown}");
}

#[test]
fn a_server_cannot_write_on_the_terminal() {
    for (status, body) in [
        (400, json!({"error": {"message": NASTY, "code": NASTY}})),
        (404, json!({"data": [{"id": NASTY}], "error": {"message": format!("no such model {NASTY}")}})),
        (200, json!({"model": NASTY, "choices": [{"message": {"content": NASTY}, "finish_reason": "stop"}]})),
        (200, json!({"model": NASTY, "choices": [{"message": {"content": NASTY}, "finish_reason": NASTY}]})),
    ] {
        let server = Capture::with(move |_| (status, body.clone()));
        let place = Place::with_conversations(1, 1);
        let model = server.model("m");
        let line = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "-v", "--time-limit", "2s"];
        assert_plain(&place.run(&line), &format!("{status}"));
        for line in [&["status"][..], &["status", "--json"], &["inspect", "out.jsonl"]] {
            assert_plain(&place.run(line), &format!("{status} {line:?}"));
        }
    }
}
