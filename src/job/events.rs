use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::conversation::TurnIndex;
use crate::dataset::DirectoryNote;
use crate::report::words::{counted, money};
use crate::report::{RunHeader, StoredSum, Tally};
use crate::store::merge::Orphan;
use crate::worker::Event;

/// Receives the events of a job. Called from the worker's loop too, so it must return quickly.
pub trait Listener: Send + Sync {
    /// Takes an event.
    fn on_event(&self, event: &JobEvent);
}

impl<F: Fn(&JobEvent) + Send + Sync> Listener for F {
    fn on_event(&self, event: &JobEvent) {
        self(event);
    }
}

/// Something that a job reports while it works. `Display` gives the line for people.
#[derive(Clone, Debug)]
pub enum JobEvent {
    /// A store without a usable index is being read from its journal.
    JournalRead {
        /// The directory of the store.
        store: PathBuf,
        /// How much is read, in percent.
        percent: u64,
    },
    /// The index was rebuilt from the journal.
    IndexRebuilt {
        /// The directory of the store.
        store: PathBuf,
        /// Why the index could not be used.
        reason: String,
    },
    /// The end of the journal held an unfinished write, which was cut off.
    TailCut {
        /// The segment.
        segment: PathBuf,
        /// Bytes that were cut.
        bytes: u64,
    },
    /// A part of the journal is damaged; the answers in it will be requested again.
    SegmentDamaged {
        /// The segment.
        segment: PathBuf,
        /// The damaged bytes.
        bytes: Range<u64>,
    },
    /// A store is read without its index; the committed answers are read from its journal.
    ReadingJournalOnly {
        /// Why.
        reason: String,
    },
    /// Of a directory not all is read, or not the split `train`.
    DirectoryRead(DirectoryNote),
    /// A row of the input is invalid.
    RowInvalid(InvalidRow),
    /// Further invalid rows that are not reported one by one.
    MoreRowsInvalid {
        /// How many.
        count: u64,
    },
    /// An answer was built on one that is not used after a merge.
    Orphaned(Orphan),
    /// Further such answers that are not reported one by one.
    MoreOrphans {
        /// How many.
        count: u64,
    },
    /// The run before was killed with requests in flight.
    CallsUnknown {
        /// How many; nobody knows whether they were answered and billed.
        calls: u64,
        /// The most that they can have cost, in dollars, where prices are known.
        cost_max: Option<f64>,
    },
    /// Something that the user should know before trusting the result.
    Caution(String),
    /// Somebody has steered the job, or tried to.
    Steered {
        /// What was asked for, such as `set`.
        verb: &'static str,
        /// Its values, such as `concurrency=4`; empty without any.
        detail: String,
        /// What came of it, or why it was refused.
        outcome: String,
        /// It was refused, and nothing has changed.
        is_refused: bool,
    },
    /// A part of the job is done.
    PartDone(String),
    /// How far a pass over the rows is.
    Phase(Phase),
    /// A pass over the rows that was reported is over.
    PhaseEnded,
    /// The first call may be sent from now on.
    RunStarted(Box<RunStart>),
    /// How much of the run's total earlier runs have stored, as far as it is counted.
    Stored(StoredSum),
    /// Something happened in the run.
    Run(Event),
    /// No call is in flight any more.
    RunEnded,
}

impl JobEvent {
    /// True for what the user should know of the store or of the run.
    pub(super) fn is_caution(&self) -> bool {
        match self {
            Self::IndexRebuilt { .. }
            | Self::TailCut { .. }
            | Self::SegmentDamaged { .. }
            | Self::CallsUnknown { .. }
            | Self::Caution(_) => true,
            Self::JournalRead { .. }
            | Self::ReadingJournalOnly { .. }
            | Self::DirectoryRead(_)
            | Self::RowInvalid(_)
            | Self::MoreRowsInvalid { .. }
            | Self::Orphaned(_)
            | Self::MoreOrphans { .. }
            | Self::PartDone(_)
            | Self::Steered { .. }
            | Self::Phase(_)
            | Self::PhaseEnded
            | Self::RunStarted(_)
            | Self::Stored(_)
            | Self::Run(_)
            | Self::RunEnded => false,
        }
    }
}

/// What is known when a run starts.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// Who is asked, and where the result goes.
    pub header: RunHeader,
    /// True for the first run of a job; a job may have several, one after the other.
    pub is_first: bool,
    /// The totals, the prices, and what is stored.
    pub tally: Tally,
}

/// How far a pass over the rows is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The pass, in words.
    pub name: String,
    /// How much is done.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
    /// What is counted: `byte`, `row` or `answer`.
    pub unit: &'static str,
}

/// A row of the input that is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidRow {
    /// The input.
    pub source: String,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// Why it is invalid.
    pub reason: String,
}

/// The line for people; empty for events of the run, which a progress display counts.
impl fmt::Display for JobEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JournalRead { store, percent } => {
                write!(f, "reading the journal of {}: {percent} %", store.display())
            }
            Self::IndexRebuilt { store, reason } => {
                write!(f, "the index of {} was rebuilt from the journal: {reason}", store.display())
            }
            Self::TailCut { segment, bytes } => {
                let bytes = counted(*bytes, "byte");
                write!(f, "{}: {bytes} of an unfinished write were cut off at the end", segment.display())
            }
            Self::SegmentDamaged { segment, bytes: Range { start, end } } => {
                let segment = segment.display();
                write!(f, "{segment}: bytes {start} to {end} are damaged; their answers will be requested again")
            }
            Self::ReadingJournalOnly { reason } => write!(f, "{reason}; reading what is committed in the journal"),
            Self::DirectoryRead(note) => note.fmt(f),
            Self::RowInvalid(InvalidRow { source, line, reason }) => write!(f, "{source}:{line}: {reason}"),
            Self::Orphaned(Orphan { conversation, slot, fingerprint }) => {
                let turn = TurnIndex::from_index(slot.turn);
                write!(
                    f,
                    "the answer {fingerprint} at turn {turn} of the conversation {conversation} follows one that is not used"
                )
            }
            Self::MoreOrphans { count } => write!(f, "… and {count} more answers; -v names all of them"),
            Self::MoreRowsInvalid { count } => write!(f, "… and {count} more invalid rows"),
            Self::CallsUnknown { calls, cost_max } => {
                let calls = counted(*calls, "request");
                write!(
                    f,
                    "the previous run ended with {calls} in flight; whether they were answered and billed is unknown"
                )?;
                cost_max.map_or(Ok(()), |cost| write!(f, ", at most {}", money(cost)))
            }
            Self::Caution(text) => write!(f, "caution: {text}"),
            Self::Steered { verb, detail, outcome, is_refused } => {
                let asked = [verb, detail.as_str()].join(" ");
                write!(f, "ctl: {}", asked.trim_end())?;
                if *is_refused { write!(f, ": refused: {outcome}") } else { Ok(()) }
            }
            Self::PartDone(text) => f.write_str(text),
            Self::Phase(_)
            | Self::PhaseEnded
            | Self::RunStarted(_)
            | Self::Stored(_)
            | Self::Run(_)
            | Self::RunEnded => Ok(()),
        }
    }
}
