use std::io::Write;
use std::path::Path;

use clap::Args;

use super::error::exit_code;
use super::first_pass::{Spool, each_row, open_inputs};
use super::{CliError, CliResult};
use crate::conversation::Vote;
use crate::dataset::{Threads, read_vote};
use crate::export::OutputFile;
use crate::report::AgreementReport;

/// Show how far a judge agrees with people; nothing is asked
#[derive(Args)]
#[command(after_help = "\
Each file has one vote a row, JSON lines or CSV: who is compared (model_a, model_b), who won (winner: model_a,
model_b, tie, or a system's name), on what (question_id, item or id), which turn, and who says so (judge). The
verdicts.jsonl of `cohobate compare` is such a file. Voters called NAME_1, NAME_2 are one group.")]
pub struct AgreementArgs {
    /// The judge's votes
    #[arg(long, value_name = "FILE", required = true)]
    judge: Vec<String>,

    /// People's votes
    #[arg(long, value_name = "FILE", required = true)]
    human: Vec<String>,

    /// Write the report here, as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &AgreementArgs) -> CliResult {
    let report = AgreementReport::of(&votes(&args.judge)?, &votes(&args.human)?);
    if report.majority.items == 0 {
        return Err(CliError::usage(
            "the two have no item in common",
            "an item is in common where its name, its turn and both systems' names are the same in both files",
        ));
    }
    let json = serde_json::to_string_pretty(&report).map_err(|error| CliError::failure(error.to_string()))?;
    if let Some(path) = &args.output {
        let mut file = OutputFile::create(path)?;
        file.write(format!("{json}\n").as_bytes())?;
        file.finish()?;
    }
    let text = if args.json { json } else { report.lines().join("\n") };
    writeln!(std::io::stdout(), "{text}").map_err(|error| CliError::failure(format!("cannot write: {error}")))?;
    Ok(exit_code::COMPLETE)
}

/// Reads all votes of some files. One that cannot be understood is an error: a share of what is left would be wrong.
pub fn votes(inputs: &[String]) -> Result<Vec<Vote>, CliError> {
    let spool = Spool::temporary()?;
    let mut votes = Vec::new();
    for source in open_inputs(inputs, Threads::default(), &spool)? {
        let stem = Path::new(&source.name).file_stem().map_or("judge".into(), |stem| stem.to_string_lossy());
        each_row(&source, u64::MAX, |row| {
            let (line, read) = match row {
                Ok(row) => (row.line, read_vote(row.bytes, &stem)),
                Err(problem) => (problem.line, Err(problem.reason)),
            };
            votes.extend(read.map_err(|reason| {
                CliError::usage(
                    format!("{}: row {line}: {reason}", source.name),
                    "mend the row; `cohobate agreement --help` shows what it must have",
                )
            })?);
            Ok(())
        })?;
    }
    Ok(votes)
}
