//! The command line: arguments → settings → job → exit code. One file for each command.

mod agreement;
mod choices;
mod compare;
mod config;
mod convert;
mod distill;
mod environment;
mod error;
mod evaluate;
mod export;
mod filter;
mod inspect;
mod line;
mod machine;
mod mock;
mod options;
mod output;
mod plan;
mod progress;
mod screen;
mod settings;
mod signals;
mod simulate;
mod status;
mod stopped;
mod time;
mod trust;
mod tutor;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use cohobate::job::{ErrorKind, JobError};

use error::{code_of, exit_code};
use output::{is_plain, tell};

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
    Verify(Box<verify::VerifyArgs>),
    Trust(trust::TrustArgs),
    Mock(mock::MockArgs),
}

/// What every command returns: an exit code, or why it failed.
type CliResult = Result<u8, JobError>;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let matches = line::hide_without_effect(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command.run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if error.kind != ErrorKind::OutputClosed {
                tell(format!("error: {error}"));
                error.hint.iter().for_each(|hint| tell(format!("hint: {hint}")));
            }
            ExitCode::from(code_of(&error))
        }
    }
}

/// Shows the help, or what is wrong with the command line: it may hold names of files, and a password by mistake.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if is_plain(&text) {
        error.exit();
    }
    tell(text.trim_end());
    ExitCode::from(exit_code::USAGE)
}

impl Command {
    fn run(self) -> CliResult {
        match self {
            Command::Distill(args) => distill::run(*args),
            Command::Plan(args) => plan::run(*args),
            Command::Export(args) => export::run(*args),
            Command::Convert(args) => convert::run(args),
            Command::Inspect(args) => inspect::run(args),
            Command::Filter(args) => filter::run(args),
            Command::Evaluate(args) => evaluate::run(*args),
            Command::Compare(args) => compare::run(*args),
            Command::Simulate(args) => simulate::run(*args),
            Command::Tutor(args) => tutor::run(*args),
            Command::Agreement(args) => agreement::run(&args),
            Command::Status(args) => status::run(args),
            Command::Verify(args) => verify::run(*args),
            Command::Trust(args) => trust::run(&args),
            Command::Mock(args) => mock::run(&args),
        }
    }
}
