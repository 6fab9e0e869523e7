use super::decision::Decision;
use super::decisions::DecisionWriter;
use super::{FilterSettings, OnReject};
use crate::conversation::{Record, Role, TurnIndex};
use crate::dataset::{Duplicates, SeenConversations, plain_text};
use crate::job::JobError;
use crate::job::left_out::Rejection;
use crate::quality::{Boilerplate, NearDuplicates, judge_record};
use crate::report::QualityReport;

/// The first pass: a decision for each row.
pub struct Decider<'a> {
    /// For each row so far.
    pub decisions: DecisionWriter<'a>,
    /// What the gate found.
    pub quality: QualityReport,
    settings: &'a FilterSettings,
    seen: Option<SeenConversations>,
    near: Option<NearDuplicates>,
    boilerplate: Boilerplate,
}

impl<'a> Decider<'a> {
    /// Begins.
    pub fn new(settings: &'a FilterSettings, decisions: DecisionWriter<'a>) -> Self {
        Self {
            decisions,
            quality: QualityReport::default(),
            settings,
            seen: (settings.input.read.duplicates == Duplicates::Drop).then(SeenConversations::default),
            near: settings.near_duplicates.map(NearDuplicates::new),
            boilerplate: Boilerplate::default(),
        }
    }

    /// Decides on a row. Rows before it that were not passed could not be read.
    pub fn take(&mut self, row: u64, record: &Record) -> Result<(), JobError> {
        let decision = self.decide(record);
        self.decisions.push(row, &decision)
    }

    fn decide(&mut self, record: &Record) -> Decision {
        let score = score(record, &self.settings.score);
        let decision = self.judge(record, score);
        if !decision.is_kept() {
            return decision;
        }
        // A row that is rejected for itself is no duplicate of others.
        let messages = || record.lines.iter().map(|line| &line.message);
        if self.seen.as_mut().is_some_and(|seen| seen.has_seen(messages())) {
            return Decision::Drop(Rejection::Duplicate);
        }
        match self.near.as_mut().and_then(|near| near.find(&users(record))) {
            Some(of) => Decision::Drop(Rejection::NearDuplicate { of }),
            None => decision,
        }
    }

    fn judge(&mut self, record: &Record, score: Option<f64>) -> Decision {
        let Some(gate) = &self.settings.gate else { return Decision::Keep { score } };
        let mut decision = Decision::Keep { score };
        for judged in judge_record(gate, record) {
            self.quality.count(&record.id, &judged.verdict.flags, judged.verdict.rejected_by);
            if let Some(rule) = judged.verdict.rejected_by {
                let turn = TurnIndex::from_index(judged.turn as u32);
                let may_cut =
                    self.settings.on_reject == OnReject::Cut && judged.turn >= self.settings.min_turns.max(1) as usize;
                decision = if may_cut {
                    Decision::Cut { lines: judged.begins as u32, turn, rule, score }
                } else {
                    Decision::Drop(Rejection::Rule { turn, rule })
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
