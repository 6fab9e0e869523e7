use std::collections::BTreeMap;

use clap::Args;

use super::error::exit_code;
use super::first_pass::{Spool, each_row, open_inputs};
use super::options::{Options, ReadArgs, StoreArgs, WriteArgs};
use super::output::{Missing, check_output, check_writable, would_empty, write_companion};
use super::{CliError, CliResult};
use crate::dataset::{Problem, RawRow, RowReader};
use crate::export::{Format, Incomplete, Kind, Sink, Unfit};
use crate::report::words::counted;

/// Rewrite rows in another format; no model, no store
///
/// What is said stays as it is, the old answers too; thoughts only where the format has a place for them. A row that the
/// format cannot hold is listed with its reason in OUT.incomplete.jsonl.
#[derive(Args)]
pub struct ConvertArgs {
    /// Files, directories or patterns of conversations, or - for standard input
    #[arg(required = true)]
    input: Vec<String>,

    /// Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of Parquet shards
    /// with a dataset card
    #[arg(short, long, value_name = "OUT")]
    output: String,

    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    store: StoreArgs,
}

/// What became of the rows.
#[derive(Default)]
struct Converted {
    read: u64,
    written: u64,
    invalid: u64,
    left_out: BTreeMap<&'static str, u64>,
    /// Answers that came with thoughts.
    thoughts: u64,
}

pub fn run(args: ConvertArgs) -> CliResult {
    let options = Options::resolve(&args.store, &[&args.read, &args.write])?;
    let (reader, format) = (options.row_reader()?, options.output_format()?);
    check_output(&args.output, &args.input)?;
    check_writable(&args.output, format)?;
    let spool = Spool::temporary()?;
    let mut output = Sink::create(&args.output, format)?.licensed(options.license(&args.input));
    let mut missing = Missing::new(&args.output);
    let mut converted = Converted::default();
    let mut left = options.limit.unwrap_or(u64::MAX);
    for source in open_inputs(&args.input, options.threads.unwrap_or_default(), &spool)? {
        left -= each_row(&source, left, |row| {
            convert(row, &source.name, &reader, &mut output, &mut missing, &mut converted)
        })?;
    }
    let keeps_old = would_empty(&args.output, converted.written);
    if !keeps_old {
        output.finish()?;
        write_companion(format, &args.output)?;
    }
    let listed = missing.finish()?;
    options.say(&if keeps_old {
        format!("wrote nothing; {} is left as it was", args.output)
    } else {
        format!("wrote {}, {} of {}", args.output, counted(converted.written, "row"), converted.read)
    });
    if converted.thoughts > 0 && !holds_thoughts(format) {
        let answers = counted(converted.thoughts, "answer");
        let name = format.name();
        options.say(&format!("{answers} without their thoughts: {name} has no place for them, per-turn has"));
    }
    for (reason, count) in &converted.left_out {
        options.say(&format!("left out: {} ({reason})", counted(*count, "row")));
    }
    if converted.invalid > 0 {
        options.say(&format!("not read: {}", counted(converted.invalid, "row")));
    }
    if let Some(path) = listed {
        options.say(&format!("listed in {path}"));
    }
    Ok(if converted.invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
}

fn convert(
    row: Result<RawRow<'_>, Problem>,
    source: &str,
    reader: &RowReader,
    output: &mut Sink,
    missing: &mut Missing,
    converted: &mut Converted,
) -> Result<(), CliError> {
    converted.read += 1;
    let line = row.as_ref().map_or_else(|problem| problem.line, |row| row.line);
    let read = row.map_err(|problem| problem.reason).and_then(|row| reader.source(row.bytes));
    let entry = Incomplete { id: None, source, line, kind: "", reason: "", turns_answered: 0, turns: 0 };
    let row = match read {
        Ok(row) => row,
        Err(reason) => {
            converted.invalid += 1;
            return missing.add(&Incomplete { kind: "invalid", reason: &reason, ..entry });
        }
    };
    let id = row.id.clone();
    let fitted = match row.into_record() {
        Ok(record) => {
            converted.thoughts += record.lines.iter().filter(|line| line.reasoning.is_some()).count() as u64;
            output.write(&record)?.map_err(|Unfit(reason)| reason)
        }
        Err(reason) => Err(reason),
    };
    match fitted {
        Ok(rows) => {
            converted.written += rows;
            Ok(())
        }
        Err(reason) => {
            *converted.left_out.entry(reason).or_default() += 1;
            missing.add(&Incomplete { id: id.as_deref(), kind: "unfit", reason, ..entry })
        }
    }
}

fn holds_thoughts(format: &dyn Format) -> bool {
    format.columns().iter().any(|column| match column.kind {
        Kind::Messages(fields) => fields.iter().any(|(name, _)| *name == "reasoning_content"),
        _ => false,
    })
}
