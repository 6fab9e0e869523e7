//! What the workers of a shared store ask of its database: few operations, each one transaction.
//!
//! | operation | what it does |
//! |---|---|
//! | [`join`](Database::join) | a worker starts: its row, its lease |
//! | [`run`](Database::run) | begins a run, or joins the run of the same name or digests |
//! | [`claim`](Database::claim) | takes free slots, also those of workers whose lease has passed |
//! | [`publish`](Database::publish) | inserts answers (the first one wins), notes and counters, ends slots, renews the lease |
//! | [`give_back`](Database::give_back) | frees slots, or the upper part of one |
//! | [`grant`](Database::grant) | raises what a worker may spend, within the caps |
//! | [`leave`](Database::leave) | a worker ends: its slots are free, its reserve is returned |
//!
//! Answers are never fenced: a late one counts if it is the first, and its cost is booked in any case. Leases, ends of
//! slots and reserves are fenced: by the worker's start and the slot's epoch. So no answer depends on a clock; leases only
//! keep two workers from asking the same.
//!
//! Only the database's clock is compared with the database's times. A worker decides by its own clock, which began before
//! the renewal was sent.

use std::time::Duration;

use super::spending::Allowance;
use crate::conversation::{ConversationKey, Fingerprint, Settings};
use crate::store::entry::{ConversationState, LostCalls, Run, Spending, Spent, Status, Stored};
use crate::store::error::StoreError;
use crate::store::merge::MergeStore;
use crate::store::place::Position;

/// One start of a worker: 16 random bytes, in hexadecimal where it is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WorkerId(pub [u8; 16]);

/// The host of starts whose spending came with a merge.
pub const MERGED_HOST: &str = "merged";

/// Where a conversation is placed: the first eight bytes of its first question's fingerprint, big-endian. Conversations
/// that begin alike have the same.
pub type OpeningHash = u64;

/// Who starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStart {
    /// The start.
    pub id: WorkerId,
    /// The name of its host.
    pub host: String,
    /// Its process.
    pub process: u32,
    /// The version of the program.
    pub version: String,
}

/// A range of openings that one worker at a time may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotRange {
    /// The first opening. It names the slot within its run.
    pub low: OpeningHash,
    /// The last opening.
    pub high: OpeningHash,
}

/// A slot that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The slot.
    pub range: SlotRange,
    /// How often it has been claimed.
    pub epoch: u64,
}

/// A slot of a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSlot {
    /// The slot.
    pub range: SlotRange,
    /// Turns of its longest conversation; the heaviest slots are claimed first.
    pub weight: u32,
}

/// What a run is: the same for every worker of it.
#[derive(Clone, Debug)]
pub struct RunRequest<'a> {
    /// The name that was asked for; without one the run with these digests is meant.
    pub name: Option<&'a str>,
    /// The recipe's settings.
    pub settings: &'a Settings,
    /// A digest of the rows: their conversations in input order.
    pub rows: [u8; 32],
    /// The slots, should it be new.
    pub slots: &'a [NewSlot],
    /// The caps that this worker was given; those that are `None` stay as they are.
    pub caps: Caps,
    /// The start of the run, should it be new, in milliseconds since 1970.
    pub started_ms: u64,
}

/// Caps of a run, over all workers. They count all that the store has recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Billionths of a dollar.
    pub cost_nano: Option<u64>,
    /// Requests.
    pub requests: Option<u64>,
    /// Answer tokens.
    pub output_tokens: Option<u64>,
}

/// The run that a worker has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It asks the same of the same rows.
    Run(JoinedRun),
    /// A run of this name asks something else, or of other rows.
    Differs {
        /// Its settings.
        settings: Settings,
        /// True if its rows are the same.
        same_rows: bool,
    },
}

/// A run that was begun or joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedRun {
    /// Its record.
    pub run: Run,
    /// Its name.
    pub name: String,
    /// This worker has begun it.
    pub is_new: bool,
    /// Its caps.
    pub caps: Caps,
    /// The newest control verb when it was joined; verbs up to it that set a state are in `controls`.
    pub controls: Vec<ControlVerb>,
}

/// A verb that a person has sent to all workers of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlVerb {
    /// Verbs are numbered in the order in which they came.
    pub number: u64,
    /// The verb with its arguments, as JSON.
    pub text: String,
}

/// The result of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The slots that this worker holds from now on.
    pub slots: Vec<Held>,
    /// Slots of the run that are not done, held ones included.
    pub undone: u64,
    /// Workers whose slots were freed, because their leases had passed.
    pub lapsed: Vec<WorkerId>,
}

/// What a commit writes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Answers.
    pub answers: Vec<NewAnswer>,
    /// What else a conversation's state is folded from.
    pub notes: Vec<NewNote>,
    /// Lost calls; the larger count is kept.
    pub lost: Vec<(Fingerprint, LostCalls)>,
    /// How far the worker's outbox is published with this.
    pub position: Position,
    /// What this start has spent so far, by model. It only grows, so that a batch may be sent twice.
    pub spent: Vec<(String, Spent)>,
    /// The same in the units of caps, at the worker's prices.
    pub booked: Allowance,
    /// Slots whose conversations have all ended.
    pub done: Vec<Done>,
}

/// A slot whose conversations have all ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The slot.
    pub slot: Held,
    /// One of its conversations has failed: the slot is opened again when the finished run is asked for once more.
    pub has_failures: bool,
}

/// An answer to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAnswer {
    /// The question.
    pub fingerprint: Fingerprint,
    /// The conversation that asked.
    pub conversation: ConversationKey,
    /// The run that paid.
    pub run: u32,
    /// The journal's frame with its entry.
    pub frame: Vec<u8>,
}

/// A note to insert: a link or an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNote {
    /// Its number among the notes of this start.
    pub number: u64,
    /// The conversation.
    pub conversation: ConversationKey,
    /// The run.
    pub run: u32,
    /// The journal's frame with its entry.
    pub frame: Vec<u8>,
}

/// The result of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Questions that another worker's answer was stored for before: those are the answers that count, as frames.
    pub winners: Vec<(Fingerprint, Vec<u8>)>,
    /// How the worker stands.
    pub standing: WorkerStanding,
}

/// How far the outbox of a start was published, and what it has spent by model.
pub type PublishedTo = (Position, Vec<(String, Spent)>);

/// How a worker stands among the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStanding {
    /// How often others have taken this worker's slots. Where it has grown, the worker asks what it still holds.
    pub taken: u64,
    /// Workers of the run whose leases hold, this one included.
    pub live: u32,
    /// This worker's place among them, from 0.
    pub rank: u32,
    /// Those of them that hold no slot and found none.
    pub idle: u32,
    /// What this start may spend, all in all.
    pub granted: Allowance,
    /// Slots of the run that are not done.
    pub undone: u64,
    /// The caps of the run.
    pub caps: Caps,
    /// Control verbs after the last one that was asked for.
    pub controls: Vec<ControlVerb>,
}

/// The result of asking for more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// What this start may spend, all in all.
    pub granted: Allowance,
    /// The name of the cap that leaves no room for what was needed at least.
    pub short: Option<CapName>,
    /// What the caps left before; without a cap, the largest number.
    pub room: Allowance,
    /// What other live workers have reserved and not spent.
    pub held_by_live: Allowance,
    /// What workers that have ended without leaving have reserved and not spent.
    pub held_by_dead: Allowance,
    /// Their number.
    pub dead: u32,
}

/// A cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapName {
    /// `--max-cost`
    Cost,
    /// `--max-requests`
    Requests,
    /// `--max-output-tokens`
    OutputTokens,
}

/// Who writes the output of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This worker.
    Own,
    /// Another one, in words: host and path.
    Other(String),
}

/// Why an operation was not carried out, or whether it was is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The database cannot be reached, or the connection broke: the outcome is unknown. The same operation may be sent
    /// again.
    #[error("{0}")]
    Away(String),
    /// The database refused, and would refuse again.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// What is stored of conversations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredConversations {
    /// Their states; those that are unknown are left out.
    pub states: Vec<(ConversationKey, ConversationState)>,
    /// Answers of theirs that were read on the way: not all of them.
    pub answers: Vec<(Fingerprint, Stored)>,
}

/// A worker as others see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenWorker {
    /// Who it is.
    pub start: WorkerStart,
    /// Seconds since it was seen last, by the database's clock.
    pub seen_ago: Duration,
    /// Seconds since it started.
    pub started_ago: Duration,
    /// Its lease holds.
    pub is_live: bool,
    /// It has left.
    pub has_left: bool,
    /// The run that it works on.
    pub run: Option<u32>,
    /// Slots that it holds.
    pub slots: u64,
    /// Answers that it has stored.
    pub answers: u64,
    /// What it has spent, in the units of caps.
    pub booked: Allowance,
    /// What it may spend, all in all.
    pub granted: Allowance,
}

/// A run as others see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRun {
    /// Its record.
    pub run: Run,
    /// Its name.
    pub name: String,
    /// Its slots.
    pub slots: u64,
    /// Those that are done.
    pub done: u64,
    /// Its caps.
    pub caps: Caps,
    /// Who writes or has written the output, in words.
    pub writer: Option<String>,
    /// The output was written.
    pub is_written: bool,
}

/// The database of a shared store. Every operation blocks until the database has replied, for a bounded time.
pub trait Database: Send + Sync {
    /// A worker starts. Its lease begins.
    fn join(&self, start: &WorkerStart, lease: Duration) -> Result<(), DatabaseError>;

    /// Returns how far the outbox of an earlier start was published, and what that start has spent by its own account
    /// (`None` where the database does not know it).
    fn published(&self, worker: WorkerId) -> Result<Option<PublishedTo>, DatabaseError>;

    /// Begins a run or joins it. Where all its slots are done, those with failures are opened again, and nobody has written
    /// its output.
    fn run(&self, worker: WorkerId, request: &RunRequest<'_>) -> Result<Joined, DatabaseError>;

    /// Takes up to `count` free slots, the heaviest first. Frees the slots of workers whose leases have passed before that.
    fn claim(&self, worker: WorkerId, run: u32, count: u32) -> Result<Claimed, DatabaseError>;

    /// Returns the slots of a run that a worker holds.
    fn held(&self, worker: WorkerId, run: u32) -> Result<Vec<Held>, DatabaseError>;

    /// Writes a batch and renews the lease. Sent twice, it changes nothing the second time; position and counters only grow.
    /// Run 0 means no run: the answers of a start that has ended.
    fn publish(
        &self,
        worker: WorkerId,
        run: u32,
        batch: &Batch,
        lease: Duration,
        after_control: u64,
    ) -> Result<Published, DatabaseError>;

    /// Reads how the worker stands; changes nothing.
    fn look(&self, worker: WorkerId, run: u32, after_control: u64) -> Result<WorkerStanding, DatabaseError>;

    /// Frees slots from an opening on: what lies below `from` stays with the worker. Those that the worker does not hold in
    /// this epoch stay as they are.
    fn give_back(&self, worker: WorkerId, run: u32, slots: &[(Held, OpeningHash)]) -> Result<(), DatabaseError>;

    /// Raises what a worker may spend by `wanted`, or by what the caps leave; by nothing where they leave less than `least`.
    fn grant(
        &self,
        worker: WorkerId,
        run: u32,
        wanted: &Allowance,
        least: &Allowance,
    ) -> Result<Granted, DatabaseError>;

    /// Returns what a worker has reserved above `keep`, all in all.
    fn release(&self, worker: WorkerId, keep: &Allowance) -> Result<Allowance, DatabaseError>;

    /// A worker ends: its slots are free, and what it has reserved and not spent is returned.
    fn leave(&self, worker: WorkerId) -> Result<(), DatabaseError>;

    /// Chooses who writes the output of a run whose slots are all done: the first one to ask, until its lease has passed.
    fn writer(&self, worker: WorkerId, run: u32, place: &str) -> Result<Writer, DatabaseError>;

    /// Records that a worker has written the output.
    fn written(&self, worker: WorkerId, run: u32) -> Result<(), DatabaseError>;

    /// Returns frames by their questions.
    fn answers(&self, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Vec<u8>)>, DatabaseError>;

    /// Returns the states of conversations, and the answers that had to be read for them.
    fn conversations(&self, keys: &[ConversationKey]) -> Result<StoredConversations, DatabaseError>;

    /// Returns the states of conversations; those that are unknown are left out.
    fn states(&self, keys: &[ConversationKey]) -> Result<Vec<(ConversationKey, ConversationState)>, DatabaseError> {
        Ok(self.conversations(keys)?.states)
    }

    /// Calls `visit` with every frame, in the order of commits: answers, notes and lost calls.
    fn for_each_frame(&self, visit: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), DatabaseError>;

    /// Calls `visit` with every conversation's state.
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), DatabaseError>;

    /// Calls `visit` with every conversation's status.
    fn for_each_status(&self, visit: &mut dyn FnMut(ConversationKey, Status)) -> Result<(), DatabaseError> {
        self.for_each_state(&mut |key, state| visit(key, state.status))
    }

    /// Returns a question's lost calls.
    fn lost(&self, question: &Fingerprint) -> Result<LostCalls, DatabaseError>;

    /// Returns the spending by model, over all workers.
    fn spending(&self) -> Result<Spending, DatabaseError>;

    /// Returns the runs, oldest first.
    fn runs(&self) -> Result<Vec<SeenRun>, DatabaseError>;

    /// Returns the workers, newest first: those that are live or hold something, and the last hundred others.
    fn workers(&self) -> Result<Vec<SeenWorker>, DatabaseError>;

    /// Sends a verb to all workers of a run. One of a cap changes it, too.
    fn control(&self, run: u32, text: &str, caps: Option<Caps>) -> Result<(), DatabaseError>;

    /// Settles the reserves of workers that have ended without leaving and were not seen for a time: what they have not
    /// spent is returned. Returns who, and how much.
    fn reconcile(&self, unseen_for: Duration) -> Result<Vec<SeenWorker>, DatabaseError>;

    /// Returns the store as merges use it.
    fn merging(&self) -> Result<&dyn MergeStore, DatabaseError> {
        Err(DatabaseError::Refused {
            message: "this kind of store cannot be merged".to_owned(),
            hint: "merge directories and PostgreSQL databases".to_owned(),
        })
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Away(reason) => Self::Away { reason, waiting: 0 },
            DatabaseError::Refused { message, hint } => Self::Refused { message, hint },
        }
    }
}

impl WorkerId {
    /// Draws the id of a start.
    pub fn random() -> Self {
        Self(crate::files::random_bytes())
    }

    /// Returns the id that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes: Option<Vec<u8>> = (0..text.len())
            .step_by(2)
            .map(|at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        Some(Self(bytes?.try_into().ok()?))
    }
}

impl std::fmt::Display for WorkerId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl std::fmt::Debug for WorkerId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{self}")
    }
}

impl SlotRange {
    /// True if an opening belongs to it.
    pub fn has(&self, opening: OpeningHash) -> bool {
        (self.low..=self.high).contains(&opening)
    }
}
