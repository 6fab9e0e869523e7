//! What the user asks for reaches the server, exactly, and is part of the identity where it can change an answer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::capture::{Capture, answer};
use crate::support::{MockServer, Place, conversation, distill_whole, finish, jsonl};

/// Runs a recipe and returns the body of its only request without the messages.
fn body_of(model: &str, profile: &str, options: &[&str]) -> Value {
    let (place, server) = (Place::with_conversations(1, 1), Capture::start());
    let url = format!("[models.\"{model}\"]\nurl = \"http://{}/v1\"\n", server.address);
    place.write("cohobate.toml", url + profile);
    place.complete(&distill_whole(model, options));
    let mut body = server.bodies().remove(0);
    body.as_object_mut().unwrap().remove("messages").unwrap();
    body
}

#[test]
fn the_bodies_of_three_public_recipes_are_sent_exactly() {
    let qwen =
        ["--thinking", "off", "--temperature", "0.7", "--top-p", "0.8", "--body", r#"{"top_k": 20, "min_p": 0}"#];
    assert_eq!(
        body_of("Qwen/Qwen3-32B", "", &qwen),
        json!({"model": "Qwen/Qwen3-32B", "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0,
               "chat_template_kwargs": {"enable_thinking": false}, "stream": false})
    );
    assert_eq!(
        body_of("openai/gpt-oss-120b", "", &["--effort", "high"]),
        json!({"model": "openai/gpt-oss-120b", "reasoning_effort": "high", "stream": false})
    );
    let openrouter = "server-family = \"openrouter\"\nthinking = \"on\"\neffort = \"high\"\n\
        body.provider = { order = [\"deepinfra\", \"novita\"], allow_fallbacks = false }\n";
    assert_eq!(
        body_of("deepseek/deepseek-v3.2", openrouter, &["--max-tokens", "4000"]),
        json!({"model": "deepseek/deepseek-v3.2", "max_tokens": 4000,
               "provider": {"order": ["deepinfra", "novita"], "allow_fallbacks": false},
               "reasoning": {"enabled": true, "effort": "high"}, "stream": false})
    );
}

#[test]
fn what_can_change_an_answer_asks_again_and_what_cannot_does_not() {
    let (place, server) = (Place::with_conversations(2, 2), Capture::start());
    let model = server.model("m");
    let calls = |options: &[&str]| {
        let before = server.count();
        place.complete(&distill_whole(&model, options));
        server.count() - before
    };
    assert_eq!(calls(&["--body", r#"{"top_k": 20, "service_tier": "flex", "stop": ["a", "b"]}"#]), 4);
    assert_eq!(calls(&["--body", r#"{"stop": ["a", "b"], "user": "me", "top_k": 20.0, "service_tier": "auto"}"#]), 0);
    assert_eq!(calls(&["--body", r#"{"top_k": 21, "stop": ["a", "b"]}"#]), 4);
    assert_eq!(calls(&["--body", r#"{"chat_template_kwargs": {"enable_thinking": false}}"#]), 4);
    assert_eq!(calls(&["--thinking", "off"]), 4, "what was asked for is another thing than what is sent");
    assert_eq!(calls(&["--thinking", "off", "--effort", "low"]), 4);
    assert_eq!(calls(&["--body", "{}"]), 4);
    assert_eq!(calls(&[]), 0, "an empty body is none");
    assert_eq!(calls(&["--temperature", "0.5"]), 4);
    assert_eq!(calls(&["--body", r#"{"temperature": 0.5, "max_completion_tokens": 9}"#, "--max-tokens", "9"]), 4);
    assert_eq!(calls(&["--temperature", "0.5", "--max-tokens", "9"]), 0, "a field with an option sets that option");
    place.write("cohobate.toml", "[models.m]\nside-fields = [\"x_team\"]\n");
    assert_eq!(calls(&["--body", r#"{"x_team": 5}"#]), 0, "the user knows more such fields");
    let summary = place.run(&distill_whole(&model, &["--body", r#"{"top_k": 22, "user": "me"}"#])).stderr;
    assert!(summary.contains("body is `{\"top_k\":22}`, was"), "{summary}");
    let sent = server.bodies().pop().unwrap();
    assert_eq!((&sent["user"], &sent["top_k"]), (&json!("me"), &json!(22)), "it is sent all the same");
    let offline = place.complete(&[
        "export",
        "in.jsonl",
        "-o",
        "again.jsonl",
        "--teacher",
        "m@http://127.0.0.1:1",
        "--body",
        r#"{"top_k": 22}"#,
    ]);
    assert_eq!(place.read("out.jsonl"), place.read("again.jsonl"), "{}", offline.stderr);
    let plan = place.complete(&["plan", "in.jsonl", "--teacher", "m@http://127.0.0.1:1", "--thinking", "off"]);
    assert!(plan.stdout.contains("0 calls"), "{}", plan.stdout);
}

/// Servers keep the beginning of a prompt for the next one.
#[test]
fn rows_with_the_same_system_message_are_asked_one_after_the_other() {
    let (place, server) = (Place::new(), Capture::start());
    let row = |number: usize| {
        let system = json!({"role": "system", "content": format!("You are helper {}.", number % 3)});
        let user = json!({"role": "user", "content": format!("What is {number}?")});
        json!({"id": number.to_string(), "messages": [system, user, {"role": "assistant", "content": "A number."}]})
    };
    place.write("in.jsonl", jsonl(&(0..60).map(row).collect::<Vec<_>>()));
    place.complete(&distill_whole(&server.model("m"), &["--concurrency", "1"]));
    let first = |body: &Value| body["messages"][0]["content"].as_str().unwrap().to_owned();
    let asked: Vec<String> = server.bodies().iter().map(first).collect();
    let changes = asked.windows(2).filter(|pair| pair[0] != pair[1]).count();
    // Conversations that are open at the same time may ask in any order.
    assert!(asked.len() == 60 && changes < 20, "{changes} changes: {asked:?}");
}

#[test]
fn what_cannot_be_sent_is_refused_before_the_first_call() {
    let (place, server) = (Place::with_conversations(1, 1), Capture::start());
    let model = server.model("m");
    for (options, words) in [
        (&["--body", r#"{"messages": []}"#][..], "`messages` cannot be set"),
        (&["--body", r#"{"n": 2}"#], "use --samples"),
        (&["--body", r#"{"stream_options": {}}"#], "`stream_options` cannot be set"),
        (&["--body", r#"{"tools": []}"#], "`tools` cannot be set"),
        (&["--body", r#"{"model": "x"}"#], "--teacher"),
        (&["--body", r#"{"stream": true}"#], "--stream"),
        (&["--body", "[1]"], "write a JSON object"),
        (&["--body", r#"{"temperature": 0.5}"#, "--temperature", "0.7"], "contradict each other"),
        (&["--body", r#"{"max_tokens": 5}"#, "--max-tokens", "6"], "contradict each other"),
        (&["--body", r#"{"max_tokens": 0}"#], "a whole number of at least 1"),
        (&["--body", r#"{"reasoning_effort": "low"}"#, "--effort", "high"], "contradict each other"),
        (&["--body", r#"{"chat_template_kwargs": {"enable_thinking": true}}"#, "--thinking", "off"], "contradict"),
        (&["--body-choice", "reasoning_effort=low:1", "--body", r#"{"reasoning_effort": "low"}"#], "contradict"),
        (&["--body-choice", "temperature=0.5:1"], "`temperature` cannot be set"),
        (&["--body-choice", "reasoning_effort=low"], "FIELD=VALUE:WEIGHT"),
        (&["--temperature-choice", "0.3:1,1.0:1", "--temperature", "0.3"], "contradict each other"),
        (&["--temperature-choice", "0.3:1", "--body", r#"{"temperature": 0.3}"#], "contradict each other"),
        (&["--temperature-choice", "0.3"], "VALUE:WEIGHT"),
        (&["--temperature-choice", "2.5:1"], "not a number from 0 to 2"),
        (&["--effort", "very high"], "a level of the server"),
        (&["--thinking", "maybe"], "maybe"),
    ] {
        let finished = place.run(&distill_whole(&model, options));
        assert_eq!(finished.code, Some(2), "{options:?} {}", finished.stderr);
        assert!(finished.stderr.contains(words), "{options:?} {}", finished.stderr);
    }
    assert_eq!(server.count(), 0);
}

#[test]
fn the_file_and_a_profile_say_the_same_as_the_line_and_judges_have_their_own() {
    let (place, server) = (Place::with_conversations(1, 1), Capture::start());
    place.write("cohobate.toml", format!(
        "thinking = \"off\"\n[body]\ntop_k = 20\nchat_template_kwargs = {{ a = 1 }}\n\
         [models.m]\nurl = \"http://{0}\"\nbody = '{{\"min_p\": 0.1, \"top_k\": 30, \"chat_template_kwargs\": {{\"b\": 2}}}}'\n\
         [models.j]\nurl = \"http://{0}\"\nbody = {{ verbosity = \"low\" }}\neffort = \"low\"\n", server.address));
    place.complete(&distill_whole("m", &["--samples", "2", "--judge", "j"]));
    let bodies = server.bodies();
    let teacher = bodies.iter().find(|body| body["model"] == "m").unwrap();
    let judge = bodies.iter().find(|body| body["model"] == "j").unwrap();
    assert_eq!((&teacher["top_k"], &teacher["min_p"]), (&json!(30), &json!(0.1)));
    assert_eq!(teacher["chat_template_kwargs"], json!({"a": 1, "b": 2, "enable_thinking": false}));
    assert_eq!((&judge["verbosity"], &judge["reasoning_effort"]), (&json!("low"), &json!("low")));
    assert!(judge.get("top_k").is_none() && judge.get("chat_template_kwargs").is_none(), "{judge}");
    let before = server.count();
    let line = ["--thinking", "off", "--body", r#"{"top_k": 20, "chat_template_kwargs": {"a": 1}}"#];
    place.complete(&distill_whole("m", &[&["--samples", "2", "--judge", "j"][..], &line].concat()));
    assert_eq!(server.count(), before);
}

/// Returns the efforts of each opening.
fn efforts(server: &Capture) -> BTreeSet<(String, String)> {
    let one = |body: &Value| {
        let first = body["messages"][0]["content"].as_str().unwrap().to_owned();
        (first, body["reasoning_effort"].as_str().unwrap().to_owned())
    };
    server.bodies().iter().map(one).collect()
}

#[test]
fn a_resumed_run_draws_the_same_and_an_appended_turn_costs_one_call() {
    let choice = ["--body-choice", "reasoning_effort=low:0.5,medium:0.3,high:0.2", "--seed", "3"];
    let (place, server) = (Place::with_conversations(30, 2), Capture::start());
    let model = server.model("m");
    let stopped = place.run(&distill_whole(&model, &[&choice[..], &["--max-requests", "25"]].concat()));
    assert_eq!(stopped.code, Some(75), "{}", stopped.stderr);
    place.complete(&distill_whole(&model, &choice));
    assert_eq!(server.count(), 60, "every turn was paid for once");
    let drawn = efforts(&server);
    assert_eq!(drawn.len(), 30, "one effort for each conversation");
    assert_eq!(drawn.iter().map(|(_, effort)| effort).collect::<BTreeSet<_>>().len(), 3, "{drawn:?}");
    for row in place.rows("out.jsonl") {
        let effort = drawn.iter().find(|(opening, _)| *opening == row["messages"][0]["content"]).unwrap();
        assert!(
            row["meta"]["turns"].as_array().unwrap().iter().all(|turn| turn["drawn"]["reasoning_effort"] == effort.1)
        );
    }
    let longer: Vec<Value> = (0..30).map(|row| conversation(&format!("kites {row}"), 3)).collect();
    place.write("in.jsonl", jsonl(&longer));
    place.complete(&distill_whole(&model, &choice));
    assert_eq!(server.count(), 90);
    assert_eq!(efforts(&server), drawn);
    let plan = place.complete(&[&["plan", "in.jsonl", "--teacher", &model][..], &choice].concat());
    assert!(plan.stdout.contains("0 calls"), "{}", plan.stdout);
    // What was drawn is what is asked: fixed, it is the same question.
    let low = drawn.iter().filter(|(_, effort)| effort == "low").count();
    place.complete(&distill_whole(&model, &["--seed", "3", "--body", r#"{"reasoning_effort": "low"}"#]));
    assert_eq!(server.count(), 90 + 3 * (30 - low));
    place.complete(&distill_whole(&model, &["--body-choice", choice[1], "--seed", "4"]));
    assert_ne!(efforts(&server), drawn, "another seed draws anew");
}

#[test]
fn a_killed_run_draws_the_same_as_an_uninterrupted_one() {
    let choice = ["--body-choice", "reasoning_effort=low:1,medium:1,high:1"];
    let server = MockServer::start(&["--latency", "5"]);
    let (killed, calm) = (Place::with_conversations(40, 3), Place::with_conversations(40, 3));
    let model = server.model();
    let line = distill_whole(&model, &choice);
    assert!(killed.kill_at(&line, &server, 30), "it was killed while it worked");
    killed.complete(&line);
    calm.complete(&line);
    let drawn = |place: &Place| -> Vec<Value> {
        let turns = |row: Value| row["meta"]["turns"].as_array().unwrap().clone();
        place.rows("out.jsonl").into_iter().flat_map(turns).map(|turn| turn["drawn"].clone()).collect()
    };
    assert_eq!(drawn(&killed), drawn(&calm));
    assert!(drawn(&calm).iter().all(|drawn| drawn["reasoning_effort"].is_string()));
}

/// Returns the temperatures of each opening.
fn temperatures(server: &Capture) -> BTreeSet<(String, String)> {
    let one = |body: &Value| {
        let first = body["messages"][0]["content"].as_str().unwrap().to_owned();
        (first, body["temperature"].to_string())
    };
    server.bodies().iter().map(one).collect()
}

#[test]
fn a_drawn_temperature_is_recorded_and_is_the_same_question_as_a_fixed_one() {
    let choice = ["--temperature-choice", "0.3:1,0.7:2,1.0:1", "--seed", "3"];
    let (place, server) = (Place::with_conversations(40, 2), Capture::start());
    let model = server.model("m");
    let stopped = place.run(&distill_whole(&model, &[&choice[..], &["--max-requests", "35"]].concat()));
    assert_eq!(stopped.code, Some(75), "{}", stopped.stderr);
    place.complete(&distill_whole(&model, &choice));
    assert_eq!(server.count(), 80, "every turn was paid for once");
    let drawn = temperatures(&server);
    assert_eq!(drawn.len(), 40, "one temperature for each conversation");
    assert_eq!(drawn.iter().map(|(_, value)| value.as_str()).collect::<BTreeSet<_>>(), ["0.3", "0.7", "1.0"].into());
    for row in place.rows("out.jsonl") {
        let (_, value) = drawn.iter().find(|(opening, _)| *opening == row["messages"][0]["content"]).unwrap();
        let turns = row["meta"]["turns"].as_array().unwrap();
        let drawn = turns.iter().map(|turn| turn["drawn"]["temperature"].to_string());
        assert_eq!(drawn.collect::<Vec<_>>(), [value.as_str(); 2]);
    }
    let plan = place.complete(&[&["plan", "in.jsonl", "--teacher", &model][..], &choice].concat());
    assert!(plan.stdout.contains("0 calls"), "{}", plan.stdout);
    let warm = drawn.iter().filter(|(_, value)| value == "0.7").count();
    place.complete(&distill_whole(&model, &["--seed", "3", "--temperature", "0.7"]));
    assert_eq!(server.count(), 80 + 2 * (40 - warm), "stored answers are shared");
}

#[test]
fn a_profile_fixes_a_temperature_that_the_run_draws_and_draws_one_that_it_fixes() {
    let (place, server) = (Place::with_conversations(12, 1), Capture::start());
    place.write(
        "cohobate.toml",
        format!(
            "[models.fixed]\nurl = \"http://{0}\"\ntemperature = 0.1\n\
         [models.drawn]\nurl = \"http://{0}\"\ntemperature-choice = \"0.2:1,0.4:1\"\n",
            server.address
        ),
    );
    place.complete(&distill_whole("fixed", &["--temperature-choice", "1:1,2:1"]));
    place.complete(&distill_whole("drawn", &["--temperature", "0.9"]));
    let sent = |model: &str| -> BTreeSet<String> {
        let bodies = server.bodies().into_iter().filter(|body| body["model"] == model);
        bodies.map(|body| body["temperature"].to_string()).collect()
    };
    assert_eq!(sent("fixed"), ["0.1".to_owned()].into());
    assert_eq!(sent("drawn"), ["0.2".to_owned(), "0.4".to_owned()].into());
}

#[test]
fn a_body_names_the_field_that_limits_the_answer() {
    let sent = |options: &[&str]| body_of("m", "", options);
    let named = sent(&["--body", r#"{"max_completion_tokens": 9}"#]);
    assert_eq!(named, json!({"model": "m", "max_completion_tokens": 9, "stream": false}));
    let renamed = body_of("m", "max-tokens-field = \"max_tokens\"\n", &["--body", r#"{"max_completion_tokens": 9}"#]);
    assert_eq!(renamed, json!({"model": "m", "max_tokens": 9, "stream": false}));
}

#[test]
fn the_request_is_shown_as_it_is_sent_with_its_secrets_masked() {
    let (place, server) = (Place::with_conversations(1, 1), Capture::start());
    place.write("cohobate.toml", format!(
        "[models.m]\nurl = \"http://{}/v1?api-version=1&zone=b\"\nkey-env = \"M_KEY\"\nauth-header = \"api-key\"\n\
         headers = {{ x-team = \"$TEAM\", x-title = \"hush-3\" }}\nsession-header = \"x-session-id\"\nthinking = \"off\"\n",
        server.address));
    let with_keys = |arguments: &[&str]| finish(place.command(arguments).env("M_KEY", "hush-1").env("TEAM", "hush-2"));
    let line = ["in.jsonl", "--teacher", "m", "--config", "cohobate.toml", "--body", r#"{"top_k": 20}"#];
    let plan = with_keys(&[&["plan", "--show-request"][..], &line].concat());
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(!plan.stdout.contains("hush") && !plan.stderr.contains("hush"), "{}", plan.stdout);
    assert_eq!(server.count(), 0);
    assert_eq!(with_keys(&[&["distill"][..], &line].concat()).code, Some(0));
    let request = server.requests().remove(0);
    assert!(plan.stdout.ends_with(&format!("\n\n{}\n", request.text)), "{}\n{}", plan.stdout, request.text);
    for (header, sent) in [("api-key", "hush-1"), ("x-team", "hush-2"), ("x-title", "hush-3")] {
        assert_eq!(request.header(header), Some(sent));
        assert!(plan.stdout.contains(&format!("\n{header}: ***\n")), "{header}: {}", plan.stdout);
    }
    for line in request.head.lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, _) = line.split_once(": ").unwrap();
        let is_of_connection = ["host", "content-length"].contains(&name);
        assert!(is_of_connection || plan.stdout.contains(&format!("\n{name}: ")), "{name} is sent and not shown");
    }
    let session = request.header("x-session-id").unwrap();
    assert!(plan.stdout.contains(&format!("\nx-session-id: {session}\n")), "{}", plan.stdout);
    assert!(plan.stdout.contains("/v1/chat/completions?api-version=1&zone=b\n"), "{}", plan.stdout);
    assert!(request.header("authorization").is_none(), "{}", request.head);
    let json = with_keys(&[&["plan", "--show-request", "--json"][..], &line].concat()).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["request"]["body"], request.text.as_str());
    let local =
        place.complete(&["plan", "--show-request", "in.jsonl", "--teacher", "simulated", "--config", "cohobate.toml"]);
    assert!(local.stdout.contains("needs no server"), "{}", local.stdout);
}

#[test]
fn keys_come_from_where_the_profile_says() {
    let (place, server) = (Place::with_conversations(1, 1), Capture::start());
    let sent = |profile: &str, header: &str| {
        place.write("cohobate.toml", format!("[models.m]\nurl = \"http://{}\"\n{profile}", server.address));
        let store = format!("s{}", server.count());
        let line = distill_whole("m", &["--store", &store, "--config", "cohobate.toml"]);
        let finished = finish(place.command(&line).env("COHOBATE_API_KEY", "default").env("HEADER", "from-env"));
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        server.requests().pop().unwrap().header(header).map(str::to_owned)
    };
    let is = |value: &str| Some(value.to_owned());
    assert_eq!(sent("", "authorization"), is("Bearer default"));
    assert_eq!(sent("key-env = \"\"\n", "authorization"), None);
    assert_eq!(sent("auth-header = \"api-key\"\n", "api-key"), is("default"));
    assert_eq!(sent("auth-header = \"Authorization\"\n", "authorization"), is("Bearer default"));
    assert_eq!(sent("headers.x-a = { env = \"HEADER\" }\n", "x-a"), is("from-env"));
    assert_eq!(sent("headers.x-a = \"$$5\"\n", "x-a"), is("$5"));
    assert_eq!(sent("headers.Authorization = \"Basic abc\"\n", "authorization"), is("Basic abc"));
    for (profile, words) in [
        ("headers.x-a = \"$NOT_SET_HERE\"\n", "NOT_SET_HERE is not set"),
        ("headers.content-length = \"1\"\n", "is set by the program"),
        ("headers.\"x a\" = \"1\"\n", "not a valid header name"),
        ("key-env = \"A\"\nkey-command = \"b\"\n", "both key-env and key-command"),
        ("key-command = \"\"\n", "key-command is empty"),
    ] {
        place.write("cohobate.toml", format!("[models.m]\nurl = \"http://{}\"\n{profile}", server.address));
        let finished = place.run(&distill_whole("m", &["--store", "refused", "--config", "cohobate.toml"]));
        assert!(finished.code == Some(2) && finished.stderr.contains(words), "{profile}: {}", finished.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_token_that_has_expired_is_renewed_and_a_command_that_fails_ends_the_run() {
    let server = Capture::with(|request| match request.header("authorization") {
        Some("Bearer token-2") => answer(&request.body()),
        _ => (401, json!({"error": {"message": "expired"}})),
    });
    let place = Place::with_conversations(8, 1);
    // Each run of the command prints the next token.
    place.write("next.sh", "echo x >> runs; printf 'token-%s\\n' $(wc -l < runs)\n");
    let profile = |command: &str| {
        let text = format!("[models.m]\nurl = \"http://{}\"\nkey-command = {command}\n", server.address);
        place.write("cohobate.toml", text);
    };
    profile("[\"sh\", \"next.sh\"]");
    place.complete(&distill_whole("m", &["--concurrency", "8", "--config", "cohobate.toml"]));
    assert_eq!(place.read("runs").lines().count(), 2, "once before the first call, once after the first 401s");
    for (command, words) in
        [("\"false\"", "correct the key, or the key-command that prints it"), ("\"echo token-1\"", "expired")]
    {
        profile(command);
        let finished = place.run(&distill_whole("m", &["--store", "other", "--config", "cohobate.toml"]));
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(words) && !finished.stderr.contains("token-1"), "{}", finished.stderr);
    }
}
