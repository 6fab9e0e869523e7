//! What the rules say of the answers of a row, as it is written into `meta.quality`.

use serde_json::{Map, Value, json};

use super::decision::Flag;
use crate::conversation::{Record, TurnIndex};
use crate::quality::{Action, Finding};

const COLUMN: &str = "quality";

/// Marks a row with what was flagged in it; marks of an earlier filter go.
pub fn mark(record: &mut Record, flags: &[Flag]) {
    let mut turns: Vec<(TurnIndex, Vec<&str>)> = Vec::new();
    for Flag { turn, rule } in flags {
        match turns.last_mut().filter(|(last, _)| last == turn) {
            Some((_, rules)) => rules.push(rule),
            None => turns.push((*turn, vec![rule])),
        }
    }
    let turns = turns.into_iter().map(|(turn, flags)| json!({"turn": turn, "flags": flags}));
    set(record, turns.collect());
}

/// Writes the entries of a row's answers; without one, those of an earlier filter go.
pub fn set(record: &mut Record, entries: Vec<Value>) {
    if entries.is_empty() {
        record.meta.remove(COLUMN);
    } else {
        record.meta.insert(COLUMN.to_owned(), entries.into());
    }
}

/// Returns everything that the rules say of an answer: the value of each rule that measures something; the rules that flag it and
/// those that would reject it; and where in the answer each of them found its fault, in bytes.
pub fn entry(turn: TurnIndex, findings: &[Finding], constant: Option<&'static str>) -> Value {
    let values = findings.iter().filter_map(|finding| Some((finding.rule.to_owned(), rounded(finding.value?))));
    let of = |action: Action| {
        let found = findings.iter().filter(move |finding| finding.hits && finding.action == action);
        found.map(|finding| finding.rule)
    };
    let flags: Vec<&str> = of(Action::Flag).chain(constant).collect();
    let rejects: Vec<&str> = of(Action::Reject).collect();
    let places = findings.iter().filter(|finding| !finding.places.is_empty()).map(|finding| {
        let places: Vec<[usize; 2]> = finding.places.iter().map(|place| [place.start, place.end]).collect();
        (finding.rule.to_owned(), json!(places))
    });
    let mut entry = Map::new();
    entry.insert("turn".to_owned(), json!(turn));
    let parts = [("flags", json!(flags)), ("rejects", json!(rejects))];
    entry.extend(parts.map(|(name, rules)| (name.to_owned(), rules)));
    entry.insert("values".to_owned(), values.collect::<Map<_, _>>().into());
    entry.insert("places".to_owned(), places.collect::<Map<_, _>>().into());
    entry.into()
}

/// Returns a value with at most four places after the point, so that rows stay small.
fn rounded(value: f64) -> Value {
    json!((value * 10_000.0).round() / 10_000.0)
}
