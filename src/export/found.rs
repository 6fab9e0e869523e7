use serde::Serialize;

use super::json_row::append_row;

/// What a rule found in one answer. This is the row of `OUT.findings.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found<'a> {
    /// The row's id.
    pub id: &'a str,
    /// The input that contains it.
    pub source: &'a str,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The turn, from 1.
    pub turn: u32,
    /// The rule.
    pub rule: &'static str,
    /// What followed: `flag` or `reject`.
    pub action: &'static str,
}

/// Appends the row for `OUT.findings.jsonl`.
pub fn found_row(row: &Found<'_>, out: &mut Vec<u8>) {
    append_row(out, row);
}
