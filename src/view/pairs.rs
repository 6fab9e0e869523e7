//! Pairs of answers that a judge has compared, to be judged by a person who does not know whose they are.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diff::{Piece, differences};
use super::shown::ShownMessage;
use crate::conversation::{Digest, Record, Role, Scope, Winner};
use crate::job::{FinishedRows, HumanVerdict, HumanVotes, JobError, PairName};

/// The name of the file of votes in the directory of a comparison.
pub const VOTES: &str = "human-votes.csv";
/// Pairs that a list holds at most.
const LIMIT_MAX: usize = 200;

/// The pairs of a comparison.
pub struct Pairs {
    verdicts: FinishedRows,
    /// The rows of `verdicts` that are pairs: not those of repeats. Eight bytes a pair.
    rows: Vec<u64>,
    systems: BTreeMap<String, Answers>,
    votes: Mutex<HumanVotes>,
}

/// The answers of a system, by the rows' ids.
enum Answers {
    Found { rows: Box<FinishedRows>, by_id: BTreeMap<u64, u64> },
    Missing(String),
}

/// A pair in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedPair {
    /// Its number.
    pub pair: u64,
    /// The row's id.
    pub id: String,
    /// The turn, 0 for the whole conversation.
    pub turn: u32,
    /// What the person said: `left`, `right`, `tie`, `skip`.
    pub said: Option<&'static str>,
}

/// A part of the list of pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairListing {
    /// The pairs.
    pub pairs: Vec<ListedPair>,
    /// All pairs.
    pub total: u64,
    /// Those with a vote.
    pub judged: u64,
    /// Where the next part begins.
    pub next: Option<u64>,
    /// The first pair of which nothing was said yet.
    pub first_open: Option<u64>,
    /// The file of votes.
    pub file: String,
}

/// A pair as a person sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShownPair {
    /// Its number.
    pub pair: u64,
    /// The row's id.
    pub id: String,
    /// The turn, 0 for the whole conversation.
    pub turn: u32,
    /// What was said before, or with the answers of both.
    pub sides: [ShownSide; 2],
    /// What the person said.
    pub said: Option<&'static str>,
    /// Whose answers they are and what the judge says; only once the person has said something.
    pub revealed: Option<Revealed>,
}

/// One of two answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShownSide {
    /// What was said before.
    pub before: Vec<ShownMessage>,
    /// The answer, with what differs from the other one marked.
    pub answer: Vec<Piece>,
    /// Why the answer cannot be shown.
    pub unavailable: Option<String>,
}

/// Whose answers they are, and what the judge says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revealed {
    /// The systems, left and right.
    pub names: [String; 2],
    /// The judge.
    pub judge: String,
    /// The judge's verdict in words.
    pub winner: String,
    /// The verdict with the left answer shown first, then with the right one.
    pub orders: [Option<String>; 2],
    /// The judge's words, in the same order; nothing in the verdicts of version 0.1.0.
    pub words: [Option<String>; 2],
}

/// What a person may say of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The left answer is better.
    Left,
    /// The right answer is better.
    Right,
    /// Neither is.
    Tie,
    /// The person does not want to say.
    Skip,
}

struct Verdict {
    name: PairName,
    winner: String,
    judge: String,
    orders: [Option<String>; 2],
    words: [Option<String>; 2],
    /// The first system's answer is on the right.
    is_turned: bool,
}

impl Pairs {
    /// Opens the comparison in a directory.
    pub fn open(directory: &Path) -> Result<Self, JobError> {
        let file = |name: &str| directory.join(name).display().to_string();
        let verdicts = FinishedRows::open(&[file("verdicts.jsonl")])?;
        let mut pairs = Self {
            rows: Vec::new(),
            systems: BTreeMap::new(),
            votes: Mutex::new(HumanVotes::open(&directory.join(VOTES))?),
            verdicts,
        };
        let files = files_of_report(directory);
        for row in 0..pairs.verdicts.len() {
            let Some(value) = pairs.verdicts.value(row)? else { continue };
            let Some(verdict) = Verdict::read(&value) else { continue };
            if value.get("repeat").and_then(Value::as_u64).unwrap_or(0) > 0 {
                continue;
            }
            pairs.rows.push(row);
            for name in [verdict.name.first, verdict.name.second] {
                if let Entry::Vacant(place) = pairs.systems.entry(name) {
                    let answers = answers_of(directory, place.key(), &files);
                    place.insert(answers);
                }
            }
        }
        Ok(pairs)
    }

    /// Returns how many pairs there are.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// True without a pair.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lists pairs in the order of the comparison.
    pub fn list(&self, from: u64, limit: usize) -> Result<PairListing, JobError> {
        let votes = self.votes();
        let mut listing = PairListing {
            total: self.len(),
            judged: votes.len(),
            file: votes.path().display().to_string(),
            ..PairListing::default()
        };
        drop(votes);
        let end = from.saturating_add(limit.min(LIMIT_MAX) as u64).min(self.len());
        listing.next = (end < self.len()).then_some(end);
        for pair in from..end {
            if let Some(verdict) = self.verdict(pair)? {
                listing.pairs.push(ListedPair {
                    pair,
                    said: self.said(&verdict),
                    turn: verdict.name.scope.number(),
                    id: verdict.name.item,
                });
            }
        }
        listing.first_open = self.next_open(0)?;
        Ok(listing)
    }

    /// Returns the first pair from a number on of which nothing was said yet.
    pub fn next_open(&self, from: u64) -> Result<Option<u64>, JobError> {
        for pair in from..self.len() {
            if self.verdict(pair)?.is_some_and(|verdict| self.said(&verdict).is_none()) {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    }

    /// Returns a pair as a person sees it.
    pub fn shown(&self, pair: u64) -> Result<Option<ShownPair>, JobError> {
        let Some(verdict) = self.verdict(pair)? else { return Ok(None) };
        let mut sides = [self.side(&verdict, &verdict.name.first)?, self.side(&verdict, &verdict.name.second)?];
        let text = |side: &ShownSide| side.answer.iter().map(|piece| piece.text.as_str()).collect::<String>();
        if sides.iter().all(|side| side.unavailable.is_none()) {
            let (first, second) = differences(&text(&sides[0]), &text(&sides[1]));
            [sides[0].answer, sides[1].answer] = [first, second];
        }
        let said = self.said(&verdict);
        let mut names = [verdict.name.first.clone(), verdict.name.second.clone()];
        let (mut orders, mut words) = (verdict.orders.clone(), verdict.words.clone());
        if verdict.is_turned {
            sides.reverse();
            names.reverse();
            orders.reverse();
            words.reverse();
        }
        let (judge, winner) = (verdict.judge.clone(), verdict.winner.clone());
        let revealed = said.map(|_| Revealed { names, judge, winner, orders, words });
        let Verdict { name: PairName { item, scope, .. }, .. } = verdict;
        Ok(Some(ShownPair { pair, id: item, turn: scope.number(), sides, said, revealed }))
    }

    /// Saves what a person says of a pair; false where there is no such pair.
    pub fn judge(&self, pair: u64, choice: Choice) -> Result<bool, JobError> {
        let Some(verdict) = self.verdict(pair)? else { return Ok(false) };
        let (left, right) =
            if verdict.is_turned { (Winner::Second, Winner::First) } else { (Winner::First, Winner::Second) };
        let said = match choice {
            Choice::Left => HumanVerdict::Decided(left),
            Choice::Right => HumanVerdict::Decided(right),
            Choice::Tie => HumanVerdict::Decided(Winner::Tie),
            Choice::Skip => HumanVerdict::Skipped,
        };
        self.votes().set(verdict.name, said)?;
        Ok(true)
    }

    fn said(&self, verdict: &Verdict) -> Option<&'static str> {
        Some(match self.votes().get(&verdict.name)? {
            HumanVerdict::Skipped => "skip",
            HumanVerdict::Decided(Winner::Tie | Winner::Inconsistent) => "tie",
            HumanVerdict::Decided(winner) if (winner == Winner::First) != verdict.is_turned => "left",
            HumanVerdict::Decided(_) => "right",
        })
    }

    fn verdict(&self, pair: u64) -> Result<Option<Verdict>, JobError> {
        let Some(row) = usize::try_from(pair).ok().and_then(|pair| self.rows.get(pair)) else { return Ok(None) };
        Ok(self.verdicts.value(*row)?.as_ref().and_then(Verdict::read))
    }

    fn side(&self, verdict: &Verdict, system: &str) -> Result<ShownSide, JobError> {
        let missing = |why: String| ShownSide { unavailable: Some(why), ..ShownSide::default() };
        let (rows, by_id) = match self.systems.get(system) {
            Some(Answers::Found { rows, by_id }) => (rows, by_id),
            Some(Answers::Missing(why)) => return Ok(missing(why.clone())),
            None => return Ok(missing("its answers are not known".to_owned())),
        };
        let Some(row) = by_id.get(&tag(&verdict.name.item)) else {
            return Ok(missing("no row of its answers has this id".to_owned()));
        };
        let found = rows.row(*row)?;
        Ok(match found.record {
            Ok(record) if found.id == verdict.name.item => cut(&record, verdict.name.scope),
            Ok(_) => missing("no row of its answers has this id".to_owned()),
            Err(why) => missing(format!("its row cannot be read: {why}")),
        })
    }

    fn votes(&self) -> MutexGuard<'_, HumanVotes> {
        self.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verdict {
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| match value.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let scope = Scope::from_number(value.get("turn").and_then(Value::as_u64).unwrap_or(1) as u32);
        let name = PairName { item: text("id")?, scope, first: text("model_a")?, second: text("model_b")? };
        let order = |at: usize| value.get("orders")?.get(at)?.as_str().map(str::to_owned);
        let said = |at: usize| value.get("words")?.get(at)?.as_str().map(str::to_owned);
        let sides = format!("{}\n{}\n{}\n{}", name.item, scope.number(), name.first, name.second);
        let is_turned = Digest::of_text("cohobate sides 1", &sides).prefix() & 1 == 1;
        let words = [said(0), said(1)];
        let named = |said: String| match said.as_str() {
            "model_a" => name.first.clone(),
            "model_b" => name.second.clone(),
            _ => said,
        };
        let (winner, orders) = (named(text("winner")?), [order(0).map(named), order(1).map(named)]);
        Some(Self { winner, orders, words, judge: text("judge").unwrap_or_default(), is_turned, name })
    }
}

/// Shows the answer of a turn with what was said before; for a whole conversation everything is before its last answer.
fn cut(record: &Record, scope: Scope) -> ShownSide {
    let answers: Vec<usize> = (0..record.lines.len())
        .filter(|at| record.lines[*at].role() == Role::Assistant)
        .skip_while(|at| !record.lines[..*at].iter().any(|line| line.role() == Role::User))
        .collect();
    let wanted = match scope.turn() {
        Some(turn) => answers.get(turn.index() as usize),
        None => answers.last(),
    };
    let Some(at) = wanted else {
        return ShownSide { unavailable: Some("it has no answer at this turn".to_owned()), ..ShownSide::default() };
    };
    let before = record.lines[..*at].iter().map(|line| ShownMessage::of(&line.message)).collect();
    let answer = vec![Piece::new(super::diff::Mark::Same, record.lines[*at].text())];
    ShownSide { before, answer, unavailable: None }
}

/// Returns the files of systems whose answers the comparison did not ask for, by the systems' names.
fn files_of_report(directory: &Path) -> BTreeMap<String, String> {
    let report = std::fs::read(directory.join("report.json")).unwrap_or_default();
    let report: Value = serde_json::from_slice(&report).unwrap_or_default();
    let systems = report.get("systems").and_then(Value::as_array).cloned().unwrap_or_default();
    let of_file = |system: &Value| {
        let is_file = system.get("model").is_none_or(Value::is_null);
        let file = system.get("from")?.get(0)?.as_str()?.to_owned();
        is_file.then_some((system.get("name")?.as_str()?.to_owned(), file))
    };
    systems.iter().filter_map(of_file).collect()
}

fn answers_of(directory: &Path, name: &str, files: &BTreeMap<String, String>) -> Answers {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_alphanumeric() || "-._".contains(letter) { letter } else { '_' })
        .collect();
    let own = directory.join(format!("answers-{plain}.jsonl")).display().to_string();
    let path = files.get(name).unwrap_or(&own);
    let found = FinishedRows::open(std::slice::from_ref(path)).and_then(|rows| {
        let mut by_id = BTreeMap::new();
        for row in 0..rows.len() {
            by_id.entry(tag(&rows.row(row)?.id)).or_insert(row);
        }
        Ok(Answers::Found { rows: Box::new(rows), by_id })
    });
    found.unwrap_or_else(|error| Answers::Missing(error.to_string()))
}

fn tag(id: &str) -> u64 {
    Digest::of_text("cohobate id 1", id).prefix()
}
