use std::fmt::Write as _;
use std::io;

use clap::{Args, Command};
use clap_mangen::Man;
use cohobate::job::JobError;

use super::error::exit_code;
use super::output::print;
use super::progress::DisplayArg;
use super::{CliResult, command_line};

/// Print the man page, with every command
#[derive(Args)]
#[command(after_help = "cohobate man > ~/.local/share/man/man1/cohobate.1 installs it.")]
pub struct ManArgs {
    #[command(flatten)]
    display: DisplayArg,
}

pub fn run(args: ManArgs) -> CliResult {
    args.display.begin();
    let page = page(command_line()).map_err(|error| JobError::unexpected(format!("cannot write the page: {error}")))?;
    print(page.trim_end())?;
    Ok(exit_code::COMPLETE)
}

/// Returns one page: the program, then a section for each command.
fn page(mut program: Command) -> io::Result<String> {
    program.build();
    let commands: Vec<Command> =
        program.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect();
    let man = Man::new(program);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_extra_section(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for command in commands {
        let name = command.get_name().to_uppercase();
        let man = Man::new(command);
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        // The sections of a command are inside its own.
        let section = String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ");
        let _ = writeln!(page, ".SH {name}");
        page.push_str(&section);
    }
    Ok(page)
}
