use clap::Args;
use cohobate::export::LeftOutKind;
use cohobate::job::export;
use cohobate::report::words::{counted, number};

use super::CliResult;
use super::error::exit_code;
use super::line::DistillLine;
use super::screen::Screen;

/// Write the rows that the store has answers for, finished or not; sends no call
#[derive(Args)]
pub struct ExportArgs {
    #[command(flatten)]
    line: DistillLine,
}

pub fn run(args: ExportArgs) -> CliResult {
    let options = args.line.options.resolve()?;
    let settings = args.line.export_settings(&options)?;
    let screen = Screen::new(&options);
    let report = export(&settings, &screen.context())?;
    let output = args.line.output();
    screen.say(if report.kept_old {
        format!("wrote nothing; {output} is left as it was")
    } else {
        format!("wrote {output}, {}", counted(report.counts.written, "row"))
    });
    for (reason, count) in report.counts.reasons(LeftOutKind::Unfit) {
        screen.say(format!("left out: {} ({reason})", counted(count, "row")));
    }
    let missing = report.incomplete + report.invalid;
    if let Some(listed) = &report.listed {
        screen.say(format!("listed: {} left out or cut: {}", counted(listed.rows, "row"), listed.path));
    }
    if missing == 0 {
        return Ok(exit_code::COMPLETE);
    }
    screen.say(format!("incomplete: {}", counted(missing, "row")));
    for (reason, count) in report.reasons() {
        screen.say(format!("  {} × {reason}", number(count)));
    }
    Ok(exit_code::INCOMPLETE)
}
