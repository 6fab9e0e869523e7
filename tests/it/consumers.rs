//! What reads our rows in the end reads them: `datasets`, and the trainers' own preprocessing. `tests/consumers/install.sh`
//! makes the Python environment; what is not there is skipped with a line that says so.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Place, conversation, finish, jsonl, shared_data};

/// Formats, and how many rows the thirty-odd source rows below make in each.
const EXPECTED: [(&str, u64); 9] = [
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

/// Returns a script of `tests/consumers`, ready to be run; nothing where Python has not what it imports.
pub fn script(name: &str, imports: &str, place: &Place) -> Option<Command> {
    let python = std::env::var("COHOBATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", &format!("import {imports}")]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no {imports}; tests/consumers/install.sh makes one that has");
        return None;
    }
    let mut script = Command::new(&python);
    script.arg(format!("{}/tests/consumers/{name}", env!("CARGO_MANIFEST_DIR")));
    script.env("HF_HOME", place.path("hub")).env("HF_DATASETS_OFFLINE", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    script.current_dir(place.path("."));
    Some(script)
}

/// Runs a script and returns the JSON lines that it prints.
pub fn printed(script: &mut Command) -> Vec<Value> {
    let finished = finish(script);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines = finished.stdout.lines().filter(|line| line.starts_with("{\""));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes rows with all that formats differ in to `in.jsonl`.
fn write_rows(place: &Place) {
    let said = |text: &str| json!([{"role": "assistant", "content": text}]);
    let pair = |row: u32| {
        json!({"id": format!("p{row}"), "prompt": [{"role": "user", "content": "Where?"}],
            "chosen": said("There."), "rejected": said("No."), "score": row})
    };
    let mut rows: Vec<Value> = (0..20).map(|row| conversation(&format!("行 {row}"), 2)).collect();
    // Columns that differ from row to row must not keep a file from loading.
    rows[3]["extra"] = json!({"a": 1});
    rows[4]["extra"] = json!("text");
    rows[5]["messages"][1]["reasoning_content"] = json!("First, think.");
    rows[6]["messages"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": "Be brief."}));
    rows.extend((0..5).map(pair));
    place.write("in.jsonl", jsonl(&rows));
}

/// Converts `in.jsonl` to a format as lines and, where they can be written, as shards; returns the paths.
fn converted(place: &Place, format: &str) -> Vec<String> {
    let mut paths = vec![format!("{format}.jsonl")];
    if cfg!(feature = "parquet") {
        paths.push(format!("{format}/"));
    }
    for path in &paths {
        place.complete(&["convert", "in.jsonl", "-o", path, "--to", format]);
    }
    paths
}

#[test]
fn datasets_loads_every_format() {
    let place = Place::new();
    let Some(mut script) = script("load.py", "datasets", &place) else { return };
    write_rows(&place);
    let mut expected = Vec::new();
    for (format, rows) in EXPECTED {
        for path in converted(&place, format) {
            script.arg(&path);
            expected.push((path, rows));
        }
    }
    let loaded = printed(&mut script);
    let found: Vec<(String, u64)> =
        loaded.iter().map(|set| (set["path"].as_str().unwrap().to_owned(), set["rows"].as_u64().unwrap())).collect();
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

#[test]
fn trl_tokenises_every_format_and_learns_the_answers_alone() {
    let place = Place::new();
    let Some(mut script) = script("trl_reads.py", "trl", &place) else { return };
    write_rows(&place);
    let mut expected = Vec::new();
    for (format, rows) in EXPECTED {
        for path in converted(&place, format) {
            script.arg(format!("{format}={path}"));
            expected.push((path, rows));
        }
    }
    all_taken(&mut script, &expected);
}

/// TRL makes an example of every row of these files, and learns nothing else than it should.
fn all_taken(script: &mut Command, expected: &[(String, u64)]) {
    let made = printed(script);
    println!("{made:#?}");
    assert!(made.iter().all(|set| set.get("wrong").is_none_or(|wrong| *wrong == json!([]))), "{made:#?}");
    let count = |set: &Value, name: &str| set[name].as_u64().unwrap();
    let found = made.iter().filter(|set| set.get("examples").is_some());
    let found = found.map(|set| {
        assert_eq!(count(set, "rows"), count(set, "examples"), "{set}");
        (set["path"].as_str().unwrap().to_owned(), count(set, "rows"))
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

/// Real questions and dialogues where they are there, and a few of our own.
fn sources(place: &Place) -> Vec<(&'static str, String)> {
    let rows: Vec<Value> = (0..20).map(|row| conversation(&format!("the subject with the number {row}"), 2)).collect();
    place.write("in.jsonl", jsonl(&rows));
    let data = [("mt_bench", "mt_bench/question.jsonl"), ("cmtmedqa", "cmtmedqa/CMtMedQA_test.json")];
    let there = data.iter().filter_map(|(name, path)| Some((*name, shared_data(path)?.to_str()?.to_owned())));
    there.chain([("own", "in.jsonl".to_owned())]).collect()
}

#[test]
fn dialogues_that_have_grown_and_students_that_were_taught_train_as_they_are() {
    let place = Place::new();
    let Some(mut script) = script("trl_reads.py", "trl", &place) else { return };
    let mut expected = Vec::new();
    for (name, source) in sources(&place) {
        let grown = format!("{name}.jsonl");
        let models = ["--teacher=simulated", "--limit=60", "-q"];
        let simulate = ["simulate", &source, "--user=simulated-user", "--turns=4", "-o", &grown];
        // A question of few words makes the simulated teacher repeat itself, and the simulated student babbles now and then.
        let finished = place.run(&[&simulate[..], &models].concat());
        assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.stderr);
        let tutor = ["tutor", &source, "--student=simulated-student", "--judge=simulated-judge", "-o", name];
        let finished = place.run(&[&tutor[..], &models, &["--history=mixed:0.5"]].concat());
        assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.stderr);
        for (format, path) in [
            ("openai", grown),
            ("trl-prompt-completion", format!("{name}/sft.jsonl")),
            ("dpo", format!("{name}/dpo.jsonl")),
            ("kto", format!("{name}/kto.jsonl")),
            ("critique", format!("{name}/critique.jsonl")),
            ("openai", format!("{name}/hard.jsonl")),
        ] {
            let rows = place.rows(&path).len() as u64;
            assert!(rows > 0, "{path}");
            script.arg(format!("{format}={path}"));
            expected.push((path, rows));
        }
    }
    all_taken(&mut script, &expected);
}

#[test]
fn axolotl_learns_the_correction_alone() {
    let place = Place::new();
    let Some(mut script) = script("axolotl_reads.py", "axolotl", &place) else { return };
    let mut expected = Vec::new();
    for (name, source) in sources(&place) {
        let tutor =
            ["tutor", &source, "--student=simulated-student", "--teacher=simulated", "--to=per-turn", "-o", name];
        place.run(&[&tutor[..], &["--limit=60", "-q"]].concat());
        let path = format!("{name}/sft.jsonl");
        script.arg(&path);
        expected.push(json!({"path": path, "rows": place.rows(&path).len(), "wasted": 0, "wrong": []}));
    }
    assert_eq!(printed(&mut script), expected);
}

#[test]
fn axolotl_learns_what_the_rows_say() {
    let place = Place::new();
    let Some(mut script) = script("axolotl_reads.py", "axolotl", &place) else { return };
    write_rows(&place);
    // The greeting of this row is context.
    let greeting = json!({"id": "greeting", "messages": [{"role": "assistant", "content": "Welcome aboard."},
        {"role": "user", "content": "Where to?"}, {"role": "assistant", "content": "South."}]});
    place.write("in.jsonl", place.read("in.jsonl") + &jsonl(&[greeting]));
    script.args(converted(&place, "axolotl"));
    for set in printed(&mut script) {
        assert_eq!((&set["rows"], &set["wasted"], &set["wrong"]), (&json!(26), &json!(0), &json!([])), "{set}");
    }
}

#[test]
fn llama_factory_blanks_no_row() {
    let place = Place::new();
    let Some(mut script) = script("llama_factory_reads.py", "llamafactory", &place) else { return };
    write_rows(&place);
    converted(&place, "llama-factory");
    // What has grown, and what was marked, says where it is as well.
    let simulate = ["simulate", "in.jsonl", "--teacher=simulated", "--user=simulated-user", "--turns=3", "--gate=off"];
    place.complete(&[&simulate[..], &["--to=llama-factory", "-o=grown.jsonl"]].concat());
    let evaluate = ["evaluate", "in.jsonl", "--judge=simulated", "--to=llama-factory", "-o=marked.jsonl"];
    place.complete(&evaluate);
    script.args([".", "llama-factory", "grown", "marked"]);
    let mut expected = vec![("llama-factory", 25, 0), ("grown", 25, 0), ("marked", 25, 0)];
    if let Some(data) = shared_data("llama_factory/glaive_toolcall_en_demo.json") {
        // Calls, their results and the tools: 191 rows have tools, 153 of them calls.
        place.complete(&["convert", data.to_str().unwrap(), "-o", "calls.jsonl", "--to", "llama-factory"]);
        script.arg("calls");
        expected.push(("calls", 300, 191));
    }
    let read = printed(&mut script);
    assert!(read.iter().all(|set| set["blanked"] == 0), "{read:#?}");
    let found: Vec<_> = read
        .iter()
        .map(|set| (set["name"].as_str().unwrap(), set["rows"].as_u64().unwrap(), set["tools"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, expected);
}
