//! What a run is about to do, in a few lines before its first call.

use serde_json::{Value, json};

use super::progress::reused_words;
use super::tally::Tally;
use super::words::{counted, number};

/// What is known of a run before its first call, beside its counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunHeader {
    /// Who is asked.
    pub parties: Vec<Party>,
    /// Rows of the input, of all kinds.
    pub input: InputRows,
    /// The caps, in words.
    pub caps: Vec<String>,
    /// Where the result goes.
    pub output: String,
    /// What was begun under older rules, in words.
    pub rules: Option<String>,
    /// What the judge is asked first, in words.
    pub controls: Option<String>,
}

/// The rows that a job goes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputRows {
    /// How many they are.
    pub rows: u64,
    /// Where they are a shard: its name, such as `3/16`, and the rows of the whole input.
    pub shard: Option<(String, u64)>,
}

impl InputRows {
    /// Returns the rows of the whole input.
    pub fn of_all(&self) -> u64 {
        self.shard.as_ref().map_or(self.rows, |(_, of)| *of)
    }

    /// Returns the shard in words; nothing where all rows are gone over.
    pub fn shard_words(&self) -> Option<String> {
        self.shard.as_ref().map(|(shard, of)| format!("{shard}, {} of {}", number(self.rows), counted(*of, "row")))
    }

    /// Returns the name of the shard, such as `3/16`.
    pub fn shard_name(&self) -> Option<&str> {
        self.shard.as_ref().map(|(shard, _)| shard.as_str())
    }
}

/// A model with its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// What it does: `teacher`, `judge`.
    pub role: String,
    /// Its name.
    pub model: String,
    /// Where it is; empty for a model of this program.
    pub addresses: Vec<String>,
}

/// Addresses of one model that are shown.
const ADDRESSES_MAX: usize = 3;

impl RunHeader {
    /// Returns the lines for people.
    pub fn lines(&self, tally: &Tally) -> Vec<String> {
        let mut lines = Vec::new();
        let mut row = |name: &str, text: String| lines.push(format!("{name:<10} {text}"));
        for (at, party) in self.parties.iter().enumerate() {
            let is_same = |other: &&Party| other.model == party.model && other.addresses == party.addresses;
            // A model is listed once, with all its roles.
            if self.parties[..at].iter().any(|other| is_same(&other)) {
                continue;
            }
            let roles: Vec<&str> = self.parties.iter().filter(is_same).map(|party| party.role.as_str()).collect();
            row(&roles.join(", "), party.words());
        }
        let (conversations, total) = (tally.totals.conversations, counted(tally.totals.turns, tally.unit.noun()));
        let rows = counted(self.input.rows, "row");
        row(
            "input",
            format!("{rows}, {}, {total}, {} reused", counted(conversations, "conversation"), reused_words(tally)),
        );
        if let Some(shard) = self.input.shard_words() {
            row("shard", shard);
        }
        row("cap", if self.caps.is_empty() { "none".to_owned() } else { self.caps.join(", ") });
        if let Some(rules) = &self.rules {
            row("rules", rules.clone());
        }
        if let Some(controls) = &self.controls {
            row("controls", controls.clone());
        }
        row("output", if self.output == "-" { "standard output".to_owned() } else { self.output.clone() });
        lines
    }

    /// Returns the same for machines.
    pub fn json(&self, tally: &Tally) -> Value {
        let parties = self.parties.iter();
        let parties = parties
            .map(|Party { role, model, addresses }| json!({"role": role, "model": model, "addresses": addresses}));
        json!({
            "models": parties.collect::<Vec<_>>(), "rows": self.input.rows, "shard": self.input.shard_name(), "conversations": tally.totals.conversations,
            "unit": tally.unit.noun(), "total": tally.totals.turns, "reused": tally.reused(),
            "reused_is_exact": tally.stored.is_exact, "caps": self.caps, "output": self.output, "rules": self.rules,
            "controls": self.controls,
        })
    }
}

impl Party {
    fn words(&self) -> String {
        let Self { model, addresses, .. } = self;
        let shown = addresses.iter().take(ADDRESSES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        match addresses.len() {
            0 => format!("{model}, without a server"),
            1..=ADDRESSES_MAX => format!("{model} at {shown}"),
            all => format!("{model} at {shown} and {} more", number((all - ADDRESSES_MAX) as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{StoredSum, Totals};
    use super::*;

    #[test]
    fn a_header_names_models_input_caps_and_output() {
        let party = |role: &str, model: &str, addresses: &[&str]| Party {
            role: role.to_owned(),
            model: model.to_owned(),
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
        };
        let header = RunHeader {
            parties: vec![
                party("teacher", "big", &["http://one:8000/v1"]),
                party("grader", "big", &["http://one:8000/v1"]),
                party("student", "small", &["a", "b", "c", "d", "e"]),
                party("judge", "simulated", &[]),
            ],
            input: InputRows { rows: 3_000, shard: None },
            caps: vec!["$5.00".to_owned(), "1,000 requests".to_owned()],
            output: "out.jsonl".to_owned(),
            rules: None,
            controls: None,
        };
        let tally = Tally {
            totals: Totals { conversations: 2_990, turns: 12_311 },
            stored: StoredSum { answers: 413, ..StoredSum::default() },
            ..Tally::default()
        };
        assert_eq!(
            header.lines(&tally),
            [
                "teacher, grader big at http://one:8000/v1",
                "student    small at a, b, c and 2 more",
                "judge      simulated, without a server",
                "input      3,000 rows, 2,990 conversations, 12,311 turns, at least 413 reused",
                "cap        $5.00, 1,000 requests",
                "output     out.jsonl",
            ]
        );
        assert_eq!(header.json(&tally)["reused_is_exact"], false);
        assert_eq!(header.json(&tally)["shard"], Value::Null);
        let shard = InputRows { rows: 3_000, shard: Some(("3/16".to_owned(), 48_000)) };
        let header = RunHeader { input: shard, ..header };
        assert_eq!(header.lines(&tally)[4], "shard      3/16, 3,000 of 48,000 rows");
        assert_eq!(header.json(&tally)["shard"], "3/16");
    }
}
