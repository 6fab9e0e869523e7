//! Dialogues that are rendered with a chat template come out as they went in, or are refused with a reason.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Place, jsonl};

/// Reads texts, and returns the messages of each as (role, content), or the reason why there are none.
fn read(texts: &[String]) -> Vec<Result<Vec<(String, String)>, String>> {
    let place = Place::new();
    let row = |(index, text): (usize, &String)| json!({"id": format!("{index}"), "text": text});
    place.write("in.jsonl", jsonl(&texts.iter().enumerate().map(row).collect::<Vec<_>>()));
    place.run(&["convert", "in.jsonl", "-o", "out.jsonl", "--to", "openai", "--format", "templated"]);
    let list = |name: &str| if place.exists(name) { place.rows(name) } else { Vec::new() };
    let mut read: Vec<_> = texts.iter().map(|_| Err("the row is gone".to_owned())).collect();
    for row in list("out.jsonl") {
        let said = |message: &Value| {
            let words = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            (words("role"), words("content"))
        };
        let index: usize = row["id"].as_str().unwrap().parse().unwrap();
        read[index] = Ok(row["messages"].as_array().unwrap().iter().map(said).collect());
    }
    for row in list("out.jsonl.incomplete.jsonl") {
        let index = match &row["id"] {
            Value::String(id) => id.parse().unwrap(),
            _ => row["line"].as_u64().unwrap() as usize - 1,
        };
        read[index] = Err(row["reason"].as_str().unwrap().to_owned());
    }
    read
}

fn messages(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

/// The three messages that most of the texts below hold.
const SAID: [(&str, &str); 3] = [("system", "Be kind."), ("user", "  a\n    b"), ("assistant", "y = 2")];

#[test]
fn every_family_is_read() {
    for text in [
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n  a\n    b<|im_end|>\n<|im_start|>assistant\ny = 2<|im_end|>\n",
        "<|im_start|>system<|im_sep|>Be kind.<|im_end|><|im_start|>user<|im_sep|>  a\n    b<|im_end|><|im_start|>assistant<|im_sep|>y = 2",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n  a\n    b<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\ny = 2<|eot_id|>",
        "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\n  a\n    b [/INST] y = 2 </s>",
        "<s>[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT][INST]  a\n    b[/INST]y = 2</s>",
        "<|system|>\nBe kind.<|end|>\n<|user|>\n  a\n    b<|end|>\n<|assistant|>\ny = 2<|end|>\n<|endoftext|>",
        "<|system|>Be kind.<|end|><|user|>  a\n    b<|end|><|assistant|>y = 2<|end|>",
        "<|system|>\nBe kind.</s>\n<|user|>\n  a\n    b</s>\n<|assistant|>\ny = 2</s>\n",
        "<|system|>\nBe kind.\n<|user|>\n  a\n    b\n<|assistant|>\ny = 2</s>",
        "[gMASK]<sop><|system|>\nBe kind.<|user|>\n  a\n    b<|assistant|>\ny = 2",
        "<bos><|turn>system\nBe kind.<turn|>\n<|turn>user\n  a\n    b<turn|>\n<|turn>model\ny = 2<turn|>\n",
        "<｜begin▁of▁sentence｜>Be kind.<｜User｜>  a\n    b<｜Assistant｜></think>y = 2<｜end▁of▁sentence｜>",
        "<｜begin▁of▁sentence｜>Be kind.\n\nUser:   a\n    b\n\nAssistant: y = 2<｜end▁of▁sentence｜>",
        "### System:\nBe kind.\n\n### User:\n  a\n    b\n\n### Assistant:\ny = 2\n\n",
        "Be kind.\n\n### Human:   a\n    b\n\n### Assistant: y = 2",
        "Be kind.\n\n### Instruction:\n  a\n\n### Input:\n    b\n\n### Response:\ny = 2</s>",
        "<system>: Be kind.\n<human>:   a\n    b\n<bot>: y = 2",
        "[|System|] Be kind.\n[|Human|]   a\n    b\n[|AI|] y = 2\n",
        "Be kind. USER:   a\n    b ASSISTANT: y = 2</s>",
        "<|start|>system<|message|>Be kind.<|end|><|start|>user<|message|>  a\n    b<|end|><|start|>assistant<|channel|>final<|message|>y = 2<|return|>",
    ] {
        assert_eq!(read(&[text.to_owned()]), [Ok(messages(&SAID))], "{text:?}");
    }
}

#[test]
fn code_keeps_its_indentation_and_a_generation_prompt_is_no_message() {
    let code =
        "<|im_start|>user\n  indented code:\n    x = 1\n<|im_end|>\n<|im_start|>assistant\n    y = 2\n<|im_end|>";
    let open = "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\nThere.<|im_end|>\n<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>assistant\n<think>\n";
    let said = read(&[code.to_owned(), open.to_owned()]);
    assert_eq!(said[0], Ok(messages(&[("user", "  indented code:\n    x = 1\n"), ("assistant", "    y = 2\n")])));
    assert_eq!(said[1], Ok(messages(&[("user", "Where?"), ("assistant", "There."), ("user", "When?")])));
}

#[test]
fn results_of_tools_are_messages_of_tools_and_their_definitions_stand_beside_the_messages() {
    let place = Place::new();
    let call = r#"{"name": "tide", "arguments": {"at": 12}}"#;
    let texts = [
        format!("<|im_start|>user\nTide?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{call}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n3 m\n</tool_response><|im_end|>\n<|im_start|>assistant\nThree.<|im_end|>"),
        format!("<|im_start|>user\nTide?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{call}\n</tool_call><|im_end|>\n<|im_start|>environment\n3 m<|im_end|>\n<|im_start|>assistant\nThree.<|im_end|>"),
        format!("<s>[AVAILABLE_TOOLS][{{\"type\": \"function\"}}][/AVAILABLE_TOOLS][INST]Tide?[/INST][TOOL_CALLS][{call}]</s>[TOOL_RESULTS]{{\"content\": \"3 m\", \"call_id\": \"123456789\"}}[/TOOL_RESULTS]Three.</s>"),
        "<s>[INST]Tide?[/INST][TOOL_CALLS]tide[ARGS]{\"at\": 12}</s>[TOOL_RESULTS]123[TOOL_CONTENT]3 m[/TOOL_RESULTS]Three.</s>".to_owned(),
        format!("<|start_header_id|>user<|end_header_id|>\n\nTide?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<|python_tag|>{call}<|eom_id|><|start_header_id|>ipython<|end_header_id|>\n\n3 m<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nThree.<|eot_id|>"),
        "<｜User｜>Tide?<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tide<｜tool▁sep｜>{\"at\": 12}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜><｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>3 m<｜tool▁output▁end｜><｜tool▁outputs▁end｜>Three.<｜end▁of▁sentence｜>".to_owned(),
        "[gMASK]<sop><|user|>\nTide?<|assistant|>tide\n{\"at\": 12}<|observation|>\n3 m<|assistant|>\nThree.".to_owned(),
    ];
    let rows: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
    place.write("in.jsonl", jsonl(&rows));
    place.complete(&["convert", "in.jsonl", "-o", "out.jsonl", "--format", "templated"]);
    let read = place.rows("out.jsonl");
    for (row, text) in read.iter().zip(&texts) {
        let list = row["messages"].as_array().unwrap();
        let roles: Vec<&str> = list.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "tool", "assistant"], "{text}");
        assert_eq!((&list[2]["content"], &list[3]["content"]), (&json!("3 m"), &json!("Three.")), "{text}");
        let called = list[1].to_string();
        assert!(called.contains("tide") && called.contains("12") && !called.contains("TOOL_CALLS"), "{called}");
    }
    assert_eq!(read.len(), texts.len());
    assert!(read[2].to_string().contains("\"tools\":"), "{}", read[2]);
}

#[test]
fn what_cannot_be_told_apart_is_refused_with_its_marker_or_role() {
    for (text, reason) in [
        ("<|im_start|>user\na<|im_end|>\n<|im_start|>narrator\nb<|im_end|>", "unknown role `narrator`"),
        ("<|start_header_id|>oracle<|end_header_id|>\n\na<|eot_id|>", "unknown role `oracle`"),
        ("<|im_start|>user\na<|im_end|> and <|im_start|>assistant\nb<|im_end|>", "`and` stands between two messages"),
        ("<|im_start|>user\na<|im_sep|>b<|im_end|>\n<|im_start|>assistant\nb<|im_end|>", "`<|im_sep|>` is left"),
        ("<|user|>\na<|end|>\n<|critic|>\nb<|end|>\n<|assistant|>\nc<|end|>", "critic"),
        ("<s>[INST] <<SYS>>\nSay [INST].\n<</SYS>>\n\na [/INST] b </s>", "`[INST]` is left"),
        ("<s>[INST]a[/INST][TOOL_CALLS]who knows</s>", "`[TOOL_CALLS]` cannot be read"),
        ("Where is north?", "no marker of a known chat template"),
    ] {
        let said = read(&[text.to_owned()]).remove(0).unwrap_err();
        assert!(said.contains(reason), "{text:?}: {said}");
    }
}

#[test]
fn markers_of_other_families_are_words() {
    let text = "<|im_start|>user\nWhat is [INST] and <|user|>?<|im_end|>\n<|im_start|>assistant\n### Human: is [TOOL_CALLS].<|im_end|>";
    let said = [("user", "What is [INST] and <|user|>?"), ("assistant", "### Human: is [TOOL_CALLS].")];
    assert_eq!(read(&[text.to_owned()]), [Ok(messages(&said))]);
    let text = "<s>[INST]? is a word.\n\n### Human: a\n### Assistant: b\n";
    let said = [("system", "[INST]? is a word."), ("user", "a"), ("assistant", "b")];
    assert_eq!(read(&[text.to_owned()]), [Ok(messages(&said))]);
}

type Render = fn(&str, &str) -> String;

/// How families write a message, whether they keep white space around it, and what begins a dialogue.
const RENDERERS: [(&str, bool, Render); 12] = [
    ("", true, |role, text| format!("<|im_start|>{role}\n{text}<|im_end|>\n")),
    ("", true, |role, text| format!("<|im_start|>{role}<|im_sep|>{text}<|im_end|>")),
    ("<|begin_of_text|>", true, |role, text| format!("<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>")),
    ("", true, |role, text| format!("<|header_start|>{role}<|header_end|>\n\n{text}<|eot|>")),
    ("<bos>", true, |role, text| {
        format!("<start_of_turn>{}\n{text}<end_of_turn>\n", role.replace("assistant", "model"))
    }),
    ("", false, |role, text| format!("<|{role}|>\n{text}<|end|>\n")),
    ("", false, |role, text| format!("<|{role}|>\n{text}</s>\n")),
    ("[gMASK]<sop>", false, |role, text| format!("<|{role}|>\n{text}")),
    ("", false, |role, text| {
        format!(
            "### {}: {text}\n",
            role.replace("user", "Human").replace("assistant", "Assistant").replace("system", "System")
        )
    }),
    ("", false, |role, text| format!("<{}>: {text}\n", role.replace("user", "human").replace("assistant", "bot"))),
    ("<s>", false, |role, text| match role {
        "system" => format!("[SYSTEM_PROMPT]{text}[/SYSTEM_PROMPT]"),
        "user" => format!("[INST]{text}[/INST]"),
        _ => format!("{text}</s>"),
    }),
    ("<｜begin▁of▁sentence｜>", false, |role, text| match role {
        "system" => text.to_owned(),
        "user" => format!("<｜User｜>{text}"),
        _ => format!("<｜Assistant｜>{text}<｜end▁of▁sentence｜>"),
    }),
];

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "harbor",
        "港口",
        "什么？",
        "    x = 1",
        "def f():\n        return 1",
        "\n\n",
        "<b>",
        "# Title",
        "1.",
        "\t",
        "User",
        "{\"a\": [1]}",
    ]);
    prop::collection::vec(word, 1..6).prop_map(|words| format!("a {} z", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is rendered is read as it was, white space and all where the template keeps it.
    #[test]
    fn a_rendered_dialogue_comes_back(
        system in prop::option::of(words()),
        turns in prop::collection::vec((words(), words()), 1..4),
        edges in prop::sample::select(vec![("", ""), ("  ", "\n"), ("\n\n", "  "), ("    ", "")]),
    ) {
        let mut texts = Vec::new();
        let mut expected = Vec::new();
        for (begin, keeps, render) in RENDERERS {
            let (before, after) = if keeps { edges } else { ("", "") };
            let mut dialogue = Vec::new();
            dialogue.extend(system.iter().map(|text| ("system".to_owned(), text.clone())));
            for (asked, said) in &turns {
                dialogue.push(("user".to_owned(), format!("{before}{asked}{after}")));
                dialogue.push(("assistant".to_owned(), format!("{before}{said}{after}")));
            }
            let rendered: String = dialogue.iter().map(|(role, text)| render(role, text)).collect();
            texts.push(format!("{begin}{rendered}"));
            expected.push(Ok(dialogue));
        }
        for ((text, said), expected) in texts.iter().zip(read(&texts)).zip(expected) {
            prop_assert_eq!(said, expected, "{:?}", text);
        }
    }

    /// No text makes the reader fail, and no message holds a marker of ChatML.
    #[test]
    fn any_text_is_read_or_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<|im_start|>", "user\n", "assistant\n", "<|im_end|>", "<|im_sep|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
            "[TOOL_CALLS]", "</s>", "<|user|>", "<|assistant|>", "<|end|>", "USER:", "ASSISTANT:", " ", "\n", "é", "[gMASK]",
            "<｜User｜>", "<｜Assistant｜>", "<tool_response>", "</tool_response>", "### Human:", "<start_of_turn>", "<|tool|>",
        ]), 0..14),
    ) {
        let text = format!("<|im_start|>{}", pieces.concat());
        for said in read(&[text.clone(), pieces.concat()]).remove(0).into_iter().flatten() {
            prop_assert!(!said.1.contains("<|im_"), "{:?} in {:?}", said, text);
        }
    }
}
