//! Real files, where they are there: every usable row distils, every other one has a reason.

use crate::support::{Place, rows, shared_data};

#[test]
fn real_files_of_the_known_shapes_distil_whole() {
    // File, rows in the output, exit code.
    for (name, row_count, code) in [
        ("mt_bench/question.jsonl", 80, 0),
        ("fastchat/dummy_conversation.json", 500, 0),
        ("llama_factory/dpo_en_demo.json", 300, 0),
        ("llama_factory/dpo_zh_demo.json", 300, 0),
        ("llama_factory/kto_en_demo.json", 300, 0),
        ("llama_factory/v1_sft_demo.jsonl", 500, 0),
        ("llama_factory/v1_dpo_demo.jsonl", 10, 0),
        ("llama_factory/alpaca_zh_demo.json", 1_000, 0),
        ("llama_factory/identity.json", 91, 0),
        ("cmtmedqa/CMtMedQA_test.json", 1_144, 0),
        ("mt_bench/reference_answer_gpt-4.jsonl", 0, 2),
        ("openai/toy_chat_fine_tuning.jsonl", 4, 0),
        ("misc/messages.jsonl.gz", 100, 0),
        ("misc/messages.jsonl.zst", 100, 0),
        ("misc/messages.csv", 50, 0),
        ("misc/messages_as_json_string.parquet", 50, 0),
        ("misc/lmsys_like_stream.arrow", 50, 0),
        ("misc/lmsys_like_file.arrow", 50, 0),
        ("lmsys_like", 400, 0),
        ("wildchat_like", 200, 0),
    ] {
        let Some(path) = shared_data(name) else { continue };
        let place = Place::new();
        let finished = place.run(&["distill", path.to_str().unwrap(), "--teacher", "simulated", "-o", "out.jsonl"]);
        assert_eq!(finished.code, Some(code), "{name}: {}", finished.stderr);
        let written = if place.exists("out.jsonl") { place.read("out.jsonl") } else { String::new() };
        assert_eq!(written.lines().count(), row_count, "{name}: {}", finished.stderr);
    }
}

#[test]
fn edge_cases_give_one_reason_for_each_bad_row() {
    let Some(path) = shared_data("misc/edge_cases.jsonl") else { return };
    let place = Place::new();
    let finished = place.run(&["distill", path.to_str().unwrap(), "--teacher", "simulated", "-o", "out.jsonl"]);
    assert_eq!(finished.code, Some(3));
    let missing = rows(&place.read("out.jsonl.incomplete.jsonl"));
    let reasons: Vec<String> = missing
        .iter()
        .map(|row| format!("{} {} {}", row["line"], row["kind"].as_str().unwrap(), row["reason"]))
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    5 skipped "no_user"
    6 skipped "empty_user"
    7 skipped "tool_use"
    8 skipped "multimodal"
    17 invalid "not valid JSON: unexpected end of hex escape at line 1 column 72"
    18 invalid "not valid JSON: EOF while parsing an object at line 1 column 63"
    "#);
    assert_eq!(place.rows("out.jsonl").len() + missing.len(), 18);
}

#[test]
fn the_census_of_real_files_is_what_is_known_of_them() {
    // File, rows, user turns of a row: least, median, most.
    for (name, rows, turns) in [
        ("mt_bench/question.jsonl", 80, [2, 2, 2]),
        ("fastchat/dummy_conversation.json", 500, [1, 2, 3]),
        ("llama_factory/glaive_toolcall_en_demo.json", 300, [1, 2, 7]),
        ("llama_factory/glaive_toolcall_zh_demo.json", 300, [1, 2, 7]),
        ("llama_factory/dpo_en_demo.json", 300, [1, 1, 7]),
        ("llama_factory/kto_en_demo.json", 300, [1, 1, 6]),
        ("llama_factory/alpaca_zh_demo.json", 1_000, [1, 1, 1]),
        ("llama_factory/v1_sft_demo.jsonl", 500, [1, 1, 1]),
        ("llama_factory/v1_dpo_demo.jsonl", 10, [1, 1, 1]),
        ("llama_factory/reason_tool_use_demo_50.jsonl", 50, [1, 1, 3]),
        ("llama_factory/identity.json", 91, [1, 1, 1]),
        ("openai/toy_chat_fine_tuning.jsonl", 5, [0, 1, 4]),
        ("cmtmedqa/CMtMedQA_test.json", 1_144, [1, 4, 10]),
        ("lmsys_like", 400, [2, 3, 5]),
        ("wildchat_like", 200, [2, 4, 9]),
    ] {
        let Some(path) = shared_data(name) else { continue };
        let finished = Place::new().complete(&["inspect", path.to_str().unwrap(), "--json"]);
        let census: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        let spread = ["least", "median", "most"].map(|word| census["user_turns"][word].as_u64().unwrap());
        assert_eq!((census["rows"].as_u64().unwrap(), spread), (rows, turns), "{name}");
        assert_eq!(census["invalid"], serde_json::json!({}), "{name}");
    }
}
