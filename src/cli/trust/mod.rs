//! Trust in configuration files.
//!
//! A `cohobate.toml` that was merely found in the working directory may come from a stranger: with a dataset, a checkout or
//! an archive. Until the user trusts it, it may not reach beyond the questions and its own directory (`class` has what
//! each setting can reach, `demand` what a file asks for, `record` what the user has trusted). `--config` trusts the file
//! that it names, for one run.

pub mod class;
mod demand;
mod record;

use std::path::{Path, PathBuf};

use clap::Args;
use cohobate::job::JobError;

use super::CliResult;
use super::config::{CONFIG_FILE, ConfigFile};
use super::environment;
use super::error::exit_code;
use super::output::print;
use super::progress::DisplayArg;
use demand::{Demand, demands, shown};
use record::{Standing, standing};

/// Demands that an error lists.
const LISTED_MAX: usize = 5;

/// Trust the settings of a cohobate.toml
///
/// A cohobate.toml that was found in the working directory may not run a command, send a key or another environment
/// variable to a server, change how connections are protected, or use files outside of its directory, until this command
/// has shown and recorded those settings. Other edits need no new trust. A file that --config names needs none at all.
#[derive(Args)]
pub struct TrustArgs {
    /// The file [default: cohobate.toml]
    file: Option<PathBuf>,

    #[command(flatten)]
    display: DisplayArg,
}

pub fn run(args: &TrustArgs) -> CliResult {
    args.display.begin();
    let path = args.file.as_deref().unwrap_or(Path::new(CONFIG_FILE));
    let file = ConfigFile::read(Some(path))
        .map_err(|error| JobError { hint: error.hint.map(|hint| hint.replace(" with --config", "")), ..error })?;
    let demands = trust(&file)?;
    let mut lines = vec![match demands.len() {
        0 => format!("trusted: {} (no setting in it needs trust)", shown(&path.display().to_string())),
        _ => format!("trusted: {}", shown(&path.display().to_string())),
    }];
    lines.extend(demands.iter().map(|Demand { setting, effect, .. }| format!("  {setting} {effect}")));
    print(lines.join("\n"))?;
    Ok(exit_code::COMPLETE)
}

/// Records that the user trusts a file as it is. Returns what it may do from now on.
pub fn trust(file: &ConfigFile) -> Result<Vec<Demand>, JobError> {
    let (path, directory) = place(&file.path)?;
    let demands = demands(&file.table, &directory);
    record::record(&path, &demands)?;
    Ok(demands)
}

/// Refuses a file that was merely found and asks for what needs trust. `uses` tells the options at the top of the file
/// that decide something for this command; others do no harm.
pub fn check(file: &ConfigFile, uses: impl Fn(&str) -> bool) -> Result<(), JobError> {
    if file.is_named || file.table.is_empty() {
        return Ok(());
    }
    let (path, directory) = place(&file.path)?;
    let all = demands(&file.table, &directory);
    let keys = environment::keys([]);
    let matter = |demand: &&Demand| uses(demand.option()) && demand.matters(&keys);
    let matters: Vec<&Demand> = all.iter().filter(matter).collect();
    let standing = standing(&path, &all);
    if matters.is_empty() || standing == Standing::Trusted {
        return Ok(());
    }
    let name = file.path.display();
    let mut lines = vec![match standing {
        Standing::Changed => format!("{name} was changed since it was trusted:"),
        _ => format!("{name} was found in this directory, and is not trusted:"),
    }];
    let listed = matters.iter().take(LISTED_MAX);
    lines.extend(listed.map(|Demand { setting, effect, .. }| format!("  {setting} {effect}")));
    if matters.len() > LISTED_MAX {
        lines.push(format!("  and {} more", matters.len() - LISTED_MAX));
    }
    let hint = format!("if you trust these settings, run `cohobate trust`; --config {name} trusts them for one run");
    Err(JobError::usage(lines.join("\n"), hint))
}

/// Returns a file's full path, and its directory. A link counts where it is, as paths in the file start from there.
fn place(file: &Path) -> Result<(PathBuf, PathBuf), JobError> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = parent.canonicalize().map_err(|error| {
        let message = format!("cannot read the directory of {}: {error}", file.display());
        JobError::usage(message, "name a file that exists with --config")
    })?;
    Ok((directory.join(file.file_name().unwrap_or_default()), directory))
}
