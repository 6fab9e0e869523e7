//! What a list is filtered by, as the address of a page holds it.

use super::index::{ItemStatus, Names, Record, Voice};

/// Conversations that a list holds at most.
pub const LIMIT_MAX: usize = 200;

/// What a list is filtered by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// A text that occurs in the conversation.
    pub text: String,
    /// In whose words it occurs.
    pub voice: Option<Voice>,
    /// How far the conversation has come.
    pub status: Option<ItemStatus>,
    /// A rule that rejected an answer.
    pub rule: Option<String>,
    /// A rule that flagged an answer.
    pub flag: Option<String>,
    /// Why it stopped or failed.
    pub reason: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// The fewest and the most characters of its answers.
    pub characters: Bounds<u64>,
    /// The fewest and the most turns.
    pub turns: Bounds<u64>,
    /// The lowest and the highest mean score.
    pub score: Bounds<f64>,
    /// The number of the first conversation.
    pub from: u64,
    /// The most conversations.
    pub limit: usize,
}

/// Bounds of a number, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds<T> {
    /// The least.
    pub min: Option<T>,
    /// The most.
    pub max: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self { min: None, max: None }
    }
}

impl<T: PartialOrd> Bounds<T> {
    fn holds(&self, value: &T) -> bool {
        self.min.as_ref().is_none_or(|min| value >= min) && self.max.as_ref().is_none_or(|max| value <= max)
    }

    fn is_open(&self) -> bool {
        self.min.is_none() && self.max.is_none()
    }
}

impl Query {
    /// Reads the part of an address after `?`. A name that is unknown, or a number that cannot be read, is an error.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut query = Self { limit: 50, ..Self::default() };
        for (name, value) in pairs(text) {
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "text" => query.text = value,
                "in" => query.voice = Some(Voice::named(&value).ok_or_else(|| fault(&name, &value))?),
                "status" => {
                    let status = ItemStatus::ALL.into_iter().find(|status| status.name() == value);
                    query.status = Some(status.ok_or_else(|| fault(&name, &value))?);
                }
                "rule" => query.rule = Some(value),
                "flag" => query.flag = Some(value),
                "reason" => query.reason = Some(value),
                "language" => query.language = Some(value),
                "characters-min" => query.characters.min = Some(number(&name, &value)?),
                "characters-max" => query.characters.max = Some(number(&name, &value)?),
                "turns-min" => query.turns.min = Some(number(&name, &value)?),
                "turns-max" => query.turns.max = Some(number(&name, &value)?),
                "score-min" => query.score.min = Some(number(&name, &value)?),
                "score-max" => query.score.max = Some(number(&name, &value)?),
                "from" => query.from = number(&name, &value)?,
                "limit" => query.limit = number::<usize>(&name, &value)?.min(LIMIT_MAX),
                _ => return Err(format!("there is no filter `{name}`")),
            }
        }
        Ok(query)
    }

    /// True where every conversation passes, whatever its text.
    pub fn is_open(&self) -> bool {
        self.status.is_none()
            && self.rule.is_none()
            && self.flag.is_none()
            && self.reason.is_none()
            && self.language.is_none()
            && self.characters.is_open()
            && self.turns.is_open()
            && self.score.is_open()
    }

    /// Returns the filter with its names as the numbers that records have.
    pub fn resolved(&self, names: &Names) -> Filter {
        // A name that no record has is a number that no record has.
        let number = |found: Option<usize>| found.map_or(u32::MAX, |number| number as u32);
        Filter {
            status: self.status,
            rule: self.rule.as_ref().map(|rule| names.rules.bit(rule).unwrap_or(0)),
            flag: self.flag.as_ref().map(|flag| names.rules.bit(flag).unwrap_or(0)),
            reason: self.reason.as_ref().map(|reason| number(names.reasons.find(reason))),
            language: self.language.as_ref().map(|language| number(names.languages.find(language))),
            characters: self.characters,
            turns: self.turns,
            score: self.score,
        }
    }
}

/// A filter over records.
#[derive(Clone, Debug)]
pub struct Filter {
    status: Option<ItemStatus>,
    rule: Option<u64>,
    flag: Option<u64>,
    reason: Option<u32>,
    language: Option<u32>,
    characters: Bounds<u64>,
    turns: Bounds<u64>,
    score: Bounds<f64>,
}

impl Filter {
    /// True where a conversation passes. One that is not read yet passes only an open filter.
    pub fn passes(&self, record: &Record) -> bool {
        let is = |wanted: Option<u32>, number: u32| wanted.is_none_or(|wanted| wanted == number);
        self.status.is_none_or(|status| record.is_read && record.status == status)
            && self.rule.is_none_or(|rule| record.rules & rule != 0)
            && self.flag.is_none_or(|flag| record.flags & flag != 0)
            && is(self.reason, record.reason)
            && is(self.language, u32::from(record.language))
            && self.characters.holds(&record.characters)
            && self.turns.holds(&u64::from(record.turns))
            && (self.score.is_open() || record.score.is_some_and(|score| self.score.holds(&f64::from(score))))
    }
}

fn fault(name: &str, value: &str) -> String {
    format!("`{value}` is no value of the filter `{name}`")
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| fault(name, value))
}

/// Returns the names and values of the part of an address after `?`.
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Decodes `%XX` and `+`. What is no such code stays; bytes that are no UTF-8 are replaced.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = || u8::from_str_radix(std::str::from_utf8(behind.get(..2)?).ok()?, 16).ok();
        match (first, code()) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            (byte, _) => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_page_writes_it() {
        let query =
            Query::read("text=%E5%A4%A9%20a%2Bb&in=new&status=stopped&rule=echo&turns-min=2&score-max=7.5&from=9")
                .unwrap();
        assert_eq!((query.text.as_str(), query.voice, query.from), ("天 a+b", Some(Voice::New), 9));
        assert_eq!((query.turns.min, query.score.max, query.limit), (Some(2), Some(7.5), 50));
        assert!(Query::read("").unwrap().is_open() && Query::read("text=x&in=&rule=").unwrap().is_open());
        assert_eq!(Query::read("limit=99999").unwrap().limit, LIMIT_MAX);
        for wrong in ["colour=red", "status=good", "turns-min=x", "in=nobody", "from=-1"] {
            assert!(Query::read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            pairs("a=100%&b=%zz&c=%ff&d").map(|(_, value)| value).collect::<Vec<_>>(),
            ["100%", "%zz", "\u{fffd}", ""]
        );
    }

    #[test]
    fn a_filter_passes_what_it_names_and_nothing_of_an_unknown_name() {
        let mut names = Names::default();
        let record = Record {
            is_read: true,
            status: ItemStatus::Stopped,
            rules: names.rules.bits(["echo"]),
            reason: names.reasons.number("echo") as u32,
            turns: 3,
            score: Some(5.0),
            ..Record::unread([0; 32])
        };
        let passes = |text: &str, record: &Record| Query::read(text).unwrap().resolved(&names).passes(record);
        for yes in ["", "rule=echo", "reason=echo", "status=stopped&turns-min=3&turns-max=3", "score-min=5"] {
            assert!(passes(yes, &record), "{yes}");
        }
        for no in ["rule=pii", "flag=echo", "reason=other", "status=open", "turns-max=2", "score-min=6", "language=x"] {
            assert!(!passes(no, &record), "{no}");
        }
        assert!(!passes("score-max=9", &Record { score: None, ..record }), "no score is not a low one");
    }
}
