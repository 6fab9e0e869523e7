use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::input::RecordStream;
use super::settings::InputSettings;
use super::{Context, JobError};
use crate::conversation::{Scope, Winner};
use crate::files;

/// Which two answers are judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairName {
    /// The row's id.
    pub item: String,
    /// The part of the conversation.
    pub scope: Scope,
    /// A system.
    pub first: String,
    /// Another.
    pub second: String,
}

/// What a person says of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HumanVerdict {
    /// One is better, or neither.
    Decided(Winner),
    /// It was left open. Not a vote; `agreement` and `compare --human` pass over it.
    Skipped,
}

/// A person's votes in a CSV file that `agreement` and `compare --human` read: `item,turn,a,b,winner,judge`.
pub struct HumanVotes {
    path: PathBuf,
    verdicts: BTreeMap<PairName, HumanVerdict>,
}

/// The value of `winner` for a pair that was left open.
const SKIPPED: &str = "open";
const COLUMNS: [&str; 6] = ["item", "turn", "a", "b", "winner", "judge"];
/// Who judges.
const JUDGE: &str = "person";

impl HumanVotes {
    /// Reads the votes of a file, which need not exist.
    pub fn open(path: &Path) -> Result<Self, JobError> {
        let mut votes = Self { path: path.to_owned(), verdicts: BTreeMap::new() };
        if !path.exists() {
            return Ok(votes);
        }
        let name = path.display().to_string();
        let rows = RecordStream::open(&InputSettings::files([&name]), &Context::default())?;
        rows.each_raw(&mut |_, row| {
            let (line, read) = match row {
                Ok(row) => (row.line, read_row(row.bytes)),
                Err(problem) => (problem.line, None),
            };
            let (pair, verdict) = read.ok_or_else(|| {
                let hint = format!("move the file away, or fix the row; its columns are {}", COLUMNS.join(","));
                JobError::usage(format!("{name}: row {line} is no vote of a person"), hint)
            })?;
            votes.verdicts.insert(pair, verdict);
            Ok(())
        })?;
        Ok(votes)
    }

    /// Returns where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what was said of a pair.
    pub fn get(&self, pair: &PairName) -> Option<HumanVerdict> {
        self.verdicts.get(pair).copied()
    }

    /// Returns how many votes there are, pairs that were left open not counted.
    pub fn len(&self) -> u64 {
        self.verdicts.values().filter(|verdict| **verdict != HumanVerdict::Skipped).count() as u64
    }

    /// True without a vote.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Saves what is said of a pair, before it returns. A pair has one verdict: the last.
    pub fn set(&mut self, pair: PairName, verdict: HumanVerdict) -> Result<(), JobError> {
        let before = self.verdicts.insert(pair.clone(), verdict);
        let mut text = format!("{}\n", COLUMNS.join(","));
        self.verdicts.iter().for_each(|(pair, verdict)| text.push_str(&line_of(pair, *verdict)));
        files::replace_file(&self.path, text.as_bytes()).map_err(|error| {
            match before {
                Some(before) => self.verdicts.insert(pair.clone(), before),
                None => self.verdicts.remove(&pair),
            };
            let hint = "free some space, or make the directory writable; the vote was not saved";
            JobError::storage(format!("cannot write {}: {error}", self.path.display()), hint)
        })
    }
}

fn line_of(pair: &PairName, verdict: HumanVerdict) -> String {
    let winner = match verdict {
        HumanVerdict::Decided(Winner::First) => "model_a",
        HumanVerdict::Decided(Winner::Second) => "model_b",
        HumanVerdict::Decided(Winner::Tie | Winner::Inconsistent) => "tie",
        HumanVerdict::Skipped => SKIPPED,
    };
    let cells = [&pair.item, &pair.scope.number().to_string(), &pair.first, &pair.second, winner, JUDGE];
    format!("{}\n", cells.map(cell).join(","))
}

/// Writes a cell of a CSV file (RFC 4180).
fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn read_row(row: &[u8]) -> Option<(PairName, HumanVerdict)> {
    let row: Value = serde_json::from_slice(row).ok()?;
    let text = |name: &str| match row.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let scope = Scope::from_number(text("turn")?.parse().ok()?);
    let pair = PairName { item: text("item")?, scope, first: text("a")?, second: text("b")? };
    let verdict = match text("winner")?.as_str() {
        "model_a" => HumanVerdict::Decided(Winner::First),
        "model_b" => HumanVerdict::Decided(Winner::Second),
        "tie" => HumanVerdict::Decided(Winner::Tie),
        SKIPPED => HumanVerdict::Skipped,
        _ => return None,
    };
    Some((pair, verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_saved_at_once_and_read_again_whatever_the_ids() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("votes.csv");
        let pair = |item: &str| PairName {
            item: item.to_owned(),
            scope: Scope::from_number(2),
            first: "x, \"1\"".to_owned(),
            second: "y".to_owned(),
        };
        let mut votes = HumanVotes::open(&path).unwrap();
        for (item, verdict) in [
            ("plain", HumanVerdict::Decided(Winner::First)),
            ("with, \"quotes\"\nand lines", HumanVerdict::Decided(Winner::Tie)),
            ("later", HumanVerdict::Skipped),
            ("plain", HumanVerdict::Decided(Winner::Second)),
        ] {
            votes.set(pair(item), verdict).unwrap();
            assert_eq!(HumanVotes::open(&path).unwrap().verdicts, votes.verdicts);
        }
        assert_eq!(votes.get(&pair("plain")), Some(HumanVerdict::Decided(Winner::Second)), "the last one counts");
        let read = super::super::votes::read_votes(&[path.display().to_string()]).unwrap();
        assert_eq!((read.len(), votes.len()), (2, 2), "what was skipped is no vote");
    }

    #[test]
    fn another_file_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("votes.csv");
        std::fs::write(&path, "name,age\nada,36\n").unwrap();
        let error = HumanVotes::open(&path).err().unwrap();
        assert!(error.message.contains("row 2") || error.message.contains("row 1"), "{error}");
    }
}
