//! The first pass over the input: every row is read once before any money is spent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::CliError;
use super::options::Options;
use crate::conversation::{ConversationKey, Message, Role, Seed};
use crate::dataset::{Index, IndexBuilder, IndexError, Input, Problem, RawRow, Reading, RowState, read_row};
use crate::recipe::Recipe;
use crate::report::Totals;
use crate::store::{Reader, Status};
use crate::worker::{AdmissionOrder, OrderBuilder, RowRank, Seeds};

/// Rows that cannot even be cut out of their file whose reasons are kept; of the others only the number is.
const CUT_PROBLEMS_MAX: usize = 1_000;
/// Rows that are named on the screen.
const NAMED_MAX: u64 = 10;

/// What the first pass found.
pub struct Prepared {
    /// Where each row stands.
    pub rows: Arc<Rows>,
    /// Conversations and turns.
    pub totals: Totals,
    /// Rows that are left out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Rows that cannot be understood.
    pub invalid: u64,
    /// The rows in the order in which they are to be opened.
    pub order: AdmissionOrder,
}

/// The rows of all inputs, to be read again by number.
pub struct Rows {
    index: Index,
    system: Option<Arc<Message>>,
    /// Why rows that cannot be cut out cannot.
    cut_problems: BTreeMap<u64, Problem>,
    spool: Spool,
}

/// A row as it is read again.
pub enum Row {
    Ready(Seed),
    Skipped { id: Option<String>, reason: &'static str },
    Invalid { reason: String },
}

/// Reads every row of `inputs`.
pub fn prepare(
    inputs: &[String],
    options: &Options,
    recipe: &dyn Recipe,
    system: Option<&str>,
    store: &dyn Reader,
) -> Result<Prepared, CliError> {
    if inputs.is_empty() {
        return Err(CliError::usage("no input is named", "name one or more files, or - for standard input"));
    }
    let spool = Spool::new(&options.store_path())?;
    let spooled = |error: std::io::Error| CliError {
        code: super::exit_code::STORE,
        message: format!("cannot write to {}: {error}", spool.0.display()),
        hint: Some("free some space, or choose another place with --store".to_owned()),
    };
    let mut pass = Pass {
        recipe,
        store,
        system: system.map(|text| Message::new(Role::System, text)),
        index: IndexBuilder::new(&spool.0).map_err(&spooled)?,
        order: OrderBuilder::new(&spool.0),
        cut_problems: BTreeMap::new(),
        totals: Totals::default(),
        left_out: BTreeMap::new(),
        invalid: 0,
        row: 0,
    };
    let limit = options.limit.unwrap_or(u64::MAX);
    for (number, name) in inputs.iter().enumerate() {
        let input = Input::open(name, &spool.0, number)?;
        pass.index.add_source(&input).map_err(&spooled)?;
        let unreadable = |error: std::io::Error| {
            CliError::usage(format!("cannot read {}: {error}", input.name), "name files that exist and can be read")
        };
        let mut rows = input.rows().map_err(unreadable)?;
        while pass.row < limit {
            let Some(found) = rows.next().map_err(unreadable)? else { break };
            pass.take(found, &input.name, options)?;
        }
    }
    if pass.invalid > NAMED_MAX {
        options.say(&format!("… and {} more rows that cannot be understood", pass.invalid - NAMED_MAX));
    }
    Ok(Prepared {
        totals: pass.totals,
        left_out: pass.left_out,
        invalid: pass.invalid,
        order: pass.order.finish().map_err(&spooled)?,
        rows: Arc::new(Rows {
            index: pass.index.finish().map_err(&spooled)?,
            system: pass.system,
            cut_problems: pass.cut_problems,
            spool,
        }),
    })
}

/// The first pass while it goes on.
struct Pass<'a> {
    recipe: &'a dyn Recipe,
    store: &'a dyn Reader,
    system: Option<Arc<Message>>,
    index: IndexBuilder,
    order: OrderBuilder,
    cut_problems: BTreeMap<u64, Problem>,
    totals: Totals,
    left_out: BTreeMap<String, u64>,
    invalid: u64,
    row: u64,
}

impl Pass<'_> {
    fn take(&mut self, found: Result<RawRow<'_>, Problem>, source: &str, options: &Options) -> Result<(), CliError> {
        let row = found.as_ref().map_or(RawRow { bytes: &[], line: 0, offset: 0 }, |row| *row);
        let (line, state) = match &found {
            Err(problem) => {
                self.refuse(source, problem.line, &problem.reason, options);
                if self.cut_problems.len() < CUT_PROBLEMS_MAX {
                    self.cut_problems.insert(self.row, problem.clone());
                }
                (problem.line, RowState::Invalid)
            }
            Ok(row) => match read_row(row.bytes) {
                Reading::Invalid { reason } => {
                    self.refuse(source, row.line, &reason, options);
                    (row.line, RowState::Invalid)
                }
                Reading::Skipped { skip, .. } => {
                    *self.left_out.entry(skip.name().to_owned()).or_default() += 1;
                    (row.line, RowState::Skipped)
                }
                Reading::Ready { seed, .. } => (row.line, self.rank(replace_system(seed, self.system.as_ref()))?),
            },
        };
        let written = self.index.push(&RawRow { line, ..row }, state);
        written.map_err(|error| CliError {
            code: super::exit_code::STORE,
            ..CliError::failure(format!("cannot write the row index: {error}"))
        })?;
        self.row += 1;
        Ok(())
    }

    fn refuse(&mut self, source: &str, line: u64, reason: &str, options: &Options) {
        self.invalid += 1;
        *self.left_out.entry("invalid".to_owned()).or_default() += 1;
        if self.invalid <= NAMED_MAX {
            options.say(&format!("{source}:{line}: {reason}"));
        }
    }

    fn rank(&mut self, seed: Seed) -> Result<RowState, CliError> {
        let digest = seed.digest();
        let key = ConversationKey::new(self.recipe.settings(), &digest);
        let state = self.store.state(&key)?;
        let finished = state.is_some_and(|state| matches!(state.status, Status::Complete | Status::Stopped { .. }));
        let turns = self.recipe.turn_count(&seed);
        self.totals.conversations += 1;
        self.totals.turns += u64::from(turns);
        let rank = RowRank { finished, turns: Reverse(turns), prefix: seed.prefix(), row: self.row };
        self.order.push(rank).map_err(|error| CliError {
            code: super::exit_code::STORE,
            ..CliError::failure(format!("cannot write the admission order: {error}"))
        })?;
        Ok(RowState::Ready { turns, digest: first_half(&digest) })
    }
}

impl Rows {
    /// Returns how many rows there are.
    pub fn len(&self) -> u64 {
        self.index.row_count()
    }

    /// Returns the input and the line of a row.
    pub fn place(&self, row: u64) -> Result<(&str, u64), IndexError> {
        let entry = self.index.entry(row)?;
        Ok((self.index.source_name(entry.source), entry.line))
    }

    /// Reads a row again. Fails where it is not what it was in the first pass.
    pub fn read(&self, row: u64) -> Result<Row, IndexError> {
        let entry = self.index.entry(row)?;
        if entry.state == RowState::Invalid
            && let Some(problem) = self.cut_problems.get(&row)
        {
            return Ok(Row::Invalid { reason: problem.reason.clone() });
        }
        let reading = read_row(&self.index.bytes(&entry)?);
        let changed = || IndexError::Changed(self.index.source_name(entry.source).to_owned());
        match (entry.state, reading) {
            (RowState::Ready { digest, .. }, Reading::Ready { seed, .. }) => {
                let seed = replace_system(seed, self.system.as_ref());
                if first_half(&seed.digest()) == digest { Ok(Row::Ready(seed)) } else { Err(changed()) }
            }
            (RowState::Skipped, Reading::Skipped { id, skip, .. }) => Ok(Row::Skipped { id, reason: skip.name() }),
            (RowState::Invalid, Reading::Invalid { reason }) => Ok(Row::Invalid { reason }),
            _ => Err(changed()),
        }
    }

    /// Returns a directory that goes when the rows go.
    pub fn spool(&self) -> &Path {
        &self.spool.0
    }

    /// Fails where an input was written to since the first pass.
    pub fn check_unchanged(&self) -> Result<(), IndexError> {
        self.index.check_unchanged()
    }
}

impl Seeds for Rows {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        match self.read(row) {
            Ok(Row::Ready(seed)) => Ok(seed),
            Ok(_) => Err("it holds no conversation".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn replace_system(seed: Seed, system: Option<&Arc<Message>>) -> Seed {
    match system {
        Some(system) => seed.with_system(system),
        None => seed,
    }
}

fn first_half(digest: &crate::conversation::Digest) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest.0[..16]);
    half
}

/// A directory for what cannot be read twice; gone when dropped.
struct Spool(PathBuf);

impl Spool {
    /// Makes a directory of this process's own below the store, clearing what dead processes left behind.
    fn new(store: &Path) -> Result<Self, CliError> {
        let parent = store.join("spool");
        let path = parent.join(std::process::id().to_string());
        remove_dead(&parent);
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            // A store that can only be read still has its plan, status and export.
            Err(_) => {
                let path = std::env::temp_dir().join(format!("cohobate-{}", std::process::id()));
                std::fs::create_dir_all(&path).map_err(|error| {
                    CliError::failure(format!("cannot create a spool directory at {}: {error}", path.display()))
                })?;
                Ok(Self(path))
            }
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Left behind, it is cleared by the next run.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn remove_dead(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_alive = Path::new("/proc").join(entry.file_name()).exists();
        if !is_alive {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
