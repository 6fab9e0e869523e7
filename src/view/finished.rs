//! A row that a job has written, as it is shown: its messages, and what `meta` says of each answer.

use serde_json::{Map, Value};

use super::diff::{Mark, Piece, differences};
use super::places::marked;
use super::shown::{Fate, Shown, ShownAnswer, ShownMessage, ShownOrigin, ShownStatus, ShownTurn, ShownVerdict};
use crate::conversation::{Columns, Line, Record, Role};
use crate::job::FinishedRow;

impl Shown {
    /// Shows a row of an output.
    pub fn of_row(number: u64, row: &FinishedRow) -> Self {
        let place = Some((row.file.clone(), row.line));
        let shown = Self { id: row.id.clone(), row: Some(number), place, ..Self::default() };
        match &row.record {
            Err(why) => Self {
                status: ShownStatus { name: "none", turn: None, reason: Some(why.clone()) },
                unavailable: Some(why.clone()),
                ..shown
            },
            Ok(record) => {
                let stopped = ["stopped", "stop_reason"].iter().find_map(|name| record.meta.get(*name)?.as_str());
                let name = if record.meta.contains_key("stopped") { "stopped" } else { "complete" };
                Self {
                    status: ShownStatus { name, turn: None, reason: stopped.map(str::to_owned) },
                    turns: turns_of(record),
                    columns: record.meta.clone(),
                    ..shown
                }
            }
        }
    }
}

fn turns_of(record: &Record) -> Vec<ShownTurn> {
    let facts = facts_of(record);
    let mut turns: Vec<ShownTurn> = Vec::new();
    let mut turn = ShownTurn { number: 1, ..ShownTurn::default() };
    let (mut has_user, mut judged_count) = (false, 0);
    for (at, line) in record.lines.iter().enumerate() {
        has_user |= line.role() == Role::User;
        if line.role() != Role::Assistant || !has_user {
            turn.said.push(ShownMessage::of(&line.message));
            continue;
        }
        let answered = turns.len();
        let fact = facts.get(answered).copied().unwrap_or(&Value::Null);
        let rejected = record.rejected.as_ref().filter(|_| at + 1 == record.lines.len());
        let judged = marks_of(&record.meta, answered as u64 + 1);
        let mut answer = ShownAnswer { judged, ..answer_of(line, fact, rejected) };
        // A filter counts the answers that are trained and have text.
        if line.is_trained && !line.message.is_tool_use() {
            judged_count += 1;
            show_quality(&mut answer, &record.meta, judged_count, line.text());
        }
        turn.answers.push(answer);
        if let Some(rejected) = rejected {
            let rule = record.meta.get("rejected_by").and_then(Value::as_str).map(str::to_owned);
            let pieces = differences(rejected.text(), line.text()).0;
            turn.answers.push(ShownAnswer { fate: Fate::Rejected, rule, attempt: 1, pieces, ..ShownAnswer::default() });
        }
        let number = turn.number + 1;
        turns.push(std::mem::replace(&mut turn, ShownTurn { number, ..ShownTurn::default() }));
    }
    if !turn.said.is_empty() {
        turns.push(turn);
    }
    if let Some(last) = turns.last_mut().and_then(|turn| turn.answers.first_mut()) {
        last.judged.extend(marks_of(&record.meta, 0));
    }
    turns
}

/// Returns what `meta.turns` says of each answer; nothing where it does not have one entry for each.
fn facts_of(record: &Record) -> Vec<&Value> {
    let facts: Vec<&Value> = record.meta.get("turns").and_then(Value::as_array).into_iter().flatten().collect();
    let lines = record.lines.iter().skip_while(|line| line.role() != Role::User);
    let answers = lines.filter(|line| line.role() == Role::Assistant).count();
    if facts.len() == answers { facts } else { Vec::new() }
}

fn answer_of(line: &Line, fact: &Value, rejected: Option<&Line>) -> ShownAnswer {
    let texts = |name: &str| {
        let list = fact.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let number = |name: &str| fact.get(name).and_then(Value::as_u64);
    let word = |name: &str| fact.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let origin = fact.is_object().then(|| ShownOrigin {
        model: word("model"),
        finish: word("finish_reason"),
        prompt_tokens: number("prompt_tokens"),
        completion_tokens: number("completion_tokens"),
        sent: number("attempts").unwrap_or(1) as u32,
        dropped: texts("dropped"),
        ..ShownOrigin::default()
    });
    let pieces = rejected.map(|rejected| differences(rejected.text(), line.text()).1);
    let before = texts("rejected");
    ShownAnswer {
        fate: Fate::Kept,
        attempt: before.len() as u32 + 1,
        flags: texts("flags"),
        score: fact.get("score").and_then(Value::as_f64),
        pieces: pieces.unwrap_or_else(|| vec![Piece::new(Mark::Same, line.text())]),
        reasoning: line.reasoning.clone(),
        rejected_before: before,
        origin,
        ..ShownAnswer::default()
    }
}

/// Adds what a filter wrote into `meta.quality`: the rules that found something, and where.
fn show_quality(answer: &mut ShownAnswer, meta: &Columns, turn: u64, text: &str) {
    let entries = meta.get("quality").and_then(Value::as_array).into_iter().flatten();
    let Some(entry) = entries.into_iter().find(|entry| entry.get("turn").and_then(Value::as_u64) == Some(turn)) else {
        return;
    };
    let rules = ["flags", "rejects"].iter().filter_map(|name| entry.get(*name)?.as_array()).flatten();
    for rule in rules.filter_map(Value::as_str) {
        if !answer.flags.iter().any(|flag| flag == rule) {
            answer.flags.push(rule.to_owned());
        }
    }
    let places = entry.get("places").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let places = places.filter_map(Value::as_array).flatten().filter_map(|place| {
        let bound = |at: usize| usize::try_from(place.get(at)?.as_u64()?).ok();
        Some(bound(0)?..bound(1)?)
    });
    let places: Vec<_> = places.filter(|place| place.start <= place.end).collect();
    if !places.is_empty() && answer.pieces.len() == 1 {
        answer.pieces = marked(text, places);
    }
}

/// Returns a judge's marks of a turn, or of the whole conversation for 0.
fn marks_of(meta: &Columns, turn: u64) -> Vec<ShownVerdict> {
    let Some(judge) = meta.get("judge") else { return Vec::new() };
    let model = judge.get("model").and_then(Value::as_str).unwrap_or("a judge");
    let marks = judge.get("marks").and_then(Value::as_array).into_iter().flatten();
    let of_turn = marks.filter(|mark| mark.get("turn").and_then(Value::as_u64) == Some(turn));
    let verdict = |mark: &Value| {
        let score = mark.get("score").filter(|score| !score.is_null());
        let score = score.map_or_else(|| "no valid verdict".to_owned(), |score| format!("score {score}"));
        let criterion = mark.get("criterion").and_then(Value::as_str);
        let of = criterion.map_or(String::new(), |criterion| format!(": {criterion}"));
        let whole = if turn == 0 { " for the whole conversation" } else { "" };
        ShownVerdict { model: model.to_owned(), title: format!("{score}{whole}{of}"), text: String::new() }
    };
    of_turn.map(verdict).collect()
}
