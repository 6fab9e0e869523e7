//! `filter`: which finished rows are good enough to train on.
//!
//! Two passes over the rows. The first decides (`decide`): rules, exact and near duplicates; then the best are chosen by
//! score, where that is asked for (`select`). The second writes what is kept and what is not, in input order. No model is
//! asked and nothing is stored, so it can be run again with other thresholds. Where rows are only annotated (`annotation`), the
//! rules are asked in the second pass and decide nothing.
//!
//! Memory does not grow with the rows: decisions are in a temporary file (`decisions`), and constant answers are counted in
//! a bounded table. Exact and near duplicates and `--top` need some for each row.

mod annotation;
mod decide;
mod decision;
mod decisions;
mod judge;
mod select;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use decide::Decider;
use decision::Decision;
use decisions::DecisionWriter;
use judge::RowJudge;

use super::footprint::footprint;
use super::input::{RecordStream, no_rows};
use super::left_out::LeftOut;
use super::left_out_list::{Left, LeftOutList, Listed};
use super::output::RowOutput;
use super::places;
use super::row_place::RowPlace;
use super::rows::{RowCounts, RowResult, each};
use super::settings::{InputSettings, OutputSettings};
use super::{Context, JobError};
use crate::conversation::Record;
use crate::export::{LeftOutKind, is_directory};
use crate::quality::{Action, Gate};
use crate::report::{Footprint, QualityReport};

/// The settings of `filter`.
pub struct FilterSettings {
    /// The rows. Exact duplicates are dropped where reading says so.
    pub input: InputSettings,
    /// Where the rows go that are kept.
    pub output: OutputSettings,
    /// Where the other rows go, with the reason in `meta.rejected`. Default: nowhere.
    pub rejected: Option<OutputSettings>,
    /// Judges each answer. Default: the standard gate.
    pub gate: Option<Gate>,
    /// Writes all that the rules say of each answer into `meta.quality`, and rejects none of them.
    pub annotate: bool,
    /// Measures how the values of the rules are spread, for the report. It takes several times as long.
    pub measure: bool,
    /// What happens to a row with a rejected answer. Default: it is dropped.
    pub on_reject: OnReject,
    /// A row that would be cut to fewer turns is dropped. Default: 1.
    pub min_turns: u32,
    /// Leaves out rows whose users say nearly what an earlier row's say, from this similarity on, 0.7 to 1.
    pub near_duplicates: Option<f64>,
    /// Keeps only the N rows with the best scores.
    pub top: Option<usize>,
    /// Of rows that are more alike than this distance allows keeps the best, 0 to 0.3.
    pub min_distance: Option<f64>,
    /// The column of the score, or a path such as `judge.score`.
    pub score: String,
}

/// What happens to a row with a rejected answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReject {
    /// It is dropped.
    #[default]
    Drop,
    /// It is cut before that turn.
    Cut,
}

/// The result of a filter.
#[derive(Debug)]
pub struct FilterReport {
    /// Rows that were kept and left out, by reason.
    pub counts: RowCounts,
    /// Rows that were kept, as records.
    pub kept: u64,
    /// Rows among them that were cut.
    pub cut: u64,
    /// Rows that were left out, by rule or reason.
    pub reasons: BTreeMap<String, u64>,
    /// What the gate found.
    pub quality: QualityReport,
    /// The list of rows that were left out.
    pub listed: Option<Listed>,
    /// The list of all that the gate found.
    pub findings: Option<Listed>,
    /// There was no row to keep, and an output with rows in it was kept.
    pub kept_old: bool,
    /// What the process has used, where the system tells.
    pub footprint: Option<Footprint>,
}

impl FilterReport {
    /// Returns the report as JSON, with the rules of the gate.
    pub fn to_json(&self, gate: Option<&Gate>) -> Value {
        let rule = |(name, action, threshold): (&str, Action, Option<f64>)| json!({"rule": name, "action": action.name(), "threshold": threshold});
        json!({
            "rows": self.counts.read, "kept": self.kept, "cut": self.cut,
            "invalid": self.counts.of(LeftOutKind::Invalid), "rejected": self.reasons,
            "gate": gate.map(ToString::to_string), "rules": gate.map(|gate| gate.rules().map(rule).collect::<Value>()),
            "quality": self.quality, "findings": self.findings.as_ref().map(|findings| &findings.path),
            "memory_peak_bytes": self.footprint.map(|footprint| footprint.memory_peak_bytes),
        })
    }
}

/// Keeps of finished rows those that are good enough. Uses no model and no store.
pub fn filter(settings: &FilterSettings, context: &Context) -> Result<FilterReport, JobError> {
    let inputs = settings.input.names();
    check(settings, &inputs)?;
    let rows = RecordStream::open(&settings.input, context)?;
    let mut decider = Decider::new(settings, DecisionWriter::create(rows.spool())?);
    let mut judge = settings.gate.as_ref().map(|gate| RowJudge::new(gate, settings.measure, &settings.output.path));
    let found = each(&rows, &mut [], |place, record| {
        decider.take(&place, record, judge.as_mut().filter(|_| !settings.annotate))?;
        Ok(RowResult::Kept(0))
    })?;
    if found.read == found.of(LeftOutKind::Invalid) {
        return Err(no_rows(&settings.input.shown(), &found.reasons_of_all()));
    }
    let mut decisions = decider.decisions.finish()?;
    if let Some(count) = settings.top {
        decisions = select::keep_best(&decisions, count, settings.min_distance, &rows)?;
    }
    let mut writer = Writer {
        kept: RowOutput::create(&settings.output, &inputs)?,
        rejected: settings.rejected.as_ref().map(|output| RowOutput::create(output, &inputs)).transpose()?,
        judge,
        annotate: settings.annotate,
        counts: (0, 0),
        reasons: BTreeMap::new(),
    };
    let mut lists = [LeftOutList::beside(&settings.output.path)];
    let mut decisions = decisions.read()?;
    let counts = each(&rows, &mut lists, |place, record| match decisions.get(place.row)? {
        Some(decision) => writer.write(&place, record, &decision),
        None => Err(JobError::unexpected("the input grew while it was read")),
    })?;
    let Writer { kept: output, rejected, judge, counts: (kept, cut), mut reasons, .. } = writer;
    let kept_old = output.finish(kept)?;
    if let Some(rejected) = rejected {
        rejected.finish(u64::MAX)?;
    }
    let [list] = lists;
    reasons.extend(counts.reasons(LeftOutKind::Unfit));
    let (quality, findings) = judge.map(RowJudge::finish).transpose()?.unwrap_or_default();
    let (listed, footprint) = (list.finish()?, footprint());
    Ok(FilterReport { counts, kept, cut, reasons, quality, listed, findings, kept_old, footprint })
}

fn check(settings: &FilterSettings, inputs: &[String]) -> Result<(), JobError> {
    places::refuse_tokens(settings.output.format)?;
    places::check(&settings.output, inputs)?;
    if let Some(rejected) = &settings.rejected {
        places::check(rejected, inputs)?;
        if rejected.path == settings.output.path || is_directory(&rejected.path) {
            let message = format!("--rejected {} cannot be written", rejected.path);
            return Err(JobError::usage(message, "name another file"));
        }
    }
    Ok(())
}

/// The second pass: each row goes where the first one decided.
struct Writer<'a> {
    kept: RowOutput<'a>,
    rejected: Option<RowOutput<'a>>,
    judge: Option<RowJudge<'a>>,
    /// Each answer is annotated here; else its flags are known.
    annotate: bool,
    /// Rows kept, and those of them that were cut.
    counts: (u64, u64),
    reasons: BTreeMap<String, u64>,
}

impl Writer<'_> {
    fn write(&mut self, place: &RowPlace<'_>, record: &mut Record, decision: &Decision) -> Result<RowResult, JobError> {
        let Some(why) = decision.apply(record) else {
            self.mark(place, record, decision)?;
            let result = self.kept.write(record)?;
            if matches!(result, RowResult::Kept(_) | RowResult::Partly(..)) {
                self.counts.0 += 1;
                self.counts.1 += u64::from(decision.cuts());
            }
            return Ok(result);
        };
        *self.reasons.entry(why.code().to_owned()).or_default() += 1;
        let mut left = vec![Left::from(LeftOut::Rejected(why))];
        if let Some(rejected) = &mut self.rejected {
            record.meta.insert("rejected".to_owned(), why.to_string().into());
            if let RowResult::Left(unfit) = rejected.write_as_it_is(record)? {
                left.push(unfit);
            }
        }
        Ok(RowResult::Partly(0, left))
    }

    fn mark(&mut self, place: &RowPlace<'_>, record: &mut Record, decision: &Decision) -> Result<(), JobError> {
        let Some(judge) = &mut self.judge else { return Ok(()) };
        if !self.annotate {
            annotation::mark(record, decision.flags());
            return Ok(());
        }
        let mut entries = Vec::new();
        judge.annotate(place, record, |turn, findings, constant| {
            entries.push(annotation::entry(turn, findings, constant));
        })?;
        annotation::set(record, entries);
        Ok(())
    }
}
