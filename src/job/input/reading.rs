use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Spool;
use super::foresight::{Foresight, Lookout, Watch};
use super::open::each_row;
use super::order::{RowRank, write_order};
use super::rows::replace_system;
use crate::conversation::{Message, Seed};
use crate::dataset::{
    Duplicates, Input, Origin, Problem, RawRow, Reading, RowIndex, RowIndexBuilder, RowReader, RowState,
    SeenConversations, Skip,
};
use crate::export::LeftOutKind;
use crate::job::events::InvalidRow;
use crate::job::phase::PhaseMeter;
use crate::job::settings::ReadSettings;
use crate::job::shard::Shard;
use crate::job::sorter::Sorter;
use crate::job::{Context, JobError, JobEvent, Phase};
use crate::recipe::{Recipe, opening_hash};
use crate::report::Totals;

/// Rows that cannot be cut out of their file whose reasons are kept; of further ones only the number is.
const CUT_PROBLEMS_MAX: usize = 1_000;
/// Invalid rows that are reported one by one.
const NAMED_MAX: u64 = 10;

/// A first pass at work.
pub struct FirstPass<'a> {
    recipe: &'a dyn Recipe,
    reader: RowReader,
    limit: u64,
    shard: Option<Shard>,
    system: Option<Arc<Message>>,
    index: RowIndexBuilder,
    order: Sorter<RowRank>,
    /// What users said so far, where duplicates are dropped.
    seen: Option<SeenConversations>,
    found: Found,
    watch: Watch<'a>,
    context: &'a Context,
}

/// What a first pass finds, apart from the rows themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Conversations and turns.
    pub totals: Totals,
    /// Rows of all kinds, those of other shards included.
    pub rows: u64,
    /// Rows of other shards.
    pub elsewhere: u64,
    /// Rows that are left out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Changes that were made to turn rows into conversations, by rule.
    pub changed: BTreeMap<String, u64>,
    /// Invalid rows.
    pub invalid: u64,
    /// The first of them.
    pub invalid_rows: Vec<InvalidRow>,
    /// Why rows cannot be cut out of their file, by row.
    pub cut_problems: BTreeMap<u64, String>,
    /// What the user should know before the first call.
    pub foresight: Foresight,
}

impl Found {
    /// Reports how many invalid rows were not reported one by one.
    pub fn report_unnamed(&self, context: &Context) {
        if self.invalid > NAMED_MAX {
            context.report(JobEvent::MoreRowsInvalid { count: self.invalid - NAMED_MAX });
        }
    }
}

impl<'a> FirstPass<'a> {
    /// Begins a pass that writes the row index into `spool`.
    pub fn begin(
        spool: &Spool,
        recipe: &'a dyn Recipe,
        read: &ReadSettings,
        system: Option<Arc<Message>>,
        lookout: &Lookout<'a>,
        context: &'a Context,
    ) -> Result<Self, JobError> {
        let index = RowIndexBuilder::new(spool.path()).map_err(|error| unwritable("the row index", &error))?;
        Ok(Self {
            recipe,
            reader: read.reader.clone(),
            limit: read.limit.unwrap_or(u64::MAX),
            shard: read.shard,
            watch: Watch::new(lookout, recipe, &read.reader, system.clone()),
            system,
            index,
            order: Sorter::new(spool.path()),
            seen: (read.duplicates == Duplicates::Drop).then(SeenConversations::default),
            found: Found::default(),
            context,
        })
    }

    /// Reads all sources, and writes the order of admission to `order`.
    pub fn run(mut self, sources: &[Input], order: &Path) -> Result<(RowIndex, Found), JobError> {
        let mut left = self.limit;
        let bytes = |source: &Input| std::fs::metadata(source.path()).map_or(0, |file| file.len());
        let total: u64 = sources.iter().map(bytes).sum();
        let (mut before, context) = (0, self.context);
        let mut meter = PhaseMeter::begin(context);
        for source in sources {
            self.index.add_source(source);
            left -= each_row(source, left, |row| {
                let end = row.as_ref().map_or(0, |row| row.offset + row.bytes.len() as u64);
                let name = || format!("reading {}", source.name);
                meter.step(|| Phase { name: name(), done: before + end, total: Some(total), unit: "byte" });
                self.take(row, &source.name)
            })?;
            before += bytes(source);
        }
        drop(meter);
        self.found.report_unnamed(self.context);
        write_order(self.order, order).map_err(|error| unwritable("the admission order", &error))?;
        let index = self.index.finish().map_err(|error| unwritable("the row index", &error))?;
        self.found.foresight = self.watch.found;
        Ok((index, self.found))
    }

    fn take(&mut self, found: Result<RawRow<'_>, Problem>, source: &str) -> Result<(), JobError> {
        let row = found.as_ref().map_or(RawRow { bytes: &[], line: 0, offset: 0 }, |row| *row);
        let (line, state) = match &found {
            Err(problem) if self.is_elsewhere() => (problem.line, RowState::Elsewhere),
            Err(problem) => {
                self.refuse(source, problem.line, &problem.reason);
                if self.found.cut_problems.len() < CUT_PROBLEMS_MAX {
                    self.found.cut_problems.insert(self.found.rows, problem.reason.clone());
                }
                (problem.line, RowState::Invalid)
            }
            Ok(row) => (row.line, self.classify(row, source)?),
        };
        let written = self.index.push(&RawRow { line, ..row }, state);
        written.map_err(|error| unwritable("the row index", &error))?;
        self.found.rows += 1;
        self.found.elsewhere += u64::from(state == RowState::Elsewhere);
        Ok(())
    }

    /// True where the row at hand, which holds no conversation to ask about, is in another shard.
    fn is_elsewhere(&self) -> bool {
        self.shard.is_some_and(|shard| !shard.holds(self.found.rows))
    }

    fn classify(&mut self, row: &RawRow<'_>, source: &str) -> Result<RowState, JobError> {
        match self.reader.read_at(row.bytes, Some(Origin { file: source, line: row.line })) {
            Reading::Invalid { .. } | Reading::Skipped { .. } if self.is_elsewhere() => Ok(RowState::Elsewhere),
            Reading::Invalid { reason } => {
                self.watch.see(row.bytes, None)?;
                self.refuse(source, row.line, &reason);
                Ok(RowState::Invalid)
            }
            Reading::Skipped { skip, .. } => {
                self.watch.see(row.bytes, None)?;
                *self.found.left_out.entry(skip.name().to_owned()).or_default() += 1;
                Ok(RowState::Skipped)
            }
            // Also of another shard's rows: which of them are duplicates is the same for every shard.
            Reading::Ready { seed, .. } if self.is_duplicate(&seed) => {
                if self.is_elsewhere() {
                    return Ok(RowState::Elsewhere);
                }
                *self.found.left_out.entry(Skip::Duplicate.name().to_owned()).or_default() += 1;
                Ok(RowState::Duplicate)
            }
            Reading::Ready { seed, notes, .. } => {
                let seed = replace_system(seed, self.system.as_ref());
                if self.shard.is_some_and(|shard| !shard.holds(opening_hash(self.recipe, &seed))) {
                    return Ok(RowState::Elsewhere);
                }
                for (rule, count) in notes.counts() {
                    *self.found.changed.entry(rule.to_owned()).or_default() += count;
                }
                self.watch.see(row.bytes, Some((&seed, &notes)))?;
                self.rank(&seed)
            }
        }
    }

    fn is_duplicate(&mut self, seed: &Seed) -> bool {
        let messages = seed.turns.iter().flat_map(|turn| &turn.messages);
        self.seen.as_mut().is_some_and(|seen| seen.has_seen(messages))
    }

    fn refuse(&mut self, source: &str, line: u64, reason: &str) {
        self.found.invalid += 1;
        *self.found.left_out.entry(LeftOutKind::Invalid.name().to_owned()).or_default() += 1;
        if self.found.invalid <= NAMED_MAX {
            let row = InvalidRow { source: source.to_owned(), line, reason: reason.to_owned() };
            self.context.report(JobEvent::RowInvalid(row.clone()));
            self.found.invalid_rows.push(row);
        }
    }

    fn rank(&mut self, seed: &Seed) -> Result<RowState, JobError> {
        let digest = seed.digest();
        let turns = self.recipe.turn_count(seed);
        self.found.totals.conversations += 1;
        self.found.totals.turns += u64::from(turns);
        let rank = RowRank { turns: Reverse(turns), prefix: seed.prefix(), row: self.found.rows };
        self.order.push(rank).map_err(|error| unwritable("the admission order", &error))?;
        Ok(RowState::Ready { turns, digest })
    }
}

fn unwritable(file: &str, error: &std::io::Error) -> JobError {
    let hint = "free some space, or choose another place with --store";
    JobError::storage(format!("cannot write {file}: {error}"), hint)
}
