use super::decision::Decision;
use super::decisions::DecisionWriter;
use super::judge::RowJudge;
use super::{FilterSettings, OnReject};
use crate::conversation::{Record, Role};
use crate::dataset::{Duplicates, SeenConversations, plain_text};
use crate::job::JobError;
use crate::job::left_out::Rejection;
use crate::job::row_place::RowPlace;
use crate::quality::NearDuplicates;

/// The first pass: a decision for each row.
pub struct Decider<'a> {
    /// For each row so far.
    pub decisions: DecisionWriter<'a>,
    settings: &'a FilterSettings,
    seen: Option<SeenConversations>,
    near: Option<NearDuplicates>,
}

impl<'a> Decider<'a> {
    /// Begins.
    pub fn new(settings: &'a FilterSettings, decisions: DecisionWriter<'a>) -> Self {
        Self {
            decisions,
            settings,
            seen: (settings.input.read.duplicates == Duplicates::Drop).then(SeenConversations::default),
            near: settings.near_duplicates.map(NearDuplicates::new),
        }
    }

    /// Decides on a row; without a judge, every answer is good. Rows before it that were not passed could not be read.
    pub fn take(
        &mut self,
        place: &RowPlace<'_>,
        record: &Record,
        judge: Option<&mut RowJudge<'_>>,
    ) -> Result<(), JobError> {
        let decision = self.judge(place, record, judge)?;
        let decision = self.alone(record, decision);
        self.decisions.push(place.row, &decision)
    }

    /// Drops a row that is too much like an earlier one. One that is rejected for itself is no duplicate of others.
    fn alone(&mut self, record: &Record, decision: Decision) -> Decision {
        if !decision.is_kept() {
            return decision;
        }
        let messages = || record.lines.iter().map(|line| &line.message);
        if self.seen.as_mut().is_some_and(|seen| seen.has_seen(messages())) {
            return Decision::Drop(Rejection::Duplicate);
        }
        match self.near.as_mut().and_then(|near| near.find(&users(record))) {
            Some(of) => Decision::Drop(Rejection::NearDuplicate { of }),
            None => decision,
        }
    }

    fn judge(
        &self,
        place: &RowPlace<'_>,
        record: &Record,
        judge: Option<&mut RowJudge<'_>>,
    ) -> Result<Decision, JobError> {
        let score = score(record, &self.settings.score);
        let judged = judge.map(|judge| judge.judge(place, record)).transpose()?.unwrap_or_default();
        let mut flags = judged.flags;
        let Some(rejected) = judged.rejected else { return Ok(Decision::Keep { score, flags }) };
        let (turn, rule) = (rejected.turn, rejected.rule);
        let may_cut = self.settings.on_reject == OnReject::Cut && turn.index() >= self.settings.min_turns.max(1);
        if !may_cut {
            return Ok(Decision::Drop(Rejection::Rule { turn, rule }));
        }
        flags.retain(|flag| flag.turn < turn);
        Ok(Decision::Cut { lines: rejected.begins as u32, turn, rule, score, flags })
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
