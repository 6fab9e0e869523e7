//! `cohobate filter`: what of finished rows is good enough to train on.
//!
//! Two passes over the rows. The first decides (`decide`): rules, exact and near duplicates; then the best are chosen by
//! score, where that is asked for (`select`). The second writes what is kept and what is not, in input order. Nothing is
//! asked of a model and nothing is stored, so it may be run again with other thresholds as often as one likes. Memory: some
//! 60 bytes a row, and what near-duplicates need.

mod decide;
mod select;

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use decide::{Decision, Judge};

use super::error::exit_code;
use super::first_pass::{Spool, each_row, open_inputs};
use super::options::{DuplicateArgs, GateArgs, GateProfile, Options, ReadArgs, RemainArgs, StoreArgs, WriteArgs};
use super::output::{Missing, check_output, check_writable, would_empty, write_companion, write_report};
use super::{CliError, CliResult};
use crate::conversation::Record;
use crate::dataset::{Input, Problem, RawRow, RowReader};
use crate::export::{Incomplete, Sink, Unfit, is_directory};
use crate::quality::Gate;
use crate::report::words::{counted, number};
use crate::report::{ProgressMode, quality_page, words};

/// Keep of finished rows what is good enough, by rule; nothing is asked
#[derive(Args)]
pub struct FilterArgs {
    /// Files, directories or patterns of conversations, or - for standard input
    #[arg(required = true)]
    input: Vec<String>,

    /// Write the rows that are kept here, - for standard output; .gz and .zst are compressed, DIR/ is shards
    #[arg(short, long, value_name = "KEPT")]
    output: String,

    /// Write the other rows here, with the reason in `meta.rejected`
    #[arg(long, value_name = "FILE")]
    rejected: Option<String>,

    /// Write what the rules have found here, as JSON; as a page where the name ends in .html
    #[arg(long, value_name = "FILE")]
    report: Option<String>,

    /// A row with a rejected answer: drop it, or cut it before that turn
    #[arg(long, value_name = "RULE", default_value = "drop", value_parser = ["drop", "cut"])]
    on_reject: String,

    /// Leave out rows whose users say nearly what an earlier row's say: at least so alike, 0.7 to 1
    #[arg(long, value_name = "SIMILARITY", value_parser = similarity)]
    near_duplicates: Option<f64>,

    /// Keep only the N rows with the best scores
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Of rows whose users are more alike than this distance allows keep the best, 0 to 0.3; with --top
    #[arg(long, value_name = "DISTANCE", requires = "top", value_parser = distance)]
    min_distance: Option<f64>,

    /// Where the score stands: a column, or a path such as judge.score
    #[arg(long, value_name = "COLUMN", default_value = "score", requires = "top")]
    score: String,

    #[command(flatten)]
    gate: GateArgs,

    #[command(flatten)]
    remain: RemainArgs,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    duplicate: DuplicateArgs,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    store: StoreArgs,
}

fn similarity(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.7..=1.0).contains(share)).ok_or("write a number from 0.7 to 1")
}

fn distance(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..=0.3).contains(share)).ok_or("write a number from 0 to 0.3")
}

pub fn run(args: FilterArgs) -> CliResult {
    let options = Options::resolve(&args.store, &[&args.gate, &args.remain, &args.read, &args.duplicate, &args.write])?;
    let (reader, format) = (options.row_reader()?, options.output_format()?);
    let gate = options.gate_or(GateProfile::Standard)?;
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    if let Some(rejected) = &args.rejected {
        check_output(rejected, &args.input)?;
        check_writable(rejected, format)?;
        if *rejected == args.output || is_directory(rejected) {
            return Err(CliError::usage(format!("--rejected {rejected} cannot be written"), "name another file"));
        }
    }
    let spool = Spool::temporary()?;
    let inputs = open_inputs(&args.input, options.threads.unwrap_or_default(), &spool)?;
    let rows = Sources { inputs, reader, limit: options.limit.unwrap_or(u64::MAX) };

    let mut judge = Judge::new(gate.clone(), &args, &options);
    rows.each(|_, row| {
        judge.take(read(row, &rows.reader).map_err(|_| ()));
        Ok(())
    })?;
    let (mut decisions, quality) = (judge.decisions, judge.quality);
    if let Some(count) = args.top {
        select::keep_best(&mut decisions, count, args.min_distance, &rows)?;
    }

    let mut kept = Sink::create(&args.output, format)?.licensed(options.license(&args.input));
    let mut rejected = args.rejected.as_deref().map(|path| Sink::create(path, format)).transpose()?;
    let mut missing = Missing::new(&args.output);
    let counts = write(&rows, &decisions, &mut kept, rejected.as_mut(), &mut missing)?;
    let keeps_old = would_empty(&args.output, counts.kept);
    if !keeps_old {
        kept.finish()?;
        write_companion(format, &args.output)?;
    }
    rejected.map(Sink::finish).transpose()?;
    let listed = missing.finish()?;
    let report = json!({
        "rows": counts.rows, "kept": counts.kept, "cut": counts.cut, "invalid": counts.invalid, "rejected": counts.reasons,
        "gate": gate.as_ref().map(ToString::to_string), "rules": gate.as_ref().map(rules), "quality": quality,
    });
    if let Some(path) = &args.report {
        let kept = format!("kept {} of {}", counted(counts.kept, "row"), number(counts.rows));
        let reasons =
            counts.reasons.iter().map(|(reason, count)| format!("left out: {} ({reason})", counted(*count, "row")));
        write_report(path, &report, || quality_page(&quality, [kept].into_iter().chain(reasons).collect()))?;
    }
    if options.progress() == ProgressMode::Json {
        words::tell(&report);
    } else {
        let wrote = match counts.cut {
            _ if keeps_old => format!("wrote nothing; {} is left as it was", args.output),
            0 => format!("kept {} of {} in {}", counted(counts.kept, "row"), number(counts.rows), args.output),
            cut => format!(
                "kept {} of {} in {}, {cut} of them cut",
                counted(counts.kept, "row"),
                number(counts.rows),
                args.output
            ),
        };
        let left_out =
            counts.reasons.iter().map(|(reason, count)| format!("left out: {} ({reason})", counted(*count, "row")));
        let invalid = (counts.invalid > 0).then(|| format!("not read: {}", counted(counts.invalid, "row")));
        let found = quality.lines().into_iter().map(|line| format!("  {line}"));
        let listed = listed.map(|path| format!("listed in {path}"));
        let lines = [wrote].into_iter().chain(left_out).chain(invalid).chain(found).chain(listed);
        lines.for_each(|line| options.say(&line));
    }
    Ok(if counts.invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
}

/// The rows, to be gone over more than once.
struct Sources {
    inputs: Vec<Input>,
    reader: RowReader,
    limit: u64,
}

impl Sources {
    /// Gives each row with its input's name to `take`.
    fn each(
        &self,
        mut take: impl FnMut(&str, Result<RawRow<'_>, Problem>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut left = self.limit;
        for source in &self.inputs {
            left -= each_row(source, left, |row| take(&source.name, row))?;
        }
        Ok(())
    }
}

/// The last pass: each row goes where it was decided that it goes.
fn write(
    rows: &Sources,
    decisions: &[Decision],
    kept: &mut Sink,
    mut rejected: Option<&mut Sink>,
    missing: &mut Missing,
) -> Result<Counts, CliError> {
    let mut counts = Counts::default();
    let mut decided = decisions.iter();
    rows.each(|source, row| {
        let line = row.as_ref().map_or_else(|problem| problem.line, |row| row.line);
        let entry = Incomplete { id: None, source, line, kind: "", reason: "", turns_answered: 0, turns: 0 };
        counts.rows += 1;
        let decision = decided.next().ok_or_else(|| CliError::failure("the input has grown while it was read"))?;
        let record = match read(row, &rows.reader) {
            Ok(record) => record,
            Err(Unread::Invalid(reason)) => {
                counts.invalid += 1;
                return missing.add(&Incomplete { kind: "invalid", reason: &reason, ..entry });
            }
            Err(Unread::Unfit(reason)) => {
                counts.leave_out(reason);
                return missing.add(&Incomplete { kind: "unfit", reason, ..entry });
            }
        };
        let (mut record, reason) = decision.apply(record);
        let sink = match reason {
            None => &mut *kept,
            Some(reason) => {
                counts.leave_out(reason_kind(&reason));
                missing.add(&Incomplete { id: Some(&record.id), kind: "rejected", reason: &reason, ..entry })?;
                record.meta.insert("rejected".to_owned(), reason.into());
                match rejected.as_deref_mut() {
                    Some(sink) => sink,
                    None => return Ok(()),
                }
            }
        };
        match sink.write(&record)? {
            Ok(_) => {
                counts.kept += u64::from(decision.is_kept());
                counts.cut += u64::from(decision.cuts());
                Ok(())
            }
            Err(Unfit(reason)) => {
                counts.leave_out(reason);
                missing.add(&Incomplete { id: Some(&record.id), kind: "unfit", reason, ..entry })
            }
        }
    })?;
    Ok(counts)
}

#[derive(Default)]
struct Counts {
    rows: u64,
    kept: u64,
    cut: u64,
    invalid: u64,
    reasons: BTreeMap<String, u64>,
}

impl Counts {
    fn leave_out(&mut self, reason: &str) {
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Why a row is no record.
enum Unread {
    Invalid(String),
    Unfit(&'static str),
}

fn read(row: Result<RawRow<'_>, Problem>, reader: &RowReader) -> Result<Record, Unread> {
    let row = row.map_err(|problem| problem.reason).and_then(|row| reader.source(row.bytes));
    row.map_err(Unread::Invalid)?.into_record().map_err(Unread::Unfit)
}

/// Returns a reason without the turn and the row that it names.
fn reason_kind(reason: &str) -> &str {
    let reason = reason.split_once(": ").map_or(reason, |(_, rule)| rule);
    reason.split(" of ").next().unwrap_or(reason)
}

fn rules(gate: &Gate) -> serde_json::Value {
    gate.rules()
        .map(|(name, action, threshold)| json!({"rule": name, "action": action.name(), "threshold": threshold}))
        .collect()
}
