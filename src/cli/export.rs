use clap::Args;
use cohobate::export::LeftOutKind;
use cohobate::job::export;
use cohobate::report::unstable_words;
use cohobate::report::words::{counted, number};

use super::CliResult;
use super::error::exit_code;
use super::last_run::CompletedLine;
use super::line::DistillLine;
use super::screen::Screen;

/// Write the rows that the store has answers for, finished or not; sends no call
#[derive(Args)]
#[command(after_help = "\
Takes the line of `distill`. Where it says neither who answers nor what is asked, the settings of the store's last run are
used, and its inputs where none is named.")]
pub struct ExportArgs {
    #[command(flatten)]
    line: DistillLine,
}

pub fn run(args: ExportArgs) -> CliResult {
    let mut completed = CompletedLine::of(args.line, true)?;
    completed.line.settle_output(&completed.options)?;
    let CompletedLine { line, options, recalled, .. } = &completed;
    let settings = line.export_settings_offline(options)?;
    let screen = Screen::new(options);
    if let Some(recalled) = recalled {
        screen.say(recalled);
    }
    let report = export(&settings, &screen.reading(options)?)?;
    let output = line.output();
    screen.say(if report.kept_old {
        format!("wrote nothing; {output} is left as it was")
    } else {
        format!("wrote {output}, {}", counted(report.counts.written, "row"))
    });
    report.unstable.and_then(unstable_words).into_iter().for_each(|line| screen.say(line));
    for (reason, count) in report.counts.reasons(LeftOutKind::Unfit) {
        screen.say(format!("left out: {} ({reason})", counted(count, "row")));
    }
    if let Some(findings) = &report.findings {
        screen.say(format!("found by the gate: {}", findings.path));
    }
    let missing = report.incomplete + report.invalid;
    if let Some(listed) = &report.listed {
        screen.say(format!("listed: {} left out or cut: {}", counted(listed.rows, "row"), listed.path));
    }
    if missing == 0 {
        return Ok(exit_code::COMPLETE);
    }
    screen.say(format!("incomplete: {}", counted(missing, "row")));
    let unanswered = report.counts.of(LeftOutKind::Unanswered);
    let teacher = settings.questions.teacher.target.model();
    let forgotten = completed.forgotten(teacher, &report.unlike_last_run).filter(|_| unanswered > 0);
    // Where the whole store answers nothing, the setting is the reason.
    let is_reason = forgotten.is_some() && report.counts.written == 0;
    for (reason, count) in report.reasons() {
        if !(is_reason && reason.starts_with(LeftOutKind::Unanswered.name())) {
            screen.say(format!("  {} × {reason}", number(count)));
        }
    }
    if let Some(forgotten) = forgotten {
        screen.say(format!("  {} without an answer under these settings: {forgotten}", counted(unanswered, "row")));
        screen.say("hint: add the options of the last run to this line; with neither teacher nor settings on it, they are used");
    }
    Ok(exit_code::INCOMPLETE)
}
