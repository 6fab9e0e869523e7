use clap::Args;
use cohobate::job::JobError;
use cohobate::job::{OutputReport, VerifyOutput, VerifyReport, VerifySettings, verify};
use cohobate::report::words::{counted, number};
use cohobate::store::Damage;
use serde_json::{Value, json};

use super::CliResult;
use super::error::exit_code;
use super::last_run::CompletedLine;
use super::line::DistillLine;
use super::options::Options;
use super::output::print;
use super::screen::Screen;

/// Prove the store sound and, given input and output, the output complete
#[derive(Args)]
#[command(after_help = "\
Takes the line of `distill`. Where it names an input or an output and neither who answers nor what is asked, the settings of
the store's last run are used, and its input or output in place of the one that is not named.")]
pub struct VerifyArgs {
    /// Remove what is damaged and rebuild the index; damaged segments are kept beside the new ones
    #[arg(long)]
    repair: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    line: DistillLine,
}

pub fn run(args: VerifyArgs) -> CliResult {
    let names_rows = args.line.output.is_some() || !args.line.input.is_empty();
    let completed = CompletedLine::of(args.line, names_rows)?;
    let CompletedLine { line, options, recalled, output: last_output, .. } = &completed;
    let path = line.output.as_ref().or(last_output.as_ref());
    let output = output(line, path, options)?;
    let teacher = output.as_ref().map(|output| output.questions.teacher.target.model().to_owned());
    let settings = VerifySettings { store: options.store_path(), repair: args.repair, output };
    let screen = Screen::new(options);
    if let Some(recalled) = recalled {
        screen.say(recalled);
    }
    let context = screen.reading(options)?;
    options.accept_losses(&context)?;
    let report = verify(&settings, &context)?;
    if args.json {
        let code = store_code(&report).max(report.output.as_ref().map_or(exit_code::COMPLETE, output_code));
        print(format!("{:#}", as_json(&report, path.map(String::as_str), code)))?;
        return Ok(code);
    }
    for damage in &report.repaired {
        let (start, end) = (damage.bytes.start, damage.bytes.end);
        print(format!("removed        {} bytes {start} to {end}", damage.path.display()))?;
    }
    print(as_text(&report))?;
    let output_code = match (&report.output, path) {
        (Some(found), Some(path)) => {
            let forgotten = completed.forgotten(&teacher.unwrap_or_default(), &found.unlike_last_run);
            show(found, path, forgotten.filter(|_| found.unanswered > 0))?
        }
        _ => exit_code::COMPLETE,
    };
    // A damaged store matters more than an incomplete output.
    Ok(store_code(&report).max(output_code))
}

fn store_code(report: &VerifyReport) -> u8 {
    if report.is_sound() { exit_code::COMPLETE } else { exit_code::STORE }
}

/// Returns the output to verify, where one is named.
fn output(line: &DistillLine, path: Option<&String>, options: &Options) -> Result<Option<VerifyOutput>, JobError> {
    let path = match (path, line.input.is_empty()) {
        (None, true) => return Ok(None),
        (Some(path), false) => path.clone(),
        _ => {
            return Err(JobError::usage(
                "an output is verified against its input",
                "name both: cohobate verify INPUT... --teacher MODEL -o OUT, or neither",
            ));
        }
    };
    Ok(Some(VerifyOutput {
        path,
        format: options.output_format()?,
        questions: options.questions_offline(line.teacher.as_deref())?,
        input: options.asked_input(&line.input)?,
        partial: line.partial(options),
    }))
}

fn entries(count: u64) -> String {
    format!("{} whole {}", number(count), if count == 1 { "entry" } else { "entries" })
}

fn as_text(report: &VerifyReport) -> String {
    let found = &report.store;
    let mut lines = vec![format!(
        "journal        {}, {} of {}",
        entries(found.entries),
        counted(found.answers, "answer"),
        counted(found.conversations, "conversation")
    )];
    lines.extend(found.losses.iter().map(|loss| format!("lost           {loss}")));
    for damage in &found.damages {
        let (start, end) = (damage.bytes.start, damage.bytes.end);
        lines.push(format!("damaged        {} bytes {start} to {end}", damage.path.display()));
    }
    if found.missing > 0 {
        lines.push(format!("missing        {}; the next run sends them again", counted(found.missing, "answer")));
    }
    match &found.distrusted {
        _ if found.in_use_by.is_some() => {
            let holder = found.in_use_by.as_deref().unwrap_or("unknown");
            lines.push(format!("index          not verified: the store is in use by process {holder}"));
        }
        Some(reason) => lines.push(format!("index          will be rebuilt from the journal: {reason}")),
        None if found.disagreements.is_empty() => lines.push("index          agrees with the journal".to_owned()),
        None => lines.extend(found.disagreements.iter().map(|fault| format!("index          {fault}"))),
    }
    lines.push(if report.is_sound() {
        "the store is sound".to_owned()
    } else if !found.losses.is_empty() {
        "the store has lost answers\nhint: put the missing files back from a copy of the store; or add --accept-loss, and \
         what is missing is asked again"
            .to_owned()
    } else {
        "the store is damaged\nhint: `cohobate verify --repair` removes what is damaged; nothing that can be read is lost".to_owned()
    });
    lines.join("\n")
}

/// Prints what was found in the output, and returns the exit code for it.
fn show(found: &OutputReport, path: &str, forgotten: Option<String>) -> Result<u8, JobError> {
    let rows = counted(found.rows, "row");
    if found.is_truncated {
        print(format!("output         {path} ends in the middle of a row"))?;
    }
    if found.missing > 0 || found.extra > 0 {
        let (missing, extra) = (number(found.missing), number(found.extra));
        print(format!("output         of {rows} {missing} are missing or differ, {extra} do not belong there"))?;
    } else if !found.is_in_order {
        print("output         the rows are right, their order is not")?;
    }
    if let Some(forgotten) = &forgotten {
        let count = counted(found.unanswered, "row");
        print(format!("settings       {count} without an answer under these settings: {forgotten}"))?;
    }
    if !found.is_right() && forgotten.is_some() {
        print(
            "hint: add the options of the last run to this line; with neither teacher nor settings on it, they are used",
        )?;
        return Ok(exit_code::STORE);
    }
    if !found.is_right() {
        print("hint: `cohobate export` writes the output again; it sends no call")?;
        return Ok(output_code(found));
    }
    print(format!("output         {path} has the {rows} that it must have, in order"))?;
    if found.incomplete > 0 {
        print(format!("incomplete     {} of the input, as the run said", counted(found.incomplete, "row")))?;
    }
    Ok(output_code(found))
}

fn output_code(found: &OutputReport) -> u8 {
    match found.incomplete {
        _ if !found.is_right() => exit_code::STORE,
        0 => exit_code::COMPLETE,
        _ => exit_code::INCOMPLETE,
    }
}

fn as_json(report: &VerifyReport, path: Option<&str>, code: u8) -> Value {
    let found = &report.store;
    let damages = |damages: &[Damage]| -> Vec<Value> {
        let place = |damage: &Damage| json!({"path": damage.path.to_string_lossy(), "from": damage.bytes.start, "to": damage.bytes.end});
        damages.iter().map(place).collect()
    };
    let output = report.output.as_ref().map(|output| {
        json!({
            "path": path, "rows": output.rows, "missing": output.missing, "extra": output.extra,
            "is_truncated": output.is_truncated, "is_in_order": output.is_in_order, "is_right": output.is_right(),
            "incomplete": output.incomplete,
        })
    });
    json!({
        "is_sound": report.is_sound(), "entries": found.entries, "answers": found.answers,
        "conversations": found.conversations, "repaired": damages(&report.repaired),
        "losses": found.losses.iter().map(ToString::to_string).collect::<Vec<_>>(), "damages": damages(&found.damages),
        "missing": found.missing,
        "index": {
            "rebuild_reason": found.distrusted, "in_use_by": found.in_use_by, "disagreements": found.disagreements,
        },
        "output": output, "exit_code": code,
    })
}
