//! Votes of judges and people on which of two answers is better.

use serde_json::{Map, Value};

use crate::conversation::{Scope, Vote, Winner};

/// Reads a row as a vote. `judge` is the judge where the row does not name one.
///
/// Formats: `model_a`, `model_b` and `winner`, as in the MT-Bench paper's human votes and in the output of `cohobate
/// compare`; `model_1`, `model_2`, `g1_winner` and `g2_winner`, as `FastChat`'s judge writes them, with one verdict per
/// order; `a`, `b` and `winner`, as in CSV files. The item is `question_id`, `item` or `id`; `turn` defaults to 1. Returns
/// `None` for a row of `cohobate compare` without a verdict.
pub fn read_vote(row: &[u8], judge: &str) -> Result<Option<Vote>, String> {
    let row: Map<String, Value> =
        serde_json::from_slice(row).map_err(|error| format!("it is not a JSON object: {error}"))?;
    let text = |names: &[&str]| names.iter().find_map(|name| row.get(*name)).and_then(cell_text);
    let need = |names: &[&str]| text(names).ok_or_else(|| format!("it has no `{}`", names.join("` or `")));
    let first = need(&["model_a", "model_1", "a", "system_a"])?;
    let second = need(&["model_b", "model_2", "b", "system_b"])?;
    if first == second {
        return Err(format!("`{first}` is compared with itself"));
    }
    if text(&["winner"]).is_some_and(|said| NO_VERDICT.contains(&said.as_str())) {
        return Ok(None);
    }
    let said = |name: &str| winner_named(&need(&[name])?, &first, &second);
    let winner = if row.contains_key("g1_winner") {
        let (one, other) = (said("g1_winner")?, said("g2_winner")?);
        if one == other { one } else { Winner::Inconsistent }
    } else {
        said("winner")?
    };
    let turn = match row.get("turn") {
        None | Some(Value::Null) => 1,
        Some(turn) => cell_text(turn).and_then(|turn| turn.parse().ok()).ok_or("its `turn` is not a number")?,
    };
    Ok(Some(Vote {
        item: need(&["question_id", "item", "id"])?,
        scope: Scope::from_number(turn),
        judge: text(&["judge"]).unwrap_or_else(|| judge.to_owned()),
        winner,
        first,
        second,
    }))
}

/// The values that `cohobate compare` writes as `winner` where there is no verdict.
const NO_VERDICT: [&str; 5] = ["unparsed", "open", "model_a_missing", "model_b_missing", "both_missing"];

fn cell_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        // FastChat writes a judge as a list of model and prompt.
        Value::Array(parts) => parts.first().and_then(cell_text),
        _ => None,
    }
}

fn winner_named(said: &str, first: &str, second: &str) -> Result<Winner, String> {
    let lower = said.to_lowercase();
    Ok(match lower.as_str() {
        // A system may be called `a`, so names take precedence.
        _ if said == first => Winner::First,
        _ if said == second => Winner::Second,
        "model_a" | "model_1" | "a" | "system_a" => Winner::First,
        "model_b" | "model_2" | "b" | "system_b" => Winner::Second,
        "inconsistent" | "tie (inconsistent)" => Winner::Inconsistent,
        other if other == "tie" || other.starts_with("tie (") => Winner::Tie,
        _ => {
            return Err(format!(
                "its winner is `{said}`; write model_a, model_b, tie, inconsistent or a system's name"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_read() {
        let paper = r#"{"judge":["gpt-4","pair-v2"],"model_a":"x","model_b":"y","question_id":81,"turn":2,"winner":"tie (inconsistent)"}"#;
        let vote = read_vote(paper.as_bytes(), "file").unwrap().unwrap();
        assert_eq!(
            (vote.item.as_str(), vote.scope.number(), vote.judge.as_str(), vote.winner),
            ("81", 2, "gpt-4", Winner::Inconsistent)
        );
        let fastchat =
            r#"{"model_1":"y","model_2":"x","g1_winner":"model_1","g2_winner":"model_1","question_id":1,"turn":1}"#;
        let vote = read_vote(fastchat.as_bytes(), "file").unwrap().unwrap().in_order();
        assert_eq!((vote.first.as_str(), vote.winner, vote.judge.as_str()), ("x", Winner::Second, "file"));
        let table = r#"{"item":"q","a":"x","b":"y","winner":"y","turn":""}"#;
        assert!(read_vote(table.as_bytes(), "").unwrap_err().contains("turn"));
        let table = r#"{"item":"q","a":"x","b":"y","winner":"y"}"#;
        assert_eq!(read_vote(table.as_bytes(), "").unwrap().unwrap().winner, Winner::Second);
        let turned = r#"{"item":"q","a":"b","b":"a","winner":"a"}"#;
        assert_eq!(read_vote(turned.as_bytes(), "").unwrap().unwrap().winner, Winner::Second);
        let none = r#"{"id":"q","model_a":"x","model_b":"y","winner":"model_b_missing"}"#;
        assert_eq!(read_vote(none.as_bytes(), ""), Ok(None));
        for bad in
            [r#"{"a":"x","b":"y","winner":"z","item":1}"#, r#"{"a":"x","b":"x","winner":"a","item":1}"#, "[]", "{}"]
        {
            assert!(read_vote(bad.as_bytes(), "").is_err(), "{bad}");
        }
    }
}
