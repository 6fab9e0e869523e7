use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::conversation::dice::Dice;

/// A body field whose value is drawn for each conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyChoice {
    /// The field; names of nested fields are joined by dots.
    pub field: String,
    /// The values, each with its weight, which is above 0.
    pub values: Vec<(Value, f64)>,
}

impl BodyChoice {
    /// Draws a value. The same opening and seed always draw the same.
    pub fn draw(&self, opening: &[u8]) -> &Value {
        let mut key = opening.to_vec();
        key.extend_from_slice(self.field.as_bytes());
        weighted(&self.values, Dice::new("body choice", &key).fraction()).expect("a choice has a value")
    }
}

/// Reads the weight of a value.
pub(super) fn weight_in(text: &str) -> Result<f64, String> {
    let weight = text.trim().parse::<f64>().ok().filter(|weight| *weight > 0.0 && weight.is_finite());
    weight.ok_or_else(|| format!("the weight `{text}` is not a number above 0"))
}

/// Returns the value at a fraction of the weights' sum; `None` without values.
pub(super) fn weighted<T>(values: &[(T, f64)], fraction: f64) -> Option<&T> {
    let mut left = fraction * values.iter().map(|(_, weight)| weight).sum::<f64>();
    let (last, others) = values.split_last()?;
    for (value, weight) in others {
        left -= weight;
        if left < 0.0 {
            return Some(value);
        }
    }
    Some(&last.0)
}

/// Fields whose values are drawn: `FIELD=VALUE:WEIGHT,...`, several of them separated by semicolons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BodyChoices(pub Vec<BodyChoice>);

impl FromStr for BodyChoices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut choices: Vec<BodyChoice> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let choice = choice(part)?;
            if choices.iter().any(|other| other.field == choice.field) {
                return Err(format!("`{}` is drawn twice", choice.field));
            }
            choices.push(choice);
        }
        if choices.is_empty() { Err(EXAMPLE.to_owned()) } else { Ok(Self(choices)) }
    }
}

const EXAMPLE: &str = "write FIELD=VALUE:WEIGHT,..., such as reasoning_effort=low:0.5,high:0.5";

fn choice(text: &str) -> Result<BodyChoice, String> {
    let (field, values) = text.split_once('=').ok_or(EXAMPLE)?;
    let field = field.trim();
    if field.is_empty() || field.split('.').any(str::is_empty) {
        return Err(EXAMPLE.to_owned());
    }
    let value = |part: &str| {
        let (value, weight) = part.rsplit_once(':').ok_or(EXAMPLE)?;
        let value = value.trim();
        Ok((serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)), weight_in(weight)?))
    };
    let values = values.split(',').map(value).collect::<Result<Vec<_>, String>>()?;
    Ok(BodyChoice { field: field.to_owned(), values })
}

impl fmt::Display for BodyChoices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |(value, weight): &(Value, f64)| match value {
            // A word that is no JSON by itself needs no quotes.
            Value::String(word) if serde_json::from_str::<Value>(word).is_err() => format!("{word}:{weight}"),
            value => format!("{value}:{weight}"),
        };
        let choice = |choice: &BodyChoice| {
            let values: Vec<String> = choice.values.iter().map(value).collect();
            format!("{}={}", choice.field, values.join(","))
        };
        f.write_str(&self.0.iter().map(choice).collect::<Vec<_>>().join("; "))
    }
}

impl TryFrom<String> for BodyChoices {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BodyChoices> for String {
    fn from(choices: BodyChoices) -> Self {
        choices.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights_and_repeat() {
        let choices: BodyChoices = "reasoning_effort=low:0.5,medium:0.3,high:0.2; a.b=1:1,true:1".parse().unwrap();
        assert_eq!(choices.to_string().parse::<BodyChoices>().unwrap(), choices);
        assert_eq!(choices.0[1].values, [(Value::from(1), 1.0), (Value::from(true), 1.0)]);
        let mut counts = [0i32; 3];
        for number in 0..2000u32 {
            let drawn = choices.0[0].draw(&number.to_le_bytes());
            assert_eq!(drawn, choices.0[0].draw(&number.to_le_bytes()));
            counts[["low", "medium", "high"].iter().position(|name| drawn == name).unwrap()] += 1;
        }
        for (count, expected) in counts.into_iter().zip([1000, 600, 400]) {
            assert!((count - expected).abs() < 100, "{counts:?}");
        }
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for wrong in ["", "a", "a=", "a=b", "a=b:0", "a=b:-1", "a=b:x", "=b:1", "a..b=c:1", "a=b:1;a=c:1", "a=b:inf"] {
            assert!(wrong.parse::<BodyChoices>().is_err(), "{wrong}");
        }
    }

    /// Stored answers are found by these draws.
    #[test]
    fn the_draw_of_an_opening_stays_as_it_is() {
        let choices: BodyChoices = "a=low:1,medium:2,high:5".parse().unwrap();
        for number in 0..50u8 {
            let point = Dice::new("body choice", &[number, b'a']).fraction() * 8.0;
            let expected = if point < 1.0 {
                "low"
            } else if point < 3.0 {
                "medium"
            } else {
                "high"
            };
            assert_eq!(choices.0[0].draw(&[number]), expected);
        }
        let choices: BodyChoices = "a=yes:0.25".parse().unwrap();
        assert_eq!(choices.0[0].draw(&[1]), "yes");
    }

    #[test]
    fn choices_are_written_as_they_are_given() {
        for text in ["a=low:0.5,\"1\":2", "a.b=1:1,true:1; c=word:3", "a={\"x\":1}:1"] {
            assert_eq!(text.parse::<BodyChoices>().unwrap().to_string(), text);
        }
    }
}
