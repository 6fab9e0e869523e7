use clap::Args;
use cohobate::job::{Conversations, JobError, open_conversations};
use cohobate::report::words::counted;
use cohobate::store::Reader;
use cohobate::view::{Shown, show_text};

use super::CliResult;
use super::asked::AskedLine;
use super::error::exit_code;
use super::output::{print, tell};
use super::screen::Screen;

/// Show a conversation: old and new answers, rejected attempts, and where they come from
#[derive(Args)]
pub struct ShowArgs {
    /// The row's id, or at least the first 8 digits of the conversation's key
    #[arg(required_unless_present = "all")]
    name: Option<String>,

    /// Show every conversation, in the order of the input
    #[arg(long, conflicts_with = "name")]
    all: bool,

    /// Mark what differs between old and new answers: [-old-] and {+new+}
    #[arg(long, conflicts_with = "json")]
    diff: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    asked: AskedLine,
}

pub fn run(args: ShowArgs) -> CliResult {
    let options = args.asked.options.resolve()?;
    let store = options.store_path();
    let asked = args.asked.asked(&options, &store)?;
    let context = Screen::new(&options).reading(&options)?;
    let (conversations, reader) = open_conversations(&store, &asked, options.on_loss(), &context)?;
    if let Some(missing) = conversations.missing() {
        tell(format!("caution: {missing}; user turns and old answers are not shown"));
    }
    conversations.input_changes().iter().for_each(|change| tell(format!("caution: {change}")));
    let Some(name) = &args.name else { return show_all(&args, &conversations, &*reader) };
    let found = conversations.find(name, &*reader)?;
    if found.is_empty() {
        let hint = match conversations.missing() {
            Some(_) => {
                "give the first digits of its key, or --input and the other options of the run to find it by its id"
            }
            None => "ids are those of the input's rows; `cohobate status` shows keys",
        };
        return Err(JobError::usage(format!("no conversation is called `{name}`"), hint));
    }
    let shown: Vec<Shown> = found.iter().map(|found| Shown::of(found, conversations.gate_of(found).as_ref())).collect();
    if args.json {
        shown.iter().try_for_each(|shown| print(serde_json::to_string(shown)?))?;
        return Ok(exit_code::COMPLETE);
    }
    let texts: Vec<String> = shown.iter().map(|shown| show_text(shown, args.diff)).collect();
    print(texts.join("\n\n"))?;
    if shown.len() > 1 {
        tell(format!("{} have this name", counted(shown.len() as u64, "conversation")));
    }
    Ok(exit_code::COMPLETE)
}

/// Prints one conversation after the other, so that only one is in memory.
fn show_all(args: &ShowArgs, conversations: &Conversations, reader: &dyn Reader) -> CliResult {
    if let Some(missing) = conversations.missing() {
        return Err(JobError::usage(format!("the rows are not known: {missing}"), "name them with --input"));
    }
    for item in 0..conversations.row_count() {
        let Some(found) = conversations.at(item, reader)? else { continue };
        let shown = Shown::of(&found, conversations.gate_of(&found).as_ref());
        print(if args.json { serde_json::to_string(&shown)? } else { show_text(&shown, args.diff) + "\n" })?;
    }
    Ok(exit_code::COMPLETE)
}
