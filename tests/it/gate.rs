//! A bad turn never becomes context: the gate in a run, against a teacher that is bad on purpose.

use cohobate::conversation::{Message, Question, Role, Sampling, Slot, Target};
use cohobate::model::Simulated;
use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl};

/// What the mock's faults say, and no good answer does.
const BAD: [&str; 4] = ["<|im_end|>", "I will say it once more.", "I'm sorry, but I can't help", "这个问题可以从"];

const FAULTS: [&str; 12] = [
    "--fault-by",
    "question",
    "--fault",
    "babble:0.07",
    "--fault",
    "leak:0.07",
    "--fault",
    "refusal:0.07",
    "--fault",
    "language:0.07",
    "--fault",
    "length:0.07",
];

fn write_dataset(place: &Place, conversations: usize, turns: usize) {
    let rows: Vec<Value> = (0..conversations).map(|row| conversation(&format!("subject {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
}

/// What the simulated teacher says to these messages.
fn said_to(messages: &[Value], model: &str) -> String {
    let role = |message: &Value| if message["role"] == "user" { Role::User } else { Role::Assistant };
    let messages = messages.iter().map(|message| Message::new(role(message), message["content"].as_str().unwrap()));
    let target = Target::new(model, Simulated::DIALECT, Sampling::default());
    let question = Question { slot: Slot::main(0), target, sample: 0, messages: messages.collect() };
    Simulated::answer(&question, 1).text().to_owned()
}

#[test]
fn no_bad_answer_is_written_or_built_on_and_attempts_are_bounded() {
    let (place, server) = (Place::new(), MockServer::start(&FAULTS));
    write_dataset(&place, 80, 5);
    let model = server.model();
    let command = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--gate", "strict"];
    let finished = place.run(&[&command[..], &["--progress", "json"]].concat());
    assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.stderr);
    let rows = place.rows("out.jsonl");
    let (mut retried, mut whole) = (0, 0);
    for row in &rows {
        let text = row["messages"].to_string();
        assert!(BAD.iter().all(|bad| !text.contains(bad)), "{row}");
        let messages = row["messages"].as_array().unwrap();
        for (number, turn) in row["meta"]["turns"].as_array().unwrap().iter().enumerate() {
            assert_eq!(turn["finish_reason"], "stop", "{row}");
            if turn.get("rejected").is_some() {
                retried += 1;
                continue;
            }
            // The answer is the one to exactly this history.
            let answer = messages[2 * number + 1]["content"].as_str().unwrap();
            assert_eq!(answer, said_to(&messages[..=2 * number], turn["model"].as_str().unwrap()), "{row}");
            whole += 1;
        }
    }
    assert!(retried > 50 && whole > 150, "{retried} retried, {whole} at once");
    let summary = finished.summary();
    let rules = &summary["quality"]["rules"];
    for rule in ["finish_length", "template_leak", "refusal", "language", "loop_token"] {
        assert!(rules[rule]["rejected"].as_u64().unwrap() > 5, "{rule}: {rules}");
        assert!(rules[rule]["completion_tokens"].as_u64().unwrap() > 0, "{rule}: {rules}");
    }
    let rejected: u64 = rules.as_object().unwrap().values().map(|rule| rule["rejected"].as_u64().unwrap()).sum();
    let answered = rows.iter().map(|row| row["meta"]["turns"].as_array().unwrap().len() as u64).sum::<u64>();
    assert!(server.count("requests") <= answered + rejected + 80, "each rejected answer costs one more call, no more");
    // The store knows of it all: nothing is asked again, the same bytes come out.
    let (before, text) = (server.count("requests"), place.read("out.jsonl"));
    place.run(&command);
    assert_eq!((server.count("requests"), place.read("out.jsonl")), (before, text));
    let verified = place.run(&["verify", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--gate", "strict"]);
    assert!(matches!(verified.code, Some(0 | 3)), "{}", verified.stderr);
}

#[test]
fn rejected_attempts_make_pairs() {
    let (place, server) = (Place::new(), MockServer::start(&FAULTS));
    write_dataset(&place, 40, 3);
    let model = server.model();
    let command = ["--teacher", &model, "--gate", "strict"];
    place.run(&[&["distill", "in.jsonl", "-o", "out.jsonl"][..], &command].concat());
    let rows = place.rows("out.jsonl");
    place.run(&[&["export", "in.jsonl", "-o", "pairs.jsonl", "--to", "dpo"][..], &command].concat());
    let pairs = place.rows("pairs.jsonl");
    assert!(pairs.len() > 10, "{}", pairs.len());
    for pair in &pairs {
        let worse = pair["rejected"][0]["content"].as_str().unwrap();
        assert!(BAD.iter().any(|bad| worse.contains(bad)) || pair["meta"]["rejected_by"] == "dup_10gram", "{pair}");
        // What the better answer answers is what the conversation went on with.
        let id = pair["id"].as_str().unwrap().split('#').next().unwrap();
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        let prompt = pair["prompt"].as_array().unwrap();
        let said = [&prompt[..], pair["chosen"].as_array().unwrap()].concat();
        assert_eq!(said, row["messages"].as_array().unwrap()[..said.len()]);
    }
}

#[test]
fn what_stays_bad_is_cut_before_its_turn_and_dropped_where_too_little_remains() {
    let (place, server) = (Place::new(), MockServer::start(&["--fault-by", "question", "--fault", "leak:0.6"]));
    write_dataset(&place, 40, 4);
    let model = server.model();
    let command = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--gate", "standard"];
    let finished = place.run(&command);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(finished.stderr.contains("× stopped: turn 1: template_leak"), "{}", finished.stderr);
    let turns = |row: &Value| row["messages"].as_array().unwrap().len() / 2;
    let rows = place.rows("out.jsonl");
    let cut: Vec<&Value> = rows.iter().filter(|row| turns(row) < 4).collect();
    assert!(
        !cut.is_empty() && cut.iter().all(|row| row["meta"]["stopped"].as_str().unwrap().ends_with("template_leak"))
    );
    let listed = place.rows("out.jsonl.incomplete.jsonl");
    assert_eq!(rows.len() - cut.len() + listed.len(), 40);
    place.run(&[&command[..], &["--min-turns", "3"]].concat());
    let kept: Vec<Value> = rows.iter().filter(|row| turns(row) >= 3).cloned().collect();
    assert_eq!(place.rows("out.jsonl"), kept);
    assert!(server.count("requests") <= 3 * server.count("distinct").max(1));
}

#[test]
fn a_kill_in_the_middle_changes_nothing() {
    let arguments = [&FAULTS[..], &["--latency", "5"]].concat();
    let (place, server) = (Place::new(), MockServer::start(&arguments));
    write_dataset(&place, 40, 5);
    let model = server.model();
    let command =
        ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--gate", "strict", "--concurrency", "8"];
    for until in [60, 120, 200] {
        place.kill_at(&command, &server, until);
    }
    place.run(&command);
    let (killed, distinct) = (place.read("out.jsonl"), server.count("distinct"));
    place.run(&[&command[..], &["--store", "calm"]].concat());
    assert_eq!(place.read("out.jsonl"), killed);
    assert_eq!(server.count("distinct"), distinct, "the calm run asks the same questions");
}

#[test]
fn a_message_that_refers_to_the_replaced_answer_is_kept_cut_or_rewritten() {
    let place = Place::new();
    let say = |role: &str, text: &str| json!({"role": role, "content": text});
    let rows = [
        json!({"id": "orphan", "messages": [say("user", "How do I get there?"),
            say("assistant", "Take the old harbor road behind the mill."),
            say("user", "Where does the old harbor road begin?"), say("assistant", "At the mill."), say("user", "Thanks.")]}),
        json!({"id": "sound", "messages": [say("user", "How do I get there?"), say("assistant", "Take the bus."),
            say("user", "When does it leave?"), say("assistant", "At nine.")]}),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let run = |rule: &str| {
        let finished =
            place.run(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--orphans", rule]);
        (finished, place.rows("out.jsonl"))
    };
    let roles = |row: &Value| row["messages"].as_array().unwrap().len();
    let (finished, rows) = run("keep");
    assert_eq!(finished.code, Some(0));
    assert_eq!(rows[0]["meta"]["turns"][1]["flags"], json!(["orphan_reference"]));
    assert_eq!((roles(&rows[0]), roles(&rows[1])), (6, 4));
    assert!(finished.stderr.contains("orphan_reference  1 hit: orphan"), "{}", finished.stderr);
    let (finished, rows) = run("truncate");
    assert_eq!((finished.code, roles(&rows[0])), (Some(3), 2));
    assert_eq!(rows[0]["meta"]["stopped"], "turn 2: orphan_reference");
    let (finished, rows) = run("rewrite");
    assert_eq!((finished.code, roles(&rows[0])), (Some(0), 6), "{}", finished.stderr);
    assert_ne!(rows[0]["messages"][2]["content"], "Where does the old harbor road begin?");
    assert_eq!(rows[0]["meta"]["turns"][1]["flags"], json!(["user_rewritten"]));
    assert_eq!(rows[1]["messages"][2]["content"], "When does it leave?");
}

#[test]
fn rules_are_checked_before_anything_is_asked() {
    let place = Place::new();
    write_dataset(&place, 1, 1);
    for (rules, words) in [("refusals=off", "there is no rule `refusals`"), ("refusal=eat", "does not say")] {
        let command = ["distill", "in.jsonl", "--teacher", "simulated", "--gate", "standard", "--rules", rules];
        let finished = place.run(&command);
        assert_eq!(finished.code, Some(2));
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    let finished = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--rules", "refusal=off"]);
    assert!(finished.stderr.contains("add --gate standard"), "{}", finished.stderr);
}
