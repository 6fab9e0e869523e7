use std::path::{Path, PathBuf};

use clap::Args;
use cohobate::job::{Context, JobError, MergePlace, MergeReport, MergeSettings, MergedSpending, RunLog, merge};
use cohobate::report::words::{counted, number};

use super::CliResult;
use super::address::{is_address, open};
use super::error::exit_code;
use super::names::{path_name, real_path};
use super::options::MergeOptions;
use super::screen::Screen;

/// Merge stores into one; sends no call
///
/// The merged store has every answer of all stores, and their spending counts there once. Stores may be merged in any order, again
/// when one has grown, and while a run writes to them. Of two answers to one question one is used, the same one in any order.
#[derive(Args)]
pub struct MergeArgs {
    /// The stores, which are not changed: directories, such as .cohobate/shard-*-of-16, or databases, postgres://...
    #[arg(required = true, value_name = "STORE", value_parser = path_name())]
    stores: Vec<PathBuf>,

    /// Merge into this directory, which is created where it is missing, or into this database; what it has stays
    #[arg(long, required = true, value_name = "STORE", value_parser = path_name())]
    into: PathBuf,

    /// Name every answer whose history is not used any more [default: the first ten]
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    options: MergeOptions,
}

pub fn run(args: MergeArgs, log: RunLog) -> CliResult {
    let options = args.options.resolve()?;
    let sources = args.stores.iter().map(|store| place(store, false)).collect::<Result<Vec<_>, _>>()?;
    let models = options.model_settings_offline();
    let settings = MergeSettings {
        on_loss: options.on_loss(),
        orphans_named_max: if args.verbose { u64::MAX } else { 10 },
        prices: models.prices_by_name(),
        ..MergeSettings::new(sources, place(&args.into, true)?)
    };
    let screen = Screen::new(&options);
    log.describe(options.recorded.clone(), models.keys);
    let report = merge(&settings, &Context { log, ..screen.context() })?;
    screen.conclude(&report, || lines(&report, &settings))?;
    if report.sum().damaged == 0 {
        return Ok(exit_code::COMPLETE);
    }
    let damaged = counted(report.sum().damaged, "range");
    Err(JobError::storage(
        format!("{damaged} of the stores cannot be read; everything else is merged"),
        "put the damaged files back from a copy and merge again; without them, the next run asks what is missing again",
    ))
}

/// Returns the store that a name means. `create` says whether the tables of a database are created where they are missing.
fn place(name: &Path, create: bool) -> Result<MergePlace, JobError> {
    match name.to_str().filter(|text| is_address(text)) {
        Some(address) => Ok(open(address, None, create)?.into()),
        None => Ok(real_path(name).into()),
    }
}

fn lines(report: &MergeReport, settings: &MergeSettings) -> Vec<String> {
    let sum = report.sum();
    let into = settings.into.shown();
    let mut lines = vec![format!("merged {} into {into}", counted(report.sources.len() as u64, "store"))];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<11}{text}"));
    row("answers", format!("{} added, {} already there", number(sum.added), number(sum.known)));
    if report.sources.len() > 1 {
        for source in &report.sources {
            row("", format!("{}: {} added", source.store, number(source.added)));
        }
    }
    if sum.answered_twice > 0 {
        let questions = counted(sum.answered_twice, "question");
        row(
            "twice",
            format!("{questions} with another answer in the merged store, replaced in {}", number(sum.replaced)),
        );
    }
    if sum.orphans > 0 {
        let answers = counted(sum.orphans, "answer");
        row("history", format!("{answers} follow an answer that is not used; the next run asks again from there on"));
    }
    let spent = |spending: &[MergedSpending]| {
        let sum = |count: fn(&MergedSpending) -> u64| spending.iter().map(count).sum::<u64>();
        let tokens = format!(
            "{} prompt and {} completion tokens",
            number(sum(|spent| spent.prompt_tokens)),
            number(sum(|spent| spent.completion_tokens))
        );
        format!("{}, {tokens}", counted(sum(|spent| spent.calls + spent.unknown_calls), "call"))
    };
    row("before", spent(&report.spending_before));
    row("spent", spent(&report.spending_after));
    lines
}
