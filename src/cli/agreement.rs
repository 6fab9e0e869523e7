use clap::Args;
use cohobate::job::agreement;
use cohobate::job::write_text;

use super::CliResult;
use super::error::exit_code;
use super::names::file_name;
use super::output::print;
use super::progress::DisplayArg;

/// Show how well a judge agrees with people; sends no call
#[derive(Args)]
#[command(after_help = "\
Each file has one vote a row, JSON lines or CSV: who is compared (model_a, model_b), who won (winner: model_a,
model_b, tie, or a system's name), on what (question_id, item or id), which turn, and who says so (judge). The
verdicts.jsonl of `cohobate compare` is such a file. Voters called NAME_1, NAME_2 are one group.")]
pub struct AgreementArgs {
    /// The judge's votes
    #[arg(long, value_name = "FILE", required = true, value_parser = file_name())]
    judge: Vec<String>,

    /// People's votes
    #[arg(long, value_name = "FILE", required = true, value_parser = file_name())]
    human: Vec<String>,

    /// Write the report here, as JSON
    #[arg(short, long, value_name = "FILE", value_parser = file_name())]
    output: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    display: DisplayArg,
}

pub fn run(args: &AgreementArgs) -> CliResult {
    args.display.begin();
    let report = agreement(&args.judge, &args.human)?;
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.output {
        write_text(path, &format!("{json}\n"))?;
    }
    print(if args.json { json } else { report.lines().join("\n") })?;
    Ok(exit_code::COMPLETE)
}
