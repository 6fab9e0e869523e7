//! The first pass over the input: every row is read once before any money is spent.
//!
//! It finds which rows are invalid, how much there is to do, where each row begins (`reading`), and writes the order in
//! which conversations are opened (`order`). For plain files the result is remembered in the store (`remembered`): the
//! next run over the same files sends its first call without reading them. `rows` reads a row again by its number;
//! `admission` moves finished conversations behind the others. Jobs without a store read their input as a stream
//! (`stream`).

mod admission;
mod foresight;
mod on_the_hub;
mod open;
mod order;
mod reading;
mod remembered;
mod rows;
mod spool;
mod stream;

pub use admission::Admission;
pub use foresight::Lookout;
pub use open::{each_row, open_inputs};
pub use rows::Rows;
pub use spool::Spool;
pub use stream::{RecordStream, read_record};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use reading::{FirstPass, Found};
use remembered::Memory;

use super::run_log::SeenInput;
use super::settings::InputSettings;
use super::shard::Shard;
use super::{Context, JobError, JobEvent, open_store};
use crate::conversation::{Message, Role, Settings};
use crate::dataset::{Input, SourceFile, Tools};
use crate::export::LeftOutKind;
use crate::recipe::{Distill, Recipe};
use crate::report::{InputRows, Totals};
use crate::store::Reader;
use crate::worker::StoredCount;

/// The result of a first pass.
pub struct Prepared {
    /// The rows, to be read again by number.
    pub rows: Arc<Rows>,
    /// Conversations and turns.
    pub totals: Totals,
    left_out: BTreeMap<String, u64>,
    /// Changes that were made to turn rows into conversations, by rule.
    pub changed: BTreeMap<String, u64>,
    invalid: u64,
    elsewhere: u64,
    shard: Option<Shard>,
    order: PathBuf,
}

impl Prepared {
    /// Returns how many rows there are to go over, and which part of the input they are.
    pub fn rows_read(&self) -> InputRows {
        let rows = self.rows.len() - self.elsewhere;
        InputRows { rows, shard: self.shard.map(|shard| (shard.to_string(), self.rows.len())) }
    }

    /// Returns the rows that are left out, by reason; after the last pass with those that were changed during the run.
    pub fn left_out(&self) -> BTreeMap<String, u64> {
        let mut left_out = self.left_out.clone();
        if self.rows.changed_count() > 0 {
            *left_out.entry(LeftOutKind::Invalid.name().to_owned()).or_default() += self.rows.changed_count();
        }
        left_out
    }

    /// Returns the number of invalid rows; after the last pass with those that were changed during the run.
    pub fn invalid(&self) -> u64 {
        self.invalid + self.rows.changed_count()
    }

    /// Returns the rows in the order in which they are opened, as far as `store` knows what is finished.
    pub fn order(
        &self,
        store: Arc<dyn Reader>,
        recipe: Arc<dyn Recipe>,
        known: Arc<StoredCount>,
    ) -> Result<Admission, JobError> {
        let admission = Admission::open(&self.order, Arc::clone(&self.rows), store, recipe, known);
        admission.map_err(|error| JobError::unexpected(format!("cannot read the admission order: {error}")))
    }
}

/// Returns the error of an input that nothing can be done with, with how many rows are left out for which reason.
pub fn no_rows(input: &str, left_out: &BTreeMap<String, u64>) -> JobError {
    const REASONS_MAX: usize = 5;
    let named = left_out.iter().take(REASONS_MAX).map(|(reason, count)| format!("{count} × {reason}"));
    let more = left_out.len().checked_sub(REASONS_MAX).filter(|more| *more > 0);
    let reasons: Vec<String> = named.chain(more.map(|more| format!("{more} more reasons"))).collect();
    let message = if reasons.is_empty() {
        format!("there is no row in {input}")
    } else {
        format!("no row of {input} can be used: {}", reasons.join(", "))
    };
    JobError::usage(message, "`cohobate inspect` shows what there is; --format and --map name the format of the rows")
}

/// Returns the error of a shard without conversations.
fn no_rows_in(shard: Shard, input: &str) -> JobError {
    let message = format!("no conversation of {input} is in shard {shard}");
    JobError::usage(
        message,
        "use fewer shards; conversations that begin with the same question are always in one shard",
    )
}

/// Reads every row of the input, or recalls the result of an earlier pass over the same files. Reports what the `lookout` has
/// found.
pub fn prepare(
    input: &InputSettings,
    store: &Path,
    recipe: &dyn Recipe,
    system: Option<&str>,
    lookout: Lookout<'_>,
    context: &Context,
) -> Result<Prepared, JobError> {
    if input.sources.is_empty() {
        return Err(JobError::usage("no input is named", "name one or more files, or - for standard input"));
    }
    refuse_unmatched_tools(input.read.reader.rules.tools, recipe)?;
    // Where there is no store yet, looking at the rows creates none.
    let has_store = open_store::exists(store);
    let spool = if has_store { Spool::new(store)? } else { Spool::temporary()? };
    let sources = open_inputs(input, &spool, context)?;
    for source in &sources {
        context.log.saw_input(seen(source));
    }
    let system = system.map(|text| Message::new(Role::System, text));
    let read = &input.read;
    let how = Settings::default()
        .with("recipe", recipe.settings().digest())
        .with("limit", read.limit.unwrap_or(u64::MAX))
        .with("shard", read.shard.map_or(String::new(), |shard| shard.to_string()))
        .with("reader", format!("{:?}", read.reader))
        .with("duplicates", format!("{:?}", read.duplicates))
        .with(
            "output",
            lookout.output.map_or(String::new(), |(format, is_table)| format!("{} {is_table}", format.name())),
        )
        .with("looks-back", lookout.store.is_some_and(|(path, _)| open_store::predates_edition(path)));
    // Rows of the calling program are in a temporary file, which no later run reads again.
    let memory = (has_store && input.is_named()).then(|| Memory::of(store, &sources, how)).flatten();
    let known = memory.as_ref().and_then(|memory| memory.recall(&sources));
    let (index, found, order, remembered) = match known {
        Some(known) => {
            known.found.invalid_rows.iter().for_each(|row| context.report(JobEvent::RowInvalid(row.clone())));
            known.found.report_unnamed(context);
            (known.index, known.found, known.order, Some(known.directory))
        }
        None => {
            let order = spool.path().join("order");
            let pass = FirstPass::begin(&spool, recipe, read, system.clone(), &lookout, context)?;
            let (index, found) = pass.run(&sources, &order)?;
            // A pass that cannot be remembered is repeated by the next run.
            let kept = memory.and_then(|memory| memory.keep(spool.path(), &found));
            let order = kept.as_ref().map_or(order, |kept| kept.join("order"));
            (index, found, order, kept)
        }
    };
    let Found { totals, left_out, changed, invalid, cut_problems, foresight, elsewhere, .. } = found;
    if totals.conversations == 0 {
        return Err(match read.shard {
            Some(shard) if elsewhere > 0 => no_rows_in(shard, &input.shown()),
            _ => no_rows(&input.shown(), &left_out),
        });
    }
    foresight.events(totals.conversations, &lookout)?.into_iter().for_each(|event| context.report(event));
    let rows = Arc::new(Rows {
        index,
        reader: read.reader.clone(),
        system,
        cut_problems,
        remembered,
        spool,
        changed: AtomicU64::new(0),
        said: Mutex::default(),
        context: context.clone(),
        ahead: Mutex::default(),
    });
    Ok(Prepared { rows, totals, left_out, changed, invalid, elsewhere, shard: read.shard, order })
}

/// Fails where rows are split at calls to tools and the recipe does not keep calls, or the other way round.
fn refuse_unmatched_tools(tools: Tools, recipe: &dyn Recipe) -> Result<(), JobError> {
    let keeps_calls = recipe.settings().get(Distill::TOOLS).is_some();
    match (tools == Tools::Regenerate, keeps_calls) {
        (true, false) => Err(JobError::usage(
            "only distill regenerates calls to tools",
            "write --tools replay, whose calls and results stay as context",
        )),
        (false, true) => Err(JobError::usage(
            "calls to tools are regenerated, and the rows are not read for that",
            "read them with --tools regenerate",
        )),
        _ => Ok(()),
    }
}

/// Returns an input for the run log: the file that the user has named, not what it was unpacked to.
fn seen(source: &Input) -> SeenInput {
    // Beyond the files that are held open anyway, this one is opened again to be hashed.
    let named = || {
        let path = source.original_path()?;
        path.is_file().then(|| SourceFile::open(path, usize::MAX).ok()).flatten()
    };
    let file = if source.plain_path().is_some() { Some(source.file().clone()) } else { named() };
    SeenInput { name: source.name.clone(), file }
}
