//! The `cohobate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cohobate::cli::main()
}
