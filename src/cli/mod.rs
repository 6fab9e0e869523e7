//! The command line: arguments → settings → run → exit code. One file a command.

mod agreement;
mod compare;
mod convert;
mod distill;
mod engine;
mod environment;
mod error;
mod evaluate;
mod export;
mod filter;
mod first_pass;
mod inspect;
mod judged;
mod limits;
/// What a process uses of its machine.
pub mod machine;
mod mock;
mod model;
mod options;
mod output;
mod plan;
mod recipe;
mod signals;
mod simulate;
mod status;
mod store;
mod tutor;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

use crate::report::words;
pub use error::exit_code;

/// Distils multi-turn conversations: keeps every user turn, lets a teacher model write every assistant turn anew,
/// and never loses or repeats a paid answer.
#[derive(Parser)]
#[command(name = "cohobate", version, max_term_width = 100, after_help = exit_code::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Distill(distill::DistillArgs),
    Plan(plan::PlanArgs),
    Export(export::ExportArgs),
    Convert(convert::ConvertArgs),
    Inspect(inspect::InspectArgs),
    Filter(filter::FilterArgs),
    Evaluate(evaluate::EvaluateArgs),
    Compare(Box<compare::CompareArgs>),
    Agreement(agreement::AgreementArgs),
    Simulate(Box<simulate::SimulateArgs>),
    Tutor(Box<tutor::TutorArgs>),
    Status(status::StatusArgs),
    Verify(verify::VerifyArgs),
    Mock(mock::MockArgs),
}

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Distill(args) => distill::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Export(args) => export::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Filter(args) => filter::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Compare(args) => compare::run(*args),
        Command::Simulate(args) => simulate::run(*args),
        Command::Tutor(args) => tutor::run(*args),
        Command::Agreement(args) => agreement::run(&args),
        Command::Status(args) => status::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Mock(args) => mock::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !error.message.is_empty() {
                words::tell(format!("error: {}", error.message));
                if let Some(hint) = &error.hint {
                    words::tell(format!("hint: {hint}"));
                }
            }
            ExitCode::from(error.code)
        }
    }
}

/// What every command returns: an exit code, or a message with one.
type CliResult = Result<u8, CliError>;
