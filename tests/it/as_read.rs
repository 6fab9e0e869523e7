//! What a row says to or about the model is read, or the row is refused with a reason, or it is counted: every way in which
//! public datasets differ from plain messages.

use serde_json::{Value, json};

use crate::capture::{Capture, answer};
use crate::support::{Finished, Place, jsonl};

/// Rewrites rows and returns what was written, and the finished command.
fn converted(rows: &[Value], arguments: &[&str]) -> (Vec<Value>, Finished) {
    let place = Place::new();
    place.write("in.jsonl", jsonl(rows));
    let finished = place.run(&[&["convert", "in.jsonl", "-o", "out.jsonl"][..], arguments].concat());
    let written = if place.exists("out.jsonl") { place.rows("out.jsonl") } else { Vec::new() };
    (written, finished)
}

/// Rewrites one row, which must be written.
fn one(row: Value, arguments: &[&str]) -> Value {
    let (mut rows, finished) = converted(&[row], arguments);
    assert_eq!((finished.code, rows.len()), (Some(0), 1), "{}", finished.stderr);
    rows.remove(0)
}

/// Returns what a row says: the role and the text of each message.
fn said(row: &Value) -> Vec<(&str, &str)> {
    let messages = row["messages"].as_array().unwrap().iter();
    messages.map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap())).collect()
}

/// Returns why rows are left out, in their order.
fn reasons(rows: &[Value], command: &[&str]) -> Vec<String> {
    let place = Place::new();
    // An input of which no row can be used is an error.
    let usable = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "A"}]});
    let usable = (command[0] == "distill").then_some(usable);
    place.write("in.jsonl", jsonl(&[rows, usable.as_slice()].concat()));
    place.run(&[command, &["-o", "out.jsonl"]].concat());
    let listed =
        if place.exists("out.jsonl.incomplete.jsonl") { place.rows("out.jsonl.incomplete.jsonl") } else { vec![] };
    listed.iter().map(|row| row["reason"].as_str().unwrap().to_owned()).collect()
}

const CONVERT: [&str; 2] = ["convert", "in.jsonl"];
const DISTILL: [&str; 4] = ["distill", "in.jsonl", "--teacher", "simulated"];

#[test]
fn a_system_column_becomes_the_first_message_in_every_layout() {
    let pair = json!([{"role": "user", "content": "Depth?"}, {"role": "assistant", "content": "Nine."}]);
    let from = json!([{"from": "human", "value": "Depth?"}, {"from": "gpt", "value": "Nine."}]);
    for row in [
        json!({"system": "Be terse.", "messages": pair}),
        json!({"system": [{"type": "text", "text": "Be terse."}], "messages": pair}),
        json!({"system": ["Be terse."], "conversation": pair}),
        json!({"system_prompt": "Be terse.", "conversations": from}),
        json!({"system": "Be terse.", "conversation": [{"human": "Depth?", "assistant": "Nine."}]}),
        json!({"system_prompt": "Be terse.", "question": "Depth?", "response": "Nine."}),
        json!({"system": "Be terse.", "prompt": [pair[0]], "chosen": [pair[1]], "rejected": [pair[0]]}),
        json!({"system": "Be terse.", "question": "Depth?", "chosen": "Nine.", "rejected": "Ten."}),
        json!({"system": [{"text": "Be terse."}], "messages": [
            {"role": "user", "content": [{"text": "Depth?"}]}, {"role": "assistant", "content": [{"text": "Nine."}]}]}),
        json!({"systemInstruction": {"parts": [{"text": "Be terse."}]}, "contents": [
            {"role": "user", "parts": [{"text": "Depth?"}]}, {"role": "model", "parts": [{"text": "Nine."}]}]}),
        json!({"preamble": "Be terse.", "chat_history": [], "message": "Depth?", "text": "Nine."}),
    ] {
        let read = one(row.clone(), &[]);
        assert_eq!(said(&read), [("system", "Be terse."), ("user", "Depth?"), ("assistant", "Nine.")], "{row}");
        let names = ["system", "system_prompt", "systemInstruction", "preamble"];
        assert!(names.iter().all(|name| read["meta"].get(*name).is_none()), "{read}");
        let left = one(row.clone(), &["--no-system-column"]);
        assert_eq!(said(&left)[0], ("user", "Depth?"), "{row}");
        assert!(names.iter().any(|name| left["meta"].get(*name).is_some()), "{left}");
    }
    let mapped =
        json!({"system": "Be terse.", "log": [{"who": "user", "says": "Depth?"}, {"who": "bot", "says": "Nine."}]});
    assert_eq!(said(&one(mapped, &["--map", "role=who,content=says"])).len(), 3);
}

#[test]
fn a_rows_own_system_message_wins_and_each_use_of_the_column_is_counted() {
    let row = |column: &Value| {
        json!({"system": column, "messages": [{"role": "system", "content": "Own."}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes."}]})
    };
    let rows: Vec<Value> =
        [json!("Own."), json!("Other."), json!(" "), json!(null), json!(7)].iter().map(row).collect();
    let (read, finished) = converted(&rows, &[]);
    assert!(read.iter().all(|row| said(row)[0] == ("system", "Own.") && said(row).len() == 3), "{read:?}");
    let meta: Vec<&Value> = read.iter().map(|row| &row["meta"]["system"]).collect();
    assert_eq!(meta, [&json!(null), &json!("Other."), &json!(null), &json!(null), &json!(7)]);
    for counted in ["1 × system_column_overruled", "1 × system_column_repeated", "1 × system_column_not_read"] {
        assert!(finished.stderr.contains(counted), "{counted}: {}", finished.stderr);
    }
}

#[test]
fn a_prompt_column_never_hides_a_conversation() {
    let chosen = json!([{"role": "user", "content": "Keel?"}, {"role": "assistant", "content": "The spine."},
        {"role": "user", "content": "Three ships?"}, {"role": "assistant", "content": "Vasa."}]);
    let mut rejected = chosen.clone();
    rejected[3]["content"] = json!("None.");
    let row = json!({"prompt": "Keel?", "chosen": chosen, "rejected": rejected});
    let pair = one(row.clone(), &["--to", "dpo"]);
    assert_eq!(pair["prompt"].as_array().unwrap().len(), 3, "{pair}");
    assert_eq!((&pair["chosen"][0]["content"], &pair["rejected"][0]["content"]), (&json!("Vasa."), &json!("None.")));
    // Answers to different questions are no pair.
    rejected[2]["content"] = json!("Four ships?");
    assert_eq!(
        reasons(
            &[json!({"prompt": "Keel?", "chosen": chosen, "rejected": rejected})],
            &[&CONVERT[..], &["--to", "dpo"]].concat()
        ),
        ["no_pair"]
    );

    let users = |row: Value| -> Vec<String> {
        let read = one(row, &["--keep-unanswered"]);
        said(&read).iter().filter(|(role, _)| *role == "user").map(|(_, text)| (*text).to_owned()).collect()
    };
    for row in [
        json!({"instruction": "A chat", "conversations": [{"question": "a?", "answer": "A"}, {"question": "b?", "answer": "B"}]}),
        json!({"question": "a?", "messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "b?"}]}),
        json!({"prompt": "b?", "history": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "A"}]}),
        json!({"prompt": "b?", "history": [{"user": "a?", "bot": "A"}], "response": "B"}),
        json!({"prompt": "[\"a?\", \"b?\"]", "response_a": "[\"A\", \"B\"]", "response_b": "[\"C\", \"D\"]", "winner_tie": 1}),
        json!({"conversation_a": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "b?"}, {"role": "assistant", "content": "B"}],
            "conversation_b": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "C"}], "winner": "model_a"}),
        json!({"prompt": "\n\nHuman: a?\n\nAssistant: A\n\nHuman: b?\n\nAssistant:", "response": " B"}),
        json!({"instruction": "User: a?\nAssistant: A\nUser: b?\nAssistant: B"}),
        json!({"chat_history": [{"role": "USER", "message": "a?"}, {"role": "CHATBOT", "message": "A"}], "message": "b?"}),
        json!({"turns": ["a?", "b?"]}),
        json!({"turns": [{"content": "a?"}, {"content": "b?"}], "prompt_id": 3}),
        json!({"message_id": "1", "parent_id": null, "text": "a?", "role": "prompter", "replies": [{"text": "A", "role": "assistant",
            "replies": [{"text": "b?", "role": "prompter", "replies": []}]}]}),
        json!([{"role": "user", "content": "a?"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "b?"}]),
    ] {
        assert_eq!(users(row.clone()), ["a?", "b?"], "{row}");
    }
    for row in [
        json!({"instruction": "Classify.\nThe sky is low.", "response": "no"}),
        json!({"instruction": "Classify.", "context": "The sky is low.", "response": "no"}),
        json!({"instruction": "Classify.", "instances": [{"input": "The sky is low.", "output": "no"}]}),
    ] {
        assert_eq!(users(row.clone()), ["Classify.\nThe sky is low."], "{row}");
    }
    let summary = "Summarise this chat: Human: hi\n\nAssistant: hello";
    assert_eq!(users(json!({"prompt": summary, "response": "A greeting.", "sources": ["a.org", "b.org"]})), [summary]);
}

#[test]
fn what_no_format_reads_whole_is_refused_with_a_reason() {
    for (row, reason) in [
        (
            json!({"prompt": "hi", "conversations": [{"speaker_a": "x", "text": "y"}]}),
            "`conversations` holds a conversation beside",
        ),
        (json!({"prompt": "hi", "dialog": "[[\"a\", \"b\"]]"}), "`dialog` holds a conversation beside"),
        (json!({"prompt": "[\"a\", \"b\"]", "response": "c"}), "`prompt` is a JSON list written as text"),
        (json!({"instruction": "a", "instances": [{"input": "b"}, {"input": "c"}]}), "it has 2 `instances`"),
        (json!({"question": "a", "context": {"title": "b"}}), "`context` is neither a text nor a list of texts"),
        (json!({"prompt": "Human: a\nAssistant: b", "response": "c"}), "`prompt` ends with an answer"),
        (json!({"question_id": 1, "choices": [{"index": 0, "turns": ["a"]}]}), "it has the answers of a model"),
        (
            json!({"prompt": "Reef?", "chosen": [{"role": "user", "content": "Keel?"}, {"role": "assistant", "content": "x"}]}),
            "the prompt is no part of `chosen`",
        ),
        (json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant"}]}), "message 2 has no content"),
        (
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": []}]}),
            "message 2 has no content",
        ),
        (
            json!({"messages": [{"role": "user", "content": "a", "text": "b"}]}),
            "message 1 has two texts, under `content` and under `text`",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "hologram", "text": "x"}]}]}),
            "message 1 has a part of the unknown type `hologram`",
        ),
    ] {
        let found = reasons(std::slice::from_ref(&row), &CONVERT);
        assert!(found.len() == 1 && found[0].contains(reason), "{row}\n{found:?}");
    }
}

#[test]
fn words_are_read_wherever_a_message_has_them() {
    for message in [
        json!({"role": "assistant", "text": "Left."}),
        json!({"role": "Assistant", "message": "Left."}),
        json!({"role": "assistant", "value": "Left."}),
        json!({"role": "assistant", "content": null, "parts": [{"text": "Left."}]}),
        json!({"role": "assistant", "content": null, "refusal": "Left."}),
        json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "Left."}]}),
        json!({"role": "assistant", "content": {"answer": "Left."}}),
        json!({"role": "assistant", "content": "Left.", "text": "Left."}),
        json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Left."}]}),
        json!({"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "Left."}]}),
    ] {
        let row = json!({"messages": [{"role": "user", "content": "Pier?"}, message]});
        assert_eq!(said(&one(row, &[])), [("user", "Pier?"), ("assistant", "Left.")], "{message}");
        if message.to_string().contains("Hm.") {
            let row = json!({"messages": [{"role": "user", "content": "Pier?"}, message]});
            assert_eq!(one(row, &["--to", "per-turn"])["messages"][1]["reasoning_content"], "Hm.", "{message}");
        }
    }
}

#[test]
fn an_empty_answer_is_no_target_of_training_in_any_format() {
    let messages = |answers: [&str; 2]| {
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": answers[0]},
            {"role": "user", "content": "b"}, {"role": "assistant", "content": answers[1]}])
    };
    let rows = [
        json!({"id": "second", "messages": messages(["A", " "])}),
        json!({"id": "first", "messages": messages(["", "B"])}),
        json!({"id": "none", "turns": ["a", "b"]}),
        json!({"id": "ask", "messages": [{"role": "user", "content": "a"}]}),
        json!({"id": "rejected", "prompt": "a", "chosen": "A", "rejected": ""}),
    ];
    for format in [
        "openai",
        "sharegpt",
        "llama-factory",
        "axolotl",
        "ms-swift",
        "trl-prompt-completion",
        "per-turn",
        "dpo",
        "kto",
    ] {
        let (written, finished) = converted(&rows, &["--to", format]);
        // Without any row that fits it fails.
        let code = if written.is_empty() { 2 } else { 0 };
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
        for row in &written {
            let text =
                json!([row["messages"], row["conversations"], row["completion"], row["chosen"], row["rejected"]])
                    .to_string();
            assert!(
                !text.contains("\"content\":\"\"") && !text.contains("\"value\":\"\"") && !text.contains("\" \""),
                "{format}: {row}"
            );
        }
        let ids: Vec<&str> = written.iter().map(|row| row["id"].as_str().unwrap()).collect();
        let expected: &[&str] = match format {
            "dpo" | "kto" => &[],
            "trl-prompt-completion" | "per-turn" => &["second#1", "rejected#1"],
            _ => &["second", "rejected"],
        };
        assert_eq!(ids, expected, "{format}: {}", finished.stderr);
    }
    let (written, _) = converted(&rows, &[]);
    assert_eq!(said(&written[0]), [("user", "a"), ("assistant", "A")]);
    assert_eq!(reasons(&rows, &CONVERT), ["empty_answer", "no_answer", "no_answer", "no_answer"]);

    let (prompts, _) = converted(&rows, &["--keep-unanswered"]);
    assert_eq!(said(&prompts[2]), [("user", "a"), ("user", "b")]);
    let (_, refused) = converted(&rows, &["--keep-unanswered", "--to", "axolotl"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn media_of_every_kind_follow_the_rule_for_media() {
    let from = json!([{"from": "human", "value": "<image>\nWhat colour?"}, {"from": "gpt", "value": "Green."}]);
    for column in [
        json!({"image": "harbour/33.jpg"}),
        json!({"image": {"bytes": "ffd8", "path": null}}),
        json!({"images": ["a.png"]}),
        json!({"video": "clip.mp4"}),
        json!({"audio": {"path": "a.wav", "array": [1], "sampling_rate": 16000}}),
        json!({"input_image": "https://example.org/a.png"}),
    ] {
        let mut row = column.as_object().unwrap().clone();
        row.insert("conversations".to_owned(), from.clone());
        let row = Value::Object(row);
        assert_eq!(reasons(std::slice::from_ref(&row), &DISTILL), ["multimodal"], "{row}");
        assert_eq!(said(&one(row.clone(), &["--media", "drop"]))[0], ("user", "What colour?"), "{row}");
    }
    // Without media the same characters are words.
    for column in [json!(null), json!(""), json!({"bytes": null, "path": null})] {
        let row = json!({"image": column, "conversations": from});
        assert_eq!(said(&one(row, &[]))[0], ("user", "<image>\nWhat colour?"));
    }
}

#[test]
fn tools_stay_beside_the_messages_whether_they_are_called_or_not() {
    let tool =
        json!({"type": "function", "function": {"name": "tide", "parameters": {"type": "object", "properties": {}}}});
    let messages =
        json!([{"role": "user", "content": "Who was Hadley?"}, {"role": "assistant", "content": "No tool for that."}]);
    for (name, column) in [
        ("tools", json!([tool])),
        ("tools", json!(json!([tool]).to_string())),
        ("functions", json!([tool["function"]])),
        ("tools", json!([{"name": "tide", "input_schema": {"type": "object", "properties": {}}}])),
    ] {
        let row = json!({"id": "n", "messages": messages, name: column});
        for format in ["openai", "axolotl", "ms-swift", "per-turn", "trl-prompt-completion"] {
            let written = one(row.clone(), &["--to", format]);
            assert_eq!((&written["tools"], &written["meta"]), (&json!([tool]), &json!({})), "{format}: {row}");
        }
        for format in ["sharegpt", "llama-factory"] {
            let written = one(row.clone(), &["--to", format]);
            let tools: Value = serde_json::from_str(written["tools"].as_str().unwrap()).unwrap();
            assert_eq!(tools, json!([tool]), "{format}: {row}");
        }
    }
}

#[test]
fn calls_of_every_form_are_sent_as_a_strict_server_wants_them() {
    let user = json!({"role": "user", "content": "Tide and wind?"});
    let end = json!({"role": "assistant", "content": "Three, four."});
    let rows = [
        json!({"id": "objects", "tools": [{"name": "tide", "parameters": {"type": "object"}}], "messages": [user,
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "tide", "arguments": {"at": 12, "place": null}}}]},
            {"role": "tool", "name": "tide", "content": "3 m"}, end]}),
        json!({"id": "one-id-twice", "messages": [user,
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_2", "type": "function", "function": {"name": "tide", "arguments": "{}"}}, {"function": {"name": "wind", "arguments": "{}"}}]},
            {"role": "tool", "content": "8 m"}, {"role": "tool", "content": "4 Bft"}, end]}),
        json!({"id": "same-id-again", "messages": [user,
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "function": {"name": "tide", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "8 m"}, end, user,
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "function": {"name": "wind", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "4 Bft"}, end]}),
        json!({"id": "in-a-row", "conversations": [{"from": "human", "value": "Tide and wind?"},
            {"from": "function_call", "value": "{\"name\": \"tide\", \"arguments\": {\"at\": 1}}"}, {"from": "function_call", "value": "{\"name\": \"wind\", \"arguments\": {}}"},
            {"from": "observation", "value": "3 m"}, {"from": "observation", "value": "4 Bft"}, {"from": "gpt", "value": "Three, four."}]}),
        json!({"id": "joint", "conversations": [{"from": "human", "value": "Tide and wind?"},
            {"from": "function_call", "value": "[{\"name\": \"tide\", \"arguments\": {}}, {\"name\": \"wind\", \"arguments\": {}}]"},
            {"from": "observation", "value": "[3, \"4 Bft\"]"}, {"from": "gpt", "value": "Three, four."}]}),
        json!({"id": "text", "messages": [user, {"role": "assistant", "content": "", "tool_calls": "[{\"id\": \"c1\", \"function\": {\"name\": \"tide\", \"arguments\": \"{}\"}}]"},
            {"role": "tool", "tool_call_id": "c1", "content": "3 m"}, end]}),
        json!({"id": "legacy", "functions": [{"name": "tide", "parameters": {"type": "object"}}], "messages": [user,
            {"role": "assistant", "content": null, "function_call": {"name": "tide", "arguments": "{}"}}, {"role": "function", "name": "tide", "content": "3 m"}, end]}),
        json!({"id": "anthropic", "messages": [user, {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "t1", "name": "tide", "input": {"at": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "3 m"}]}]}, end]}),
        json!({"id": "bedrock", "messages": [{"role": "user", "content": [{"text": "Tide and wind?"}]}, {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "tide", "input": {"at": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"height": 3}}]}}]}, {"role": "assistant", "content": [{"text": "Three."}]}]}),
        json!({"id": "gemini", "contents": [{"role": "user", "parts": [{"text": "Tide?"}]}, {"role": "model", "parts": [{"functionCall": {"name": "tide", "args": {"at": 1}}}]},
            {"role": "function", "parts": [{"functionResponse": {"name": "tide", "response": {"height": 3}}}]}, {"role": "model", "parts": [{"text": "Three."}]}]}),
        json!({"id": "hermes", "conversations": [{"from": "human", "value": "Tide?"}, {"from": "gpt", "value": "<tool_call>\n{\"name\": \"tide\", \"arguments\": {\"at\": 1}}\n</tool_call>"},
            {"from": "tool", "value": "<tool_response>\n3 m\n</tool_response>"}, {"from": "gpt", "value": "Three."}]}),
    ];
    assert_eq!(reasons(&rows, &DISTILL), vec!["tool_use"; rows.len()]);
    let server = Capture::start();
    let place = Place::new();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model("m");
    place.complete(&[
        "distill",
        "in.jsonl",
        "--teacher",
        &model,
        "--tools",
        "replay",
        "--to",
        "axolotl",
        "-o",
        "out.jsonl",
    ]);
    let requests = server.requests();
    assert_eq!(requests.len(), rows.len() + 1);
    for request in &requests {
        check_strictly(&request.body());
    }
    assert_eq!(place.rows("out.jsonl").len(), rows.len());
}

/// Checks a request as a strict server does: calls and results belong together, arguments are text, ids are unique.
fn check_strictly(body: &Value) {
    let mut open: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for message in body["messages"].as_array().unwrap() {
        match message["role"].as_str().unwrap() {
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_else(|| panic!("a result without a call: {body}"));
                let at = open.iter().position(|open| open == id).unwrap_or_else(|| panic!("{id} is not open: {body}"));
                open.remove(at);
            }
            role => {
                assert!(open.is_empty(), "a {role} message before the results: {body}");
                for call in message["tool_calls"].as_array().into_iter().flatten() {
                    let id = call["id"].as_str().unwrap().to_owned();
                    assert!(seen.insert(id.clone()), "{id} twice: {body}");
                    assert_eq!(call["type"], "function");
                    let arguments = call["function"]["arguments"].as_str().expect("arguments are text");
                    assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object());
                    assert!(!arguments.contains("null"), "{arguments}");
                    open.push(id);
                }
            }
        }
    }
    assert!(open.is_empty());
    for tool in body["tools"].as_array().into_iter().flatten() {
        assert_eq!((&tool["type"], &tool["function"]["parameters"]["type"]), (&json!("function"), &json!("object")));
        assert!(tool["function"]["name"].is_string());
    }
}

#[test]
fn a_run_sends_a_rows_tools_and_writes_exactly_what_it_sent() {
    let tool = json!({"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}});
    let row = |id: &str, tools: Value| json!({"id": id, "tools": tools, "messages": [{"role": "user", "content": "Who was Hadley?"}]});
    let rows = [row("with", json!([tool])), row("without", json!(null)), row("empty", json!("[]"))];
    let server = Capture::start();
    let place = Place::new();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model("m");
    let run = |arguments: &[&str]| {
        place.complete(&[&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"][..], arguments].concat())
    };
    run(&[]);
    // The rows without tools are the same question; the one with tools is another.
    let sent: Vec<Value> = server.requests().iter().map(|request| request.body()["tools"].clone()).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.contains(&json!([tool])) && sent.contains(&Value::Null), "{sent:?}");
    let written = place.rows("out.jsonl");
    assert_eq!((&written[0]["tools"], written[1].get("tools"), written[2].get("tools")), (&json!([tool]), None, None));
    run(&["--tools", "hide"]);
    assert_eq!(server.requests().len(), 2, "without its tools the row asks what the others asked");
    let hidden = place.rows("out.jsonl");
    assert_eq!((hidden[0].get("tools"), &hidden[0]["meta"]["tools"]), (None, &json!([tool])));
}

#[test]
fn a_call_that_nobody_asked_for_ends_the_turn() {
    let tool = json!({"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}});
    let row = json!({"id": "a", "tools": [tool], "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "Tide?"}]});
    for in_text in [false, true] {
        let server = Capture::with(move |request| {
            let body = request.body();
            if body["messages"].as_array().unwrap().len() == 1 {
                return answer(&body);
            }
            let (status, mut reply) = answer(&body);
            if in_text {
                reply["choices"][0]["message"]["content"] =
                    json!("<tool_call>\n{\"name\": \"tide\", \"arguments\": {}}\n</tool_call>");
            } else {
                reply["choices"][0]["message"] = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "tide", "arguments": "{}"}}]});
                reply["choices"][0]["finish_reason"] = json!("tool_calls");
            }
            (status, reply)
        });
        let place = Place::new();
        place.write("in.jsonl", jsonl(std::slice::from_ref(&row)));
        let model = server.model("m");
        let line =
            ["distill", "in.jsonl", "--teacher", &model, "--stream", "false", "--keep-partial", "-o", "out.jsonl"];
        assert_eq!(place.run(&line).code, Some(3));
        let listed = place.rows("out.jsonl.incomplete.jsonl");
        assert_eq!(listed[0]["reason"], "turn 2: tool_use", "{listed:?}");
        assert_eq!(said(&place.rows("out.jsonl")[0]).len(), 2);
        assert_eq!(place.run(&line).code, Some(3));
        assert_eq!(server.requests().len(), 2, "the call was paid for and is not asked again");
    }
}

#[test]
fn masks_are_understood_or_the_row_is_left_out() {
    let row = |mask: Value| {
        let mut answer = json!({"role": "assistant", "content": "bad"});
        answer.as_object_mut().unwrap().extend(mask.as_object().unwrap().clone());
        json!({"messages": [{"role": "user", "content": "a"}, answer, {"role": "user", "content": "b"}, {"role": "assistant", "content": "good"}]})
    };
    for mask in [
        json!({"weight": "0"}),
        json!({"train": "false"}),
        json!({"training": false}),
        json!({"loss": false}),
        json!({"weight": 0}),
    ] {
        assert_eq!(one(row(mask.clone()), &["--to", "axolotl"])["messages"][1]["train"], false, "{mask}");
    }
    let partial = [
        json!({"train_detail": [{"begin_offset": 0, "end_offset": 1, "train": false}, {"begin_offset": 2, "end_offset": 3, "train": true}]}),
        json!({"weight": 0.5}),
        json!({"weight": "some"}),
    ];
    let rows: Vec<Value> = partial.into_iter().map(row).collect();
    assert_eq!(reasons(&rows, &[&CONVERT[..], &["--to", "axolotl"]].concat()), ["partial_mask"; 3]);
}

#[test]
fn people_keep_their_names() {
    let row = json!({"id": "g", "messages": [{"role": "user", "name": "Ann", "content": "Left?"}, {"role": "user", "name": "Bo", "content": "Right!"},
        {"role": "assistant", "name": "mod", "content": "Vote."}, {"role": "user", "name": "Ann", "content": "One."}, {"role": "user", "name": "Ann", "content": "Two."}]});
    let server = Capture::start();
    let place = Place::new();
    place.write("in.jsonl", jsonl(std::slice::from_ref(&row)));
    place.complete(&["distill", "in.jsonl", "--teacher", &server.model("m"), "-o", "out.jsonl"]);
    let last = server
        .requests()
        .iter()
        .map(|request| request.body()["messages"].clone())
        .max_by_key(|messages| messages.as_array().unwrap().len())
        .unwrap();
    let users: Vec<(&str, &str)> = last
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "user")
        .map(|message| (message["name"].as_str().unwrap_or_default(), message["content"].as_str().unwrap()))
        .collect();
    assert_eq!(users, [("Ann", "Left?"), ("Bo", "Right!"), ("Ann", "One.\n\nTwo.")]);
    assert_eq!(place.rows("out.jsonl")[0]["messages"][1]["name"], "Bo");
    assert_eq!(one(row.clone(), &[])["messages"][2]["name"], "mod");
    let joined = one(row, &["--to", "llama-factory"]);
    assert_eq!(joined["conversations"][0]["value"], "Ann: Left?\n\nBo: Right!");
}

#[test]
fn ids_and_other_columns_survive_exactly() {
    let text = concat!(
        r#"{"id":{"$oid":"64f0aa"},"messages":[{"role":"user","content":"one"},{"role":"assistant","content":"1"}]}"#,
        "\n",
        r#"{"id":null,"conversation_id":"c-2","messages":[{"role":"user","content":"two"},{"role":"assistant","content":"2"}]}"#,
        "\n",
        r#"{"id":" ","uuid":"u-3","messages":[{"role":"user","content":"two"},{"role":"assistant","content":"2"}]}"#,
        "\n",
        r#"{"id":18446744073709551617,"n":123456789012345678901,"f":1.10,"g":1e-7,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"3"}]}"#,
        "\n",
        r#"{"id":true,"score":NaN,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"3"}]}"#,
        "\n",
        r#"{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"4"}]}"#,
        "\n",
    );
    let place = Place::new();
    place.write("in.jsonl", text);
    for command in [&CONVERT[..], &DISTILL] {
        place.complete(&[command, &["-o", "out.jsonl"]].concat());
        let written = place.rows("out.jsonl");
        let ids: Vec<&str> = written.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids[..5], ["64f0aa", "c-2", "u-3", "18446744073709551617", "true"], "{command:?}");
        let text = place.read("out.jsonl");
        assert!(text.contains(r#""n":123456789012345678901,"f":1.10,"g":1e-7"#), "{text}");
        assert_eq!(written[4]["meta"]["score"], Value::Null);
        assert_eq!(
            (&written[5]["meta"]["source_file"], &written[5]["meta"]["source_line"]),
            (&json!("in.jsonl"), &json!(6))
        );
    }
    let row = json!({"id": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
        "meta": {"turns": 4, "lang": "en"}, "turns": "two", "lang": "de", "meta_lang": "fr"});
    place.write("in.jsonl", jsonl(&[row]));
    for command in [&CONVERT[..], &DISTILL] {
        place.complete(&[command, &["-o", "out.jsonl"]].concat());
        let meta = &place.rows("out.jsonl")[0]["meta"];
        let kept: Vec<&Value> = meta.as_object().unwrap().values().collect();
        for value in [json!(4), json!("en"), json!("two"), json!("de"), json!("fr")] {
            assert!(kept.contains(&&value), "{value} is lost: {meta}");
        }
    }
}

#[test]
fn a_mapping_takes_paths_and_names_of_roles() {
    let row = json!({"state": {"history": [{"author": {"name": "Alice"}, "said": {"text": "a?"}}, {"author": {"name": "Bob"}, "said": {"text": "A"}}]}});
    let map = "messages=state.history,role=author.name,content=said.text,user=Alice,assistant=bob";
    assert_eq!(said(&one(row.clone(), &["--map", map])), [("user", "a?"), ("assistant", "A")]);
    let (_, refused) = converted(&[row], &["--map", "messages=state.history,role=author.name,content=said.text"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("no row of in.jsonl can be used: 1 × "), "{}", refused.stderr);
}

#[test]
fn a_row_that_the_output_cannot_hold_is_named_before_the_first_call() {
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "tide", "arguments": "{}"}}]});
    let with_call = json!({"messages": [{"role": "user", "content": "a"}, call, {"role": "tool", "tool_call_id": "c", "content": "3"}, {"role": "assistant", "content": "x"}]});
    let plain = json!({"messages": [{"role": "user", "content": "a"}]});
    let greeting = json!({"messages": [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "a"}]});
    let server = Capture::start();
    let model = server.model("m");
    let place = Place::new();
    for (rows, arguments, code) in [
        (vec![&with_call], vec!["--tools", "replay"], 2),
        (vec![&with_call, &plain], vec!["--tools", "replay"], 0),
        (vec![&greeting], vec!["--to", "llama-factory"], 2),
        (vec![&greeting, &plain], vec!["--to", "llama-factory"], 0),
    ] {
        place.write("in.jsonl", jsonl(&rows.into_iter().cloned().collect::<Vec<_>>()));
        let before = server.requests().len();
        let foreseen = place.run(&[&["plan", "in.jsonl", "--teacher", &model][..], &arguments].concat());
        assert_eq!(
            (foreseen.code, foreseen.stderr.contains("cannot hold them")),
            (Some(code), true),
            "{arguments:?}\n{}",
            foreseen.stderr
        );
        assert_eq!(server.requests().len(), before);
        if code == 2 {
            let run =
                place.run(&[&["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"][..], &arguments].concat());
            assert_eq!((run.code, server.requests().len()), (Some(2), before), "{}", run.stderr);
        }
    }
}

#[test]
fn inspect_lists_what_is_not_read() {
    let row = |toxic: Value| json!({"id": "a", "source": "s", "conversation": [{"role": "user", "content": "a", "toxic": toxic, "header": {"agent": "x"}}, {"role": "assistant", "content": "b"}]});
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[row(json!(true)), row(json!(null))]));
    let text = place.complete(&["inspect", "in.jsonl"]).stdout;
    for line in ["not read    conversation[].toxic (1 row, dropped)", "not read    source (2 rows, kept in meta)"] {
        assert!(text.contains(line), "{text}");
    }
    let census: Value = serde_json::from_str(&place.complete(&["inspect", "in.jsonl", "--json"]).stdout).unwrap();
    assert_eq!(census["not_read"]["conversation[].header.agent"], json!({"rows": 2, "kept_in_meta": false}));
}

#[test]
fn the_better_text_of_two_columns_is_read() {
    let users = |row: Value| -> Vec<String> {
        let read = one(row, &[]);
        said(&read).iter().map(|(_, text)| (*text).to_owned()).collect()
    };
    for (row, expected) in [
        (json!({"instruction": "", "question": "b?", "output": "B"}), ["b?", "B"]),
        (json!({"question": "b?", "output": "", "response": "B"}), ["b?", "B"]),
        (json!({"question": "b?", "output": ["B"]}), ["b?", "B"]),
        (json!({"instruction": "Be short.", "question": "b?", "answer": "B"}), ["Be short.\nb?", "B"]),
        (json!({"prompt": "Be short. b?", "question": "b?", "answer": "B"}), ["Be short. b?", "B"]),
        (json!({"message": "b?", "response": "B"}), ["b?", "B"]),
    ] {
        assert_eq!(users(row.clone()), expected, "{row}");
    }
}

#[test]
fn a_system_column_is_read_whole_or_left() {
    let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    for (column, expected) in [
        (json!({"text": null, "content": "S"}), Some("S")),
        (json!([{"role": "system", "content": "S"}]), Some("S")),
        (json!([{"text": "S"}, {"cachePoint": {"type": "default"}}]), Some("S")),
        (json!({"text": "S", "content": "T"}), None),
        (json!([{"role": "system", "content": "S"}, {"role": "user", "content": "T"}]), None),
        (json!({"kind": "x"}), None),
    ] {
        let read = one(json!({"System_Prompt": column, "messages": messages}), &[]);
        let first = said(&read)[0];
        match expected {
            Some(text) => assert_eq!(first, ("system", text), "{column}"),
            None => assert_eq!((first.0, &read["meta"]["System_Prompt"]), ("user", &column), "{column}"),
        }
    }
}

#[test]
fn messages_of_flat_files_are_read_or_named() {
    let message = |id: Value, parent: Value, role: &str, text: &str| json!({"message_id": id, "parent_id": parent, "role": role, "text": text});
    let place = Place::new();
    place.write(
        "in.jsonl",
        jsonl(&[
            message(json!(1), json!(null), "prompter", "a?"),
            message(json!(2), json!(1), "assistant", "A"),
            message(json!("x"), json!(""), "prompter", "b?"),
            message(json!("y"), json!("x"), "assistant", "B"),
            message(json!("y"), json!("x"), "assistant", "again"),
            message(json!("s"), json!("s"), "prompter", "self"),
            message(json!("c"), json!("d"), "prompter", "circle"),
            message(json!("d"), json!("c"), "assistant", "circle"),
        ]),
    );
    assert_eq!(place.run(&["convert", "in.jsonl", "-o", "out.jsonl"]).code, Some(3));
    let read = place.rows("out.jsonl");
    let texts: Vec<Vec<&str>> = read.iter().map(|row| said(row).into_iter().map(|(_, text)| text).collect()).collect();
    assert_eq!(texts, [["a?", "A"], ["b?", "B"]]);
    let lines: Vec<u64> =
        place.rows("out.jsonl.incomplete.jsonl").iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [5, 6, 7, 8]);
}

#[test]
fn sides_of_a_pair_are_read_as_messages_are() {
    let pair =
        |chosen: Value, rejected: Value| json!({"id": "p", "prompt": "a?", "chosen": chosen, "rejected": rejected});
    let dpo = |row: Value| -> Option<Value> { converted(&[row], &["--to", "dpo"]).0.pop() };
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]});
    let read = dpo(pair(json!("A"), call)).unwrap();
    assert_eq!(read["rejected"][0]["tool_calls"][0]["function"]["name"], "f");
    let read = dpo(pair(json!("A"), json!("<think>hm</think>B"))).unwrap();
    assert_eq!(
        (&read["rejected"][0]["content"], &read["rejected"][0]["reasoning_content"]),
        (&json!("B"), &json!("hm"))
    );
    let read = dpo(pair(json!("{'role': 'assistant', 'content': 'A'}"), json!({"content": "B", "score": 3}))).unwrap();
    assert_eq!((&read["chosen"][0]["content"], &read["rejected"][0]["content"]), (&json!("A"), &json!("B")));
    for rejected in [
        json!([{"role": "user", "content": "b?"}]),
        json!("<think>hm</think>"),
        json!("\u{200b}"),
        json!("\n\nHuman: b?"),
    ] {
        assert_eq!(dpo(pair(json!("A"), rejected.clone())), None, "{rejected}");
    }
    for (label, good) in [(json!("True"), true), (json!(1), true), (json!("false"), false)] {
        let row = json!({"id": "k", "prompt": "a?", "completion": "A", "label": label});
        assert_eq!(converted(&[row], &["--to", "kto"]).0[0]["label"], good, "{label}");
    }
}

#[test]
fn a_result_without_its_call_is_written_nowhere() {
    let call = |id: &str| json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "function": {"name": "f", "arguments": "{}"}}]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "3"});
    let (user, end) = (json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"}));
    for messages in [
        json!([user, result("c"), call("c"), end]),
        json!([user, call("c"), result("d"), end]),
        json!([user, call("c"), end]),
        json!([user, call("c"), result("c"), result("c"), end]),
        json!([user, call("c"), user, result("c"), end]),
    ] {
        assert_eq!(reasons(&[json!({"messages": messages})], &CONVERT), ["tool_order"], "{messages}");
    }
    // Without ids nothing says which call is meant.
    let told = json!({"role": "tool", "content": "3"});
    let read = one(json!({"messages": [user, call("c"), result("c"), end, user, told, end]}), &[]);
    assert_eq!(read["messages"][5], told);
    for arguments in [json!("{bad"), json!("[1]"), json!(5)] {
        let mut call = call("c");
        call["tool_calls"][0]["function"]["arguments"] = arguments.clone();
        let row = json!({"messages": [user, call, result("c"), end]});
        assert_eq!(reasons(&[row], &CONVERT), ["tool_use"], "{arguments}");
    }
    for arguments in [json!("{'at': True}"), json!("\"{\\\"at\\\": true}\""), json!({"at": true})] {
        let mut call = call("c");
        call["tool_calls"][0]["function"]["arguments"] = arguments.clone();
        let read = one(json!({"messages": [user, call, result("c"), end]}), &[]);
        let sent = read["messages"][1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(sent).unwrap(), json!({"at": true}), "{arguments}");
    }
}

#[test]
fn a_server_that_takes_no_tools_is_named_with_what_to_do() {
    let tool = json!({"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}});
    let rows: Vec<Value> = (0..6)
        .map(|row| json!({"id": row, "tools": [tool], "messages": [{"role": "user", "content": format!("Hi {row}")}]}))
        .collect();
    let server = Capture::with(|request| match request.body().get("tools") {
        Some(_) => crate::capture::refused(
            400,
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
        ),
        None => answer(&request.body()),
    });
    let place = Place::new();
    place.write("in.jsonl", jsonl(&rows));
    let model = server.model("m");
    let line = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    let finished = place.run(&line);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("--tools hide"), "{}", finished.stderr);
    place.complete(&[&line[..], &["--tools", "hide"]].concat());
}

#[test]
fn words_about_calls_and_markers_stay_words() {
    let quoted =
        "Like this:\n```xml\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n```\nThat is all.";
    let inline = "Write `<tool_call>{\"name\": \"f\"}</tool_call>` there.";
    for text in [quoted, inline, "What is <|im_start|>?", "A list: [INST] is a marker."] {
        let row = json!({"messages": [{"role": "user", "content": "How?"}, {"role": "assistant", "content": text}]});
        assert_eq!(said(&one(row.clone(), &[]))[1].1, text);
        assert_eq!(reasons(&[row], &DISTILL), [""; 0], "{text}");
    }
}

#[test]
fn rendered_dialogues_are_read_on_request_and_never_asked_as_one_message() {
    let rendered = "<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nQ2<|im_end|>\n<|im_start|>assistant\n";
    let row = json!({"prompt": rendered, "response": "A2"});
    let refused = reasons(std::slice::from_ref(&row), &CONVERT);
    assert!(refused[0].contains("--format templated"), "{refused:?}");
    let read = one(row, &["--format", "templated"]);
    assert_eq!(said(&read), [("user", "Q1"), ("assistant", "A1"), ("user", "Q2"), ("assistant", "A2")]);
    for text in [
        "### Human: What is \"### Human:\"?\n### Assistant: A marker.",
        "USER: Q\nASSISTANT: <functioncall> {\"name\": \"f\"}\nFUNCTION RESPONSE: 3\nASSISTANT: Three.",
        "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nSee:\n```\n<|im_start|>user\n```<|im_end|>\n<|im_start|>assistant\nx<|im_end|>",
    ] {
        let row = json!({"text": text});
        assert_eq!(
            reasons(std::slice::from_ref(&row), &[&CONVERT[..], &["--format", "templated"]].concat()).len(),
            1,
            "{text}"
        );
    }
    let picture = json!({"text": "<|im_start|>user\n<|vision_start|><|image_pad|>What?<|im_end|>\n<|im_start|>assistant\nA boat.<|im_end|>"});
    assert_eq!(reasons(&[picture], &[&CONVERT[..], &["--format", "templated"]].concat()), ["multimodal"]);
}

#[test]
fn tables_and_lists_of_public_datasets_are_read() {
    let texts = |row: Value| -> Vec<String> {
        said(&one(row, &["--keep-unanswered"])).iter().map(|(_, text)| (*text).to_owned()).collect()
    };
    for (row, expected) in [
        (json!({"conversations": ["Q1", "A1", "Q2", "A2"], "source": "s"}), vec!["Q1", "A1", "Q2", "A2"]),
        (
            json!({"prompt": "['Q1', \"Q2\"]", "response_a": "['A1', 'A2']", "response_b": "['B1', 'B2']", "winner_model_a": 1}),
            vec!["Q1", "A1", "Q2", "A2"],
        ),
        (
            json!({"messages": "array([{'role': 'user', 'content': 'Q1'}\n {'role': 'assistant', 'content': 'A1'}], dtype=object)"}),
            vec!["Q1", "A1"],
        ),
        (json!({"history": [[null, "Hello!"]], "prompt": "Q1", "response": "A1"}), vec!["Hello!", "Q1", "A1"]),
        (json!({"history": [[]], "prompt": "Q1", "response": "A1"}), vec!["Q1", "A1"]),
        (json!({"turns": [], "instruction": "Q1", "output": "A1"}), vec!["Q1", "A1"]),
        (json!({"context": ["c", null], "question": "Q1", "answer": "A1"}), vec!["Q1\nc", "A1"]),
        (json!({"input": "Q1", "target": "A1"}), vec!["Q1", "A1"]),
        (json!({"system": "[{'type': 'text', 'text': 'S'}]", "prompt": "Q1", "response": "A1"}), vec!["S", "Q1", "A1"]),
    ] {
        assert_eq!(texts(row.clone()), expected, "{row}");
    }
    let choices = json!({"question": "Which?", "choices": ["a", "b"], "answer": 1});
    assert!(reasons(&[choices], &CONVERT)[0].contains("`choices` belongs to what is asked"));
}

#[test]
fn rows_that_end_with_a_user_are_written_up_to_the_last_answer() {
    let row = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "b"}]});
    assert_eq!(said(&one(row, &["--to", "axolotl"])), [("user", "a"), ("assistant", "A")]);
}

#[test]
fn pairs_are_not_foreseen_to_be_missing_where_a_gate_makes_them() {
    let rows: Vec<Value> = (0..3)
        .map(|row| json!({"messages": [{"role": "user", "name": "Ann", "content": format!("Q{row}?")}]}))
        .collect();
    let place = Place::new();
    place.write("in.jsonl", jsonl(&rows));
    let line =
        ["distill", "in.jsonl", "--teacher", "simulated", "--gate", "standard", "--to", "dpo", "-o", "out.jsonl"];
    assert_ne!(place.run(&line).code, Some(2));
}
