use clap::Args;
use cohobate::export::LeftOutKind;
use cohobate::job::{FilterReport, FilterSettings, OnReject, filter};
use cohobate::job::{JobError, check_file, write_report};
use cohobate::quality::Gate;
use cohobate::report::quality_page;
use cohobate::report::words::{counted, number};

use super::CliResult;
use super::choices::GateProfile;
use super::error::exit_code;
use super::names::file_name;
use super::options::{FilterOptions, Options};
use super::screen::Screen;

/// Keep the finished rows that are good enough, by rule; sends no call
#[derive(Args)]
pub struct FilterArgs {
    /// Finished conversations: files, directories, patterns such as data/*.jsonl, or - for standard input. JSONL, JSON, CSV, TSV,
    /// Parquet and Arrow, also compressed (.gz, .zst, .bz2, .xz)
    #[arg(required = true, value_parser = file_name())]
    input: Vec<String>,

    /// Write the rows that are kept here, - for standard output; .gz and .zst are compressed, DIR/ is shards
    #[arg(short, long, value_name = "KEPT", value_parser = file_name())]
    output: String,

    /// Write the other rows here, with the reason in `meta.rejected`
    #[arg(long, value_name = "FILE", value_parser = file_name())]
    rejected: Option<String>,

    /// Write what the gate found here, as JSON; as a page where the name ends in .html
    #[arg(long, value_name = "FILE", value_parser = file_name())]
    report: Option<String>,

    /// Write all that the rules say of each answer into `meta.quality`: values, flags, what would be rejected, and where. No answer
    /// is rejected
    #[arg(long, conflicts_with_all = ["on_reject", "min_turns"])]
    annotate: bool,

    /// A row with a rejected answer: drop it, or cut it before that turn
    #[arg(long, value_name = "RULE", default_value = "drop", value_parser = on_reject)]
    on_reject: OnReject,

    /// Leave out rows whose users say nearly what an earlier row's say, from this similarity on, 0.7 to 1
    #[arg(long, value_name = "SIMILARITY", value_parser = similarity)]
    near_duplicates: Option<f64>,

    /// Keep only the N rows with the best scores
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    top: Option<usize>,

    /// Keep only the best of rows whose users are more alike than this distance allows, 0 to 0.3; with --top
    #[arg(long, value_name = "DISTANCE", requires = "top", value_parser = distance)]
    min_distance: Option<f64>,

    /// Where the score is: a column, or a path such as judge.score
    #[arg(long, value_name = "COLUMN", default_value = "score", requires = "top")]
    score: String,

    #[command(flatten)]
    options: FilterOptions,
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("write a number of at least 1")
}

fn similarity(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.7..=1.0).contains(share)).ok_or("write a number from 0.7 to 1")
}

fn distance(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..=0.3).contains(share)).ok_or("write a number from 0 to 0.3")
}

fn on_reject(text: &str) -> Result<OnReject, &'static str> {
    match text {
        "drop" => Ok(OnReject::Drop),
        "cut" => Ok(OnReject::Cut),
        _ => Err("write drop or cut"),
    }
}

pub fn run(args: FilterArgs) -> CliResult {
    let options = args.options.resolve()?;
    let settings = settings(&args, &options)?;
    args.report.as_deref().map(check_file).transpose()?;
    let screen = Screen::new(&options);
    let report = filter(&settings, &screen.context())?;
    let json = report.to_json(settings.gate.as_ref());
    if let Some(path) = &args.report {
        let kept = format!("kept {} of {}", counted(report.kept, "row"), number(report.counts.read));
        let lines = [kept].into_iter().chain(left_out(&report)).collect();
        write_report(path, &json, || quality_page(&report.quality, lines))?;
    }
    screen.conclude(&json, || lines(&report, &args.output))?;
    let invalid = report.counts.of(LeftOutKind::Invalid);
    Ok(if invalid > 0 { exit_code::INCOMPLETE } else { exit_code::COMPLETE })
}

fn settings(args: &FilterArgs, options: &Options) -> Result<FilterSettings, JobError> {
    Ok(FilterSettings {
        input: options.input(&args.input)?,
        output: options.output(&args.output)?,
        rejected: args.rejected.as_deref().map(|path| options.output(path)).transpose()?,
        annotate: args.annotate,
        measure: args.report.is_some(),
        gate: gate(args, options)?,
        on_reject: args.on_reject,
        min_turns: options.turns_min(),
        near_duplicates: args.near_duplicates,
        top: args.top,
        min_distance: args.min_distance,
        score: args.score.clone(),
    })
}

fn gate(args: &FilterArgs, options: &Options) -> Result<Option<Gate>, JobError> {
    let gate = options.gate_or(GateProfile::Standard)?;
    options.refuse_idle_version(gate.is_some())?;
    if args.annotate && gate.is_none() {
        return Err(JobError::usage(
            "--annotate has no rules to ask with --gate off",
            "name another gate, or leave out --annotate",
        ));
    }
    Ok(gate)
}

fn lines(report: &FilterReport, output: &str) -> Vec<String> {
    let (kept, of) = (counted(report.kept, "row"), number(report.counts.read));
    let mut lines = vec![match report.cut {
        _ if report.kept_old => format!("wrote nothing; {output} is left as it was"),
        0 => format!("kept {kept} of {of} in {output}"),
        cut => format!("kept {kept} of {of} in {output}, {cut} of them cut"),
    }];
    lines.extend(left_out(report));
    let invalid = report.counts.of(LeftOutKind::Invalid);
    lines.extend((invalid > 0).then(|| format!("invalid: {}", counted(invalid, "row"))));
    lines.extend(report.quality.lines().into_iter().map(|line| format!("  {line}")));
    lines.extend(report.findings.as_ref().map(|findings| format!("found in {}", findings.path)));
    lines.extend(report.listed.as_ref().map(|listed| format!("listed in {}", listed.path)));
    lines
}

fn left_out(report: &FilterReport) -> impl Iterator<Item = String> {
    let reasons = report.reasons.iter();
    reasons.map(|(reason, count)| format!("left out: {} ({reason})", counted(*count, "row")))
}
