use clap::Args;
use cohobate::job::{JobError, open_conversations};
use cohobate::report::words::counted;
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
    name: String,

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
    let found = conversations.find(&args.name, &*reader)?;
    if found.is_empty() {
        let hint = match conversations.missing() {
            Some(_) => {
                "give the first digits of its key, or --input and the other options of the run to find it by its id"
            }
            None => "ids are those of the input's rows; `cohobate status` shows keys",
        };
        return Err(JobError::usage(format!("no conversation is called `{}`", args.name), hint));
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
