use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows::replace_system;
use crate::cli::CliError;
use crate::cli::error::exit_code;
use crate::cli::options::Options;
use crate::conversation::{Message, Seed};
use crate::dataset::{
    Duplicates, Index, IndexBuilder, Input, Problem, RawRow, Reading, RowReader, RowState, Seen, Skip,
};
use crate::recipe::Recipe;
use crate::report::Totals;
use crate::worker::{OrderBuilder, RowRank};

/// Rows that cannot even be cut out of their file whose reasons are kept; of the others only the number is.
const CUT_PROBLEMS_MAX: usize = 1_000;
/// Rows that are named on the screen.
const NAMED_MAX: u64 = 10;

/// The first pass while it goes on.
pub struct Pass<'a> {
    recipe: &'a dyn Recipe,
    reader: RowReader,
    system: Option<Arc<Message>>,
    index: IndexBuilder,
    order: OrderBuilder,
    /// What users said so far, where duplicates are dropped.
    seen: Option<Seen>,
    found: Found,
    /// Told to the person as soon as it is known.
    options: &'a Options,
}

/// What the first pass finds, but for the rows themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Conversations and turns.
    pub totals: Totals,
    /// Rows of all kinds.
    pub rows: u64,
    /// Rows that are left out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// What was changed to make turns of rows, by rule.
    pub changed: BTreeMap<String, u64>,
    /// Rows that cannot be understood.
    pub invalid: u64,
    /// What was said of them.
    pub said: Vec<String>,
    /// Why rows that cannot be cut out of their file cannot.
    pub cut_problems: BTreeMap<u64, String>,
}

impl<'a> Pass<'a> {
    /// Begins a pass that writes the rows and their order into `directory`.
    pub fn begin(
        directory: &Path,
        recipe: &'a dyn Recipe,
        reader: RowReader,
        system: Option<Arc<Message>>,
        options: &'a Options,
    ) -> std::io::Result<Self> {
        let (index, order) = (IndexBuilder::new(directory)?, OrderBuilder::new(directory));
        let seen = (options.duplicates == Some(Duplicates::Drop)).then(Seen::default);
        Ok(Self { recipe, reader, system, index, order, seen, found: Found::default(), options })
    }

    /// Adds an input; the rows that follow are of it.
    pub fn add_source(&mut self, input: &Input) -> std::io::Result<()> {
        self.index.add_source(input)
    }

    /// Ends the pass.
    pub fn finish(mut self, order_path: &Path) -> std::io::Result<(Index, Found)> {
        if self.found.invalid > NAMED_MAX {
            self.say(format!("… and {} more rows that cannot be understood", self.found.invalid - NAMED_MAX));
        }
        self.order.write_to(order_path)?;
        Ok((self.index.finish()?, self.found))
    }

    pub fn take(&mut self, found: Result<RawRow<'_>, Problem>, source: &str) -> Result<(), CliError> {
        let row = found.as_ref().map_or(RawRow { bytes: &[], line: 0, offset: 0 }, |row| *row);
        let (line, state) = match &found {
            Err(problem) => {
                self.refuse(source, problem.line, &problem.reason);
                if self.found.cut_problems.len() < CUT_PROBLEMS_MAX {
                    self.found.cut_problems.insert(self.found.rows, problem.reason.clone());
                }
                (problem.line, RowState::Invalid)
            }
            Ok(row) => match self.reader.read(row.bytes) {
                Reading::Invalid { reason } => {
                    self.refuse(source, row.line, &reason);
                    (row.line, RowState::Invalid)
                }
                Reading::Skipped { skip, .. } => {
                    *self.found.left_out.entry(skip.name().to_owned()).or_default() += 1;
                    (row.line, RowState::Skipped)
                }
                Reading::Ready { seed, .. } if self.is_duplicate(&seed) => {
                    *self.found.left_out.entry(Skip::Duplicate.name().to_owned()).or_default() += 1;
                    (row.line, RowState::Duplicate)
                }
                Reading::Ready { seed, notes, .. } => {
                    for (rule, count) in notes.counts() {
                        *self.found.changed.entry(rule.to_owned()).or_default() += count;
                    }
                    (row.line, self.rank(&replace_system(seed, self.system.as_ref()))?)
                }
            },
        };
        let written = self.index.push(&RawRow { line, ..row }, state);
        written.map_err(|error| unwritable("the row index", &error))?;
        self.found.rows += 1;
        Ok(())
    }

    fn is_duplicate(&mut self, seed: &Seed) -> bool {
        let messages = seed.turns.iter().flat_map(|turn| &turn.messages);
        self.seen.as_mut().is_some_and(|seen| seen.has_seen(messages))
    }

    fn refuse(&mut self, source: &str, line: u64, reason: &str) {
        self.found.invalid += 1;
        *self.found.left_out.entry("invalid".to_owned()).or_default() += 1;
        if self.found.invalid <= NAMED_MAX {
            self.say(format!("{source}:{line}: {reason}"));
        }
    }

    fn say(&mut self, line: String) {
        self.options.say(&line);
        self.found.said.push(line);
    }

    fn rank(&mut self, seed: &Seed) -> Result<RowState, CliError> {
        let digest = seed.digest();
        let turns = self.recipe.turn_count(seed);
        self.found.totals.conversations += 1;
        self.found.totals.turns += u64::from(turns);
        let rank = RowRank { turns: Reverse(turns), prefix: seed.prefix(), row: self.found.rows };
        self.order.push(rank).map_err(|error| unwritable("the admission order", &error))?;
        Ok(RowState::Ready { turns, digest })
    }
}

fn unwritable(what: &str, error: &std::io::Error) -> CliError {
    CliError { code: exit_code::STORE, ..CliError::failure(format!("cannot write {what}: {error}")) }
}
