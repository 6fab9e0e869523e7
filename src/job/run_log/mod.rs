//! The run log of a store: what each command that sends calls did, when, and how it ended.
//!
//! ```text
//! STORE/runs/runs.jsonl      begin, input, asking, control, caution, outages, end    1 MiB, and 3 older files
//! STORE/runs/calls.jsonl     each failed call, changes of concurrency                2 MiB, and 3 older files
//! STORE/runs/progress.jsonl  how far the run is, every two seconds                   64 KiB, and 3 older files
//! STORE/runs/lock            held while a run writes, so that a reader knows whether it is alive
//! ```
//!
//! The files are append-only; a line is one [`LogLine`] as JSON. They are three, so that a night of failures does not push
//! out how earlier runs began and ended.
//!
//! *Invariant:* the log decides nothing and delays nothing. It is written by a thread of its own through a bounded queue,
//! and never synced. What finds the queue full, or cannot be written, is counted and left out. Nothing in it is secret:
//! each text is masked before it is written.

mod events;
mod history;
mod inputs;
mod line;
mod masking;
mod presence;
mod rotation;
mod writer;

pub use events::LoggedEvents;
pub use history::{FailedCall, LoggedRun, RunHistory, RunState};
pub use inputs::{InputNow, SeenInput};
pub use line::{EndKind, LogBegin, LogEnd, LogEvent, LogInput, LogLine, LogModel, LogProgress, LogTime};
pub use writer::{Invocation, RunLog};

/// The folder of the log in its store.
const FOLDER: &str = "runs";
/// The file of how runs began and ended, and its bytes.
const RUNS: (&str, u64) = ("runs.jsonl", 1 << 20);
/// The file of calls, and its bytes.
const CALLS: (&str, u64) = ("calls.jsonl", 2 << 20);
/// The file of progress, and its bytes.
const PROGRESS: (&str, u64) = ("progress.jsonl", 64 << 10);
