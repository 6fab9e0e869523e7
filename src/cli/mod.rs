//! The command line: arguments → settings → job → exit code. One file for each command.

mod address;
mod again;
mod agreement;
mod asked;
mod board;
mod choices;
mod closest;
mod compare;
mod completions;
mod config;
mod convert;
mod ctl;
mod detach;
mod distill;
mod environment;
mod error;
mod evaluate;
mod export;
mod filter;
mod hooks;
mod init;
mod inspect;
mod last_run;
mod line;
mod machine;
mod man;
mod merge;
#[cfg(feature = "view")]
mod mirror;
mod mock;
mod names;
mod options;
mod output;
mod plan;
mod progress;
mod runs;
mod screen;
mod serve;
mod settings;
mod shard;
mod shared;
mod show;
mod signals;
mod simulate;
mod status;
mod stopped;
mod store;
mod time;
mod trust;
mod tutor;
mod verify;
#[cfg(feature = "view")]
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use cohobate::job::{ErrorKind, Invocation, JobError, RunLog};
use serde_json::Value;

use error::{code_of, exit_code};
use output::{speak_json, tell_end, tell_error, tell_refusal};

/// Distils multi-turn conversations: keeps every user turn, has a teacher model regenerate every assistant turn, and never
/// loses or repeats a paid answer.
#[derive(Parser)]
#[command(name = "cohobate", version, max_term_width = 100, after_help = exit_code::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Distill(Box<distill::DistillArgs>),
    Plan(Box<plan::PlanArgs>),
    Export(Box<export::ExportArgs>),
    Convert(convert::ConvertArgs),
    Inspect(inspect::InspectArgs),
    Filter(filter::FilterArgs),
    Evaluate(Box<evaluate::EvaluateArgs>),
    Compare(Box<compare::CompareArgs>),
    Agreement(agreement::AgreementArgs),
    Simulate(Box<simulate::SimulateArgs>),
    Tutor(Box<tutor::TutorArgs>),
    Status(status::StatusArgs),
    Show(Box<show::ShowArgs>),
    #[cfg(feature = "view")]
    View(Box<view::ViewArgs>),
    Verify(Box<verify::VerifyArgs>),
    Merge(merge::MergeArgs),
    Ctl(ctl::CtlArgs),
    Store(store::StoreArgs),
    Trust(trust::TrustArgs),
    Init(init::InitArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Mock(mock::MockArgs),
}

/// What every command returns: an exit code, or why it failed.
type CliResult = Result<u8, JobError>;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    if let Some(code) = serve::guard(std::env::args_os().skip(1)) {
        return code;
    }
    if asks_for_json(std::env::args_os().skip(1)) {
        speak_json();
    }
    let code = run();
    tell_end(code);
    ExitCode::from(code)
}

/// True if the command line asks for events; what is wrong with the rest of it is said as an event too.
fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.take_while(|argument| argument != "--").collect();
    let is_pair = |pair: &[OsString]| pair[0] == "--progress" && pair[1] == "json";
    arguments.windows(2).any(is_pair) || arguments.iter().any(|argument| argument == "--progress=json")
}

fn run() -> u8 {
    let matches = command_line().try_get_matches();
    let parsed = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error),
    };
    let log = RunLog::of(invocation(&matches));
    let background = matches.subcommand().filter(|(command, given)| detach::is_wanted(command, given));
    let result = background.map_or_else(|| cli.command.run(&log), |(_, given)| detach::start(given));
    let code = result.as_ref().map_or_else(code_of, |code| *code);
    let error = result.err();
    serve::end();
    log.end(Some(code), error.as_ref().map(ToString::to_string).as_deref());
    hooks::end(code, error.as_ref());
    if let Some(error) = error.filter(|error| error.kind != ErrorKind::OutputClosed) {
        tell_error(&error, error.hint.as_deref());
    }
    code
}

/// Returns the command and what its own line sets, for the run log. Options of the configuration are added to it later.
fn invocation(matches: &ArgMatches) -> Invocation {
    let Some((command, given)) = matches.subcommand() else { return Invocation::default() };
    let options = given.ids().map(clap::Id::as_str).filter(|name| {
        // A group of options is an id, too: it is called like its struct.
        !name.starts_with(char::is_uppercase) && given.value_source(name) == Some(ValueSource::CommandLine)
    });
    let options = options.map(|name| {
        let values = given.get_raw(name).into_iter().flatten();
        // An address of a database may hold a password.
        let shown = |value: &std::ffi::OsStr| address::without_password(&value.to_string_lossy());
        let values: Vec<Value> = values.map(|value| shown(value).into()).collect();
        (name.replace('_', "-"), if values.len() == 1 { values[0].clone() } else { Value::Array(values) })
    });
    Invocation { command: command.to_owned(), options: options.collect(), ..Invocation::default() }
}

/// Returns the whole command line: what is parsed, completed and described.
fn command_line() -> clap::Command {
    line::hide_without_effect(Cli::command())
}

/// Shows the help, or what is wrong with the command line.
fn refuse(error: &clap::Error) -> u8 {
    if tell_refusal(error) { exit_code::USAGE } else { exit_code::COMPLETE }
}

impl Command {
    fn run(self, log: &RunLog) -> CliResult {
        match self {
            Command::Distill(args) => distill::run(*args, log.clone()),
            Command::Plan(args) => plan::run(*args),
            Command::Export(args) => export::run(*args),
            Command::Convert(args) => convert::run(args),
            Command::Inspect(args) => inspect::run(args),
            Command::Filter(args) => filter::run(args),
            Command::Evaluate(args) => evaluate::run(*args, log.clone()),
            Command::Compare(args) => compare::run(*args, log.clone()),
            Command::Simulate(args) => simulate::run(*args, log.clone()),
            Command::Tutor(args) => tutor::run(*args, log.clone()),
            Command::Agreement(args) => agreement::run(&args),
            Command::Status(args) => status::run(args),
            Command::Show(args) => show::run(*args),
            #[cfg(feature = "view")]
            Command::View(args) => view::run(*args),
            Command::Verify(args) => verify::run(*args),
            Command::Merge(args) => merge::run(args, log.clone()),
            Command::Ctl(args) => ctl::run(args),
            Command::Store(args) => store::run(args),
            Command::Trust(args) => trust::run(&args),
            Command::Init(args) => init::run(&args),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => man::run(args),
            Command::Mock(args) => mock::run(&args),
        }
    }
}
