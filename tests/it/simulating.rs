//! `cohobate simulate`: a model plays the user, and every end has its reason, whatever that model does.

use serde_json::{Value, json};

use crate::support::{MockServer, Place, conversation, jsonl, recorder, requests};

fn prompts(place: &Place, count: usize) {
    let rows: Vec<Value> = (0..count).map(|row| conversation(&format!("the care of plant number {row}"), 1)).collect();
    place.write("in.jsonl", jsonl(&rows));
}

fn report(place: &Place) -> Value {
    serde_json::from_str(&place.read("simulated.report.json")).unwrap()
}

#[test]
fn dialogues_grow_to_their_turns_and_say_what_was_simulated() {
    let place = Place::new();
    prompts(&place, 30);
    place.write("personas.txt", "a gardener\na child\n");
    let arguments = [
        "simulate",
        "in.jsonl",
        "--teacher",
        "simulated",
        "--user",
        "simulated-user",
        "--turns",
        "4",
        "--personas",
        "personas.txt",
    ];
    place.complete(&arguments);
    let (rows, written) = (place.rows("simulated.jsonl"), place.read("simulated.jsonl"));
    assert_eq!(rows.len(), 30);
    for row in &rows {
        let of =
            |role: &str| row["messages"].as_array().unwrap().iter().filter(|message| message["role"] == role).count();
        let origins = row["meta"]["user_origin"].as_array().unwrap();
        assert_eq!((of("user"), of("assistant")), (origins.len(), origins.len()));
        assert_eq!(origins[0], "source");
        assert!(origins[1..].iter().all(|origin| origin == "simulated"));
        let is_whole = row["meta"]["stop_reason"] == "max_turns";
        assert!(if is_whole { origins.len() == 4 } else { row["meta"]["stop_reason"] == "user_stop" });
        assert!(row["meta"]["user_goal"]["intent"].is_string() || origins.len() == 1);
    }
    let report = report(&place);
    assert_eq!(report["conversations"], 30);
    assert!(report["roles"]["user"]["completion_tokens"].as_u64().unwrap() > 0);
    // Again, and nothing is asked.
    let again = place.complete(&arguments);
    assert!(again.stderr.contains("0 answers new"), "{}", again.stderr);
    assert_eq!(place.read("simulated.jsonl"), written);
}

/// Returns how conversations end with a user that does this, and what the user's server was asked.
fn ends_with(fault: &str) -> (Value, u64) {
    let place = Place::new();
    prompts(&place, 6);
    let user = MockServer::start(&["--fault", fault]);
    place.run(&["simulate", "in.jsonl", "--teacher", "simulated", "--user", &user.model(), "--turns", "5"]);
    let report = report(&place);
    let mut ends = report["reasons"].clone();
    // Dice end some before the user says a word.
    ends.as_object_mut().unwrap().remove("user_stop");
    (ends, user.count("requests"))
}

#[test]
fn a_user_that_is_none_ends_the_conversation_by_code() {
    for (fault, reason) in [
        ("thanks:1", "user_invalid: thanks_only"),
        ("self-answer:1", "user_invalid: answers_itself"),
        ("language:1", "user_invalid: language"),
        ("empty:1", "user_invalid: empty"),
        ("leak:1", "user_invalid: template_leak"),
    ] {
        let (ends, requests) = ends_with(fault);
        let ends = ends.as_object().unwrap();
        assert_eq!(ends.keys().collect::<Vec<_>>(), [reason]);
        // Two for the goal, three for the message.
        assert!(requests <= 6 * 5, "{fault}: {requests}");
    }
    let (ends, requests) = ends_with("done:1");
    assert_eq!(ends, json!({}), "a user that is done at once");
    assert!(requests <= 6 * 3);
}

#[test]
fn a_user_that_never_stops_is_stopped_by_the_number_of_turns() {
    let place = Place::new();
    prompts(&place, 2);
    let user = MockServer::start(&[]);
    place.complete(&["simulate", "in.jsonl", "--teacher", "simulated", "--user", &user.model(), "--turns", "12"]);
    assert!(user.count("requests") <= 2 * (2 + 3 * 11));
}

#[test]
fn a_rejected_teacher_leaves_what_was_good_and_exit_code_3() {
    let place = Place::new();
    prompts(&place, 20);
    let teacher = MockServer::start(&["--fault", "babble:0.5", "--fault-by", "question"]);
    let finished =
        place.run(&["simulate", "in.jsonl", "--teacher", &teacher.model(), "--user", "simulated", "--turns", "4"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(!place.read("simulated.jsonl").contains("I will say it once more"));
    assert!(report(&place)["ends"]["teacher_rejected"].as_u64().unwrap() > 0);
}

#[test]
fn a_kill_changes_no_byte_and_repeats_no_question() {
    let place = Place::new();
    prompts(&place, 40);
    let arguments = |teacher: &str, output: &'static str, store: &'static str| {
        let words = ["simulate", "in.jsonl", "--user", "simulated", "--turns", "5", "-o", output, "--store", store];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(["--teacher".to_owned(), teacher.to_owned(), "--concurrency".to_owned(), "4".to_owned()]).collect()
    };
    let run = |words: &Vec<String>| place.complete(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let calm = MockServer::start(&[]);
    let whole: Vec<String> = arguments(&calm.model(), "whole.jsonl", "a");
    run(&whole);
    let slow = MockServer::start(&["--latency", "15"]);
    let killed: Vec<String> = arguments(&slow.model(), "killed.jsonl", "b");
    for _ in 0..2 {
        place.kill_at(&killed.iter().map(String::as_str).collect::<Vec<_>>(), &slow, slow.count("requests") + 30);
    }
    run(&killed);
    assert_eq!(place.read("whole.jsonl"), place.read("killed.jsonl"));
    // What was in the air at each kill may be asked again, nothing else.
    assert!(slow.count("repeated") <= 2 * 4);
}

#[test]
fn what_has_grown_and_goes_on_still_says_what_was_simulated() {
    let place = Place::new();
    prompts(&place, 12);
    let simulate = |input: &str, turns: &str, output: &str| {
        let models = ["--teacher=simulated", "--user=simulated-user"];
        place.complete(&[&["simulate", input, "--turns", turns, "-o", output], &models[..]].concat())
    };
    simulate("in.jsonl", "3", "simulated.jsonl");
    let (before, first) = (report(&place), place.rows("simulated.jsonl"));
    simulate("simulated.jsonl", "5", "longer.jsonl");
    for (row, first) in place.rows("longer.jsonl").iter().zip(&first) {
        let origins = row["meta"]["user_origin"].as_array().unwrap();
        assert!(origins[0] == "source" && origins[1..].iter().all(|origin| origin == "simulated"), "{row}");
        let moves = first["meta"]["user_moves"].as_array().unwrap();
        assert_eq!(&row["meta"]["user_moves"].as_array().unwrap()[..moves.len()], moves);
    }
    let after: Value = serde_json::from_str(&place.read("longer.report.json")).unwrap();
    assert_eq!(before["source"]["messages"], after["source"]["messages"]);
    // What is too short is named.
    let finished = place.complete(&[
        "simulate",
        "in.jsonl",
        "--turns=3",
        "--min-turns=4",
        "--teacher=simulated",
        "--user=simulated-user",
        "-o=short.jsonl",
    ]);
    assert!(finished.stderr.contains("12 conversations with fewer turns than --min-turns"), "{}", finished.stderr);
    assert_eq!(place.rows("short.jsonl.incomplete.jsonl").len(), 12);
}

#[test]
fn a_users_model_hears_user_and_assistant_in_turns() {
    let place = Place::new();
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    place.write(
        "in.jsonl",
        jsonl(&[json!({"id": "greeted", "messages": [said("system", "Be brief."), said("assistant", "Welcome to the garden."),
            said("user", "How do I water roses?"), said("user", "They stand in the shade of a wall.")]})]),
    );
    let server = MockServer::start(&[]);
    let (user, sent) = recorder(&server);
    let arguments =
        ["simulate", "in.jsonl", "--teacher=simulated", "--user", &user, "--double-user=keep", "--gate=off"];
    for seed in 1..=4 {
        place.run(&[&arguments[..], &["--turns=4", "--seed", &seed.to_string()]].concat());
    }
    let sent: Vec<Value> = sent.lock().unwrap().iter().flat_map(|sent| requests(sent)).collect();
    let played = sent.iter().filter(|messages| messages[0]["role"] == "system");
    for messages in played.clone() {
        let roles = messages.as_array().unwrap()[1..].iter().map(|message| message["role"].as_str().unwrap());
        assert!(
            roles.eq(["user", "assistant"].iter().copied().cycle().take(messages.as_array().unwrap().len() - 1)),
            "{messages}"
        );
    }
    assert!(played.count() > 3);
}

#[test]
fn another_seed_throws_other_dice() {
    let place = Place::new();
    prompts(&place, 20);
    let moves = |seed: &str| -> Vec<Value> {
        let models = ["--teacher=simulated", "--user=simulated-user", "--seed", seed];
        place.run(&[&["simulate", "in.jsonl", "--turns=4"], &models[..]].concat());
        place.rows("simulated.jsonl").iter().map(|row| row["meta"]["user_moves"].clone()).collect()
    };
    assert_ne!(moves("1"), moves("2"));
    assert_eq!(moves("1"), moves("1"));
}
