//! Rows for every trainer, from a model or from other rows, and back.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Place, conversation, jsonl, rows, shared_data};

const FORMATS: [&str; 7] =
    ["openai", "sharegpt", "llama-factory", "axolotl", "ms-swift", "trl-prompt-completion", "per-turn"];

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// A dialogue with everything that formats differ in.
fn rich() -> Value {
    json!({"id": "rich", "topic": "harbors", "messages": [
        message("system", "Be kind."), message("user", "One?"),
        json!({"role": "assistant", "content": "First.", "reasoning_content": "I think."}),
        message("user", "Two?"), message("assistant", "<think>More thought.</think>Second.")]})
}

/// Converts `input` and returns the rows.
fn converted(place: &Place, input: &str, to: &str) -> Vec<Value> {
    let output = format!("{to}.jsonl");
    place.complete(&["convert", input, "-o", &output, "--to", to]);
    place.rows(&output)
}

/// The rows that a format did not take: id and reason.
fn reasons(place: &Place, format: &str) -> Vec<String> {
    let listed = place.rows(&format!("{format}.jsonl.incomplete.jsonl"));
    listed.iter().map(|row| format!("{} {}", row["id"].as_str().unwrap(), row["reason"].as_str().unwrap())).collect()
}

#[test]
fn every_format_says_it_in_its_own_way() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[rich()]));
    let mut shown = String::new();
    for format in FORMATS {
        for row in converted(&place, "in.jsonl", format) {
            let _ = writeln!(shown, "{format}: {row}");
        }
    }
    insta::assert_snapshot!(shown);
    let info: Value = serde_json::from_str(&place.read("dataset_info.json")).unwrap();
    insta::assert_snapshot!(format!("{info:#}"));
}

#[test]
fn what_a_trainer_would_blank_or_refuse_is_left_out_with_its_reason_or_made_to_fit() {
    let place = Place::new();
    let lines = [
        json!({"id": "greeting", "messages": [message("assistant", "Hi!"), message("user", "Yes?"), message("assistant", "So.")]}),
        json!({"id": "doubled", "messages": [message("user", "One."), message("user", "Two."), message("assistant", "Three.")]}),
        json!({"id": "aside", "messages": [message("user", "a"), message("assistant", "b"), message("system", "In French."), message("user", "c"), message("assistant", "d")]}),
        json!({"id": "open", "messages": [message("user", "a"), message("assistant", "b"), message("user", "c")]}),
        json!({"id": "silent", "messages": [message("user", "a")]}),
        json!({"id": "tools", "messages": [message("user", "a"), json!({"role": "assistant", "tool_calls": [{"id": "1"}]})]}),
    ];
    place.write("in.jsonl", jsonl(&lines));
    let strict = converted(&place, "in.jsonl", "llama-factory");
    let said: Vec<String> = strict.iter().map(|row| format!("{} {}", row["id"], row["conversations"])).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(reasons(&place, "llama-factory"), ["greeting assistant_first", "silent no_answer", "tools tool_use"]);
    for (format, count) in [("openai", 4), ("sharegpt", 4), ("axolotl", 4), ("ms-swift", 4), ("per-turn", 5)] {
        assert_eq!(converted(&place, "in.jsonl", format).len(), count, "{format}");
    }
    // A greeting is context: nobody learns it.
    let swift = converted(&place, "in.jsonl", "ms-swift");
    assert_eq!((&swift[0]["messages"][0]["loss"], &swift[0]["messages"][2]["loss"]), (&json!(false), &json!(true)));
}

#[test]
fn a_run_writes_for_a_trainer_and_verify_and_export_agree() {
    let place = Place::new();
    let mut greeting = conversation("tides", 2);
    greeting["messages"].as_array_mut().unwrap().insert(0, message("assistant", "Hello, what can I do?"));
    place.write("in.jsonl", jsonl(&[conversation("kites", 3), greeting]));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "openai.jsonl"]);
    for format in FORMATS {
        let output = format!("d-{format}.jsonl");
        let command = ["in.jsonl", "--teacher", "simulated", "-o", &output, "--to", format];
        let finished = place.complete(&[&["distill"][..], &command].concat());
        let written = place.read(&output);
        place.complete(&[&["verify"][..], &command].concat());
        place.complete(&[&["export"][..], &command].concat());
        assert_eq!(place.read(&output), written, "{format}");
        if format == "llama-factory" {
            assert!(finished.stderr.contains("1 × assistant_first"), "{}", finished.stderr);
            assert_eq!(place.rows(&output).len(), 1);
        }
        if format == "per-turn" {
            assert_eq!(place.rows(&output).len(), 5);
        }
    }
    let finished = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--to", "nothing"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("hint: write one of openai, sharegpt"), "{}", finished.stderr);
}

#[test]
fn pairs_and_labels_come_from_every_place_they_stand_in() {
    let place = Place::new();
    let asked = [message("user", "Where?")];
    let pairs = [
        json!({"id": "lf", "conversations": [{"from": "human", "value": "Where?"}],
            "chosen": {"from": "gpt", "value": "There."}, "rejected": {"from": "gpt", "value": "No."}}),
        json!({"id": "trl", "prompt": asked, "chosen": [message("assistant", "There.")], "rejected": [message("assistant", "No.")]}),
        json!({"id": "v1", "chosen_messages": [asked[0], message("assistant", "There.")],
            "rejected_messages": [asked[0], {"role": "assistant", "content": [{"type": "text", "value": "No."}]}]}),
        json!({"id": "hh", "chosen": "\n\nHuman: Where?\n\nAssistant: There.", "rejected": "\n\nHuman: Where?\n\nAssistant: No."}),
        json!({"id": "text", "prompt": "Where?", "chosen": "There.", "rejected": "No."}),
    ];
    place.write("in.jsonl", jsonl(&pairs));
    let shape = |row: &Value| json!({"prompt": row["prompt"], "chosen": row["chosen"], "rejected": row["rejected"]});
    let expected =
        json!({"prompt": asked, "chosen": [message("assistant", "There.")], "rejected": [message("assistant", "No.")]});
    let direct = converted(&place, "in.jsonl", "dpo");
    assert_eq!(direct.iter().map(shape).collect::<Vec<_>>(), vec![expected.clone(); 5]);
    // A detour over whole dialogues keeps the other side in `meta`.
    converted(&place, "in.jsonl", "sharegpt");
    assert_eq!(converted(&place, "sharegpt.jsonl", "dpo").iter().map(shape).collect::<Vec<_>>(), vec![expected; 5]);
    let labels = converted(&place, "dpo.jsonl", "kto");
    assert_eq!(labels.iter().filter(|row| row["label"] == true).count(), 5);
    assert_eq!(labels.len(), 10);
    place.write(
        "kto.in.jsonl",
        jsonl(&[
            json!({"id": "good", "messages": [asked[0], message("assistant", "There.")], "label": true}),
            json!({"id": "plain", "messages": [asked[0], message("assistant", "There.")]}),
            json!({"id": "same", "prompt": "Where?", "chosen": "x", "rejected": "x"}),
        ]),
    );
    assert_eq!(converted(&place, "kto.in.jsonl", "kto").len(), 3);
    std::fs::remove_file(place.path("dpo.jsonl")).unwrap();
    let none = place.run(&["convert", "kto.in.jsonl", "-o", "none.jsonl", "--to", "dpo"]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(
        none.stderr.contains("no row of kto.in.jsonl can be used: 2 × no_pair, 1 × same_answers"),
        "{}",
        none.stderr
    );
    assert!(!place.path("none.jsonl").exists());
    let reasons: Vec<Value> =
        place.rows("none.jsonl.incomplete.jsonl").iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons, ["no_pair", "no_pair", "same_answers"]);
}

#[test]
fn nothing_is_lost_without_a_word() {
    let place = Place::new();
    let masked = json!({"role": "assistant", "content": "bad", "train": false});
    let rows = [
        json!({"id": "between", "messages": [message("user", "a"), message("system", "Aside."), message("assistant", "b")]}),
        json!({"id": "last", "messages": [message("user", "a"), message("assistant", "b"), message("system", "Aside.")]}),
        json!({"id": "masked", "messages": [message("user", "a"), masked, message("user", "c"), message("assistant", "d")]}),
        json!({"id": "picture", "messages": [message("user", "<image>a"), message("assistant", "b")], "images": ["x.png"]}),
        json!({"id": "meta", "messages": [message("user", "a"), message("assistant", "b")], "source": "x", "meta": {"source": "y"}}),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let strict = converted(&place, "in.jsonl", "llama-factory");
    assert_eq!(strict[0]["conversations"][0]["value"], "a\n\nAside.");
    assert_eq!(reasons(&place, "llama-factory"), ["last system_last", "masked masked_answer", "picture multimodal"]);
    let plain = converted(&place, "in.jsonl", "openai");
    assert_eq!(reasons(&place, "openai"), ["masked masked_answer", "picture multimodal"]);
    assert_eq!(plain[2]["meta"], json!({"source": "x", "meta_source": "y"}));
    assert_eq!(converted(&place, "in.jsonl", "ms-swift")[2]["messages"][1]["loss"], false);
    place.write("thinks.jsonl", jsonl(&[rich()]));
    let finished = place.complete(&["convert", "thinks.jsonl", "-o", "plain.jsonl"]);
    assert!(finished.stderr.contains("2 answers without reasoning"), "{}", finished.stderr);
}

#[test]
fn an_output_never_takes_the_place_of_an_input_or_of_what_is_better() {
    let place = Place::new();
    std::fs::create_dir(place.path("set")).unwrap();
    for name in ["set/a.jsonl", "set/b.jsonl"] {
        place.write(name, jsonl(&[rich()]));
    }
    let before = place.read("set/a.jsonl");
    for (input, output) in
        [("set", "set/a.jsonl"), ("set/*.jsonl", "set/b.jsonl"), ("set", "set/new.jsonl"), ("set", "set/new/")]
    {
        for command in [vec!["convert"], vec!["distill", "--teacher", "simulated"]] {
            let finished = place.run(&[&command[..], &[input, "-o", output]].concat());
            assert_eq!(finished.code, Some(2), "{command:?} {input} {output}: {}", finished.stderr);
        }
    }
    assert_eq!(place.read("set/a.jsonl"), before);
    // No row fits: the old rows stay.
    place.write("silent.jsonl", jsonl(&[json!({"messages": [message("user", "a")]})]));
    place.write("old.jsonl", &before);
    let finished = place.run(&["convert", "silent.jsonl", "-o", "old.jsonl", "--to", "ms-swift"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("no row of silent.jsonl can be used: 1 × no_answer"), "{}", finished.stderr);
    assert_eq!(place.read("old.jsonl"), before);
    // A stream has no registry beside it.
    place.complete(&["convert", "old.jsonl", "-o", "-", "--to", "llama-factory"]);
    place.complete(&["convert", "old.jsonl", "-o", "/dev/null", "--to", "llama-factory"]);
    assert!(!place.exists("dataset_info.json") && !std::path::Path::new("/dev/dataset_info.json").exists());
}

#[test]
fn real_pairs_and_labels_become_rows() {
    for (name, to, count) in [
        ("llama_factory/dpo_en_demo.json", "dpo", 300),
        ("llama_factory/dpo_zh_demo.json", "dpo", 300),
        ("llama_factory/v1_dpo_demo.jsonl", "dpo", 10),
        ("llama_factory/kto_en_demo.json", "kto", 300),
    ] {
        let Some(path) = shared_data(name) else { continue };
        let place = Place::new();
        assert_eq!(converted(&place, path.to_str().unwrap(), to).len(), count, "{name}");
    }
}

#[test]
fn a_registry_that_is_there_keeps_its_entries_and_a_broken_one_is_not_overwritten() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[rich()]));
    place.write("dataset_info.json", r#"{"other": {"file_name": "other.json"}}"#);
    converted(&place, "in.jsonl", "llama-factory");
    let info: Value = serde_json::from_str(&place.read("dataset_info.json")).unwrap();
    assert_eq!(
        (&info["other"]["file_name"], &info["llama-factory"]["file_name"]),
        (&json!("other.json"), &json!("llama-factory.jsonl"))
    );
    place.write("dataset_info.json", "{ not json");
    let finished = place.run(&["convert", "in.jsonl", "-o", "new.jsonl", "--to", "llama-factory"]);
    assert_eq!(
        (finished.code, place.read("dataset_info.json").as_str()),
        (Some(4), "{ not json"),
        "{}",
        finished.stderr
    );
}

#[cfg(feature = "parquet")]
#[test]
fn shards_hold_what_lines_hold_and_stand_there_whole_or_not_at_all() {
    let place = Place::new();
    let pair = json!({"id": "pair", "prompt": [message("user", "Where?")], "chosen": [message("assistant", "There.")], "rejected": [message("assistant", "No.")]});
    place.write("in.jsonl", jsonl(&[rich(), conversation("行", 2), pair]));
    for format in FORMATS.into_iter().chain(["dpo", "kto"]) {
        converted(&place, "in.jsonl", format);
        let directory = format!("{format}/");
        place.complete(&["convert", "in.jsonl", "-o", &directory, "--to", format]);
        assert!(place.exists(&format!("{format}/data/train-00000-of-00001.parquet")));
        let card = place.read(&format!("{format}/README.md"));
        assert!(card.starts_with("---\nlicense: other\n") && card.contains("path: data/train-*"), "{card}");
        // Read back, the two say the same.
        place.complete(&["convert", &directory, "-o", "from-shards.jsonl"]);
        place.complete(&["convert", &format!("{format}.jsonl"), "-o", "from-lines.jsonl"]);
        let words = |name: &str| place.rows(name).iter().map(|row| row["messages"].clone()).collect::<Vec<_>>();
        assert_eq!(words("from-shards.jsonl"), words("from-lines.jsonl"), "{format}");
    }
    // An old dataset is replaced, anything else is not touched.
    place.complete(&["convert", "in.jsonl", "-o", "openai/"]);
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "openai/"]);
    place.write("openai/notes.txt", "mine");
    let finished = place.run(&["convert", "in.jsonl", "-o", "openai/"]);
    assert_eq!((finished.code, place.read("openai/notes.txt").as_str()), (Some(4), "mine"), "{}", finished.stderr);
    let left: Vec<_> = std::fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn real_files_survive_every_round_trip() {
    for name in [
        "fastchat/dummy_conversation.json",
        "llama_factory/kto_en_demo.json",
        "cmtmedqa/CMtMedQA_test.json",
        "wildchat_like",
    ] {
        let Some(path) = shared_data(name) else { continue };
        let place = Place::new();
        let first = converted(&place, path.to_str().unwrap(), "openai");
        for format in ["sharegpt", "llama-factory", "axolotl", "ms-swift"] {
            converted(&place, "openai.jsonl", format);
            place.complete(&["convert", &format!("{format}.jsonl"), "-o", "back.jsonl"]);
            let words = |rows: &[Value]| rows.iter().map(|row| row["messages"].clone()).collect::<Vec<_>>();
            assert_eq!(words(&place.rows("back.jsonl")), words(&first), "{name} through {format}");
        }
    }
}

/// Dialogues that every whole-dialogue format can express: a system message or none, then user and assistant by turns.
fn dialogues() -> impl Strategy<Value = Value> {
    let words = "[a-z][a-z\\\\\"\n你好\u{1f642}]{0,12}";
    let turns = prop::collection::vec((words, words), 1..5);
    (prop::option::of(words), turns, "[a-z0-9]{1,8}", 0..100u32).prop_map(|(system, turns, id, score)| {
        let mut messages: Vec<Value> = system.iter().map(|text| message("system", text)).collect();
        for (user, assistant) in turns {
            messages.extend([message("user", &user), message("assistant", &assistant)]);
        }
        json!({"id": id, "messages": messages, "meta": {"score": score, "nested": {"deep": [1, null]}}})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn there_and_back_is_the_identity(dialogues in prop::collection::vec(dialogues(), 1..6)) {
        let place = Place::new();
        place.write("in.jsonl", jsonl(&dialogues));
        place.complete(&["convert", "in.jsonl", "-o", "first.jsonl"]);
        let first = place.read("first.jsonl");
        prop_assert_eq!(rows(&first), dialogues);
        for format in ["sharegpt", "llama-factory", "axolotl", "ms-swift"] {
            place.complete(&["convert", "in.jsonl", "-o", "there.jsonl", "--to", format]);
            place.complete(&["convert", "there.jsonl", "-o", "back.jsonl"]);
            prop_assert_eq!(&place.read("back.jsonl"), &first, "{}", format);
        }
    }
}
