use clap::Args;
use cohobate::export::LeftOutKind;
use cohobate::job::ExportReport;
use cohobate::job::{DistillReport, DistillSettings, distill};
use cohobate::job::{EventKind, JobError, RunLog, check_file, footprint, write_report};
use cohobate::report::words::counted;
use cohobate::report::{Closing, quality_page, summary, summary_json};
use cohobate::worker::RunStop;

use super::CliResult;
use super::error::exit_code;
use super::hooks;
use super::line::DistillLine;
use super::output::{emit, is_json, tell_error};
use super::plan::{DryRunArgs, PlanShown, plan_distill};
use super::screen::{Console, Screen, block_on};

/// Have a teacher regenerate every assistant turn
#[derive(Args)]
pub struct DistillArgs {
    #[command(flatten)]
    line: DistillLine,

    #[command(flatten)]
    dry: DryRunArgs,
}

pub fn run(mut args: DistillArgs, log: RunLog) -> CliResult {
    if args.dry.dry_run {
        let options = args.line.options.resolve()?;
        args.line.settle_output(&options)?;
        args.line.refuse_without_effect(&options)?;
        return plan_distill(&args.line, &options, PlanShown::of(&options));
    }
    block_on(run_distill(args.line, log))
}

async fn run_distill(mut line: DistillLine, log: RunLog) -> CliResult {
    let options = line.options.resolve()?;
    line.settle_output(&options)?;
    let settings = DistillSettings { export: line.export_settings(&options)?, run: options.run(line.retry_failed)? };
    line.refuse_without_effect(&options)?;
    line.report.as_deref().map(check_file).transpose()?;
    let console = Console::start(&options, log)?;
    let report = distill(&settings, &console.context).await?;
    let (code, closing) = closing(&report, line.output(), &console);
    if let Some(path) = line.report.as_ref().filter(|_| report.end.is_ok()) {
        write(path, &report, &closing, code)?;
    }
    show(&report, &closing, code, &console.screen);
    Ok(code)
}

/// Returns the exit code, and what the summary says beside the counts of the run.
fn closing(report: &DistillReport, output: &str, console: &Console) -> (u8, Closing) {
    let mut closing = Closing {
        headline: "done".to_owned(),
        input: report.input.clone(),
        left_out: report.left_out.clone().into_iter().collect(),
        changed: report.changed.clone(),
        changed_settings: report.changed_settings.clone(),
        footprint: footprint(),
        input_changes: report.input_changes.clone(),
        ..Closing::default()
    };
    let code = match &report.end {
        Ok(written) => close_finished(&mut closing, written, output),
        Err(reason) => {
            if !matches!(reason, RunStop::WrittenElsewhere(_)) {
                "stopped".clone_into(&mut closing.headline);
            }
            let (code, hint) = console.stopped(reason);
            let partial = if *reason == RunStop::Requested { "; `cohobate export` writes what is there" } else { "" };
            closing.hint = Some(format!("{hint}{partial}"));
            code
        }
    };
    (code, closing)
}

fn close_finished(closing: &mut Closing, written: &ExportReport, output: &str) -> u8 {
    closing.written = Some((output.to_owned(), written.counts.written));
    closing.kept_old = written.kept_old;
    closing.unstable = written.unstable;
    closing.reasons = written.reasons();
    closing.incomplete = written.incomplete + written.invalid;
    closing.listed = written.listed.clone().map(|listed| (listed.path, listed.rows));
    closing.findings = written.findings.clone().map(|findings| findings.path);
    closing.left_out.extend(written.counts.reasons(LeftOutKind::Unfit));
    closing.quality.clone_from(&written.quality);
    if closing.incomplete == 0 {
        return exit_code::COMPLETE;
    }
    let hint = if written.counts.may_heal && written.incomplete == 0 {
        "run the same command again: it takes the rows as they are now"
    } else if written.counts.may_heal {
        "run the same command again to retry transient failures"
    } else if written.counts.of(LeftOutKind::Failed) > 0 {
        "these questions failed permanently; --retry-failed sends them again"
    } else if written.reasons().keys().any(|reason| reason.contains("tool_call: ")) {
        "the teacher's calls are not those of the rows; --tool-match name also accepts other arguments, and docs/tools.md has \
         the reasons"
    } else if written.counts.reasons(LeftOutKind::Unfit).contains_key("no_tokens") {
        "the server gave some answers without the tokens that were asked for; they are stored, and their rows are left out"
    } else if written.incomplete > 0 {
        "the answers that stopped these conversations are stored; other settings, such as a larger --max-tokens, ask again"
    } else {
        "fix or remove the invalid rows, and run the same command again"
    };
    closing.hint = Some(hint.to_owned());
    exit_code::INCOMPLETE
}

fn write(path: &str, report: &DistillReport, closing: &Closing, code: u8) -> Result<(), JobError> {
    let json = summary_json(&report.tally, report.elapsed, closing, code);
    let page = || {
        let text = summary(&report.tally, report.elapsed, closing);
        let lines = text.lines().map(|line| line.trim().to_owned()).collect();
        quality_page(&closing.quality.clone().unwrap_or_default(), lines)
    };
    write_report(path, &json, page)
}

fn show(report: &DistillReport, closing: &Closing, code: u8, screen: &Screen) {
    hooks::keep_summary(|| Some(summary_json(&report.tally, report.elapsed, closing, code)));
    if screen.is_quiet() && code == exit_code::INCOMPLETE {
        let listed = closing.listed.as_ref().map_or(String::new(), |(path, _)| format!(", listed in {path}"));
        tell_error(format!("{} incomplete{listed}", counted(closing.incomplete, "row")), None);
    } else if is_json() && !screen.is_quiet() {
        emit(EventKind::Summary, summary_json(&report.tally, report.elapsed, closing, code));
    } else {
        screen.say(summary(&report.tally, report.elapsed, closing));
    }
}
