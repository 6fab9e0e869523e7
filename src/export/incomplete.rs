use serde_json::json;

/// A row that is missing from an output, or is shorter there than its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete<'a> {
    /// The row's id, where it has one.
    pub id: Option<&'a str>,
    /// The input that it is from.
    pub source: &'a str,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// `invalid`, `skipped`, `stopped`, `failed` or `unanswered`.
    pub kind: &'static str,
    /// Why, in words or as a code.
    pub reason: &'a str,
    /// Turns that have a whole answer.
    pub turns_answered: u32,
    /// Turns of the source row.
    pub turns: u32,
}

/// Appends the row for `OUT.incomplete.jsonl`.
pub fn incomplete_row(row: &Incomplete<'_>, out: &mut Vec<u8>) {
    let value = json!({
        "id": row.id, "source": row.source, "line": row.line, "kind": row.kind, "reason": row.reason,
        "turns_answered": row.turns_answered, "turns": row.turns,
    });
    serde_json::to_writer(&mut *out, &value).expect("JSON values can always be written to memory");
    out.push(b'\n');
}
