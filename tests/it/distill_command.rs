//! The main job, through the real program: what is asked, what is reused, what comes out.

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl, shared_data};

/// What the mock server has answered since the last look.
fn calls(server: &MockServer, seen: &mut u64) -> u64 {
    let requests = server.count("requests");
    let new = requests - *seen;
    *seen = requests;
    new
}

#[test]
fn mt_bench_takes_160_calls_the_first_time_and_none_the_second() {
    let Some(input) = shared_data("mt_bench/question.jsonl") else { return };
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let arguments = ["distill", input.to_str().unwrap(), "--teacher", &server.model(), "-o", "out.jsonl"];
    place.complete(&arguments);
    assert_eq!(server.count("requests"), 160);
    let first = place.read("out.jsonl");
    let source = crate::support::rows(&std::fs::read_to_string(&input).unwrap());
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.len(), 80);
    for (row, source) in rows.iter().zip(&source) {
        assert_eq!(row["id"], source["question_id"].to_string());
        let users: Vec<&Value> = row["messages"].as_array().unwrap().iter().step_by(2).map(|m| &m["content"]).collect();
        assert_eq!(users, source["turns"].as_array().unwrap().iter().collect::<Vec<_>>());
    }
    place.complete(&arguments);
    assert_eq!(server.count("requests"), 160);
    assert_eq!(place.read("out.jsonl"), first);
}

#[test]
fn every_turn_is_asked_with_the_whole_regenerated_history() {
    use cohobate::conversation::{Message, Question, Role, Sampling, Slot, Target};
    use cohobate::model::Simulated;
    let (place, server) = (Place::new(), MockServer::start(&[]));
    place.write("in.jsonl", jsonl(&[conversation("kites", 4), conversation("lamps", 2)]));
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    for row in place.rows("out.jsonl") {
        let mut messages = Vec::new();
        for message in row["messages"].as_array().unwrap() {
            let text = message["content"].as_str().unwrap();
            if message["role"] == "assistant" {
                // The simulated model's answer is a function of all that it was sent.
                let target = Target::new("sim", Simulated::DIALECT, Sampling::default());
                let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.clone().into() };
                assert_eq!(Simulated::answer(&question, 1).text(), text);
                assert_ne!(text, "An old answer.");
                messages.push(Message::new(Role::Assistant, text));
            } else {
                messages.push(Message::new(Role::User, text));
            }
        }
        assert!(messages.len() >= 4);
    }
}

#[test]
fn an_edited_dataset_pays_for_what_is_new() {
    let (place, server, mut seen) = (Place::new(), MockServer::start(&[]), 0);
    let mut rows: Vec<Value> = (0..40).map(|row| conversation(&format!("subject {row}"), 5)).collect();
    let model = server.model();
    let distill = |rows: &[Value]| {
        place.write("in.jsonl", jsonl(rows));
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"])
    };
    distill(&rows);
    assert_eq!(calls(&server, &mut seen), 200);
    // One turn appended: 1 call. The third of five turns edited: that one and the two after it. A duplicate: none.
    // Two new rows of four turns: 8.
    rows[3] = conversation("subject 3", 6);
    rows[7]["messages"][4]["content"] = json!("Something else entirely?");
    rows.push(conversation("subject 11", 5));
    rows.extend([conversation("kites", 4), conversation("lamps", 4)]);
    let order: Vec<usize> = (0..rows.len()).map(|index| index * 17 % rows.len()).collect();
    let shuffled: Vec<Value> = order.iter().map(|index| rows[*index].clone()).collect();
    place.write("in.jsonl", jsonl(&shuffled));
    let plan: Value =
        serde_json::from_str(&place.complete(&["plan", "in.jsonl", "--teacher", &model, "--json"]).stdout).unwrap();
    assert_eq!((&plan["calls"], &plan["turns"], &plan["answered"]), (&json!(12), &json!(214), &json!(202)));
    let finished = distill(&shuffled);
    assert_eq!(calls(&server, &mut seen), 1 + 3 + 8);
    assert!(finished.stderr.contains("reused     202 of 214 turns"), "{}", finished.stderr);
    let ids: Vec<Value> = place.rows("out.jsonl").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, shuffled.iter().map(|row| row["id"].clone()).collect::<Vec<_>>());
}

#[test]
fn equal_rows_are_paid_once_and_each_has_its_row_in_the_output() {
    let (place, server) = (Place::new(), MockServer::start(&["--latency", "20"]));
    let rows: Vec<Value> = (0..6).map(|_| conversation("kites", 3)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let plan: Value =
        serde_json::from_str(&place.complete(&["plan", "in.jsonl", "--teacher", &server.model(), "--json"]).stdout)
            .unwrap();
    assert_eq!((&plan["calls"], &plan["shared"]), (&json!(3), &json!(15)));
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model(), "-o", "out.jsonl"]);
    assert_eq!(server.count("requests"), 3);
    let text = place.read("out.jsonl");
    assert_eq!(text.lines().count(), 6);
    assert!(text.lines().all(|line| Some(line) == text.lines().next()));
}

#[test]
fn another_setting_reuses_nothing_and_is_named() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let base = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--temperature", "0.5"];
    place.complete(&base);
    for (arguments, words) in [
        (vec!["--temperature", "0.75"], "temperature is `0.75`, was `0.5`"),
        (vec!["--system", "Answer in rhyme."], "system is `Answer in rhyme.`, was `from the rows`"),
        (vec!["--max-tokens", "900"], "max-tokens is `900`, was `server default`"),
        (vec!["--top-p", "0.9"], "top-p is `0.9`, was `server default`"),
        (vec!["--seed", "4"], "seed is `4`, was `none`"),
    ] {
        let mut all: Vec<&str> = base.to_vec();
        if arguments[0] == "--temperature" {
            all.truncate(all.len() - 2);
        }
        all.extend(arguments);
        let finished = place.complete(&all);
        assert!(finished.stderr.contains("reused     0 of 2 turns"), "{}", finished.stderr);
        assert!(
            finished.stderr.contains(&format!("stored answers are for other settings: {words}\n")),
            "{}",
            finished.stderr
        );
    }
    let server = MockServer::start(&[]);
    let model = server.model();
    let finished =
        place.complete(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--temperature", "0.5"]);
    assert!(finished.stderr.contains("model is `sim`, was `simulated`"), "{}", finished.stderr);
    // Where the first settings are used again, so are their answers.
    let finished = place.complete(&base);
    assert!(finished.stderr.contains("reused     2 of 2 turns"), "{}", finished.stderr);
}

#[test]
fn a_store_without_its_index_or_with_a_scribbled_one_answers_without_a_call() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    place.write("in.jsonl", jsonl(&(0..9).map(|row| conversation(&format!("{row}"), 3)).collect::<Vec<_>>()));
    let model = server.model();
    let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    place.complete(&arguments);
    let expected = place.read("out.jsonl");
    let index = place.path(".cohobate/index");
    for damage in 0..3 {
        match damage {
            0 => std::fs::remove_dir_all(&index).unwrap(),
            1 => std::fs::write(index.join("db"), vec![0xa5; 70_000]).unwrap(),
            _ => {
                let snapshots = std::fs::read_dir(&index).unwrap().map(|file| file.unwrap().path());
                for path in snapshots.filter(|path| path.is_file()) {
                    std::fs::write(path, b"").unwrap();
                }
            }
        }
        let finished = place.complete(&arguments);
        assert!(finished.stderr.contains("was rebuilt from the journal"), "{damage}: {}", finished.stderr);
        assert!(!finished.stderr.contains("panicked"), "{damage}: {}", finished.stderr);
        assert_eq!(place.read("out.jsonl"), expected, "{damage}");
        assert_eq!(server.count("requests"), 27, "{damage}");
    }
}

#[test]
fn limit_takes_the_first_rows() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..9).map(|row| conversation(&format!("{row}"), 1)).collect::<Vec<_>>()));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--limit", "4"]);
    let ids: Vec<Value> = place.rows("out.jsonl").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["0", "1", "2", "3"]);
}

#[test]
fn options_stand_in_the_configuration_under_the_same_names_and_the_command_line_goes_before_them() {
    let (place, server) = (Place::new(), MockServer::start(&["--model", "served-name"]));
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    place.write(
        "cohobate.toml",
        format!(
            "teacher = \"mine\"\ntemperature = 0.25\nmax-tokens = 400\nstore = \"kept here\"\n\
             [models.mine]\nurl = \"http://{}/v1\"\nname = \"served-name\"\nstream = false\n\
             price = {{ input = 1000.0, output = 2000.0 }}\n",
            server.address
        ),
    );
    let plan = place.complete(&["plan", "in.jsonl"]);
    assert!(plan.stdout.contains("price          about $"), "{}", plan.stdout);
    let finished = place.complete(&["distill", "in.jsonl", "-o", "out.jsonl", "--temperature", "0.5"]);
    assert!(finished.stderr.contains("; $") || finished.stderr.contains(", $"), "{}", finished.stderr);
    let status: Value = serde_json::from_str(&place.complete(&["status", "--json"]).stdout).unwrap();
    let settings = &status["runs"][0]["settings"];
    assert_eq!(
        (&settings["temperature"], &settings["max-tokens"], &settings["model"]),
        (&json!("0.5"), &json!("400"), &json!("served-name"))
    );
    assert!(status["spending"]["served-name"]["cost"].as_f64().unwrap() > 0.0);
    assert!(place.exists("kept here/journal"));
}
