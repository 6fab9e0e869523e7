use clap::Args;
use cohobate::job::{AskedSettings, JobError, open_conversations};
use cohobate::report::words::counted;
use cohobate::view::{Shown, show_text};

use super::CliResult;
use super::error::exit_code;
use super::options::{DistillOptions, Options};
use super::output::print;
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

/// What was asked, so that rows and answers are found again.
#[derive(Args)]
pub struct AskedLine {
    /// The conversations that were distilled; the option can be repeated
    #[arg(long, value_name = "FILE")]
    pub input: Vec<String>,

    /// The teacher that answered
    #[arg(long, value_name = "MODEL")]
    pub teacher: Option<String>,

    #[command(flatten)]
    pub options: DistillOptions,
}

impl AskedLine {
    /// Returns what was asked, where it is known.
    pub fn settings(&self, options: &Options) -> Result<Option<AskedSettings>, JobError> {
        let teacher = self.teacher.as_deref().or(options.teacher.as_deref());
        if self.input.is_empty() {
            return Ok(None);
        }
        if teacher.is_none() {
            let hint = "name it with --teacher, as the run did; the other options of the run belong here too";
            return Err(JobError::usage("--input shows what a teacher was asked, and none is named", hint));
        }
        Ok(Some(AskedSettings { input: options.input(&self.input)?, questions: options.questions(teacher)? }))
    }
}

pub fn run(args: ShowArgs) -> CliResult {
    let options = args.asked.options.resolve()?;
    let settings = args.asked.settings(&options)?;
    let store = options.store_path();
    let context = Screen::new(&options).context();
    let (conversations, reader) = open_conversations(&store, settings.as_ref(), options.on_loss(), &context)?;
    if let (Some(missing), true) = (conversations.missing(), settings.is_some()) {
        super::output::tell(format!("caution: {missing}; user turns and old answers are not shown"));
    }
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
    let shown: Vec<Shown> = found.iter().map(|found| Shown::of(found, conversations.gate())).collect();
    if args.json {
        shown.iter().try_for_each(|shown| print(serde_json::to_string(shown)?))?;
        return Ok(exit_code::COMPLETE);
    }
    let texts: Vec<String> = shown.iter().map(|shown| show_text(shown, args.diff)).collect();
    print(texts.join("\n\n"))?;
    if shown.len() > 1 {
        super::output::tell(format!("{} have this name", counted(shown.len() as u64, "conversation")));
    }
    Ok(exit_code::COMPLETE)
}
