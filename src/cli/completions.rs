use clap::Args;
use clap_complete::{Shell, generate};

use super::error::exit_code;
use super::output::print;
use super::progress::DisplayArg;
use super::{CliResult, command_line};

/// Print the completions for a shell
#[derive(Args)]
#[command(after_help = "\
bash   cohobate completions bash > ~/.local/share/bash-completion/completions/cohobate
zsh    cohobate completions zsh > DIR/_cohobate, where DIR is a directory of $fpath
fish   cohobate completions fish > ~/.config/fish/completions/cohobate.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "bash|zsh|fish", value_parser = shell)]
    shell: Shell,

    #[command(flatten)]
    display: DisplayArg,
}

fn shell(text: &str) -> Result<Shell, &'static str> {
    match text {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("write bash, zsh or fish"),
    }
}

pub fn run(args: CompletionsArgs) -> CliResult {
    args.display.begin();
    let mut script = Vec::new();
    generate(args.shell, &mut command_line(), "cohobate", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(exit_code::COMPLETE)
}
