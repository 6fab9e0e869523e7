use super::decision::Flag;
use crate::conversation::{Record, TurnIndex};
use crate::job::JobError;
use crate::job::findings_list::FindingsList;
use crate::job::list_file::Listed;
use crate::job::row_place::RowPlace;
use crate::quality::{Action, Boilerplate, Finding, Gate, GateVerdict, each_answer, language_of};
use crate::report::{Hit, QualityReport};

/// Judges the answers of rows, and counts and lists what is found.
pub struct RowJudge<'a> {
    gate: &'a Gate,
    /// The values of the rules are measured too, which takes several times as long.
    measures: bool,
    quality: QualityReport,
    list: FindingsList,
    boilerplate: Boilerplate,
}

/// What was found in a row.
#[derive(Debug, Default, PartialEq)]
pub struct JudgedRow {
    /// What was flagged, up to a rejected answer.
    pub flags: Vec<Flag>,
    /// The first answer that was rejected. Later ones were not judged.
    pub rejected: Option<RejectedTurn>,
}

/// An answer that was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedTurn {
    /// Its turn.
    pub turn: TurnIndex,
    /// The index of the first line of the turn.
    pub begins: usize,
    /// The rule that rejected it.
    pub rule: &'static str,
}

impl<'a> RowJudge<'a> {
    /// Begins; the list is written beside `output`.
    pub fn new(gate: &'a Gate, measures: bool, output: &str) -> Self {
        Self {
            gate,
            measures,
            quality: QualityReport::default(),
            list: FindingsList::beside(output),
            boilerplate: Boilerplate::default(),
        }
    }

    /// Judges a row.
    pub fn judge(&mut self, place: &RowPlace<'_>, record: &Record) -> Result<JudgedRow, JobError> {
        let (mut judged, mut listed) = (JudgedRow::default(), Ok(()));
        each_answer(record, |turn, begins, candidate| {
            let is_constant = self.boilerplate.count(candidate.user, candidate.answer);
            if judged.rejected.is_some() || listed.is_err() {
                return;
            }
            let turn = TurnIndex::from_index(turn as u32);
            let verdict = if self.measures {
                let findings = self.gate.findings(candidate);
                measure(&mut self.quality, &findings);
                GateVerdict::of_findings(&findings)
            } else {
                self.gate.judge(candidate)
            };
            judged.rejected = verdict.rejected_by.map(|rule| RejectedTurn { turn, begins, rule });
            let flags = verdict.flags.into_iter().chain(is_constant.then_some(Boilerplate::FLAG));
            let flags: Vec<Flag> = flags.map(|rule| Flag { turn, rule }).collect();
            let hits = flags.iter().map(|flag| Hit::flag(flag.rule)).chain(verdict.rejected_by.map(Hit::reject));
            let hits: Vec<Hit> = hits.collect();
            self.quality.count(&record.id, language_of(candidate.answer), hits.iter().copied());
            listed = self.list.add(place, &record.id, turn, hits);
            judged.flags.extend(flags);
        });
        listed.map(|()| judged)
    }

    /// Passes everything that the rules say of each answer of a row, which rejects nothing.
    pub fn annotate(
        &mut self,
        place: &RowPlace<'_>,
        record: &Record,
        mut take: impl FnMut(TurnIndex, &[Finding], Option<&'static str>),
    ) -> Result<(), JobError> {
        let mut listed = Ok(());
        each_answer(record, |turn, _, candidate| {
            if listed.is_err() {
                return;
            }
            let turn = TurnIndex::from_index(turn as u32);
            let is_constant = self.boilerplate.count(candidate.user, candidate.answer);
            let findings = self.gate.findings(candidate);
            measure(&mut self.quality, &findings);
            let found = findings.iter().filter(|finding| finding.hits);
            let hits = found.map(|finding| Hit { rule: finding.rule, is_rejected: finding.action == Action::Reject });
            let hits: Vec<Hit> = hits.chain(is_constant.then(|| Hit::flag(Boilerplate::FLAG))).collect();
            // The list says what each rule leads to. Here nothing is rejected, so nothing is counted as such.
            self.quality.count(&record.id, language_of(candidate.answer), hits.iter().map(|hit| Hit::flag(hit.rule)));
            listed = self.list.add(place, &record.id, turn, hits);
            take(turn, &findings, is_constant.then_some(Boilerplate::FLAG));
        });
        listed
    }

    /// Ends, and puts the list in its place.
    pub fn finish(self) -> Result<(QualityReport, Option<Listed>), JobError> {
        Ok((self.quality, self.list.finish()?))
    }
}

fn measure(quality: &mut QualityReport, findings: &[Finding]) {
    for finding in findings {
        if let Some((value, threshold)) = finding.value.zip(finding.threshold) {
            quality.measure(finding.rule, value, threshold);
        }
    }
}
