//! Any of the known shapes in any of the known containers gives the same conversations.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::{Place, conversation, jsonl};

const WORDS: [&str; 2] = ["你好，第一个问题？ 🙂", "And \"the\" second\\one\n?"];

#[test]
fn every_recognised_format_has_a_row_here() {
    let reader = cohobate::dataset::RowReader::default();
    let shown = shapes().into_iter().filter_map(|(_, row)| match reader.read(row.to_string().as_bytes()) {
        cohobate::dataset::Reading::Ready { format, .. } => Some(format),
        _ => None,
    });
    let shown: std::collections::BTreeSet<&str> = shown.collect();
    let known = cohobate::dataset::FORMATS.iter().map(|format| format.name());
    // The transcripts of hh-rlhf cannot hold the words of this dialogue; they have a test of their own.
    let missing: Vec<&str> = known.filter(|name| !shown.contains(name) && *name != "hh-rlhf").collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The same dialogue in every shape.
fn shapes() -> Vec<(&'static str, Value)> {
    let [first, second] = WORDS;
    vec![
        (
            "openai",
            json!({"messages": [
            {"role": "user", "content": first}, {"role": "assistant", "content": "x"},
            {"role": "user", "content": second}, {"role": "assistant", "content": ""}]}),
        ),
        (
            "openai with parts",
            json!({"messages": [
            {"role": "user", "content": [{"type": "text", "text": first}]}, {"role": "assistant", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": second}]}]}),
        ),
        (
            "sharegpt",
            json!({"conversations": [
            {"from": "human", "value": first}, {"from": "gpt", "value": "x"}, {"from": "human", "value": second}]}),
        ),
        (
            "lmsys",
            json!({"conversation": [
            {"role": "Human", "content": first}, {"role": "bot", "content": "x"}, {"role": "USER", "content": second}]}),
        ),
        ("mt-bench", json!({"turns": [first, second]})),
        ("firefly", json!({"conversation": [{"human": first, "assistant": "x"}, {"human": second, "assistant": "y"}]})),
        ("xtuner", json!({"conversation": [{"input": first, "output": "x"}, {"input": second, "output": ""}]})),
        ("mtbench101", json!({"history": [{"user": first, "bot": "x"}, {"user": second, "bot": null}]})),
        ("alpaca", json!({"instruction": second, "input": "", "output": "y", "history": [[first, "x"]]})),
        ("ultrachat", json!({"id": "1", "data": [first, "x", second, "y"]})),
        (
            "oasst",
            json!({"prompt": {"text": first, "role": "prompter", "replies": [
            {"text": "no", "role": "assistant", "rank": 0, "deleted": true, "replies": []},
            {"text": "x", "role": "assistant", "rank": 1, "replies": [{"text": second, "role": "prompter", "replies": []}]},
            {"text": "z", "role": "assistant", "rank": null, "replies": []}]}}),
        ),
        (
            "multichallenge",
            json!({"AXIS": "a", "CONVERSATION": [
            {"role": "user", "content": first}, {"role": "assistant", "content": "x"}, {"role": "user", "content": second}]}),
        ),
        (
            "trl",
            json!({"prompt": [
            {"role": "user", "content": first}, {"role": "assistant", "content": "x"}, {"role": "user", "content": second}],
            "chosen": [{"role": "assistant", "content": "y"}], "rejected": [{"role": "assistant", "content": "n"}]}),
        ),
        (
            "llama-factory v1",
            json!({"chosen_messages": [
            {"role": "user", "content": [{"type": "text", "value": first}]}, {"role": "assistant", "content": "x"},
            {"role": "user", "content": second}], "rejected_messages": []}),
        ),
        (
            "gemini",
            json!({"contents": [
            {"role": "user", "parts": [{"text": first}]}, {"role": "model", "parts": [{"text": "x"}]},
            {"role": "user", "parts": [{"text": second}]}]}),
        ),
        (
            "cohere",
            json!({"chat_history": [{"role": "USER", "message": first}, {"role": "CHATBOT", "message": "x"}],
                "message": second}),
        ),
        ("arena", json!({"prompt": [first, second], "response_a": ["x", "y"], "response_b": ["v", "w"]})),
        ("model-answer", json!({"turns": [first, second], "choices": [{"index": 0, "turns": ["x", "y"]}]})),
        (
            "json in a cell",
            json!({"messages": json!([
            {"role": "user", "content": first}, {"role": "assistant", "content": "x"},
            {"role": "user", "content": second}]).to_string()}),
        ),
    ]
}

#[test]
fn a_shape_may_be_named_or_described() {
    let [first, second] = WORDS.map(str::trim);
    let messages =
        |list: Value| json!({"dialog": list, "messages": [{"message": first}, {"message": "x"}, {"message": second}]});
    let described =
        messages(json!([{"who": "user", "says": first}, {"who": "bot", "says": "x"}, {"who": "user", "says": second}]));
    let marked = format!(
        "<|im_start|>user\n{first}<|im_end|>\n<|im_start|>assistant\nx<|im_end|>\n<|im_start|>user\n{second}<|im_end|>"
    );
    let human = format!("\n\nHuman: {first}\n\nAssistant: x\n\nHuman: {second}\n\nAssistant: y");
    let mut expected = None;
    for (row, arguments) in [
        (described.clone(), ["--map", "role=who,content=says"]),
        (described.clone(), ["--map", "messages=dialog,role=who,content=says"]),
        (described, ["--format", "alternate"]),
        (json!({"text": marked}), ["--format", "templated"]),
        (json!({"chosen": human, "rejected": "\n\nHuman: no"}), ["--format", "hh-rlhf"]),
    ] {
        let place = Place::new();
        place.write("in.jsonl", jsonl(&[row]));
        let command = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"];
        place.complete(&[&command[..], &arguments].concat());
        let messages = place.rows("out.jsonl")[0]["messages"].clone();
        assert_eq!(*expected.get_or_insert(messages.clone()), messages, "{arguments:?}");
        assert_eq!((&messages[0]["content"], &messages[2]["content"]), (&json!(first), &json!(second)));
    }
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1)]));
    for arguments in [["--format", "nonsense"], ["--map", "role"], ["--map", "role=a,content=b,other=c"]] {
        let finished = place.run(&[&["distill", "in.jsonl", "--teacher", "simulated"][..], &arguments].concat());
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains("hint: write"), "{}", finished.stderr);
    }
    let finished = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--format", "sharegpt"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("is not in the format sharegpt"), "{}", finished.stderr);
}

/// Distils a file and returns the messages of its first row.
fn messages(place: &Place, input: &str) -> Value {
    place.complete(&["distill", input, "--teacher", "simulated", "-o", "out.jsonl", "-q"]);
    place.rows("out.jsonl")[0]["messages"].clone()
}

#[test]
fn every_shape_of_a_dialogue_gives_the_same_conversation_for_the_price_of_one() {
    let place = Place::new();
    let mut expected = None;
    for (name, row) in shapes() {
        place.write("in.jsonl", jsonl(&[row]));
        let messages = messages(&place, "in.jsonl");
        let spoken: Vec<&str> = messages.as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
        assert_eq!([spoken[0], spoken[2]], WORDS, "{name}");
        assert_eq!(spoken.len(), 4, "{name}");
        assert_eq!(*expected.get_or_insert(messages.clone()), messages, "{name}");
    }
    let status: Value = serde_json::from_str(&place.complete(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["spending"]["simulated"]["answers"], 2);
}

/// The rows as Arrow batches, with lists of structs as real files have them.
#[cfg(feature = "parquet")]
fn batches(rows: &[Value]) -> (arrow_schema::SchemaRef, Vec<arrow_array::RecordBatch>) {
    let text = jsonl(rows);
    let (schema, _) = arrow_json::reader::infer_json_schema(text.as_bytes(), None).unwrap();
    let schema = std::sync::Arc::new(schema);
    let reader = arrow_json::ReaderBuilder::new(std::sync::Arc::clone(&schema)).with_batch_size(3);
    let batches = reader.build(text.as_bytes()).unwrap().collect::<Result<_, _>>().unwrap();
    (schema, batches)
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_and_arrow_files_give_the_same_rows_as_lines() {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    let place = Place::new();
    let rows: Vec<Value> = (0..10).map(|row| conversation(&format!("行 {row}"), row % 3 + 1)).collect();
    place.write("lines.jsonl", jsonl(&rows));
    place.complete(&["distill", "lines.jsonl", "--teacher", "simulated", "-o", "expected.jsonl"]);
    let (schema, batches) = batches(&rows);
    for (name, compression) in [
        ("plain", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
    ] {
        let properties =
            WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(4)).build();
        let file = std::fs::File::create(place.path(name)).unwrap();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(file, std::sync::Arc::clone(&schema), Some(properties)).unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        writer.close().unwrap();
    }
    let file = std::fs::File::create(place.path("file.arrow")).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &schema).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let file = std::fs::File::create(place.path("stream.arrow")).unwrap();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(file, &schema).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    for name in ["plain", "snappy", "zstd", "file.arrow", "stream.arrow"] {
        place.complete(&["distill", name, "--teacher", "simulated", "-o", "out.jsonl"]);
        assert_eq!(place.read("out.jsonl"), place.read("expected.jsonl"), "{name}");
        // A container that is cut is no empty dataset.
        let bytes = std::fs::read(place.path(name)).unwrap();
        place.write("cut", &bytes[..bytes.len() / 2]);
        let finished = place.run(&["distill", "cut", "--teacher", "simulated", "-o", "cut.jsonl"]);
        assert_eq!(finished.code, Some(2), "{name}: {}", finished.stderr);
        assert!(finished.stderr.contains("cannot read cut"), "{name}: {}", finished.stderr);
    }
}

#[test]
fn tables_with_lists_in_their_cells_give_the_same_rows() {
    let place = Place::new();
    let rows: Vec<Value> =
        (0..5).map(|row| conversation(&format!("row {row}, \"quoted\"\tand more"), row % 2 + 1)).collect();
    place.write("lines.jsonl", jsonl(&rows));
    place.complete(&["distill", "lines.jsonl", "--teacher", "simulated", "-o", "expected.jsonl"]);
    for (name, separator) in [("cells.csv", b','), ("cells.tsv", b'\t')] {
        let mut writer = csv::WriterBuilder::new().delimiter(separator).from_path(place.path(name)).unwrap();
        writer.write_record(["id", "messages"]).unwrap();
        for row in &rows {
            writer.write_record([row["id"].as_str().unwrap(), &row["messages"].to_string()]).unwrap();
        }
        writer.flush().unwrap();
        place.complete(&["distill", name, "--teacher", "simulated", "-o", "out.jsonl"]);
        assert_eq!(place.read("out.jsonl"), place.read("expected.jsonl"), "{name}");
    }
}

#[test]
fn a_table_that_would_lose_something_is_refused() {
    let place = Place::new();
    let tables: [(&str, &[u8], &str, i32); 4] = [
        ("latin.csv", b"id,prompt\n1,caf\xe9\n2,tea\n", "UTF-8", 3),
        ("wide.csv", b"id,prompt\n1,a,b\n2,tea\n", "3 cells", 3),
        ("narrow.csv", b"id,prompt\n1\n", "1 cell", 2),
        ("twice.csv", b"prompt,prompt\na,b\n", "two columns are called `prompt`", 2),
    ];
    for (name, bytes, reason, code) in tables {
        place.write(name, bytes);
        let finished = place.run(&["distill", name, "--teacher", "simulated"]);
        assert_eq!(finished.code, Some(code), "{name}: {}", finished.stderr);
        assert!(finished.stderr.contains(reason), "{name}: {}", finished.stderr);
    }
}

#[test]
fn a_directory_is_read_as_its_card_says_and_a_pattern_as_the_shell_does() {
    let place = Place::new();
    let file = |name: &str, topic: &str| {
        let path = place.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, jsonl(&[conversation(topic, 1)])).unwrap();
    };
    let ids = |input: &str| -> Vec<String> {
        place.complete(&["distill", input, "--teacher", "simulated", "-o", "out.jsonl"]);
        place.rows("out.jsonl").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    file("set/data/train-00001.jsonl", "second");
    file("set/data/train-00000.jsonl", "first");
    file("set/data/test-00000.jsonl", "test");
    file("set/extra/more.jsonl", "extra");
    std::fs::write(place.path("set/dataset_info.json"), "{}").unwrap();
    std::fs::write(place.path("set/.hidden.jsonl"), "{}").unwrap();
    // The names say which split a file is of.
    assert_eq!(ids("set"), ["first", "second"]);
    assert_eq!(ids("set/data/train-*"), ["first", "second"]);
    let card = "---\nlicense: mit\nconfigs:\n- config_name: other\n  data_files: extra/*\n- config_name: default\n  \
                data_files:\n  - split: test\n    path: data/test-*\n  - split: train\n    path: data/train-*\n---\n# A set\n";
    place.write("set/README.md", card);
    assert_eq!(ids("set"), ["first", "second"]);
    place.write(
        "set/README.md",
        "---\nconfigs:\n- config_name: all\n  data_files: [\"data/*\", extra/more.jsonl]\n---\n",
    );
    assert_eq!(ids("set"), ["test", "first", "second", "extra"]);
    place.write("set/README.md", "---\r\nconfigs:\r\n- config_name: all\r\n  data_files:\r\n    train: data/train-*\r\n    test: data/test-*\r\n---\r\n");
    assert_eq!(ids("set"), ["first", "second"]);
    place.write("set/README.md", "---\nconfigs:\n- config_name: all\n  data_files: gone-*\n---\n");
    let finished = place.run(&["distill", "set", "--teacher", "simulated"]);
    assert!(finished.code == Some(2) && finished.stderr.contains("lists gone-*"), "{}", finished.stderr);
    for (input, reason) in [("empty", "no file in it ends in"), ("set/*.nothing", "no file matches it")] {
        std::fs::create_dir_all(place.path("empty")).unwrap();
        let finished = place.run(&["distill", input, "--teacher", "simulated"]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(reason), "{}", finished.stderr);
    }
}

#[test]
fn every_container_gives_the_same_rows() {
    let place = Place::new();
    let rows: Vec<Value> = (0..7).map(|row| conversation(&format!("row {row} \"[{{,\\"), row % 3 + 1)).collect();
    let lines = jsonl(&rows);
    let array = serde_json::to_string_pretty(&rows).unwrap();
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    place.write("lines.jsonl", &lines);
    place.write("dos.jsonl", format!("\u{feff}{}", lines.replace('\n', "\r\n\r\n")));
    place.write("array.json", &array);
    place.write("tight.json", format!("\u{feff} {}", serde_json::to_string(&rows).unwrap()));
    place.write("lines.jsonl.gz", gzip(&lines));
    place.write("array.json.gz", gzip(&array));
    let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip.write_all(lines.as_bytes()).unwrap();
    place.write("lines.jsonl.bz2", bzip.finish().unwrap());
    place.write("lines.jsonl.zst", zstd::encode_all(lines.as_bytes(), 1).unwrap());
    // The ending does not matter, what is in it does.
    place.write("zipped-but-not-named-so", gzip(&lines));
    place.complete(&["distill", "lines.jsonl", "--teacher", "simulated", "-o", "expected.jsonl"]);
    let expected = place.read("expected.jsonl");
    assert_eq!(expected.lines().count(), 7);
    let others = [
        "dos.jsonl",
        "array.json",
        "tight.json",
        "lines.jsonl.gz",
        "array.json.gz",
        "lines.jsonl.zst",
        "lines.jsonl.bz2",
    ];
    for name in others.into_iter().chain(["zipped-but-not-named-so"]) {
        place.complete(&["distill", name, "--teacher", "simulated", "-o", "out.jsonl"]);
        assert_eq!(place.read("out.jsonl"), expected, "{name}");
    }
    // Several files are one dataset in their order; standard input is read as any file.
    place.complete(&["distill", "array.json", "lines.jsonl.gz", "--teacher", "simulated", "-o", "out.jsonl"]);
    assert_eq!(place.read("out.jsonl"), expected.repeat(2));
    for (name, bytes) in [("plain", lines.into_bytes()), ("gzip", gzip(&array))] {
        let mut command = place.command(&["distill", "-", "--teacher", "simulated", "-o", "-", "-q"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "standard input, {name}");
    }
    assert_eq!(std::fs::read_dir(place.path(".cohobate/spool")).unwrap().count(), 0, "the spool is left behind");
}

#[test]
fn system_messages_greetings_and_doubled_users_keep_their_places() {
    let place = Place::new();
    let rows = [
        json!({"id": "system", "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "u"}]}),
        json!({"id": "developer", "messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "u"}]}),
        json!({"id": "column", "system": "S", "conversations": [{"from": "human", "value": "u"}]}),
        json!({"id": "greeting", "conversations": [{"from": "gpt", "value": "hello"}, {"from": "human", "value": "u"}]}),
        json!({"id": "doubled", "messages": [{"role": "user", "content": "u"}, {"role": "user", "content": "v"}]}),
        json!({"id": "middle", "messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "x"},
            {"role": "system", "content": "French!"}, {"role": "user", "content": "v"}]}),
        json!({"id": "emptied", "messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "x"},
            {"role": "user", "content": "  "}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "v"}]}),
    ];
    place.write("in.jsonl", jsonl(&rows));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    let shape = |row: &Value| {
        let spoken = row["messages"].as_array().unwrap().iter().map(|message| {
            let role = message["role"].as_str().unwrap();
            let is_new = role == "assistant" && message["content"] != "hello";
            if is_new { "A".to_owned() } else { format!("{}:{}", &role[..1], message["content"].as_str().unwrap()) }
        });
        format!("{} {}", row["id"].as_str().unwrap(), spoken.collect::<Vec<_>>().join(" | "))
    };
    let shapes: Vec<String> = place.rows("out.jsonl").iter().map(shape).collect();
    insta::assert_snapshot!(shapes.join("\n"), @r"
    system s:S | u:u | A
    developer s:S | u:u | A
    column s:S | u:u | A
    greeting a:hello | u:u | A
    doubled u:u

    v | A
    middle u:u | A | s:French! | u:v | A
    emptied u:u | A
    ");
}

#[test]
fn rows_without_a_use_are_left_out_with_their_reason_and_bad_rows_end_with_exit_code_3() {
    let place = Place::new();
    let text = [
        r#"{"id": "fine", "messages": [{"role": "user", "content": "hi"}]}"#,
        r#"{"id": "nobody", "messages": [{"role": "system", "content": "s"}]}"#,
        r#"{"id": "empty", "messages": [{"role": "user", "content": ""}]}"#,
        r#"{"id": "tools", "messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "42"}]}"#,
        r#"{"id": "image", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}"#,
    ];
    place.write("in.jsonl", text.join("\n"));
    let finished = place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    assert!(finished.stderr.contains("left out"), "{}", finished.stderr);
    let bad = [
        r#"{"id": "torn", "messages": [{"role": "user", "content": "hi""#,
        "not json at all",
        "[1, 2]",
        r#"{"id": "unknown", "dialogue": []}"#,
        r#"{"id": "role", "messages": [{"role": "narrator", "content": "x"}]}"#,
        r#"{"id": "surrogate", "messages": [{"role": "user", "content": "\ud83d"}]}"#,
        r#"{"id": "number", "messages": [{"role": "user", "content": 5}]}"#,
    ];
    place.write("in.jsonl", text.join("\n") + "\n" + &bad.join("\n"));
    let finished = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(place.rows("out.jsonl").len(), 1);
    let reasons: Vec<String> = place
        .rows("out.jsonl.incomplete.jsonl")
        .iter()
        .map(|row| format!("{}:{} {} {}", row["source"].as_str().unwrap(), row["line"], row["kind"], row["reason"]))
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    in.jsonl:2 "skipped" "no_user"
    in.jsonl:3 "skipped" "empty_user"
    in.jsonl:4 "skipped" "tool_use"
    in.jsonl:5 "skipped" "multimodal"
    in.jsonl:6 "invalid" "not valid JSON: EOF while parsing an object at line 1 column 60"
    in.jsonl:7 "invalid" "not valid JSON: expected ident at line 1 column 2"
    in.jsonl:8 "invalid" "the row is not a JSON object"
    in.jsonl:9 "invalid" "no known format has the columns id, dialogue; --map names the list and its keys"
    in.jsonl:10 "invalid" "message 1 has the unknown role `narrator`"
    in.jsonl:11 "invalid" "not valid JSON: unexpected end of hex escape at line 1 column 69"
    in.jsonl:12 "invalid" "message 1 has a `content` that is neither text nor a list of parts"
    "#);
    // Each bad row is named on the screen, by file and line.
    assert!(finished.stderr.contains("in.jsonl:7: not valid JSON"), "{}", finished.stderr);
}

#[test]
fn a_cut_array_gives_its_whole_rows_and_says_where_it_was_cut() {
    let place = Place::new();
    let rows: Vec<Value> = (0..3).map(|row| conversation(&format!("row {row}"), 1)).collect();
    let whole = serde_json::to_string_pretty(&rows).unwrap();
    for (cut, good) in [(whole.len() - 1, 3), (whole.len() - 40, 2), (whole.len() / 2, 1)] {
        place.write("in.json", &whole[..cut]);
        let finished = place.run(&["distill", "in.json", "--teacher", "simulated", "-o", "out.jsonl"]);
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        assert_eq!(place.rows("out.jsonl").len(), good, "cut at {cut}");
        assert_eq!(place.rows("out.jsonl.incomplete.jsonl").len(), 1, "cut at {cut}");
    }
    place.write("in.json", format!("{whole} and more"));
    let finished = place.run(&["distill", "in.json", "--teacher", "simulated", "-o", "out.jsonl"]);
    assert!(finished.stderr.contains("unexpected content outside the JSON array"), "{}", finished.stderr);
    assert_eq!((finished.code, place.rows("out.jsonl").len()), (Some(3), 3));
}

#[test]
fn other_columns_survive_in_meta_and_an_export_can_be_distilled_again() {
    let place = Place::new();
    let row = json!({"id": 81, "messages": [{"role": "user", "content": "hi"}], "topic": "a", "turns": 3,
        "nested": {"b": [1, 2.5, null]}, "prompt": "no", "text": "no", "chosen": "no"});
    place.write("in.jsonl", jsonl(&[row]));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "one.jsonl"]);
    let row = &place.rows("one.jsonl")[0];
    let columns: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(columns, ["id", "messages", "meta"]);
    assert_eq!(row["id"], "81");
    assert_eq!(row["meta"]["nested"], json!({"b": [1, 2.5, null]}));
    assert_eq!(row["meta"]["source_turns"], 3);
    assert_eq!(row["meta"]["turns"][0]["finish_reason"], "stop");
    let second = place.complete(&["distill", "one.jsonl", "--teacher", "simulated", "-o", "two.jsonl"]);
    assert!(second.stderr.contains("reused     1 of 1 turns"), "{}", second.stderr);
    let again = &place.rows("two.jsonl")[0];
    assert_eq!((&again["messages"], &again["meta"]["topic"]), (&row["messages"], &json!("a")));
}

#[test]
fn inspect_counts_what_a_run_would_read_change_and_leave_out() {
    let place = Place::new();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let rows = [
        json!({"id": "a", "messages": [message("user", "Where is the harbor?"), message("assistant", "There.")]}),
        json!({"id": "a", "messages": [message("user", "Where is the harbor?"), message("assistant", "Here.")]}),
        json!({"messages": [message("assistant", "Hi!"), message("user", "One."), message("user", "Two.")]}),
        json!({"instruction": "请问港口在哪里？", "output": "那里。"}),
        json!({"messages": [message("system", "Be kind.")]}),
        json!({"dialogue": 1}),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let finished = place.run(&["inspect", "in.jsonl"]);
    assert_eq!(finished.code, Some(3));
    insta::assert_snapshot!(finished.stdout, @r"
    rows        6
    formats     openai 4, alpaca 1
    user turns  0 / 1 / 2 per conversation (least, median, most)
    roles       system 1, user 5, assistant 4, tool 0
    languages   English 3, Chinese 1
    user text   4 / 8 / 20 characters (least, median, most)
    tokens      about 25 of users and system, 7 of old answers
    changed     1 × greeting_kept
    changed     1 × joined_users
    left out    1 row (no_user)
    invalid     1 row: no known format has the columns dialogue; --map names the list and its keys
    duplicates  1 conversation like an earlier one
    ids         1 row with the id of an earlier one
    ");
    let limited = place.complete(&["inspect", "in.jsonl", "--limit", "2", "--json"]);
    let census: Value = serde_json::from_str(&limited.stdout).unwrap();
    assert_eq!((&census["rows"], &census["duplicates"], &census["duplicate_ids"]), (&json!(2), &json!(1), &json!(1)));
    assert!(!place.exists(".cohobate"), "a look makes no store");
}

#[test]
fn each_rule_of_normalising_is_an_option_and_is_counted() {
    let place = Place::new();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]});
    let rows = [
        json!({"id": "greeting", "messages": [message("assistant", "Hi!"), message("user", "Yes, {{name}}?")]}),
        json!({"id": "doubled", "messages": [message("user", "One."), message("user", "Two.")]}),
        json!({"id": "tools", "messages": [message("user", "a"), message("assistant", "b"), message("user", "c"), call, message("tool", "r"), message("user", "d")]}),
    ];
    place.write("in.jsonl", jsonl(&rows));
    let run = |arguments: &[&str]| {
        let (said, counts) = distilled_in(&place, arguments);
        (said, counts["changed"].clone())
    };
    assert_eq!(
        run(&[]),
        (
            vec!["greeting aua".to_owned(), "doubled ua".to_owned()],
            json!({"greeting_kept": 1, "joined_users": 1, "placeholder_seen": 1})
        )
    );
    assert_eq!(
        run(&["--greeting", "drop", "--double-user", "keep", "--tools", "keep-prefix"]),
        (
            vec!["greeting ua".to_owned(), "doubled uua".to_owned(), "tools ua".to_owned()],
            json!({"cut_before_tools": 1, "double_users_kept": 1, "greeting_dropped": 1, "placeholder_seen": 1, "turns_dropped": 2})
        )
    );
    place.write("cohobate.toml", "double-user = \"skip\"\n");
    assert_eq!(run(&[]).0, ["greeting aua"]);
    let finished = place.run(&["distill", "in.jsonl", "--teacher", "simulated", "--tools", "eat"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("write one of `skip`, `keep-prefix`, `replay`"), "{}", finished.stderr);
}

fn distilled(rows: &[Value], arguments: &[&str]) -> (Vec<String>, Value) {
    let place = Place::new();
    place.write("in.jsonl", jsonl(rows));
    distilled_in(&place, arguments)
}

/// Distils `in.jsonl` with the simulated teacher and returns the output, by id: roles as letters, and what was said of it.
fn distilled_in(place: &Place, arguments: &[&str]) -> (Vec<String>, Value) {
    let command = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--progress", "json"];
    let finished = place.complete(&[&command[..], arguments].concat());
    let summary = finished.summary();
    let roles = |row: &Value| {
        let messages = row["messages"].as_array().unwrap().iter();
        messages.map(|message| &message["role"].as_str().unwrap()[..1]).collect::<String>()
    };
    let said = place.rows("out.jsonl");
    let said = said.iter().map(|row| format!("{} {}", row["id"].as_str().unwrap(), roles(row))).collect();
    (said, json!({"changed": summary["changed"], "left_out": summary["left_out"]}))
}

#[test]
fn system_messages_on_the_way_empty_turns_gaps_and_media_follow_their_rules() {
    let row = |id: &str, messages: Value| json!({"id": id, "messages": messages});
    let rows = [
        row(
            "aside",
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
            {"role": "system", "content": "In French."}, {"role": "user", "content": "c"}]),
        ),
        row(
            "empty",
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
            {"role": "user", "content": " "}, {"role": "assistant", "content": "d"}]),
        ),
        row("gap", json!([{"role": "user", "content": "Are you {{name}}?"}])),
        row(
            "media",
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}},
            {"type": "text", "text": "What is it?"}]}]),
        ),
    ];
    let (said, counts) = distilled(&rows, &[]);
    assert_eq!(said, ["aside uasua", "empty ua", "gap ua"]);
    assert_eq!(counts["changed"], json!({"placeholder_seen": 1, "turns_dropped": 1}));
    let rules = ["--middle-system", "fold", "--empty-user", "skip", "--media", "drop", "--fill", "name=Ada"];
    let (said, counts) = distilled(&rows, &rules);
    assert_eq!(said, ["aside uaua", "gap ua", "media ua"]);
    assert_eq!(counts["changed"], json!({"media_dropped": 1, "placeholders_filled": 1, "system_folded": 1}));
    let (said, counts) = distilled(&rows, &["--middle-system", "drop", "--placeholders", "skip"]);
    assert_eq!(said, ["aside uaua", "empty ua"]);
    assert_eq!(counts["left_out"], json!({"placeholder": 1, "multimodal": 1}));
}

#[test]
fn duplicates_are_left_out_where_that_is_wanted_and_the_first_stays() {
    let row = |id: &str, text: &str| json!({"id": id, "messages": [{"role": "user", "content": text}]});
    let rows = [row("one", "Why is that?"), row("two", "  why IS\nthat?"), row("three", "Why was that?")];
    assert_eq!(distilled(&rows, &[]).0.len(), 3);
    let (said, counts) = distilled(&rows, &["--duplicates", "drop"]);
    assert_eq!(
        (said, &counts["left_out"]),
        (vec!["one ua".to_owned(), "three ua".to_owned()], &json!({"duplicate": 1}))
    );
}

#[test]
fn calls_are_replayed_with_their_results_and_only_the_words_are_written_anew() {
    let call = |id: &str| {
        json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Bergen\"}"}}]})
    };
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "rain"});
    let user = |text: &str| json!({"role": "user", "content": text});
    let answer = json!({"role": "assistant", "content": "Old words."});
    let rows = [
        json!({"id": "whole", "tools": [{"name": "weather"}],
            "messages": [user("Weather?"), call("c1"), result, answer, user("Thanks."), answer]}),
        json!({"id": "cut", "messages": [user("Hi."), answer, user("Weather?"), call("c1")]}),
        json!({"id": "never", "messages": [user("Weather?"), call("c1"), user("Well?"), answer]}),
        json!({"id": "wordless", "messages": [user("Weather?"), call("c1"), result, user("So?"), answer]}),
        json!({"id": "sharegpt", "conversations": [{"from": "human", "value": "Weather?"},
            {"from": "function_call", "value": "{\"name\": \"weather\", \"arguments\": {\"city\": \"Bergen\"}}"},
            {"from": "observation", "value": "rain"}, {"from": "gpt", "value": "Old words."}]}),
    ];
    let (said, counts) = distilled(&rows, &["--tools", "replay", "--to", "axolotl"]);
    assert_eq!(said, ["whole uataua", "cut ua", "wordless uataua", "sharegpt uata"]);
    assert_eq!(counts["changed"], json!({"cut_before_tools": 1, "tool_messages_replayed": 7, "turns_dropped": 1}));
    assert_eq!(counts["left_out"], json!({"tool_use": 1}));

    let place = Place::new();
    place.write("in.jsonl", jsonl(&rows));
    let replay = ["--teacher", "simulated", "--tools", "replay"];
    place.complete(&[&["distill", "in.jsonl", "-o", "out.jsonl", "--to", "axolotl"][..], &replay].concat());
    let rows = place.rows("out.jsonl");
    let whole = &rows[0]["messages"];
    assert_eq!(whole[1]["tool_calls"][0]["function"]["name"], "weather");
    let trained: Vec<bool> =
        whole.as_array().unwrap().iter().map(|message| message["train"].as_bool().unwrap()).collect();
    assert_eq!(trained, [false, false, false, true, false, true]);
    assert_ne!(whole[3]["content"], "Old words.");
    assert_eq!(rows[0]["tools"], json!([{"type": "function", "function": {"name": "weather"}}]));
    assert_eq!(rows[3]["messages"][1]["tool_calls"][0]["id"], rows[3]["messages"][2]["tool_call_id"]);
    // A format without a mask would have the old calls learned.
    let exported = place.run(&[&["export", "in.jsonl", "-o", "plain.jsonl"][..], &replay].concat());
    assert!(exported.stderr.contains("(masked_answer)"), "{}", exported.stderr);
}

#[test]
fn a_tree_gives_its_best_thread_or_all_and_flat_files_are_trees() {
    let flat = |id: &str, parent: Option<&str>, role: &str, rank: Value| {
        json!({"message_id": id, "parent_id": parent, "message_tree_id": "r", "text": format!("words of {id}"),
            "role": role, "rank": rank, "lang": "en", "deleted": id == "gone"})
    };
    // Not in the order of the tree.
    let messages = [
        flat("b", Some("r"), "assistant", json!(1.0)),
        flat("r", None, "prompter", Value::Null),
        flat("a", Some("r"), "assistant", json!(0.0)),
        flat("gone", Some("r"), "assistant", json!(0.0)),
        flat("a2", Some("a"), "prompter", Value::Null),
        flat("lost", Some("nowhere"), "prompter", Value::Null),
    ];
    let threads = |input: &str, arguments: &[&str], place: &Place| -> Vec<String> {
        let finished = place.run(&[&["convert", input, "-o", "out.jsonl"][..], arguments].concat());
        assert_eq!(finished.code, Some(if input == "flat.jsonl" { 3 } else { 0 }), "{}", finished.stderr);
        let words = |row: &Value| {
            let messages = row["messages"].as_array().unwrap().iter();
            messages.map(|message| message["content"].as_str().unwrap().replace("words of ", "")).collect::<Vec<_>>()
        };
        place
            .rows("out.jsonl")
            .iter()
            .map(|row| format!("{}: {}", row["id"].as_str().unwrap(), words(row).join(" ")))
            .collect()
    };
    let place = Place::new();
    place.write("flat.jsonl", jsonl(&messages));
    assert_eq!(threads("flat.jsonl", &[], &place), ["r: r a a2"]);
    assert_eq!(threads("flat.jsonl", &["--threads", "all"], &place), ["r#1: r a a2", "r#2: r b"]);
    let node = |text: &str, role: &str, replies: Value| json!({"text": text, "role": role, "replies": replies});
    let tree = json!({"message_tree_id": "t", "prompt": node("r", "prompter", json!([
        node("b", "assistant", json!([])), node("a", "assistant", json!([node("a2", "prompter", json!([]))]))]))});
    place.write("tree.jsonl", jsonl(&[tree]));
    assert_eq!(threads("tree.jsonl", &[], &place), ["t: r b"]);
    assert_eq!(threads("tree.jsonl", &["--threads", "all"], &place), ["t#1: r b", "t#2: r a a2"]);
}
