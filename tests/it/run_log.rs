//! The run log of a store tells of every command that asked, how it ended and which calls failed; it decides nothing.

use std::fs;
use std::os::unix::fs::symlink;

use cohobate::job::{EndKind, LogEvent, LogLine, LoggedRun, RunHistory, RunState};
use serde_json::{Value, json};

use crate::capture::{Capture, answer, refused};
use crate::support::{MockServer, Place, conversation, files_below, finish, jsonl};

const SIMULATED: [&str; 6] = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"];
const FAILED_CALLS_MAX: usize = 1_000;

fn history(place: &Place) -> RunHistory {
    RunHistory::read(&place.path(".cohobate"), FAILED_CALLS_MAX)
}

fn last_run(place: &Place) -> LoggedRun {
    history(place).runs.pop().unwrap()
}

fn end_of(run: &LoggedRun) -> (EndKind, Option<u8>, &str) {
    let RunState::Ended { end, .. } = &run.state else { panic!("{:?}", run.state) };
    (end.how, end.exit_code, &end.reason)
}

fn status(place: &Place, arguments: &[&str]) -> String {
    place.complete(&[&["status"][..], arguments].concat()).stdout
}

#[test]
fn a_run_is_told_from_its_options_and_inputs_to_its_exit_code() {
    let place = Place::with_conversations(5, 3);
    place.write("cohobate.toml", "temperature = 0.5\n");
    place.complete(&[&SIMULATED[..], &["--max-tokens", "500"]].concat());
    let run = last_run(&place);
    assert_eq!((run.run, run.begin.command.as_str(), run.store_runs.as_slice()), (1, "distill", &[1][..]));
    assert_eq!(run.begin.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(run.begin.directory, place.path("").canonicalize().unwrap().to_str().unwrap());
    for (name, value) in [
        ("input", Value::from("in.jsonl")),
        ("teacher", "simulated".into()),
        ("output", "out.jsonl".into()),
        ("temperature", 0.5.into()),
        ("max-tokens", 500.into()),
    ] {
        assert_eq!(run.begin.options[name], value, "{name}");
    }
    assert_eq!(end_of(&run), (EndKind::Finished, Some(0), "all is asked"));
    assert_eq!((run.progress.done, run.progress.turns, run.progress.answers), (15, 15, 15));
    let [input] = &run.inputs[..] else { panic!("{:?}", run.inputs) };
    assert_eq!(input.path.as_deref(), place.path("in.jsonl").canonicalize().unwrap().to_str());
    let hash = input.blake3.clone().unwrap();
    assert_eq!(hash, cohobate_hash(&place.read("in.jsonl")));

    place.complete(&SIMULATED);
    let again = last_run(&place);
    assert_eq!((again.run, again.progress.answers, again.inputs[0].blake3.as_ref()), (2, 15, Some(&hash)));
    let shown = status(&place, &[]);
    assert!(shown.contains("distill: finished at "), "{shown}");
    assert!(shown.contains("exit code 0: all is asked; 100 %, 15 of 15 answered, 15 new"), "{shown}");
    let json: Value = serde_json::from_str(&status(&place, &["--json"])).unwrap();
    assert_eq!((&json["log"][1]["state"], &json["log"][1]["end"]["exit_code"]), (&"finished".into(), &0.into()));
}

fn cohobate_hash(text: &str) -> String {
    let mut hasher = cohobate::conversation::ContentHasher::default();
    hasher.update(text.as_bytes());
    hasher.finish().to_string()
}

#[test]
fn every_command_that_asks_has_its_line_and_those_that_do_not_have_none() {
    let place = Place::with_conversations(3, 2);
    place.complete(&SIMULATED);
    place.complete(&["evaluate", "out.jsonl", "--judge", "simulated"]);
    place.complete(&[
        "compare",
        "in.jsonl",
        "--system",
        "a=simulated",
        "--system",
        "b=out.jsonl",
        "--judge",
        "simulated",
    ]);
    place.complete(&["simulate", "in.jsonl", "--teacher", "simulated", "--user", "simulated", "--turns", "3"]);
    place.run(&["tutor", "in.jsonl", "--student", "simulated", "--teacher", "simulated"]);
    place.complete(&["export", "in.jsonl", "--teacher", "simulated", "-o", "again.jsonl"]);
    place.complete(&["plan", "in.jsonl", "--teacher", "simulated"]);
    place.complete(&["verify"]);
    let runs = history(&place).runs;
    let commands: Vec<&str> = runs.iter().map(|run| run.begin.command.as_str()).collect();
    assert_eq!(commands, ["distill", "evaluate", "compare", "simulate", "tutor"]);
    assert!(runs.iter().all(|run| matches!(run.state, RunState::Ended { .. })), "{runs:#?}");
}

#[test]
fn a_run_that_fails_before_it_asks_says_why() {
    let place = Place::new();
    place.write("in.jsonl", "{\"messages\": []}\n");
    place.write("not.jsonl", "");
    let finished = place.run(&["distill", "nowhere.jsonl", "--teacher", "simulated"]);
    let run = last_run(&place);
    let (how, code, reason) = end_of(&run);
    assert_eq!((how, code), (EndKind::Failed, finished.code.map(|code| code as u8)));
    assert!(finished.stderr.contains(reason) && reason.contains("nowhere.jsonl"), "{reason}");
}

#[test]
fn a_run_that_was_killed_is_shown_so_and_the_next_one_writes_its_end() {
    let (place, server) = (Place::with_conversations(20, 5), MockServer::start(&["--latency", "30"]));
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "4"];
    assert!(place.kill_at(&arguments, &server, 20));
    // Progress is written every two seconds, which this run did not live.
    let progress = json!({"v": 1, "time": "2026-01-02T03:04:05.678Z", "run": 1, "event": "progress", "turns": 100, "done": 40,
        "answers": 41, "calls": 45, "failed_calls": 0, "cost": 0.0, "answers_per_s": 1.0});
    std::fs::write(place.path(".cohobate/runs/progress.jsonl"), format!("{progress}\n")).unwrap();
    let killed = last_run(&place);
    assert_eq!((killed.progress.done, killed.progress.answers), (40, 41));
    assert_eq!(killed.state, RunState::Killed);
    let shown = status(&place, &[]);
    assert!(shown.contains("distill: killed, its last record is of "), "{shown}");
    let watched = status(&place, &["--watch"]);
    assert!(watched.contains("killed, its last record"), "{watched}");

    place.complete(&arguments);
    let runs = history(&place).runs;
    let (how, code, reason) = end_of(&runs[0]);
    assert_eq!((how, code, runs[0].last), (EndKind::Killed, None, killed.last));
    assert_eq!(runs[0].progress, killed.progress, "the next run knows no better");
    assert!(reason.contains(&killed.last.to_string()), "{reason}");
    assert_eq!(end_of(&runs[1]), (EndKind::Finished, Some(0), "all is asked"));
}

#[test]
fn a_run_at_work_is_shown_as_running_and_watched_until_its_end() {
    let (place, server) = (Place::with_conversations(10, 6), MockServer::start(&["--latency", "60"]));
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency", "4"];
    let mut child = place.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
    while server.count("requests") < 8 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(last_run(&place).state, RunState::Running);
    let watched = status(&place, &["--watch", "--json"]);
    assert!(child.wait().unwrap().success());
    let states: Vec<Value> =
        watched.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["run"]["state"].clone()).collect();
    assert_eq!((states.first(), states.last()), (Some(&"running".into()), Some(&"finished".into())), "{watched}");
}

#[test]
fn failed_calls_have_time_address_and_message_and_no_secret() {
    const KEY: &str = "sk-test-3f9a1c77e0b24d55";
    let place = Place::with_conversations(4, 2);
    let server = Capture::with(|request| {
        if request.body()["messages"].to_string().contains("kites 1") {
            refused(503, &format!("no \u{9b}31m room for {KEY} at http://me:hunter2@host/x"))
        } else {
            answer(&request.body())
        }
    });
    let model = server.model("sim");
    let body = format!("--body={{\"token\": \"{KEY}\"}}");
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--time-limit", "2s", &body];
    let finished = finish(place.command(&arguments).env("COHOBATE_API_KEY", KEY));
    let history = history(&place);
    let failed = history.failed_calls.back().unwrap_or_else(|| panic!("{}", finished.stderr));
    assert_eq!((failed.model.as_str(), failed.code.contains("503")), ("sim", true), "{failed:?}");
    assert!(failed.address.as_deref().unwrap().contains(&server.address), "{failed:?}");
    assert!(failed.message.contains("room for *** at http://***@host/x"), "{failed:?}");
    let run = history.runs.last().unwrap();
    assert_eq!(run.begin.altered, ["body"]);
    assert_eq!(end_of(run).1, finished.code.map(|code| code as u8));
    for path in files_below(&place.path(".cohobate/runs")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(KEY) && !text.contains("hunter2"), "{}: {text}", path.display());
        assert!(!text.contains('\u{9b}'), "{}", path.display());
    }
    let listed = status(&place, &["--errors"]);
    assert!(listed.contains(&server.address) && listed.contains("503") && !listed.contains('\u{9b}'), "{listed}");
    let json: Value = serde_json::from_str(&status(&place, &["--errors", "--json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), history.failed_calls.len());
}

#[test]
fn a_log_that_cannot_be_written_changes_neither_output_nor_exit_code() {
    let calm = Place::with_conversations(6, 3);
    let expected = calm.complete(&SIMULATED);
    let break_log: [fn(&Place); 4] = [
        |place| place.write(".cohobate/runs", "no directory"),
        |place| {
            fs::create_dir_all(place.path(".cohobate/runs")).unwrap();
            for name in ["runs.jsonl", "calls.jsonl", "progress.jsonl", "lock"] {
                symlink("/dev/full", place.path(".cohobate/runs").join(name)).unwrap();
            }
        },
        |place| fs::create_dir_all(place.path(".cohobate/runs/runs.jsonl/x")).unwrap(),
        |place| place.write(".cohobate/runs/runs.jsonl", [0xff; 5_000]),
    ];
    for broken in break_log {
        let place = Place::with_conversations(6, 3);
        fs::create_dir_all(place.path(".cohobate")).unwrap();
        broken(&place);
        let finished = place.run(&SIMULATED);
        assert_eq!((finished.code, finished.stdout), (expected.code, expected.stdout.clone()), "{}", finished.stderr);
        assert_eq!(place.read("out.jsonl"), calm.read("out.jsonl"));
        let shown = status(&place, &[]);
        assert!(shown.contains("18 turns"), "{shown}");
    }
}

#[test]
fn without_index_and_with_half_a_line_the_log_is_read_as_far_as_it_goes() {
    let place = Place::with_conversations(3, 2);
    place.complete(&SIMULATED);
    let path = place.path(".cohobate/runs/runs.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let torn = format!("{text}{{\"v\":1,\"time\":\"2026-");
    fs::write(&path, &torn).unwrap();
    fs::remove_dir_all(place.path(".cohobate/index")).unwrap();
    assert_eq!((history(&place).runs.len(), history(&place).unreadable), (1, 0));
    place.complete(&SIMULATED);
    let history = history(&place);
    assert_eq!((history.runs.len(), history.unreadable), (2, 1), "the torn line is ended and left where it is");
    // A log that is gone is no reason to stop, and numbers go on after those of the store.
    fs::remove_dir_all(place.path(".cohobate/runs")).unwrap();
    assert!(!status(&place, &[]).contains("log  "));
    place.complete(&SIMULATED);
    assert_eq!(last_run(&place).run, 3);
}

#[test]
fn a_line_of_a_later_version_is_passed_over() {
    let place = Place::with_conversations(2, 1);
    place.complete(&SIMULATED);
    let path = place.path(".cohobate/runs/runs.jsonl");
    let later = "{\"v\":2,\"time\":\"2030-01-01T00:00:00.000Z\",\"run\":9,\"event\":\"teleported\"}\n";
    fs::write(&path, fs::read_to_string(&path).unwrap() + later).unwrap();
    assert_eq!((history(&place).runs.len(), history(&place).unreadable), (1, 1));
    let line = fs::read_to_string(&path).unwrap();
    let begin: LogLine = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((begin.v, begin.run, matches!(begin.event, LogEvent::Begin(_))), (1, 1, true));
}

#[test]
fn a_night_of_failures_stays_within_its_bounds_and_keeps_the_runs() {
    let place = Place::with_conversations(2, 1);
    place.complete(&SIMULATED);
    let calls = place.path(".cohobate/runs/calls.jsonl");
    let line = format!(
        "{{\"v\":1,\"time\":\"2026-01-01T00:00:00.000Z\",\"run\":1,\"event\":\"failed_call\",\"model\":\"m\",\"address\":null,\
         \"code\":\"timeout\",\"message\":\"{}\",\"retry_after_ms\":1}}\n",
        "x".repeat(400)
    );
    fs::write(&calls, line.repeat((2 << 20) / line.len())).unwrap();
    let server = Capture::with(|_| refused(503, "busy"));
    let model = server.model("sim");
    place.run(&["distill", "in.jsonl", "--teacher", &model, "-o", "other.jsonl", "--time-limit", "1s"]);
    assert!(place.exists(".cohobate/runs/calls.jsonl.1"), "{:?}", files_below(&place.path(".cohobate/runs")));
    let history = history(&place);
    assert_eq!((history.runs.len(), history.failed_calls.len()), (2, FAILED_CALLS_MAX));
    assert_eq!(history.failed_calls.back().unwrap().model, "sim");
}

#[test]
fn a_row_that_is_invalid_before_the_first_call_and_an_interruption_have_their_end() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]) + "{not json\n");
    let finished = place.run(&SIMULATED);
    assert_eq!((finished.code, end_of(&last_run(&place)).1), (Some(3), Some(3)), "{}", finished.stderr);
}
