use clap::Args;
use cohobate::job::write_text;
use cohobate::job::{AgreementSettings, agreement};

use super::CliResult;
use super::error::exit_code;
use super::names::file_name;
use super::output::print;
use super::progress::DisplayArg;

/// Show how well a judge agrees with people, or what one of them says; sends no call
#[derive(Args)]
#[command(after_help = "\
Each file has one judgment a row, JSON lines, JSON or CSV. A vote: who is compared (model_a, model_b), who won (winner:
model_a, model_b, tie, or a system's name), on what (question_id, item or id), which turn, and who says so (judge). The
verdicts.jsonl of `cohobate compare`, judgments of FastChat and tables of Chatbot Arena are such files. A score: score, with
item, turn, model and judge. A preference: an annotation of AlpacaEval. Voters called NAME_1, NAME_2 are one group.")]
pub struct AgreementArgs {
    /// The judge's votes, scores or preferences
    #[arg(long, value_name = "FILE", required_unless_present = "human", value_parser = file_name())]
    judge: Vec<String>,

    /// People's votes, scores or preferences
    #[arg(long, value_name = "FILE", value_parser = file_name())]
    human: Vec<String>,

    #[arg(long, value_name = "FILE", value_parser = file_name(), help = LC_BASELINE_HELP)]
    lc_baseline: Option<String>,

    /// Write the report here, as JSON
    #[arg(short, long, value_name = "FILE", value_parser = file_name())]
    output: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    display: DisplayArg,
}

const LC_BASELINE_HELP: &str =
    "Show AlpacaEval's own length-controlled win rate, with the difficulties and judgments of its df_gamed.csv";

pub fn run(args: &AgreementArgs) -> CliResult {
    args.display.begin();
    let settings = AgreementSettings {
        judge: args.judge.clone(),
        human: args.human.clone(),
        lc_baseline: args.lc_baseline.clone(),
    };
    let report = agreement(&settings)?;
    let json = serde_json::to_string_pretty(&report.to_json())?;
    if let Some(path) = &args.output {
        write_text(path, &format!("{json}\n"))?;
    }
    print(if args.json { json } else { report.lines().join("\n") })?;
    Ok(exit_code::COMPLETE)
}
