//! `cohobate show`: a conversation in the terminal, from input and store.

use serde_json::Value;

use crate::support::{MockServer, Place, conversation, jsonl};

/// Faults whose answers the gate rejects.
const FAULTS: [&str; 6] = ["--fault-by", "question", "--fault", "leak:0.3", "--fault", "length:0.2"];

fn distilled(place: &Place, server: &MockServer) -> String {
    let rows: Vec<Value> = (0..20).map(|row| conversation(&format!("row-{row}"), 3)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model();
    place.run(&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--gate", "strict"]);
    model
}

fn shown(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let finished = place.complete(&[&["show", "--json"], arguments].concat());
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text_of(pieces: &Value) -> String {
    pieces.as_array().unwrap().iter().map(|piece| piece["text"].as_str().unwrap()).collect()
}

#[test]
fn a_conversation_is_shown_with_its_old_and_new_answers_and_every_attempt() {
    let (place, server) = (Place::new(), MockServer::start(&FAULTS));
    let model = distilled(&place, &server);
    let asked = ["--input", "in.jsonl", "--teacher", &model, "--gate", "strict"];
    let out = place.rows("out.jsonl");
    let (mut rejected, mut found) = (0, 0);
    for row in 0..20 {
        let id = format!("row-{row}");
        let all = shown(&place, &[&[id.as_str()][..], &asked].concat());
        assert_eq!(all.len(), 1);
        let (shown, written) = (&all[0], out.iter().find(|written| written["id"] == id));
        assert_eq!(shown["place"], serde_json::json!(["in.jsonl", row + 1]));
        for (number, turn) in shown["turns"].as_array().unwrap().iter().enumerate() {
            assert_eq!(turn["said"][0]["role"], "user");
            assert_eq!(text_of(&turn["old"]), "An old answer.");
            for answer in turn["answers"].as_array().unwrap() {
                assert_eq!(answer["origin"]["run"], 1);
                if answer["fate"] == "kept" {
                    let messages = &written.unwrap()["messages"];
                    assert_eq!(text_of(&answer["pieces"]), messages[2 * number + 1]["content"].as_str().unwrap());
                } else {
                    rejected += 1;
                    let pieces = answer["pieces"].as_array().unwrap();
                    let marked = pieces.iter().find(|piece| piece["mark"] == "found");
                    if answer["rule"] == "template_leak" {
                        let marked = marked.unwrap_or_else(|| panic!("{answer}"))["text"].as_str().unwrap();
                        assert!(text_of(&answer["pieces"]).contains("<|im_end|>") && marked.contains("<|"), "{answer}");
                        found += 1;
                    }
                }
            }
        }
    }
    assert!(rejected > 5 && found > 2, "{rejected} rejected, {found} marked");
    let text = place.complete(&[&["show", "row-3", "--diff"][..], &asked].concat()).stdout;
    assert!(text.starts_with("id       row-3\nkey      ") && text.contains("[-An old answer"), "{text}");
}

#[test]
fn without_the_input_the_answers_are_shown_by_key_and_no_turn_is_guessed() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let model = distilled(&place, &server);
    let asked = ["--input", "in.jsonl", "--teacher", &model, "--gate", "strict"];
    let key = shown(&place, &[&["row-7"][..], &asked].concat())[0]["key"].as_str().unwrap().to_owned();
    // Without the log of its runs a store does not know what was asked.
    std::fs::remove_dir_all(place.path(".cohobate/runs")).unwrap();
    let by_key = shown(&place, &[&key[..12]]);
    assert_eq!((by_key.len(), &by_key[0]["status"]["name"]), (1, &Value::from("complete")));
    assert!(by_key[0]["unavailable"].as_str().unwrap().contains("not known"), "{}", by_key[0]);
    let turns = by_key[0]["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 3);
    for turn in turns {
        assert_eq!((&turn["said"], &turn["old"]), (&serde_json::json!([]), &Value::Null));
        assert!(!text_of(&turn["answers"][0]["pieces"]).is_empty());
    }
    std::fs::remove_file(place.path("in.jsonl")).unwrap();
    let gone = place.complete(&[&["show", "--json", &key[..12]][..], &asked].concat());
    assert!(gone.stderr.contains("in.jsonl") && gone.stderr.contains("are not shown"), "{}", gone.stderr);
    assert!(gone.stdout.contains("in.jsonl"), "the missing input is named: {}", gone.stdout);
    let nobody = place.run(&["show", "row-7"]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("no conversation is called `row-7`\nhint: "), "{}", nobody.stderr);
}

#[test]
fn a_row_that_was_edited_shows_what_is_asked_now() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    let model = distilled(&place, &server);
    let edited = place.read("in.jsonl").replace("What about row-4, part 2", "What of row-4, part 2");
    place.write("in.jsonl", edited);
    let asked = ["row-4", "--input", "in.jsonl", "--teacher", &model, "--gate", "strict"];
    let shown = &shown(&place, &asked)[0];
    assert_eq!(shown["status"]["name"], "open");
    let answers: Vec<usize> =
        shown["turns"].as_array().unwrap().iter().map(|turn| turn["answers"].as_array().unwrap().len()).collect();
    assert_eq!(answers, [1, 1, 0], "the first two turns are answered under the same questions");
}
