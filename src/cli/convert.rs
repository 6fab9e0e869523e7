use clap::Args;
use cohobate::export::{LeftOutKind, OutputFormat};
use cohobate::job::{ConvertReport, ConvertSettings, convert};
use cohobate::report::words::{counted, number};

use super::CliResult;
use super::error::exit_code;
use super::names::file_name;
use super::options::ConvertOptions;
use super::screen::Screen;

/// Rewrite rows in another format; uses no model and no store
///
/// The messages stay as they are, the old answers too; reasoning stays only where the format has a place for it. A row that
/// the format cannot hold is listed with its reason in OUT.incomplete.jsonl.
#[derive(Args)]
pub struct ConvertArgs {
    /// Conversations: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV, Parquet
    /// and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_parser = file_name())]
    input: Vec<String>,

    /// Write the rows here, - for standard output; .gz and .zst are compressed; DIR/ is a directory of Parquet shards
    /// with a dataset card
    #[arg(short, long, value_name = "OUT", value_parser = file_name())]
    output: String,

    /// Write rows without an answer too, as prompts: their messages alone
    #[arg(long)]
    keep_unanswered: bool,

    #[command(flatten)]
    options: ConvertOptions,
}

pub fn run(args: ConvertArgs) -> CliResult {
    let options = args.options.resolve()?;
    let settings = ConvertSettings {
        input: options.input(&args.input)?,
        output: options.output(&args.output)?,
        keep_unanswered: args.keep_unanswered,
    };
    let screen = Screen::new(&options);
    let report = convert(&settings, &screen.context())?;
    for line in lines(&report, &args.output, settings.output.format) {
        screen.say(line);
    }
    let invalid = report.counts.of(LeftOutKind::Invalid);
    Ok(if invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
}

fn lines(report: &ConvertReport, output: &str, format: &dyn OutputFormat) -> Vec<String> {
    let counts = &report.counts;
    let mut lines = vec![format!("wrote {output}, {} of {}", counted(counts.written, "row"), counts.read)];
    if report.reasoning_lost > 0 {
        let (answers, name) = (counted(report.reasoning_lost, "answer"), format.name());
        lines.push(format!("{answers} without reasoning: {name} has no place for it, per-turn has"));
    }
    for (rule, count) in &report.changed {
        lines.push(format!("changed: {} × {rule}", number(*count)));
    }
    for (reason, count) in counts.reasons(LeftOutKind::Unfit) {
        lines.push(format!("left out: {} ({reason})", counted(count, "row")));
    }
    if counts.of(LeftOutKind::Invalid) > 0 {
        lines.push(format!("invalid: {}", counted(counts.of(LeftOutKind::Invalid), "row")));
    }
    lines.extend(report.listed.as_ref().map(|listed| format!("listed in {}", listed.path)));
    lines
}
