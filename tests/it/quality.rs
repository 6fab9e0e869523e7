//! The rules against real answers: good ones pass, known bad ones do not.

use std::collections::BTreeMap;
use std::path::Path;

use cohobate::conversation::{Record, Role};
use cohobate::dataset::{Input, InputForm, RowReader};
use cohobate::quality::{Candidate, Gate, JudgedTurn, Strictness, judge_record};
use serde_json::Value;

use crate::support::{Place, shared_data};

fn records(path: &Path) -> Vec<Record> {
    let place = Place::new();
    let input = Input::open(&path.display().to_string(), &place.path("."), 0, InputForm::default()).unwrap();
    let (mut rows, reader, mut records) = (input.rows().unwrap(), RowReader::default(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        records.extend(reader.source(row.unwrap().bytes).ok().and_then(|row| row.into_record(&reader.rules).ok()));
    }
    records
}

#[test]
fn good_answers_pass_and_known_bad_ones_do_not() {
    let Some(data) = shared_data(".") else { return };
    let gate = Gate::new(Strictness::Standard, "").unwrap();
    let mut good: Vec<(&str, Vec<Record>)> =
        ["cmtmedqa/CMtMedQA_test.json", "lmsys_like", "llama_factory/dpo_en_demo.json"]
            .map(|name| (name, files(&data.join(name)).iter().flat_map(|path| records(path)).collect()))
            .into();
    good.push(("mt_bench references", references(&data)));
    let (mut answers, mut rejected) = (0, Vec::new());
    let mut flags: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, records) in &good {
        for record in records {
            for JudgedTurn { verdict, .. } in judge_record(&gate, record) {
                answers += 1;
                verdict.flags.iter().for_each(|flag| *flags.entry(flag).or_default() += 1);
                rejected.extend(verdict.rejected_by.map(|rule| format!("{name} {}: {rule}", record.id)));
            }
        }
    }
    println!("{} of {answers} good answers rejected: {rejected:#?}; flags {flags:?}", rejected.len());
    assert!(answers > 6_000, "{answers}");
    assert!(rejected.len() * 1_000 <= answers, "{} of {answers}: {rejected:#?}", rejected.len());

    let toy = records(&data.join("openai/toy_chat_fine_tuning.jsonl"));
    let bad = judge_record(&gate, toy.last().unwrap());
    assert!(bad.iter().any(|judged| judged.verdict.rejected_by.is_some()), "{bad:?}");
    let pairs = records(&data.join("llama_factory/dpo_en_demo.json"));
    let worse: Vec<usize> = (0..pairs.len()).filter(|row| rejects_the_worse(&gate, &pairs[*row])).collect();
    assert!(worse.contains(&165) || worse.contains(&164), "{worse:?}");
}

fn rejects_the_worse(gate: &Gate, pair: &Record) -> bool {
    let mut users = pair.lines.iter().filter(|line| line.role() == Role::User);
    let user = users.next_back().map_or("", |line| line.text());
    pair.rejected.as_ref().is_some_and(|line| gate.judge(&Candidate::new(user, line.text())).rejected_by.is_some())
}

fn files(path: &Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut files: Vec<_> = std::fs::read_dir(path.join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// GPT-4's answers to the questions of MT-Bench.
fn references(data: &Path) -> Vec<Record> {
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(data.join("mt_bench").join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let questions: BTreeMap<u64, Value> =
        lines("question.jsonl").into_iter().map(|row| (row["question_id"].as_u64().unwrap(), row)).collect();
    let reader = RowReader::default();
    let rows = lines("reference_answer_gpt-4.jsonl").into_iter().map(|row| {
        let question = &questions[&row["question_id"].as_u64().unwrap()];
        let turns = question["turns"].as_array().unwrap().iter().zip(row["choices"][0]["turns"].as_array().unwrap());
        let messages = turns.flat_map(|(user, answer)| {
            [
                serde_json::json!({"role": "user", "content": user}),
                serde_json::json!({"role": "assistant", "content": answer}),
            ]
        });
        serde_json::json!({"messages": messages.collect::<Vec<_>>()})
    });
    rows.map(|row| reader.source(row.to_string().as_bytes()).unwrap().into_record(&reader.rules).unwrap()).collect()
}
