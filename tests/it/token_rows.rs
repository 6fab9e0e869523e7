//! Rows of token ids: what a distillation with ids writes for trainers of token sequences and of draft models.

use std::sync::Arc;

use cohobate::conversation::{Answer, AnswerTokens, Message, Role, TokenDetail, TopLogprobs};
#[cfg(feature = "parquet")]
use cohobate::conversation::{Dice, Line, LineTokens, Record};
#[cfg(feature = "parquet")]
use cohobate::export::Sink;
use cohobate::export::output_format_named;
use cohobate::job::{
    self, Context, DistillQuestions, DistillSettings, ExportReport, InputSettings, JobError, ModelChoice,
};
use cohobate::model::{Call, Model, PendingCall};
use serde_json::{Value, json};

use crate::support::Place;

/// A model whose tokens are bytes, after one special token for each role. A question with the word `think` is answered with
/// reasoning, which later prompts do not hold. One with the word `mute` has no ids.
pub struct Bytes;

/// The special tokens, in the order of `SPECIAL` in `tests/consumers/tiny.py`.
const END: u32 = 0;
const ASSISTANT: u32 = 4;
const BYTES: u32 = 6;

fn ids(text: &str) -> impl Iterator<Item = u32> {
    text.bytes().map(|byte| BYTES + u32::from(byte))
}

fn rendered(message: &Message) -> Vec<u32> {
    let role = match message.role() {
        Role::System => 2,
        Role::User => 3,
        Role::Assistant => ASSISTANT,
        Role::Tool => 5,
    };
    [role].into_iter().chain(ids(message.content())).chain([END]).collect()
}

/// Returns logprobs of which every number says where it is.
fn logprobs(completion: &[u32], count: u8) -> TopLogprobs {
    let mut top = TopLogprobs { count, ..TopLogprobs::default() };
    for (place, id) in completion.iter().enumerate() {
        let steps = (place % 7 * 100) as u16;
        top.sampled.push(steps);
        top.ids.extend((0..u32::from(count)).map(|rank| if rank == 2 { TopLogprobs::NO_TOKEN } else { id + rank }));
        top.steps.extend((0..u16::from(count)).map(|rank| steps + rank));
    }
    top
}

impl Model for Bytes {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        let messages = &call.question.messages;
        let said = messages.last().map_or("", |message| message.content());
        let mut answer = Answer { attempts: call.attempt, ..Answer::complete("bytes", said.to_uppercase()) };
        answer.reasoning = said.contains("think").then(|| "Hm.".to_owned());
        let reasoning = answer.reasoning.as_ref().map_or(String::new(), |text| format!("<think>{text}</think>"));
        let completion: Vec<u32> = ids(&reasoning).chain(ids(answer.text())).chain([END]).collect();
        let prompt = messages.iter().flat_map(|message| rendered(message)).chain([ASSISTANT]).collect();
        answer.usage.completion_tokens = Some(completion.len() as u64);
        let detail = call.question.target.detail();
        let top = detail.and_then(TokenDetail::logprobs).map(|count| logprobs(&completion, count));
        let tokens = AnswerTokens { logprobs: top, ..AnswerTokens::whole(prompt, completion) };
        answer.tokens = detail.filter(|_| !said.contains("mute")).map(|_| Arc::new(tokens));
        Box::pin(async { Ok(answer).into() })
    }
}

/// Distils rows in a format of token ids and returns what was written.
pub fn distilled(
    place: &Place,
    rows: &[Value],
    detail: Option<TokenDetail>,
    format: &str,
    output: &str,
) -> Result<ExportReport, JobError> {
    let teacher = ModelChoice::local("bytes", Arc::new(Bytes));
    let input = InputSettings::rows(rows.to_vec());
    let output = match output.strip_suffix('/') {
        Some(directory) => format!("{}/", place.path(directory).display()),
        None => place.path(output).display().to_string(),
    };
    let mut settings = DistillSettings::new(input, teacher, place.path("store"), output);
    settings.export.questions.tokens = detail;
    settings.export.output.format = output_format_named(format).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(job::distill(&settings, &Context::default()))?;
    Ok(report.end.unwrap())
}

/// Two conversations whose ids are prefix-stable, one that is not, and one without all ids.
pub fn sources() -> Vec<Value> {
    let system = json!({"role": "system", "content": "Be brief."});
    let turns = |words: &[&str]| -> Vec<Value> {
        let turn =
            |word: &&str| [json!({"role": "user", "content": word}), json!({"role": "assistant", "content": "-"})];
        words.iter().flat_map(turn).collect()
    };
    let row = |id: &str, words: &[&str]| json!({"id": id, "messages": turns(words), "topic": id});
    let mut with_system = row("system", &["Hi", "à"]);
    with_system["messages"].as_array_mut().unwrap().insert(0, system);
    vec![
        with_system,
        row("short", &["why"]),
        row("reasons", &["think", "no", "think"]),
        row("mute", &["Hi", "mute", "Hi"]),
    ]
}

fn numbers(row: &Value, column: &str) -> Vec<i64> {
    row[column].as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
}

#[test]
fn rows_of_every_format_stay_as_they_are() {
    let rows = ["token-ids", "speculators", "specforge"].map(|format| {
        let place = Place::new();
        let report = distilled(&place, &sources(), Some(TokenDetail::Logprobs(3)), format, "out.jsonl").unwrap();
        assert_eq!((report.counts.written, report.unstable, report.incomplete), (5, Some(1), 1));
        let left: Vec<Value> = place.rows("out.jsonl.incomplete.jsonl");
        assert_eq!(left.len(), 1);
        assert_eq!(
            (&left[0]["id"], &left[0]["kind"], &left[0]["reason"]),
            (&json!("mute"), &json!("unfit"), &json!("no_tokens"))
        );
        place.read("out.jsonl")
    });
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn the_loss_is_on_the_tokens_of_the_answers_alone() {
    let place = Place::new();
    let detail = Some(TokenDetail::Logprobs(3));
    distilled(&place, &sources(), detail, "token-ids", "out.jsonl").unwrap();
    let rows = place.rows("out.jsonl");
    let names: Vec<(&str, u64)> =
        rows.iter().map(|row| (row["id"].as_str().unwrap(), row["turn"].as_u64().unwrap())).collect();
    assert_eq!(names, [("system", 0), ("short", 0), ("reasons#1", 1), ("reasons#2", 2), ("reasons#3", 3)]);
    for row in &rows {
        let (ids, labels, mask) = (numbers(row, "input_ids"), numbers(row, "labels"), numbers(row, "loss_mask"));
        assert!(ids.len() == labels.len() && ids.len() == mask.len());
        for at in 0..ids.len() {
            assert_eq!(labels[at], if mask[at] == 1 { ids[at] } else { -100 });
        }
        let turns = row["meta"]["turns"].as_array().unwrap();
        let counted = |turn: &Value| turn["completion_tokens"].as_i64().unwrap();
        let expected = match row["turn"].as_u64().unwrap() as usize {
            0 => turns.iter().map(counted).sum(),
            turn => counted(&turns[turn - 1]),
        };
        let learned = mask.iter().sum::<i64>();
        assert_eq!(learned, expected, "{}", row["id"]);
        assert_eq!(row["logprob_count"], 3);
        let learned = usize::try_from(learned).unwrap();
        assert_eq!(numbers(row, "sampled_logprobs").len(), learned);
        let (top, steps) = (numbers(row, "logprob_ids"), numbers(row, "logprobs"));
        assert_eq!((top.len(), steps.len()), (3 * learned, 3 * learned));
        let places = labels.iter().filter(|label| **label >= 0);
        assert!(places.zip(top.chunks(3)).all(|(label, top)| top == [*label, label + 1, -1]), "{row}");
    }
}

#[test]
fn token_ids_must_be_asked_for_and_no_other_command_has_any() {
    let place = Place::with_conversations(2, 1);
    for format in ["token-ids", "speculators", "specforge"] {
        let error = distilled(&place, &sources(), None, format, "out.jsonl").unwrap_err();
        assert!(error.to_string().contains("none are asked for"), "{error}");
        let to = ["--to", format, "-o", "x.jsonl"];
        let simulated = ["--teacher=simulated", "--user=simulated-user", "--turns=2"];
        let lines: [&[&str]; 6] = [
            &["distill", "in.jsonl", "--teacher=simulated"],
            &["plan", "in.jsonl", "--teacher=simulated", "--to", format],
            &["convert", "in.jsonl"],
            &["filter", "in.jsonl"],
            &["evaluate", "in.jsonl", "--judge=simulated"],
            &["simulate", "in.jsonl"],
        ];
        for line in lines {
            let more: &[&str] = match line[0] {
                "plan" => &[],
                "simulate" => &[&simulated[..], &to].concat(),
                _ => &to,
            };
            let finished = place.run(&[line, more].concat());
            assert_eq!(finished.code, Some(2), "{line:?} {}", finished.stderr);
            assert!(finished.stderr.contains("holds token ids"), "{line:?} {}", finished.stderr);
        }
    }
    assert!(!place.exists("x.jsonl") && !place.exists("out.jsonl"));
}

/// Answers that were stored without ids make no rows of ids, and rows of messages are the same with and without.
#[test]
fn an_export_without_ids_leaves_every_row_out_with_its_reason() {
    let place = Place::new();
    distilled(&place, &sources(), Some(TokenDetail::Ids), "openai", "with.jsonl").unwrap();
    let written = distilled(&place, &sources(), None, "openai", "without.jsonl").unwrap();
    assert_eq!((place.read("with.jsonl"), written.unstable), (place.read("without.jsonl"), None));
    let exported = |place: &Place| {
        let teacher = ModelChoice::local("bytes", Arc::new(Bytes));
        let mut settings = DistillSettings::new(
            InputSettings::rows(sources()),
            teacher.clone(),
            place.path("store"),
            place.path("ids.jsonl").display().to_string(),
        );
        settings.export.questions = DistillQuestions::to(teacher);
        settings.export.output.format = output_format_named("token-ids").unwrap();
        let report = job::export(&settings.export, &Context::default()).unwrap();
        let left_out = report.counts.reasons(cohobate::export::LeftOutKind::Unfit)["no_tokens"];
        (report.counts.written, report.unstable, left_out)
    };
    assert_eq!(exported(&place), (5, Some(1), 1), "the ids are in the store, whatever is asked for now");
    let plain = Place::new();
    distilled(&plain, &sources(), None, "openai", "without.jsonl").unwrap();
    assert_eq!(exported(&plain), (0, Some(0), 4));
}

/// Stored prompts lean on the answer before; here each is put together again.
#[test]
fn the_command_line_writes_the_ids_that_the_store_has() {
    let place = Place::with_conversations(5, 6);
    let line = ["--teacher=simulated", "--logprobs=2", "--to=token-ids", "--progress=json"];
    let run = place.complete(&[&["distill", "in.jsonl", "-o", "out.jsonl"][..], &line].concat());
    assert_eq!(run.summary()["unstable"], 0);
    let plain = place.complete(&["distill", "in.jsonl", "-o", "plain.jsonl", "--teacher=simulated", "--progress=json"]);
    assert_eq!((&plain.summary()["unstable"], &plain.summary()["answered"]), (&Value::Null, &json!(0)));
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.len(), 5);
    for row in &rows {
        let turns = row["meta"]["turns"].as_array().unwrap();
        let sampled: i64 = turns.iter().map(|turn| turn["completion_tokens"].as_i64().unwrap()).sum();
        assert_eq!((numbers(row, "loss_mask").iter().sum::<i64>(), turns.len()), (sampled, 6));
        let last = turns.last().unwrap();
        let whole = last["prompt_tokens"].as_u64().unwrap() + last["completion_tokens"].as_u64().unwrap();
        assert_eq!(numbers(row, "input_ids").len() as u64, whole);
        assert_eq!(row["logprob_count"], 2);
    }
    place.complete(&[&["export", "in.jsonl", "-o", "again.jsonl"][..], &line].concat());
    assert_eq!(place.read("again.jsonl"), place.read("out.jsonl"));
    let verify = ["verify", "in.jsonl", "--output=out.jsonl", "--teacher=simulated", "--logprobs=2", "--to=token-ids"];
    place.complete(&verify);
    // What the last run asked for is what an export without settings takes.
    place.complete(&["export", "-o", "recalled.jsonl", "--to=openai"]);
    assert_eq!(place.read("recalled.jsonl"), place.read("plain.jsonl"));
    let fewer = ["--teacher=simulated", "--token-ids", "--to=specforge"];
    place.complete(&[&["export", "in.jsonl", "-o", "fewer.jsonl"][..], &fewer].concat());
    let ids = |path: &str| place.rows(path).iter().map(|row| numbers(row, "input_ids")).collect::<Vec<_>>();
    assert_eq!(ids("fewer.jsonl"), ids("out.jsonl"), "answers with logprobs serve");
}

/// A token of a vocabulary of 150,000 in which the N-th most frequent is N times as rare as the first.
#[cfg(feature = "parquet")]
fn frequent(dice: &mut Dice) -> u32 {
    (150_000f64.powf(dice.fraction()) as u32 * 7_919) % 150_001
}

/// Returns an answer with simulated logprobs: the first token has most of the probability, each next one much less.
#[cfg(feature = "parquet")]
fn simulated(dice: &mut Dice, prompt: Vec<u32>, length: usize, count: u8) -> LineTokens {
    let mut tokens = LineTokens { prompt, ..LineTokens::default() };
    let mut top = TopLogprobs { count, ..TopLogprobs::default() };
    for _ in 0..length {
        let mut logprob = dice.fraction().powf(0.3).ln();
        let candidates: Vec<u32> = (0..count.max(1)).map(|_| frequent(dice)).collect();
        for id in candidates.iter().take(count.into()) {
            top.ids.push(*id);
            top.steps.push(TopLogprobs::steps_of(logprob));
            logprob += dice.fraction().ln() - 0.1;
        }
        top.sampled.push(top.steps.iter().rev().nth(usize::from(count.saturating_sub(1))).copied().unwrap_or_default());
        tokens.completion.push(candidates[0]);
    }
    tokens.logprobs = (count > 0).then_some(top);
    tokens
}

/// docs/output-formats.md names these numbers.
#[cfg(feature = "parquet")]
#[test]
fn a_token_takes_as_many_bytes_as_the_documentation_says() {
    // With how many logprobs at each place; bytes for each token of the mask, rounded up.
    for (count, bytes_max) in [(0, 6), (5, 30), (20, 110)] {
        let (place, mut dice) = (Place::new(), Dice::new("size", &[count]));
        let path = format!("{}/", place.path("out").display());
        let mut sink = Sink::create(&path, output_format_named("token-ids").unwrap()).unwrap();
        let mut learned = 0;
        for row in 0..40 {
            let (mut lines, mut history) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                history.extend((0..100).map(|_| frequent(&mut dice)));
                let tokens = simulated(&mut dice, history.clone(), 400, count);
                history = tokens.sequence();
                learned += 400;
                lines.push(Line::context(Message::new(Role::User, "")));
                let answer = Line::context(Message::new(Role::Assistant, "-"));
                lines.push(Line { is_trained: true, tokens: Some(Arc::new(tokens)), ..answer });
            }
            sink.write(&Record { id: row.to_string(), lines, ..Record::default() }).unwrap().unwrap();
        }
        sink.finish().unwrap();
        let bytes = std::fs::metadata(place.path("out/data/train-00000-of-00001.parquet")).unwrap().len();
        let card = place.read("out/README.md");
        for said in ["  - name: labels\n    list: int32\n", "    list: uint16\n", "steps of 1/1024 nat"] {
            assert!(card.contains(said), "{card}");
        }
        let each = bytes as f64 / f64::from(learned);
        println!("{count} logprobs: {each:.2} bytes for each token of the mask");
        assert!(each < f64::from(bytes_max), "{count}: {each}");
    }
}
