use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether the model reasons before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thinking {
    /// It reasons.
    On,
    /// It does not.
    Off,
}

impl Thinking {
    /// True for [`Thinking::On`].
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl fmt::Display for Thinking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "on" } else { "off" })
    }
}

/// How much a model reasons: `low`, `high` or another level that its server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Effort(String);

impl Effort {
    /// Returns the level.
    pub fn level(&self) -> &str {
        &self.0
    }
}

impl FromStr for Effort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
        let is_level = (1..=32).contains(&text.len()) && text.chars().all(is_word);
        is_level.then(|| Self(text.to_owned())).ok_or("write a level of the server, such as low, medium or high")
    }
}

impl TryFrom<String> for Effort {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Effort> for String {
    fn from(effort: Effort) -> Self {
        effort.0
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_and_how_much_is_read_and_written() {
        assert_eq!([Thinking::On, Thinking::Off].map(|thinking| thinking.to_string()), ["on", "off"]);
        assert_eq!([Thinking::On, Thinking::Off].map(Thinking::is_on), [true, false]);
        for level in ["low", "x_1-high", &"a".repeat(32)] {
            let effort: Effort = level.parse().unwrap();
            assert_eq!(
                (effort.level(), effort.to_string().as_str(), String::from(effort.clone()).as_str()),
                (level, level, level)
            );
        }
        for level in ["", "High", "very high", "é", &"a".repeat(33)] {
            assert!(level.parse::<Effort>().is_err(), "{level}");
        }
    }
}
