//! `cohobate ctl` against runs of the real program: every verb, who may speak, and what is left behind.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cohobate::job::{Context, DistillSettings, InputSettings, JobEvent, ModelChoice, RunControl, Verb, distill};
use cohobate::model::Simulated;
use serde_json::{Value, json};

use crate::support::{Finished, MockServer, Place, conversation, finish, rows};

/// A run of the program that is at work.
struct Run<'a> {
    place: &'a Place,
    store: String,
    child: Child,
}

impl<'a> Run<'a> {
    /// Distils `in.jsonl`, and returns once the server has had a few requests.
    fn start(place: &'a Place, server: &MockServer, options: &[&str]) -> Self {
        let model = server.model();
        let arguments = [&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"], options].concat();
        let mut command = place.command(&arguments);
        command.env("XDG_RUNTIME_DIR", runtime(place)).stdin(Stdio::null()).stdout(Stdio::null());
        let before = server.count("requests");
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let store = options.iter().position(|option| *option == "--store").map(|at| options[at + 1]);
        let run = Self { place, store: store.unwrap_or(".cohobate").to_owned(), child };
        until(|| server.count("requests") > before + 8);
        run
    }

    /// Says something to the run.
    fn ctl(&self, words: &[&str]) -> Finished {
        ctl(self.place, &[words, &["--store", &self.store]].concat())
    }

    /// Says something that must work, and returns what was printed.
    fn told(&self, words: &[&str]) -> String {
        let finished = self.ctl(words);
        assert_eq!(finished.code, Some(0), "{words:?}: {}", finished.stderr);
        finished.stdout
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.told(&["status", "--json"])).unwrap()
    }

    /// Pauses the run, and waits until no call is in flight.
    fn pause(&self) {
        assert!(self.told(&["pause"]).starts_with("paused"));
        until(|| self.status()["run"]["calls"]["in_flight"] == 0);
    }

    fn end(self) -> Finished {
        let output = self.child.wait_with_output().unwrap();
        Finished {
            code: output.status.code(),
            stdout: String::new(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn ctl(place: &Place, words: &[&str]) -> Finished {
    finish(place.command(&[&["ctl"], words].concat()).env("XDG_RUNTIME_DIR", runtime(place)))
}

fn runtime(place: &Place) -> PathBuf {
    let runtime = place.path("runtime");
    fs::create_dir_all(&runtime).unwrap();
    runtime
}

/// Waits for something that will be so; the test runner ends a test that hangs.
fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_is_paused_limited_resumed_stopped_and_finished_later_without_a_second_payment() {
    let (place, server) = (Place::with_conversations(60, 4), MockServer::start(&["--latency", "30"]));
    let run = Run::start(&place, &server, &["--concurrency", "8"]);
    run.pause();
    let status = run.status();
    assert_eq!(status["phase"], "paused");
    assert!(status["run"]["conversations"]["open"].as_u64().unwrap() >= 8, "{status:#}");
    let requests = server.count("requests");
    assert_eq!(status["run"]["calls"]["sent"], requests, "the server has had what was sent, and nothing else");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.count("requests"), requests, "a paused run asks nothing");
    assert!(run.told(&["status"]).contains("0 in flight of 8 allowed"), "{}", run.told(&["status"]));

    run.told(&["set", "concurrency=3"]);
    server.reset_peak();
    assert_eq!(run.told(&["resume"]), "resumed\n");
    until(|| server.count("requests") > requests + 30);
    assert_eq!(server.count("in_flight_max"), 3, "a limit holds from its reply on");
    assert!(run.told(&["retry-failed"]).contains("no conversation has failed"));

    assert!(run.told(&["stop"]).starts_with("stopping; "));
    let finished = run.end();
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
    for line in ["ctl: pause", "ctl: set concurrency=3", "ctl: resume", "ctl: retry-failed", "ctl: stop"] {
        assert!(finished.stderr.contains(line), "{line}: {}", finished.stderr);
    }
    assert!(finished.stderr.contains("run the same command again to resume"), "{}", finished.stderr);

    server.reset_peak();
    let finished = Run::start(&place, &server, &["--concurrency", "8"]).end();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("concurrency is 3, as `cohobate ctl set` has set it"), "{}", finished.stderr);
    assert_eq!(server.count("in_flight_max"), 3, "a lowered limit holds for later runs");
    assert_eq!(server.count("requests"), 240, "nothing was asked twice");
}

#[test]
fn a_lowered_cap_holds_for_later_runs_until_it_is_set_again() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    // A call costs 20 cents at most, and some two thirds of a cent.
    place.write("cohobate.toml", "[models.sim]\nprice = { input = 0.0, output = 100.0 }\n");
    let options = ["--concurrency", "4", "--max-tokens", "2000"];
    let run = Run::start(&place, &server, &options);
    run.told(&["set", "max-cost=0.5"]);
    let finished = run.end();
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
    assert!(finished.stderr.contains("--max-cost is reached"), "{}", finished.stderr);
    let requests = server.count("requests");
    assert!(requests < 160, "{requests} requests");
    let model = server.model();
    let again = [&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"], &options[..]].concat();
    for more in [&[][..], &["--max-cost", "1000"]] {
        let finished = place.run(&[&again, more].concat());
        assert_eq!(finished.code, Some(75), "{}", finished.stderr);
        assert!(finished.stderr.contains("max-cost is $0.50, as `cohobate ctl set`"), "{}", finished.stderr);
    }
    assert_eq!(server.count("requests"), requests, "the requeued command spends nothing");
    let kept = ctl(&place, &["set", "max-cost=none"]);
    assert!(kept.stdout.contains("kept for later runs"), "{kept:?}");
    assert_eq!(place.run(&again).code, Some(0));
    assert_eq!(server.count("requests"), 160);
}

#[test]
fn a_cap_that_could_not_be_kept_is_refused() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    let run = Run::start(&place, &server, &["--concurrency", "4"]);
    // However slow this machine is, the run lasts until everything was said.
    run.pause();
    for (words, reason) in [
        (&["set", "max-cost=8"][..], "need --max-tokens"),
        (&["set", "concurrency=4000000"], "this system lets the run have"),
        (&["set", "concurrency=0"], "concurrency is `0`"),
        (&["set", "speed=9"], "there is no limit `speed`"),
        (&["drain", "nowhere:1"], "no server of this run is called `nowhere:1`"),
        (&["drain", &server.address], "is the last server of `sim`"),
        (&["add-replica", &server.address], "names no model of this run"),
        (&["add-replica", &format!("http://{}", server.address)], "is a server of `sim` already"),
        (&["add-replica", "other@http://127.0.0.1:9"], "names no model of this run"),
        (&["add-replica", "http://user:secret@127.0.0.1:9/v1"], "user name or password"),
    ] {
        let finished = run.ctl(words);
        assert_eq!(finished.code, Some(2), "{words:?}: {finished:?}");
        assert!(finished.stderr.contains(reason) && finished.stderr.contains("hint: "), "{words:?}: {finished:?}");
        assert!(!finished.stderr.contains("secret"), "{finished:?}");
    }
    run.told(&["resume"]);
    let finished = run.end();
    assert_eq!(finished.code, Some(0));
    assert!(finished.stderr.contains("refused: "), "{}", finished.stderr);
    assert!(!finished.stderr.contains("secret"), "{}", finished.stderr);
}

#[test]
fn a_server_is_added_and_the_first_one_emptied() {
    let place = Place::with_conversations(60, 4);
    let servers = [(); 2].map(|()| MockServer::start(&["--latency", "30"]));
    let run = Run::start(&place, &servers[0], &["--concurrency", "6"]);
    let told = run.told(&["add-replica", &format!("http://{}", servers[1].address)]);
    assert!(told.contains("is a server of `sim` now"), "{told}");
    until(|| servers[1].count("requests") > 8);
    let told = run.told(&["drain", &servers[0].address, "--wait"]);
    assert!(told.contains("has no call in flight"), "{told}");
    let requests = servers[0].count("requests");
    let status = run.status();
    let replicas = status["run"]["models"][0]["replicas"].as_array().unwrap();
    let conditions: Vec<&str> = replicas.iter().map(|replica| replica["condition"].as_str().unwrap()).collect();
    assert_eq!(conditions, ["drained", "up"], "{status:#}");
    assert_eq!(run.end().code, Some(0));
    assert_eq!(servers[0].count("requests"), requests, "a drained server is asked nothing");
    // One of them is the probe that the new server has to answer first.
    assert_eq!(requests + servers[1].count("requests"), 241);
}

#[test]
fn an_added_server_obeys_the_rules_of_keys() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    let profile = format!("[models.sim]\nurl = \"http://{}\"\nkey-env = \"SIM_KEY\"\n", server.address);
    place.write("mine.toml", profile);
    let arguments = ["distill", "in.jsonl", "--teacher", "sim", "--config", "mine.toml", "--concurrency", "4"];
    let mut command = place.command(&arguments);
    let child = command.env("SIM_KEY", "sk-own").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let run = Run { place: &place, store: ".cohobate".to_owned(), child };
    until(|| server.count("requests") > 8);
    for url in ["http://127.0.0.1:9/v1", "https://gpu.example.com/v1"] {
        let finished = run.ctl(&["add-replica", url]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("is another server"), "a profile's key is for its own servers: {finished:?}");
    }
    run.told(&["stop"]);
    assert_eq!(run.end().code, Some(75));
}

#[test]
fn the_socket_is_for_its_user_alone_and_goes_with_the_run() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    let run = Run::start(&place, &server, &["--concurrency", "4"]);
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".cohobate/control.sock"), 0o600);
    let file: Value = serde_json::from_str(&place.read(".cohobate/control.json")).unwrap();
    assert!(file["process"].as_str().unwrap().contains(" on host "), "{file}");
    assert!(file["socket"].as_str().unwrap().starts_with('/'), "{file}");
    // Another user of the store is turned away, and the run can be steered as before.
    let second = place.run(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "second.jsonl"]);
    assert_eq!(second.code, Some(75), "{}", second.stderr);
    run.told(&["stop"]);
    assert_eq!(run.end().code, Some(75));
    for name in ["control.sock", "control.json"] {
        assert!(!place.exists(&format!(".cohobate/{name}")), "{name}");
    }
    let finished = ctl(&place, &["status"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("no run is at work on .cohobate"), "{}", finished.stderr);
    let finished = ctl(&place, &["status", "--store", "nowhere"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
}

#[test]
fn the_socket_of_a_killed_run_is_replaced() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    let mut run = Run::start(&place, &server, &["--concurrency", "4"]);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    assert!(place.exists(".cohobate/control.sock"));
    let finished = ctl(&place, &["pause"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("no run is at work"), "{}", finished.stderr);
    let run = Run::start(&place, &server, &["--concurrency", "4"]);
    assert_eq!(run.status()["phase"], "running");
    run.told(&["stop", "--now"]);
    assert_eq!(run.end().code, Some(75));
}

#[test]
fn a_store_with_a_long_path_has_its_socket_in_the_runtime_directory() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    let store = format!("{}/{}", "long".repeat(30), "path".repeat(30));
    let run = Run::start(&place, &server, &["--concurrency", "4", "--store", &store]);
    assert!(!place.exists(&format!("{store}/control.sock")));
    let directories: Vec<PathBuf> = fs::read_dir(runtime(&place)).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [directory] = &directories[..] else { panic!("{directories:?}") };
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(directory), mode(&directory.join("control.sock"))), (0o700, 0o600));
    assert_eq!(run.status()["phase"], "running");
    run.told(&["stop"]);
    assert_eq!(run.end().code, Some(75));
    assert_eq!(fs::read_dir(runtime(&place)).unwrap().count(), 0);
}

#[test]
fn a_run_on_another_host_is_named() {
    let (place, server) = (Place::with_conversations(40, 4), MockServer::start(&["--latency", "20"]));
    let mut run = Run::start(&place, &server, &["--concurrency", "4"]);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    let mut file: Value = serde_json::from_str(&place.read(".cohobate/control.json")).unwrap();
    file["process"] = json!("77 on host node9");
    file["owner"] = json!("77 node9 another-boot -");
    place.write(".cohobate/control.json", file.to_string());
    let finished = ctl(&place, &["pause"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("is process 77 on host node9"), "{}", finished.stderr);
    place.write(".cohobate/control.json", "{\"half\": ");
    assert!(ctl(&place, &["pause"]).stderr.contains("no run is at work"));
}

/// Sends a line, and returns the reply.
fn exchange(stream: &mut BufReader<UnixStream>, line: &str) -> Value {
    stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_line(&mut reply).unwrap();
    serde_json::from_str(&reply).unwrap()
}

#[test]
fn clients_that_send_anything_or_nothing_do_not_concern_the_run() {
    let (place, server) = (Place::with_conversations(60, 4), MockServer::start(&["--latency", "20"]));
    let run = Run::start(&place, &server, &["--concurrency", "4"]);
    let connect = || UnixStream::connect(place.path(".cohobate/control.sock")).unwrap();
    let mut client = BufReader::new(connect());
    for garbage in ["", "GET / HTTP/1.1", "[]", "{\"verb\": \"fly\"}", "{\"verb\": \"pause\", \"loudly\": 1}", "null"] {
        let reply = exchange(&mut client, garbage);
        assert_eq!((&reply["ok"], reply["error"].is_string()), (&json!(false), true), "{garbage}: {reply}");
    }
    client.get_mut().write_all(b"\xff\xfe\n").unwrap();
    let mut reply = String::new();
    client.read_line(&mut reply).unwrap();
    assert!(reply.contains("no UTF-8"), "{reply}");
    assert_eq!(exchange(&mut client, "{\"verb\": \"status\"}")["status"]["phase"], "running");
    // A line without an end is cut off.
    let mut endless = connect();
    let _ = endless.write_all("x".repeat(1 << 20).as_bytes());
    let mut rest = String::new();
    let _ = endless.read_to_string(&mut rest);
    assert!(rest.is_empty() || rest.contains("more than 16384 bytes"), "{rest}");
    drop(client);
    // Followers that never read, until there is room for no other.
    let mut silent = Vec::new();
    loop {
        let mut stream = BufReader::new(connect());
        let reply = exchange(&mut stream, "{\"verb\": \"tail\"}");
        silent.push(stream);
        if reply["ok"] == false {
            assert_eq!(reply["error"], "there are too many clients");
            break;
        }
    }
    assert!(silent.len() <= 17, "{} clients", silent.len());
    let finished = run.end();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(server.count("requests"), 240);
}

#[test]
fn tail_prints_every_event_until_the_run_ends() {
    let (place, server) = (Place::with_conversations(30, 4), MockServer::start(&["--latency", "20"]));
    let run = Run::start(&place, &server, &["--concurrency", "4"]);
    run.pause();
    let mut tail = place.command(&["ctl", "tail"]);
    let tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Until it follows.
    std::thread::sleep(Duration::from_secs(1));
    let requests = server.count("requests");
    run.told(&["resume"]);
    assert_eq!(run.end().code, Some(0));
    let output = tail.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<Value> = rows(&String::from_utf8(output.stdout).unwrap());
    assert!(events.iter().all(|event| event["event"].is_string() && event["time"].is_string()), "{events:?}");
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count() as u64;
    assert_eq!(events[0]["text"], "ctl: resume");
    assert_eq!((count("answered"), count("ended")), (120 - requests, 1));
}

#[test]
fn a_caller_of_the_library_steers_through_the_same_handle() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = Place::new();
        let rows = (0..20).map(|row| conversation(&format!("kites {row}"), 3)).collect::<Vec<_>>();
        let (store, output) = (place.path("store"), place.path("out.jsonl"));
        let teacher = ModelChoice::local("simulated", Arc::new(Simulated));
        let settings =
            DistillSettings::new(InputSettings::rows(rows), teacher, &store, output.to_str().unwrap().to_owned());
        let context = Context::new(Arc::new(|_: &JobEvent| {}));
        let control: RunControl = context.control.clone();
        // Before the job has begun.
        let reply = control.apply(&Verb::Pause).await.unwrap();
        assert_eq!(reply.status["phase"], "preparing");
        let mut events = control.follow();
        let job = tokio::spawn(async move { distill(&settings, &context).await });
        while control.status().await["phase"] != "paused" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(control.look().await.unwrap().sent, 0);
        assert!(!store.join("control.sock").exists(), "a socket is for programs that want one");
        let metrics = control.metrics().await;
        assert!(metrics.contains("\ncohobate_paused 1\n") && metrics.contains("\ncohobate_answers 60\n"), "{metrics}");
        control.apply(&Verb::Resume).await.unwrap();
        let report = job.await.unwrap().unwrap();
        assert_eq!(report.tally.answered, 60);
        assert_eq!(control.status().await["phase"], "finishing");
        let first: Value = serde_json::from_str(&events.recv().await.unwrap()).unwrap();
        assert!(first["event"].is_string());
    });
}
