//! A person steers and looks at a shared run, and its secrets stay secret.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::cluster::{Cluster, QUICK};
use super::site::{Site, wait, wait_until};
use crate::support::{Finished, MockServer, conversation, files_below, finish, jsonl};

const PASSWORD: &str = "hunter2secret";

#[test]
fn verbs_reach_all_workers() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 100, 10, 20_000);
    let named = ["--run", "night"];
    let workers = site.start_all(3, &named);
    site.wait_for_requests(60);
    site.complete(&["ctl", "pause"]);
    let mut asked = 0;
    wait_until("the pause", || {
        let before = std::mem::replace(&mut asked, site.server.count("requests"));
        std::thread::sleep(Duration::from_millis(400));
        before == asked && site.server.count("in_flight") == 0
    });
    let seen = site.complete(&["status"]).stdout;
    assert!(seen.contains("run            night: ") && seen.contains("3 workers at work"), "{seen}");
    let seen: Value = serde_json::from_str(&site.complete(&["status", "--json"]).stdout).unwrap();
    assert!(seen.to_string().contains("\"is_live\":true"), "{seen}");
    let refused = site.run(&["status", "--errors"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("hint: name the worker's directory"), "{refused:?}");
    let refused = site.run(&["ctl", "set", "max-cost=3"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("--max-tokens"), "{refused:?}");
    for mistaken in
        ["Postgres://me:hunter2@localhost/x", "postgres:/me:hunter2@localhost/x", "mysql://me:hunter2@localhost/x"]
    {
        let refused = site.place.run(&["status", "--store", mistaken]);
        assert!(refused.code == Some(2) && refused.stderr.contains("is not known"), "{refused:?}");
        assert!(!refused.stderr.contains("hunter2") && !site.place.exists(mistaken), "{refused:?}");
    }
    let watching = site.command(&["status", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let model = site.server.model();
    let planned = site.complete(&["plan", "in.jsonl", "--teacher", &model, "--outbox", "planning"]).stdout;
    assert!(planned.contains(&format!("answered       {asked} turns")), "{asked}: {planned}");
    site.complete(&["verify"]);
    site.complete(&["ctl", "set", "concurrency=2"]);
    site.complete(&["ctl", "resume"]);
    site.wait_for_requests(asked + 60);
    site.server.reset_peak();
    site.wait_for_requests(asked + 120);
    assert!(site.server.count("in_flight_max") <= 6, "three workers with two calls each");
    site.complete(&["ctl", "stop"]);
    for (machine, mut worker) in workers.into_iter().enumerate() {
        let code = wait(&mut worker, "a worker", || site.log(machine));
        assert!(![Some(0), None].contains(&code), "{code:?}: {}", site.log(machine));
    }
    let watched = watching.wait_with_output().unwrap();
    let text = String::from_utf8(watched.stdout).unwrap();
    assert!(watched.status.success() && text.contains("night: ") && text.contains("0 workers at work"), "{text}");
    let partly = ["export", "in.jsonl", "--teacher", &model, "--outbox", "exporting", "-o", "partly.jsonl"];
    let partly = site.run(&partly);
    assert!(partly.code.is_some(), "{partly:?}");
    site.finish_all(site.start_all(3, &named));
    site.check(3, &named, 0);
}

#[test]
fn a_run_of_a_name_is_the_same_for_all() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::with_latency(cluster, (6, 2), 20_000, 0);
    let named = ["--run", "night"];
    site.finish_all(site.start_all(1, &named));
    let rows: Vec<Value> = (0..7).map(|row| conversation(&format!("subject {row}"), 2)).collect();
    site.place.write("more.jsonl", jsonl(&rows));
    let model = site.server.model();
    let requests = site.server.count("requests");
    for (input, more, difference) in [
        ("in.jsonl", &["--temperature", "0.5"][..], "temperature is 0.5 here and server default there"),
        ("more.jsonl", &[], "the rows of the input are others"),
    ] {
        let outbox = format!("other-{}", more.len());
        let arguments = ["distill", input, "--teacher", &model, "-o", "x.jsonl", "--outbox", &outbox, "--run", "night"];
        let refused = site.run(&[&arguments[..], more].concat());
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(difference), "{refused:?}");
    }
    assert_eq!(site.number("SELECT count(*) FROM cohobate_worker WHERE left_at IS NULL"), 0, "who is refused leaves");
    assert_eq!(site.server.count("requests"), requests);
    // Without the name it is another run over the same answers.
    site.complete(&["distill", "more.jsonl", "--teacher", &model, "-o", "more-out.jsonl", "--outbox", "more"]);
    assert_eq!(site.server.count("requests"), requests + 2);
}

#[test]
fn a_password_is_in_nothing_that_is_said_or_stored() {
    let Some(cluster) = Cluster::start(&format!("-c listen_addresses=127.0.0.1 {QUICK}")) else { return };
    let site = Site::with_latency(cluster, (30, 6), 20_000, 60);
    let url = format!("postgres://worker:{PASSWORD}@127.0.0.1:{}/postgres", site.cluster.port());
    let model = site.server.model();
    let run = |arguments: &[&str]| {
        let mut command = site.place.command(&[arguments, &["--store", &url]].concat());
        let finished = finish(&mut command);
        assert!(!format!("{finished:?}").contains(PASSWORD), "{finished:?}");
        finished
    };
    let distill = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--outbox", "box"];
    assert_eq!(run(&["store", "init"]).code, Some(0));
    let mut command = site.place.command(&[&distill[..], &["--store", &url, "--on-end", "tee end.json"]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    site.wait_for_requests(20);
    for arguments in [&["status"][..], &["status", "--json"], &["ctl", "pause"], &["ctl", "resume"], &["verify"]] {
        assert_eq!(run(arguments).code, Some(0), "{arguments:?}");
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && !format!("{output:?}").contains(PASSWORD), "{output:?}");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(PASSWORD), "{said}");
    site.cluster.stop("immediate");
    for arguments in [&["status"][..], &distill] {
        let unreached = run(arguments);
        assert!(unreached.code != Some(0) && unreached.stderr.contains("hint: "), "{unreached:?}");
    }
    let mut looked = 0;
    for path in files_below(&site.place.path("")) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{}", path.display());
        looked += 1;
    }
    assert!(looked > 5, "{looked} files");
}

#[test]
fn a_run_in_the_background_is_at_work_and_shows_no_password() {
    if !std::path::Path::new("/proc/self/cmdline").exists() {
        println!("skipped: the command lines of processes are not in /proc here");
        return;
    }
    let Some(cluster) = Cluster::start(&format!("-c listen_addresses=127.0.0.1 {QUICK}")) else { return };
    let site = Site::with_latency(cluster, (40, 10), 20_000, 400);
    let password = format!("{PASSWORD}{}", std::process::id());
    let url = format!("postgres://worker:{password}@127.0.0.1:{}/postgres", site.cluster.port());
    let model = site.server.model();
    let distill = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--outbox", "box", "--detach"];
    let started = site.place.run(&[&distill[..], &["--concurrency", "4", "--store", &url]].concat());
    assert_eq!(started.code, Some(0), "{started:?}");
    assert!(started.stdout.contains("started in the background"), "{started:?}");
    // It is told once the run is at work, not when it is over.
    assert!(site.server.count("requests") < site.questions, "{started:?}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    let shown = |path: &std::path::PathBuf| {
        std::fs::read(path).is_ok_and(|line| line.windows(password.len()).any(|part| part == password.as_bytes()))
    };
    assert_eq!(processes.filter(shown).count(), 0);
    let hint = format!("cohobate ctl stop --store postgres://worker@127.0.0.1:{}/postgres", site.cluster.port());
    assert!(started.stdout.contains(&hint), "{started:?}");
    site.complete(&["ctl", "stop"]);
    let live = "SELECT count(*) FROM cohobate_worker WHERE left_at IS NULL";
    wait_until("the worker to leave", || site.number(live) == 0);
}

#[test]
fn conversations_are_counted_by_reason_as_in_a_directory() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let mut site = Site::with_latency(cluster, (60, 4), 20_000, 0);
    site.server = MockServer::start(&["--fault", "400:0.1", "--fault", "filter:0.1", "--fault-by", "question"]);
    let model = site.server.model();
    let alone = ["distill", "in.jsonl", "--teacher", &model, "-o", "alone.jsonl", "--store", "alone"];
    let code = site.place.run(&alone).code;
    let mut workers = site.start_all(2, &[]);
    let codes = [0, 1].map(|machine| wait(&mut workers[machine], "a worker", || site.log(machine)));
    let logs = [0, 1].map(|machine| site.log(machine));
    // Who writes says what is missing, whoever asked; the other one names who writes.
    let writer = codes.iter().position(|other| *other == code).unwrap_or_else(|| panic!("{codes:?}: {logs:?}"));
    assert!(codes[1 - writer] == Some(0) && logs[1 - writer].contains(&format!("out-{writer}.jsonl")), "{logs:?}");
    assert_eq!(listed(&site, &format!("out-{writer}.jsonl")), listed(&site, "alone.jsonl"), "{}", logs[writer]);
    let seen = |finished: Finished| -> Value { serde_json::from_str(&finished.stdout).unwrap() };
    let (directory, database) = (
        seen(site.place.complete(&["status", "--json", "--store", "alone"])),
        seen(site.complete(&["status", "--json"])),
    );
    let counts = |status: &Value| -> BTreeMap<String, u64> {
        let reasons = status["reasons"].as_object().unwrap();
        reasons.iter().map(|(reason, count)| (reason.clone(), count["conversations"].as_u64().unwrap())).collect()
    };
    assert!(counts(&directory).len() > 1, "{directory}");
    assert_eq!(counts(&database), counts(&directory));
    assert_eq!(database["conversations"], directory["conversations"]);
    assert!(directory["turns"].is_u64() && database["turns"].is_null());
    let text = site.complete(&["status"]).stdout;
    let complete = database["conversations"]["complete"].as_u64().unwrap();
    assert!(
        text.contains(&format!("conversations  {complete} complete, 0 open, {} stopped or failed\n", 60 - complete))
    );
}

/// What is listed beside an output, without what depends on the moment.
fn listed(site: &Site, output: &str) -> Vec<String> {
    let rows = site.place.rows(&format!("{output}.incomplete.jsonl"));
    rows.iter().map(|row| format!("{} {}", row["id"], row["reason"])).collect()
}
