//! `cohobate view` and `show` on what runs have left: inputs and settings come from the log of the last run, of any recipe; a
//! run at work is shown and steered.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl};
use crate::viewing::{Reply, Viewed};

fn input(place: &Place, name: &str, rows: std::ops::Range<usize>) {
    place.write(name, jsonl(&rows.map(|row| conversation(&format!("r{row}"), 2)).collect::<Vec<_>>()));
}

fn text_of(pieces: &Value) -> String {
    pieces.as_array().unwrap().iter().map(|piece| piece["text"].as_str().unwrap()).collect()
}

#[test]
fn inputs_and_settings_are_those_of_the_last_run() {
    let place = Place::new();
    input(&place, "in.jsonl", 0..6);
    let run = ["distill", "in.jsonl", "--teacher=simulated", "--system=Be brief.", "--temperature=0.5", "-o=out.jsonl"];
    place.complete(&run);
    let viewed = Viewed::start(&place, &[]);
    viewed.wait();
    assert_eq!(viewed.json("/api/about")["missing"], Value::Null);
    let (list, shown) = (viewed.json("/api/list"), viewed.json("/api/item/4"));
    assert_eq!((&list["total"], &list["items"][4]["status"]), (&json!(6), &json!("complete")));
    assert_eq!((&shown["id"], text_of(&shown["turns"][0]["old"])), (&json!("r4"), "An old answer.".to_owned()));
    assert_eq!(shown["turns"][0]["said"][0]["text"], "Be brief.");
    let said = place.complete(&["show", "r4", "--json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), shown);
    // From another directory, by the name of the store.
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let mut command = place.command(&["show", "r4", "--json", "--store=../.cohobate"]);
    let output = command.current_dir(place.path("elsewhere")).output().unwrap();
    let elsewhere: Value = serde_json::from_slice(&output.stdout).expect("the input is found");
    assert_eq!(elsewhere["turns"], shown["turns"]);
}

#[test]
fn an_input_that_was_changed_or_is_gone_is_named_and_nothing_is_guessed() {
    let place = Place::new();
    input(&place, "one.jsonl", 0..3);
    input(&place, "two.jsonl", 3..6);
    place.complete(&["distill", "one.jsonl", "two.jsonl", "--teacher=simulated", "-o=out.jsonl"]);
    let edited = place.read("one.jsonl").replace("What about r1, part 0", "What of r1, part 0");
    place.write("one.jsonl", edited);
    std::fs::remove_file(place.path("two.jsonl")).unwrap();
    let viewed = Viewed::start(&place, &[]);
    viewed.wait();
    let changes = viewed.json("/api/live")["input_changes"].to_string();
    assert!(
        changes.contains("one.jsonl was changed") && changes.contains("two.jsonl, which run 1 read, is missing"),
        "{changes}"
    );
    let list = viewed.json("/api/list");
    let statuses: Vec<(&str, bool)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["status"].as_str().unwrap(), item["is_without_row"].as_bool().unwrap()))
        .collect();
    let whole = ("complete", false);
    assert_eq!(statuses[..3], [whole, ("open", false), whole], "{list}");
    // The edited row's old conversation, and those of the missing file.
    assert_eq!(statuses[3..], [("complete", true); 4], "{list}");
    let gone = viewed.json("/api/item/5");
    assert!(gone["unavailable"].as_str().unwrap().contains("two.jsonl"), "{gone}");
    assert_eq!(gone["turns"][0]["said"], json!([]));
    drop(viewed);
    // A copy of the input in another place is found by name.
    input(&place, "copy.jsonl", 3..6);
    let viewed = Viewed::start(&place, &["--input=copy.jsonl"]);
    viewed.wait();
    assert_eq!(viewed.json("/api/item/0")["status"]["name"], "complete");
}

#[test]
fn stores_of_every_recipe_open_directly() {
    let place = Place::new();
    input(&place, "in.jsonl", 0..4);
    let open = |arguments: &[&str]| {
        let viewed = Viewed::start(&place, arguments);
        viewed.wait();
        assert_eq!(viewed.json("/api/about")["missing"], Value::Null);
        viewed
    };
    place.complete(&["evaluate", "in.jsonl", "--judge=simulated", "-o=scores.jsonl", "--store=e"]);
    let viewed = open(&["e"]);
    let (listed, shown) = (viewed.json("/api/list")["items"][2].clone(), viewed.json("/api/item/2"));
    assert_eq!((&listed["status"], &listed["answered"], &shown["id"]), (&json!("complete"), &json!(2), &json!("r2")));
    let note = &shown["turns"][1]["notes"][0];
    assert!(
        note["title"].as_str().unwrap().starts_with("score ") && note["text"].as_str().unwrap().contains("[["),
        "{shown}"
    );
    let written = place.rows("scores.jsonl")[2]["meta"]["judge"]["score"].as_f64().unwrap();
    assert!((listed["score"].as_f64().unwrap() - written).abs() < 1e-4);

    let compare =
        ["compare", "in.jsonl", "--a=simulated-x", "--b=simulated-y", "--judge=simulated", "-o=out", "--store=c"];
    place.complete(&compare);
    let viewed = open(&["c"]);
    let shown = viewed.json("/api/item/1");
    let answers = shown["turns"][1]["answers"].as_array().unwrap();
    let names: Vec<&str> = answers.iter().map(|answer| answer["lane"].as_str().unwrap()).collect();
    assert_eq!(names, ["simulated-x", "simulated-y"]);
    let written = place.rows("out/answers-simulated-y.jsonl")[1]["messages"][3]["content"].clone();
    assert_eq!(json!(text_of(&answers[1]["pieces"])), written);
    let notes = shown["turns"][1]["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 2, "both orders: {shown}");
    assert!(notes[0]["title"].as_str().unwrap().ends_with("with simulated-x shown first"), "{shown}");
    assert!(notes[1]["title"].as_str().unwrap().ends_with("with simulated-y shown first"), "{shown}");
    assert_eq!(viewed.json("/api/about")["pairs"], 8, "pairs are judged from the store too");

    place.run(&[
        "simulate",
        "in.jsonl",
        "--teacher=simulated",
        "--user=simulated-user",
        "--turns=4",
        "-o=grown.jsonl",
        "--store=s",
    ]);
    let viewed = open(&["s"]);
    let (mut grown, mut simulated) = (0, 0);
    for row in place.rows("grown.jsonl") {
        let item = viewed.json(&format!("/api/find?name={}", row["id"].as_str().unwrap()));
        let shown = viewed.json(&format!("/api/item/{item}"));
        let messages: Vec<String> = shown["turns"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|turn| {
                let kept = turn["answers"].as_array().unwrap().iter().filter(|answer| answer["fate"] == "kept");
                let said =
                    turn["said"].as_array().unwrap().iter().map(|said| said["text"].as_str().unwrap().to_owned());
                said.chain(kept.map(|answer| text_of(&answer["pieces"]))).collect::<Vec<_>>()
            })
            .collect();
        let written: Vec<&str> =
            row["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
        // A dialogue that ended early has a last turn without an answer.
        assert_eq!(messages[..written.len()], written[..], "{shown}");
        grown += written.len();
        simulated += shown.to_string().matches("\"simulated\":\"").count();
    }
    assert!(grown > 8 && simulated > 0, "{grown} messages, {simulated} simulated");

    place.run(&["tutor", "in.jsonl", "--student=simulated-student", "--teacher=simulated", "-o=tutored", "--store=t"]);
    let viewed = open(&["t"]);
    let shown = viewed.json("/api/item/0");
    let lanes: Vec<&str> = shown["turns"][0]["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["lane"].as_str().unwrap())
        .collect();
    assert!(lanes.contains(&"student"), "{shown}");
    assert!(shown["turns"][0]["notes"].to_string().contains("grade of the student"), "{shown}");
}

fn steer(viewed: &Viewed, cookie: &str, origin: &str, request: &Value) -> Reply {
    let headers = [("Cookie", cookie), ("Origin", origin), ("Content-Type", "application/json")];
    viewed.send_body("POST", "/api/run/verb", &viewed.host(), &headers, &request.to_string())
}

#[test]
fn a_run_at_work_is_shown_and_steered_by_the_page_alone() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "40"]));
    input(&place, "in.jsonl", 0..80);
    let model = server.model();
    let mut run = place.command(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency=2"]);
    let mut run = run.stderr(Stdio::null()).spawn().unwrap();
    while server.count("requests") < 4 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let viewed = Viewed::start(&place, &[]);
    let (own, cookie) = (format!("http://{}", viewed.host()), viewed.cookie.clone());
    let status = viewed.json("/api/run")["status"].clone();
    assert_eq!((&status["phase"], &status["progress"]["total"]), (&json!("running"), &json!(160)), "{status}");
    assert_eq!(status["run"]["limits"]["concurrency"], 2);
    assert_eq!(status["run"]["models"][0]["replicas"][0]["replica"], server.address);
    let pause = json!({"verb": "pause"});
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(steer(&viewed, &cookie, origin, &pause).status, 403, "{origin}");
    }
    assert_eq!(steer(&viewed, "none=1", &own, &pause).status, 403, "no cookie");
    assert_eq!(viewed.get("/api/run/verb").status, 405, "a link steers nothing");
    for wrong in [json!({"verb": "fly"}), json!({"verb": "set", "concurrency": 0}), json!([])] {
        assert_eq!(steer(&viewed, &cookie, &own, &wrong).status, 400, "{wrong}");
    }
    assert_eq!(steer(&viewed, &cookie, &own, &json!({"verb": "tail"})).status, 409);
    assert_eq!(viewed.json("/api/run")["status"]["phase"], "running", "nobody else has paused it");
    assert_eq!(steer(&viewed, &cookie, &own, &pause).status, 200);
    assert_eq!(viewed.json("/api/run")["status"]["phase"], "paused");
    let set = steer(&viewed, &cookie, &own, &json!({"verb": "set", "concurrency": "5", "rpm": "none"}));
    assert_eq!(set.status, 200, "{}", set.body);
    assert_eq!(viewed.json("/api/run")["status"]["run"]["limits"]["concurrency"], 5);
    let unknown = steer(&viewed, &cookie, &own, &json!({"verb": "drain", "replica": "nowhere:1"}));
    assert_eq!(unknown.status, 409, "{}", unknown.body);
    assert_eq!(steer(&viewed, &cookie, &own, &json!({"verb": "resume"})).status, 200);
    assert_eq!(steer(&viewed, &cookie, &own, &json!({"verb": "stop", "now": false})).status, 200);
    assert_eq!(run.wait().unwrap().code(), Some(75));
    let mut shown = Value::Null;
    for _ in 0..100 {
        shown = viewed.json("/api/run");
        if shown["last"]["state"] == "stopped" {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((&shown["status"], &shown["last"]["state"]), (&Value::Null, &json!("stopped")), "{shown}");
    assert_eq!(steer(&viewed, &cookie, &own, &pause).status, 409, "no run is at work");
    // Limits are kept for later runs, as `cohobate ctl set` does.
    assert_eq!(
        steer(&viewed, &cookie, &own, &json!({"verb": "set", "max-cost": "none", "concurrency": 7})).status,
        200
    );
}
