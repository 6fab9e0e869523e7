//! Existing judgments: votes, scores and preferences, in the formats of others.

use serde_json::{Map, Value};

use super::votes::{cell_text, read_vote_of, turn};
use crate::conversation::{Preference, Rating, Scope, Vote};

/// What a row of a file of judgments says.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgment {
    /// Which of two answers is better.
    Vote(Vote),
    /// How good one answer is.
    Rating(Rating),
    /// How much better one answer is than a baseline's.
    Preference(Preference),
    /// The judge gave no verdict.
    None,
}

/// Reads a row as a judgment. `judge` is the judge and `system` the system where the row names none.
///
/// Preferences: the annotations of `AlpacaEval`, with `generator_1`, `generator_2` and `preference` from 1 to 2. Scores:
/// `score` or `rating`, with `model` or `system`; the single judgments of `FastChat`, where -1 is no verdict; rows of
/// `cohobate evaluate`. All others are votes.
pub fn read_judgment(row: &[u8], judge: &str, system: &str) -> Result<Judgment, String> {
    let row: Map<String, Value> =
        serde_json::from_slice(row).map_err(|error| format!("it is not a JSON object: {error}"))?;
    let fields = Fields { row: &row };
    if row.contains_key("preference") && row.contains_key("generator_2") {
        return fields.preference(judge).map(Judgment::Preference);
    }
    let is_pair = ["model_b", "model_2", "b", "system_b"].iter().any(|name| row.contains_key(*name));
    if is_pair {
        return Ok(read_vote_of(&row, judge)?.map_or(Judgment::None, Judgment::Vote));
    }
    match fields.score() {
        Some(score) => Ok(fields.rating(score?, judge, system)?.map_or(Judgment::None, Judgment::Rating)),
        None => Err("it is neither a vote (`model_a`, `model_b`, `winner`), nor a score (`score`), nor a preference \
                     (`generator_1`, `generator_2`, `preference`)"
            .to_owned()),
    }
}

struct Fields<'a> {
    row: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.row.get(*name)).and_then(cell_text)
    }

    fn item(&self) -> Result<String, String> {
        self.text(&["question_id", "item", "id", "session_id"])
            .ok_or_else(|| "it has no `question_id`, `item`, `id` or `session_id`".to_owned())
    }

    /// Returns the score: nothing of a row without one, an error of one that is not a number.
    fn score(&self) -> Option<Result<Option<f64>, String>> {
        let judged = || self.row.get("meta")?.get("judge")?.get("score");
        let value = ["score", "rating"].iter().find_map(|name| self.row.get(*name)).or_else(judged)?;
        Some(match value {
            Value::Null => Ok(None),
            Value::Bool(passes) => Ok(Some(f64::from(u8::from(*passes)))),
            other => match cell_text(other) {
                None => Ok(None),
                Some(said) if NO_SCORE.contains(&said.to_lowercase().as_str()) => Ok(None),
                Some(said) => match said.parse::<f64>() {
                    Ok(score) if score.is_finite() => Ok(Some(score)),
                    _ => Err(format!("its score is `{said}`, which is not a number")),
                },
            },
        })
    }

    fn rating(&self, score: Option<f64>, judge: &str, system: &str) -> Result<Option<Rating>, String> {
        // FastChat's mark for a reply without a score. Elsewhere -1 is a score like others.
        let is_fastchat = self.row.contains_key("judgment");
        let Some(score) = score.filter(|score| !is_fastchat || *score >= 0.0) else { return Ok(None) };
        Ok(Some(Rating {
            item: self.item()?,
            scope: Scope::from_number(turn(self.row)?),
            system: self.text(&["model", "system", "generator", "model_id"]).unwrap_or_else(|| system.to_owned()),
            judge: self.text(&["judge", "annotator", "rater"]).unwrap_or_else(|| judge.to_owned()),
            score,
        }))
    }

    fn preference(&self, judge: &str) -> Result<Preference, String> {
        let need = |name: &str| self.text(&[name]).ok_or_else(|| format!("it has no `{name}`"));
        let (baseline, system) = (need("generator_1")?, need("generator_2")?);
        if baseline == system {
            return Err(format!("`{baseline}` is compared with itself"));
        }
        let share = match self.text(&["preference"]) {
            None => None,
            Some(said) if NO_SCORE.contains(&said.to_lowercase().as_str()) => None,
            Some(said) => Some(share_of(&said)?),
        };
        let length = |name: &str| Some(self.row.get(name)?.as_str()?.chars().count());
        Ok(Preference {
            item: self.text(&["instruction"]).map_or_else(|| self.item(), Ok)?,
            baseline,
            system,
            judge: self.text(&["annotator", "judge"]).unwrap_or_else(|| judge.to_owned()),
            share,
            lengths: length("output_1").zip(length("output_2")).map(<[usize; 2]>::from),
        })
    }
}

/// The values that stand for a missing number.
const NO_SCORE: [&str; 4] = ["error", "nan", "none", "null"];

/// Returns the second system's share: 1 is the baseline's win, 2 the other's, 1.5 and 0 a draw.
fn share_of(said: &str) -> Result<f64, String> {
    match said.parse::<f64>() {
        Ok(0.0) => Ok(0.5),
        Ok(preference) if (1.0..=2.0).contains(&preference) => Ok(preference - 1.0),
        _ => Err(format!("its preference is `{said}`; write a number from 1 to 2, or 0 for a draw")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> Result<Judgment, String> {
        read_judgment(row.as_bytes(), "file", "stem")
    }

    #[test]
    fn scores_of_fastchat_of_files_and_of_evaluate() {
        let Judgment::Rating(rating) = read(
            r#"{"question_id":81,"model":"x","judge":["gpt-4","single-v1"],"judgment":"[[7]]","score":7.5,"turn":2}"#,
        )
        .unwrap() else {
            panic!("it is a score")
        };
        assert_eq!((rating.item.as_str(), rating.scope.number(), rating.system.as_str()), ("81", 2, "x"));
        assert_eq!((rating.judge.as_str(), rating.score), ("gpt-4", 7.5));
        assert_eq!(read(r#"{"question_id":81,"model":"x","judgment":"?","score":-1,"turn":1}"#), Ok(Judgment::None));
        for (row, score) in [
            (r#"{"session_id":"a","score":"4"}"#, 4.0),
            (r#"{"item":"a","system":"x","rating":-1,"rater":"ann"}"#, -1.0),
            (r#"{"id":"a","score":true}"#, 1.0),
            (r#"{"id":"a","messages":[],"meta":{"judge":{"score":8}}}"#, 8.0),
        ] {
            let Ok(Judgment::Rating(rating)) = read(row) else { panic!("{row}: {:?}", read(row)) };
            assert_eq!((rating.item.as_str(), rating.score), ("a", score));
        }
        assert_eq!(read(r#"{"id":"a","score":"error"}"#), Ok(Judgment::None));
        assert!(read(r#"{"id":"a","score":"good"}"#).unwrap_err().contains("not a number"));
        assert!(read(r#"{"score":1}"#).unwrap_err().contains("session_id"));
        assert!(read(r#"{"id":"a"}"#).unwrap_err().contains("neither a vote"));
    }

    #[test]
    fn preferences_of_alpaca_eval() {
        let row = |preference: &str| {
            format!(
                r#"{{"instruction":"Why?","output_1":"Because.","output_2":"Só.","generator_1":"base","generator_2":"x",
                "annotator":"weighted","preference":{preference}}}"#
            )
        };
        for (said, share) in [
            ("1", Some(0.0)),
            ("2.0", Some(1.0)),
            ("1.25", Some(0.25)),
            ("0", Some(0.5)),
            ("null", None),
            ("NaN", None),
        ] {
            let said = if said == "NaN" { "\"NaN\"" } else { said };
            let Ok(Judgment::Preference(found)) = read(&row(said)) else { panic!("{said}") };
            assert_eq!((found.share, found.lengths), (share, Some([8, 3])), "{said}");
            assert_eq!(found.vote().is_some(), share.is_some());
        }
        assert!(read(&row("2.5")).unwrap_err().contains("from 1 to 2"));
    }
}
