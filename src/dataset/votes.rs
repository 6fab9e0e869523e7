//! Votes of judges and people on which of two answers is better.

use serde_json::{Map, Value};

use crate::conversation::{Scope, Vote, Winner};

/// Reads a row as a vote. `judge` is the judge where the row does not name one.
///
/// Formats: `model_a`, `model_b` and `winner`, as in the MT-Bench paper's human votes and in the output of `cohobate
/// compare`; `model_1`, `model_2`, `g1_winner` and `g2_winner`, as `FastChat`'s judge writes them, with one verdict per
/// order; `winner_model_a`, `winner_model_b` and `winner_tie`, as in tables of Chatbot Arena; `a`, `b` and `winner`, as in CSV
/// files. The item is `question_id`, `item` or `id`; `turn` defaults to 1. Returns `None` for a row without a verdict: of
/// `cohobate compare`, or with an `error` of the judge.
pub fn read_vote(row: &[u8], judge: &str) -> Result<Option<Vote>, String> {
    let row: Map<String, Value> =
        serde_json::from_slice(row).map_err(|error| format!("it is not a JSON object: {error}"))?;
    read_vote_of(&row, judge)
}

/// As [`read_vote`], of a row that is read already.
pub(super) fn read_vote_of(row: &Map<String, Value>, judge: &str) -> Result<Option<Vote>, String> {
    let text = |names: &[&str]| names.iter().find_map(|name| row.get(*name)).and_then(cell_text);
    let need = |names: &[&str]| text(names).ok_or_else(|| format!("it has no `{}`", names.join("` or `")));
    let first = need(&["model_a", "model_1", "a", "system_a"])?;
    let second = need(&["model_b", "model_2", "b", "system_b"])?;
    if first == second {
        return Err(format!("`{first}` is compared with itself"));
    }
    let is_none = |name: &&str| text(&[*name]).is_some_and(|said| NO_VERDICT.contains(&said.as_str()));
    if ["winner", "g1_winner", "g2_winner"].iter().any(is_none) {
        return Ok(None);
    }
    let said = |name: &str| winner_named(&need(&[name])?, &first, &second);
    let winner = if row.contains_key("g1_winner") {
        let (one, other) = (said("g1_winner")?, said("g2_winner")?);
        if one == other { one } else { Winner::Inconsistent }
    } else if row.contains_key("winner_model_a") {
        winner_marked(&text)?
    } else {
        said("winner")?
    };
    Ok(Some(Vote {
        item: need(&["question_id", "item", "id"])?,
        scope: Scope::from_number(turn(row)?),
        judge: text(&["judge"]).unwrap_or_else(|| judge.to_owned()),
        winner,
        first,
        second,
    }))
}

/// The values of `winner` where there is no verdict: those of `cohobate compare`, and `FastChat`'s.
const NO_VERDICT: [&str; 6] = ["unparsed", "open", "model_a_missing", "model_b_missing", "both_missing", "error"];

/// Returns the winner of a row that marks one of three columns with 1.
fn winner_marked(text: &dyn Fn(&[&str]) -> Option<String>) -> Result<Winner, String> {
    let is_marked = |name: &str| {
        text(&[name]).is_some_and(|said| said.eq_ignore_ascii_case("true") || said.parse::<f64>() == Ok(1.0))
    };
    match ["winner_model_a", "winner_model_b", "winner_tie"].map(is_marked) {
        [true, false, false] => Ok(Winner::First),
        [false, true, false] => Ok(Winner::Second),
        [false, false, true] => Ok(Winner::Tie),
        _ => Err("not exactly one of `winner_model_a`, `winner_model_b` and `winner_tie` is 1".to_owned()),
    }
}

/// Returns the number of the turn; 1 where the row does not say.
pub(super) fn turn(row: &Map<String, Value>) -> Result<u32, String> {
    match row.get("turn") {
        None | Some(Value::Null) => Ok(1),
        Some(turn) => {
            cell_text(turn).and_then(|turn| turn.parse().ok()).ok_or_else(|| "its `turn` is not a number".to_owned())
        }
    }
}

/// Returns the text of a cell; `None` of an empty one.
pub(super) fn cell_text(value: &Value) -> Option<String> {
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
        "both_bad" | "bothbad" => Winner::Tie,
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
        for row in [
            r#"{"question_id":1,"model_1":"y","model_2":"x","g1_winner":"error","g2_winner":"model_1","turn":1}"#,
            r#"{"question_id":1,"model_1":"y","model_2":"x","g1_winner":"tie","g2_winner":"error","turn":1}"#,
        ] {
            assert_eq!(read_vote(row.as_bytes(), "file"), Ok(None));
        }
        let arena = |winner: &str| {
            let row = format!(r#"{{"id":"30192","model_a":"x","model_b":"y",{winner}}}"#);
            read_vote(row.as_bytes(), "file").map(|vote| vote.unwrap().winner)
        };
        let marks = |a: &str, b: &str, tie: &str| {
            arena(&format!(r#""winner_model_a":"{a}","winner_model_b":"{b}","winner_tie":"{tie}""#))
        };
        assert_eq!(
            [marks("1", "0", "0"), marks("0", "1", "0"), marks("0", "0", "1.0")].map(Result::unwrap),
            [Winner::First, Winner::Second, Winner::Tie]
        );
        assert!(marks("1", "1", "0").is_err() && marks("0", "0", "0").is_err());
        for tie in ["tie (bothbad)", "both_bad", "tie"] {
            assert_eq!(arena(&format!(r#""winner":"{tie}""#)), Ok(Winner::Tie));
        }
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
