use super::FilterArgs;
use crate::cli::options::Options;
use crate::conversation::{Record, Role};
use crate::dataset::{Duplicates, Seen, plain_text};
use crate::quality::{Boilerplate, Gate, NearDuplicates, judge_record};
use crate::report::QualityReport;

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It stays, with its score where it has one.
    Keep { score: Option<f64> },
    /// It stays up to this line; the turn and the rule that cut it.
    Cut { lines: u32, turn: u32, rule: &'static str, score: Option<f64> },
    /// A rule rejects its answer.
    Reject { turn: u32, rule: &'static str },
    /// It says what an earlier row says.
    Duplicate,
    /// It says nearly what the kept row with this number says.
    NearDuplicate { of: u32 },
    /// Others have better scores.
    Outscored,
    /// It has no score to be chosen by.
    NoScore,
    /// It could not be read.
    Unread,
}

impl Decision {
    /// True where the row, or a part of it, stays.
    pub fn is_kept(&self) -> bool {
        matches!(self, Decision::Keep { .. } | Decision::Cut { .. })
    }

    /// True where only a part stays.
    pub fn cuts(&self) -> bool {
        matches!(self, Decision::Cut { .. })
    }

    /// Returns the score of a row that stays.
    pub fn score(&self) -> Option<f64> {
        match self {
            Decision::Keep { score } | Decision::Cut { score, .. } => *score,
            _ => None,
        }
    }

    /// Returns the row as it is to be written, and why it is not kept.
    pub fn apply(&self, mut record: Record) -> (Record, Option<String>) {
        let reason = match self {
            Decision::Keep { .. } => None,
            Decision::Cut { lines, turn, rule, .. } => {
                record.lines.truncate(*lines as usize);
                (record.rejected, record.label) = (None, None);
                record.meta.insert("stopped".to_owned(), format!("turn {}: {rule}", turn + 1).into());
                if let Some(turns) = record.meta.get_mut("turns").and_then(|turns| turns.as_array_mut()) {
                    turns.truncate(*turn as usize);
                }
                None
            }
            Decision::Reject { turn, rule } => Some(format!("turn {}: {rule}", turn + 1)),
            Decision::Duplicate => Some("duplicate".to_owned()),
            Decision::NearDuplicate { of } => Some(format!("near_duplicate of kept row {}", of + 1)),
            Decision::Outscored => Some("outscored".to_owned()),
            Decision::NoScore => Some("no_score".to_owned()),
            Decision::Unread => Some("unread".to_owned()),
        };
        (record, reason)
    }
}

/// The first pass: a decision for each row.
pub struct Judge<'a> {
    pub decisions: Vec<Decision>,
    pub quality: QualityReport,
    gate: Option<Gate>,
    args: &'a FilterArgs,
    turns_min: usize,
    seen: Option<Seen>,
    near: Option<NearDuplicates>,
    boilerplate: Boilerplate,
}

impl<'a> Judge<'a> {
    pub fn new(gate: Option<Gate>, args: &'a FilterArgs, options: &Options) -> Self {
        Self {
            decisions: Vec::new(),
            quality: QualityReport::default(),
            gate,
            args,
            turns_min: options.min_turns.unwrap_or(1).max(1) as usize,
            seen: (options.duplicates == Some(Duplicates::Drop)).then(Seen::default),
            near: args.near_duplicates.map(NearDuplicates::new),
            boilerplate: Boilerplate::default(),
        }
    }

    /// Decides on the next row.
    pub fn take(&mut self, record: Result<Record, ()>) {
        let decision = record.map_or(Decision::Unread, |record| self.decide(&record));
        self.decisions.push(decision);
    }

    fn decide(&mut self, record: &Record) -> Decision {
        let score = score(record, &self.args.score);
        let decision = self.judge(record, score);
        if !decision.is_kept() {
            return decision;
        }
        // What is rejected for itself stands in nobody's way.
        let messages = || record.lines.iter().map(|line| &line.message);
        if self.seen.as_mut().is_some_and(|seen| seen.has_seen(messages())) {
            return Decision::Duplicate;
        }
        match self.near.as_mut().and_then(|near| near.find(&users(record))) {
            Some(of) => Decision::NearDuplicate { of },
            None => decision,
        }
    }

    fn judge(&mut self, record: &Record, score: Option<f64>) -> Decision {
        let Some(gate) = &self.gate else { return Decision::Keep { score } };
        let mut decision = Decision::Keep { score };
        for judged in judge_record(gate, record) {
            self.quality.count(&record.id, &judged.verdict.flags, judged.verdict.rejected_by);
            if let Some(rule) = judged.verdict.rejected_by {
                let turn = judged.turn as u32;
                let may_cut = self.args.on_reject == "cut" && judged.turn >= self.turns_min;
                decision = if may_cut {
                    Decision::Cut { lines: judged.begins as u32, turn, rule, score }
                } else {
                    Decision::Reject { turn, rule }
                };
                break;
            }
        }
        let mut user = "";
        for line in &record.lines {
            match line.role() {
                Role::User => user = line.text(),
                Role::Assistant if line.is_trained && self.boilerplate.count(user, line.text()) => {
                    self.quality.flag("boilerplate_constant", &record.id);
                }
                _ => {}
            }
        }
        decision
    }
}

/// Returns what the users of a row say, as it is compared.
pub fn users(record: &Record) -> String {
    let said = record.lines.iter().filter(|line| line.role() == Role::User);
    said.map(|line| plain_text(line.text())).collect::<Vec<_>>().join("\n")
}

fn score(record: &Record, path: &str) -> Option<f64> {
    let mut names = path.split('.');
    let first = record.meta.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))?.as_f64().filter(|score| score.is_finite())
}
