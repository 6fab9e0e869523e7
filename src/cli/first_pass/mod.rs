//! The first pass over the input: every row is read once before any money is spent.
//!
//! It finds out what cannot be understood, how much there is to do, where each row stands (`reading`), and writes the
//! order in which conversations are to be opened. Of plain files it is remembered in the store (`remembered`): the
//! next run over the same files does not read them before it asks. `rows` reads a row again by its number;
//! `admission` puts finished conversations behind the others.

mod admission;
mod reading;
mod remembered;
mod rows;
mod spool;

pub use rows::{Row, Rows};
pub use spool::Spool;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use admission::Admission;
use reading::{Found, Pass};
use remembered::Memory;

use super::CliError;
use super::error::exit_code;
use super::options::Options;
use crate::conversation::{Message, Role, Settings};
use crate::dataset::{Input, Problem, RawRow, Threads, expand};
use crate::recipe::Recipe;
use crate::report::Totals;
use crate::store::Reader;

/// What the first pass found.
pub struct Prepared {
    /// Where each row stands.
    pub rows: Arc<Rows>,
    /// Conversations and turns.
    pub totals: Totals,
    /// Rows that are left out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// What was changed to make turns of rows, by rule.
    pub changed: BTreeMap<String, u64>,
    /// Rows that cannot be understood.
    pub invalid: u64,
    order: PathBuf,
}

impl Prepared {
    /// Returns the rows in the order in which they are to be opened, as far as `store` knows what is finished.
    pub fn order(&self, store: Arc<dyn Reader>, recipe: &dyn Recipe) -> Result<Admission, CliError> {
        let admission = Admission::open(&self.order, Arc::clone(&self.rows), store, recipe.settings().clone());
        admission.map_err(|error| CliError::failure(format!("cannot read the admission order: {error}")))
    }
}

/// Reads every row of `inputs`, or remembers what was found when they were last read.
pub fn prepare(
    inputs: &[String],
    options: &Options,
    recipe: &dyn Recipe,
    system: Option<&str>,
) -> Result<Prepared, CliError> {
    if inputs.is_empty() {
        return Err(CliError::usage("no input is named", "name one or more files, or - for standard input"));
    }
    let store = options.store_path();
    let spool = Spool::new(&store)?;
    let spooled = |error: std::io::Error| CliError {
        code: exit_code::STORE,
        message: format!("cannot write to {}: {error}", spool.path().display()),
        hint: Some("free some space, or choose another place with --store".to_owned()),
    };
    let sources = open_inputs(inputs, options.threads.unwrap_or_default(), &spool)?;
    let system = system.map(|text| Message::new(Role::System, text));
    let limit = options.limit.unwrap_or(u64::MAX);
    let reader = options.row_reader()?;
    let how = Settings::default()
        .with("recipe", recipe.settings().digest())
        .with("limit", limit)
        .with("reader", format!("{reader:?}"))
        .with("duplicates", format!("{:?}", options.duplicates.unwrap_or_default()));
    let memory = Memory::of(&store, &sources, how);
    let known = memory.as_ref().and_then(|memory| memory.recall(&sources));
    if let Some(known) = &known {
        known.found.said.iter().for_each(|line| options.say(line));
    }
    let (index, found, order, remembered) = match known {
        Some(known) => (known.index, known.found, known.order, Some(known.directory)),
        None => {
            let mut pass =
                Pass::begin(spool.path(), recipe, reader.clone(), system.clone(), options).map_err(&spooled)?;
            let mut left = limit;
            for source in &sources {
                pass.add_source(source).map_err(&spooled)?;
                left -= each_row(source, left, |row| pass.take(row, &source.name))?;
            }
            let order = spool.path().join("order");
            let (index, found) = pass.finish(&order).map_err(&spooled)?;
            // What cannot be remembered is found out again.
            let kept = memory.and_then(|memory| memory.keep(spool.path(), &found));
            let order = kept.as_ref().map_or(order, |kept| kept.join("order"));
            (index, found, order, kept)
        }
    };
    let Found { totals, left_out, changed, invalid, cut_problems, .. } = found;
    let rows = Arc::new(Rows { index, reader, system, cut_problems, remembered, spool });
    Ok(Prepared { rows, totals, left_out, changed, invalid, order })
}

/// Opens every file that `inputs` stand for.
pub fn open_inputs(inputs: &[String], threads: Threads, spool: &Spool) -> Result<Vec<Input>, CliError> {
    let names = inputs.iter().map(|name| expand(name)).collect::<Result<Vec<_>, _>>()?.concat();
    let open = |(number, name): (usize, &String)| Input::open(name, spool.path(), number, threads);
    Ok(names.iter().enumerate().map(open).collect::<Result<_, _>>()?)
}

/// Gives the rows of `source`, `limit` at most, to `take`, and returns how many there were.
pub fn each_row(
    source: &Input,
    limit: u64,
    mut take: impl FnMut(Result<RawRow<'_>, Problem>) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::usage(format!("cannot read {}: {error}", source.name), "name files that exist and can be read")
    };
    let mut rows = source.rows().map_err(unreadable)?;
    let mut count = 0;
    while count < limit {
        let Some(row) = rows.next().map_err(unreadable)? else { break };
        take(row)?;
        count += 1;
    }
    Ok(count)
}
