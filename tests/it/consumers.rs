//! What reads our rows in the end reads them: `datasets` loads every format, as lines and as shards.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Place, conversation, finish, jsonl};

#[cfg(feature = "parquet")]
#[test]
fn datasets_loads_every_format() {
    let python = std::env::var("COHOBATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import datasets"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no `datasets`");
        return;
    }
    let place = Place::new();
    let pair = |row: u32| {
        let said = |text: &str| json!([{"role": "assistant", "content": text}]);
        json!({"id": format!("p{row}"), "prompt": [{"role": "user", "content": "Where?"}],
            "chosen": said("There."), "rejected": said("No."), "score": row})
    };
    let mut rows: Vec<Value> = (0..20).map(|row| conversation(&format!("行 {row}"), 2)).collect();
    // Columns that differ from row to row must not keep a file from loading.
    rows[3]["extra"] = json!({"a": 1});
    rows[4]["extra"] = json!("text");
    rows.extend((0..5).map(pair));
    place.write("in.jsonl", jsonl(&rows));
    let mut script = Command::new(&python);
    script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consumers/load.py")).env("HF_HOME", place.path("hub"));
    script.env("HF_DATASETS_OFFLINE", "1").current_dir(place.path("."));
    let expected = [
        ("openai", 25),
        ("sharegpt", 25),
        ("llama-factory", 25),
        ("axolotl", 25),
        ("ms-swift", 25),
        ("trl-prompt-completion", 45),
        ("per-turn", 45),
        ("dpo", 5),
        ("kto", 10),
    ];
    for (format, _) in expected {
        let directory = format!("{format}/");
        place.complete(&["convert", "in.jsonl", "-o", &directory, "--to", format]);
        script.arg(directory);
    }
    let loaded = finish(&mut script);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    let loaded: Vec<Value> = loaded.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<(&str, u64)> = loaded
        .iter()
        .map(|set| (set["path"].as_str().unwrap().trim_end_matches('/'), set["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, expected);
    for set in &loaded {
        let path = set["path"].as_str().unwrap();
        let lines = place.complete(&["convert", path, "-o", "-", "-q"]).stdout;
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        let list =
            ["messages", "conversations", "prompt"].iter().find(|name| set["first"].get(**name).is_some()).unwrap();
        let said = &set["first"][*list][0];
        let words = said.get("content").or(said.get("value")).unwrap();
        assert_eq!(*words, first["messages"][0]["content"], "{path}");
    }
}
