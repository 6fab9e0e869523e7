//! A `cohobate.toml` that was merely found is untrusted; a key goes to the servers that it is for.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::{Finished, Place, conversation, finish, jsonl};

/// A server that answers every request and keeps the heads of all. As a proxy it sees requests to any host.
struct Recorder {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.ends_with(b"}") {
                    match stream.read(&mut buffer) {
                        Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
                        _ => break,
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                kept.lock().unwrap().push(text.split("\r\n\r\n").next().unwrap().to_owned());
                let message = json!({"role": "assistant", "content": "Yes."});
                let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        Self { address, heads }
    }

    /// Takes the requests so far: the host, and the key that it got.
    fn keys(&self) -> Vec<(String, Option<String>)> {
        let heads = std::mem::take(&mut *self.heads.lock().unwrap());
        let value = |head: &str, name: &str| head.lines().find_map(|line| Some(line.strip_prefix(name)?.to_owned()));
        heads.iter().map(|head| (value(head, "host: ").unwrap(), value(head, "authorization: Bearer "))).collect()
    }
}

/// A place with a dataset of one turn.
fn place() -> Place {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    place
}

/// Runs a distillation with three keys in the environment. Every host is reached through the recorder.
fn distill(place: &Place, recorder: &Recorder, more: &[&str]) -> Finished {
    let _ = std::fs::remove_dir_all(place.path(".cohobate"));
    let mut command = place.command(&[&["distill", "in.jsonl", "-o", "out.jsonl"], more].concat());
    command.env("COHOBATE_API_KEY", "own").env("OPENAI_API_KEY", "openai").env("GROQ_API_KEY", "groq");
    command.env("SECRET", "secret").env("HTTP_PROXY", format!("http://{}", recorder.address)).env_remove("NO_PROXY");
    finish(command.env_remove("no_proxy").env_remove("http_proxy"))
}

#[test]
fn each_server_gets_its_own_key_and_no_other() {
    let (place, recorder) = (place(), Recorder::start());
    place.write("open.toml", "[models.m]\nallow-http-key = true\n");
    for (host, key) in [
        ("api.openai.com", Some("openai")),
        ("api.groq.com", Some("groq")),
        // Its own variable is not set.
        ("api.mistral.ai", Some("own")),
        ("api.openai.com.example.org", Some("own")),
        ("gpu.example.com", Some("own")),
        ("127.0.0.1:9", Some("own")),
    ] {
        let teacher = format!("--teacher=m@http://{host}/v1");
        let finished = distill(&place, &recorder, &[&teacher, "--config=open.toml"]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_eq!(recorder.keys(), [(host.to_owned(), key.map(str::to_owned))]);
    }
    // Over plain HTTP a key goes to servers of this network only.
    for (host, is_sent) in [
        ("127.0.0.1:9", true),
        ("gpu1", true),
        ("x.ns.svc", true),
        ("api.openai.com", false),
        ("gpu.example.com", false),
    ] {
        let finished = distill(&place, &recorder, &[&format!("--teacher=m@http://{host}/v1")]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_eq!(recorder.keys(), [(host.to_owned(), is_sent.then(|| "own".to_owned()))]);
        assert_eq!(finished.stderr.contains("is not sent to http://"), !is_sent, "{}", finished.stderr);
    }
}

#[test]
fn replicas_and_scorers_get_the_keys_of_their_own_hosts() {
    let (place, recorder) = (place(), Recorder::start());
    place.write("in.jsonl", jsonl(&(0..8).map(|row| conversation(&format!("{row}"), 1)).collect::<Vec<_>>()));
    place.write("open.toml", "[models.m]\nallow-http-key = true\nrouting = \"round-robin\"\n");
    let finished = distill(
        &place,
        &recorder,
        &["--teacher=m@http://api.openai.com/v1,http://gpu1/v1,http://api.groq.com/v1", "--config=open.toml"],
    );
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let mut keys = recorder.keys();
    keys.sort();
    keys.dedup();
    let expected = [("api.groq.com", "groq"), ("api.openai.com", "openai"), ("gpu1", "own")];
    assert_eq!(keys, expected.map(|(host, key)| (host.to_owned(), Some(key.to_owned()))));
    // A key that a profile names is for its own url.
    place.write("own.toml", "[models.m]\nurl = \"http://gpu1/v1\"\nkey-env = \"SECRET\"\n");
    distill(&place, &recorder, &["--teacher=m", "--limit=1", "--config=own.toml"]);
    assert_eq!(recorder.keys(), [("gpu1".to_owned(), Some("secret".to_owned()))]);
    for more in [
        &["--teacher=m@http://gpu2/v1"][..],
        &["--teacher=m@http://gpu1/v1,http://gpu2/v1"],
        &["--teacher=simulated", "--samples=2", "--scorer=m@http://gpu2/score"],
    ] {
        let finished = distill(&place, &recorder, &[more, &["--config=own.toml"]].concat());
        assert_eq!(finished.code, Some(2), "{more:?}: {}", finished.stderr);
        assert!(finished.stderr.contains("http://gpu2 is another server"), "{}", finished.stderr);
        assert_eq!(recorder.keys(), []);
    }
    // Nor does it travel unencrypted, unless the profile allows it.
    place.write("far.toml", "[models.m]\nurl = \"http://gpu.example.com/v1\"\nkey-env = \"SECRET\"\n");
    let finished = distill(&place, &recorder, &["--teacher=m", "--config=far.toml"]);
    assert!(finished.code == Some(2) && finished.stderr.contains("SECRET"), "{}", finished.stderr);
    assert!(finished.stderr.contains("allow-http-key"), "{}", finished.stderr);
    place.write("far.toml", place.read("far.toml") + "allow-http-key = true\n");
    distill(&place, &recorder, &["--teacher=m", "--limit=1", "--config=far.toml"]);
    assert_eq!(recorder.keys(), [("gpu.example.com".to_owned(), Some("secret".to_owned()))]);
}

/// What an untrusted file may not set, and what the error says about it.
const DEMANDS: &[(&str, &[&str])] = &[
    ("[models.m]\nurl = \"http://gpu1/v1\"\nkey-env = \"SECRET\"\n", &["SECRET", "http://gpu1"]),
    ("[models.m]\nkey-env = \"SECRET\"\n", &["SECRET", "any address"]),
    ("[models.m]\nurl = \"http://api.openai.com/v1\"\nallow-http-key = true\n", &["models.m.allow-http-key"]),
    ("[models.m]\nurl = \"http://gpu1/v1\"\n", &["COHOBATE_API_KEY", "http://gpu1"]),
    ("[models.m]\nurl = \"https://evil.example/v1,http://gpu2\"\n", &["https://evil.example", "http://gpu2"]),
    ("[models.m]\nurl = \"evil.example/v1\"\n", &["https://evil.example"]),
    ("teacher = \"x@https://evil.example\"\n", &["https://evil.example"]),
    ("judge = \"x@https://evil.example\"\n", &["https://evil.example"]),
    ("scorer = \"x@https://evil.example/score\"\n", &["https://evil.example"]),
    ("store = \"../elsewhere\"\n", &["store", "elsewhere"]),
    ("store = \"/elsewhere\"\n", &["store", "/elsewhere"]),
    ("store = \"sub/../../elsewhere\"\n", &["store", "elsewhere"]),
    ("store = \"link/new\"\n", &["store"]),
    ("store = \"dangling\"\n", &["store"]),
    ("system = \"@/etc/hostname\"\n", &["system", "/etc/hostname"]),
    ("system = \"@secret-link\"\n", &["system", "/etc/hostname"]),
    ("prompt = \"/etc/hostname\"\n", &["prompt", "/etc/hostname"]),
    ("references = \"../x.jsonl\"\n", &["references", "x.jsonl"]),
    ("[models.m]\nsystem = \"@/etc/hostname\"\n", &["models.m.system", "/etc/hostname"]),
];

#[test]
fn a_file_that_was_found_may_not_reach_beyond_its_directory_until_it_is_trusted() {
    for (text, words) in DEMANDS {
        let (place, recorder) = (place(), Recorder::start());
        symlink("/etc/hostname", place.path("secret-link")).unwrap();
        symlink("/tmp", place.path("link")).unwrap();
        symlink("/tmp/cohobate-is-not-here", place.path("dangling")).unwrap();
        place.write("cohobate.toml", text);
        // No command reads what the settings above name, apart from those that use them.
        for command in ["distill", "plan", "evaluate"] {
            let mut command = match command {
                "evaluate" => place.command(&["evaluate", "in.jsonl", "--mode=score", "-o=scores.jsonl"]),
                other => place.command(&[other, "in.jsonl", "--teacher=simulated", "--samples=2"]),
            };
            if text.contains("system") && !text.contains("models") && command.get_args().any(|arg| arg == "evaluate") {
                continue;
            }
            let uses_scorer = !command.get_args().any(|arg| arg == "evaluate");
            if text.contains("scorer") && !uses_scorer || text.contains("references") && uses_scorer {
                continue;
            }
            let finished = finish(command.env("COHOBATE_API_KEY", "own-key").env("SECRET", "secret-value"));
            assert_eq!(finished.code, Some(2), "{text}{}", finished.stderr);
            assert!(finished.stderr.contains("is not trusted"), "{text}{}", finished.stderr);
            assert!(words.iter().all(|word| finished.stderr.contains(word)), "{text}{}", finished.stderr);
            assert!(finished.stderr.contains("cohobate trust"), "{text}{}", finished.stderr);
            assert!(!finished.stderr.contains("own-key") && !finished.stderr.contains("secret-value"));
        }
        assert_eq!(recorder.keys(), []);
        // Trust lasts until one of these settings is another.
        let trusted = place.complete(&["trust"]);
        assert!(words.iter().all(|word| trusted.stdout.contains(word)), "{text}{}", trusted.stdout);
        let plan = ["plan", "in.jsonl", "--teacher=simulated", "--scorer=rm@http://gpu1/score", "--samples=2"];
        let run = |keyed: bool| {
            let mut command = place.command(&plan);
            if keyed {
                command.env("COHOBATE_API_KEY", "own-key");
            }
            finish(command.env("SECRET", "secret-value")).stderr
        };
        assert!(!run(true).contains("trusted"), "{text}{}", run(true));
        place.write("cohobate.toml", format!("temperature = 0.5\n{text}"));
        assert!(!run(true).contains("trusted"), "{text}{}", run(true));
        place.write("cohobate.toml", format!("{text}\n[models.n]\nkey-env = \"SECRET\"\nurl = \"http://gpu3\"\n"));
        assert!(run(true).contains("was changed since it was trusted"), "{text}{}", run(true));
        // Naming the file trusts it for one run.
        let mut named = place.command(&[&plan[..], &["--config=cohobate.toml"]].concat());
        assert!(!finish(named.env("SECRET", "x")).stderr.contains("trusted"), "{text}");
    }
}

#[test]
fn a_file_that_asks_for_nothing_of_this_needs_no_trust() {
    let (place, recorder) = (place(), Recorder::start());
    std::fs::create_dir(place.path("sub")).unwrap();
    place.write("system.txt", "Be brief.");
    let inside = place.path("").canonicalize().unwrap().join("kept");
    let url = &recorder.address;
    for text in [
        "teacher = \"simulated\"\ntemperature = 0.5\nstore = \"kept\"\nsystem = \"@system.txt\"\n".to_owned(),
        format!("store = \"{}\"\n", inside.display()),
        "store = \"sub/../kept\"\n".to_owned(),
        // No key, or the provider's own at the provider's own host.
        format!("[models.m]\nurl = \"http://{url}\"\nkey-env = \"\"\n"),
        "[models.m]\nurl = \"https://api.openai.com/v1\"\n[models.n]\nurl = \"api.groq.com/openai/v1\"\n".to_owned(),
        "[models.m]\nurl = \"http://gpu.example.com/v1\"\n".to_owned(),
    ] {
        place.write("cohobate.toml", &text);
        let finished = distill(&place, &recorder, &["--teacher=simulated"]);
        assert_eq!(finished.code, Some(0), "{text}{}", finished.stderr);
    }
    // Without a key in the environment, a server gets none.
    place.write("cohobate.toml", format!("teacher = \"m\"\n[models.m]\nurl = \"http://{url}/v1\"\n"));
    let mut command = place.command(&["distill", "in.jsonl", "-o", "other.jsonl"]);
    let finished = finish(command.env("OPENAI_API_KEY", "openai"));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(recorder.keys(), [(url.clone(), None)]);
    // What a command does not use, or what the command line replaces, does no harm.
    place.write("cohobate.toml", "store = \"/elsewhere\"\n[models.m]\nkey-env = \"SECRET\"\n");
    place.complete(&["inspect", "in.jsonl"]);
    place.write("cohobate.toml", "store = \"/elsewhere\"\n");
    place.complete(&["plan", "in.jsonl", "--teacher=simulated", "--store=here"]);
}

#[test]
fn trust_belongs_to_one_file_and_shows_no_control_characters() {
    let (one, other) = (place(), place());
    let text = "[models.\"a\\u001b[2Jb\"]\nkey-env = \"SECRET\"\n";
    one.write("cohobate.toml", text);
    other.write("cohobate.toml", text);
    let state = one.path("state");
    let run = |place: &Place, arguments: &[&str]| finish(place.command(arguments).env("XDG_STATE_HOME", &state));
    let trusted = run(&one, &["trust"]);
    assert!(trusted.code == Some(0) && !trusted.stdout.contains('\u{1b}'), "{trusted:?}");
    let plan = ["plan", "in.jsonl", "--teacher=simulated"];
    assert_eq!(run(&one, &plan).code, Some(0));
    let refused = run(&other, &plan);
    assert!(refused.code == Some(2) && !refused.stderr.contains('\u{1b}'), "{refused:?}");
    // A link to a trusted file is another file: paths in it would start elsewhere.
    std::fs::remove_file(other.path("cohobate.toml")).unwrap();
    symlink(one.path("cohobate.toml"), other.path("cohobate.toml")).unwrap();
    assert_eq!(run(&other, &plan).code, Some(2));
    // Nothing of the settings is kept.
    for file in crate::support::files_below(&state) {
        assert!(!std::fs::read_to_string(file).unwrap().contains("SECRET"));
    }
    let missing = run(&other, &["trust", "nothing.toml"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("nothing.toml"), "{missing:?}");
}

/// Before the first request a line says which file decides where questions go, and with which key.
#[test]
fn the_file_that_applies_its_host_and_its_key_are_named_before_the_first_request() {
    let server = crate::capture::Capture::start();
    for (settings, key) in [("", "without a key"), ("key-env = \"MY_KEY\"\n", "with the key of MY_KEY")] {
        let place = Place::with_conversations(1, 1);
        place.write("c.toml", format!("teacher = \"m\"\n[models.m]\nurl = \"http://{}\"\n{settings}", server.address));
        let mut command = place.command(&["distill", "in.jsonl", "-o", "out.jsonl", "--config", "c.toml"]);
        let finished = crate::support::finish(command.env("MY_KEY", "sk-0123456789"));
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let line = format!("caution: c.toml applies: `m` is asked at http://{} {key}\n", server.address);
        assert!(finished.stderr.starts_with(&line), "{}", finished.stderr);
        assert!(!finished.stderr.contains("unencrypted"), "a server of this machine");
    }
    let place = Place::with_conversations(1, 1);
    let line = ["distill", "in.jsonl", "--teacher", "m@http://gpu.invalid.example.com/v1", "--time-limit", "1s"];
    let finished = place.run(&line);
    let said =
        "caution: questions and answers travel unencrypted between here and http://gpu.invalid.example.com; use https";
    assert!(finished.stderr.starts_with(said), "{}", finished.stderr);
}
