use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rate::RateWindow;
use crate::conversation::{FailureCode, Price, Unit, Usage};

/// How much a run has to do, known after the first pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Conversations.
    pub conversations: u64,
    /// Turns to be answered in them, or whatever else the recipe counts ([`Tally::unit`]).
    pub turns: u64,
}

/// What earlier runs have stored for the rows of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSum {
    /// Answers that count towards the total.
    pub answers: u64,
    /// Answers that conversations have done without that have ended.
    pub unused: u64,
    /// Conversations that have ended.
    pub conversations: u64,
    /// True once every row is counted; until then the numbers are lower bounds.
    pub is_exact: bool,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The model and the cause, in words.
    pub reason: String,
    /// When the next call is tried; `None` while one is.
    pub until: Option<Instant>,
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How much there is to do.
    pub totals: Totals,
    /// What the totals count.
    pub unit: Unit,
    /// Prices by model.
    pub prices: BTreeMap<String, Price>,
    /// What was counted of earlier runs without taking it from the store.
    pub stored: StoredSum,
    /// Further answers of earlier runs that conversations took from the store.
    pub taken: u64,
    /// Counted answers of earlier runs that turned out to be unusable.
    pub not_stored: u64,
    /// Answers taken from another conversation of this run that count towards the total.
    pub shared: u64,
    /// Answers that this run paid for, further attempts included.
    pub answered: u64,
    /// Those of them that count towards the total.
    pub counted: u64,
    /// Answers of the total that conversations have done without that ended in this run.
    pub unused: u64,
    /// Conversations that have ended in this run.
    pub closed: u64,
    /// Answers that the recipe rejected, in those conversations.
    pub rejected: u64,
    /// Those of them with U+FFFD in their text, in the place of a character that was cut or garbled.
    pub damaged: u64,
    /// Calls that were sent.
    pub sent: u64,
    /// Calls that ended, with an answer or without.
    pub returned: u64,
    /// Calls that may be in flight at present.
    pub slots: usize,
    /// What the next call waits for, while none is in flight.
    pub waiting: Option<Waiting>,
    /// How fast the run is.
    pub rates: RateWindow,
    /// Tokens of the answers that this run paid for.
    pub usage: Usage,
    /// Their cost, where prices are known.
    pub cost: f64,
    /// Those of the answers that were charged at a flex tier; `None` if none was asked for.
    pub flex: Option<u64>,
    /// Answers by the requested model's name and the name that the server reported.
    pub reported: BTreeMap<String, BTreeMap<String, u64>>,
    /// Answers whose prompt had grown although the server counted no more tokens in it.
    pub history_cut: u64,
    /// Failed calls by code.
    pub failures: BTreeMap<FailureCode, u64>,
    /// The message of the last failed call.
    pub last_failure: Option<String>,
    /// How requests were changed because a server refused them, in words: fields that are not sent, and limits.
    pub adjusted: Vec<String>,
    /// How close the run came to the lower bound on its time, once it is over.
    pub efficiency: Option<Efficiency>,
}

impl Tally {
    /// Returns how much of the total earlier runs have answered, as far as it is counted.
    pub fn reused(&self) -> u64 {
        (self.stored.answers + self.taken).saturating_sub(self.not_stored).min(self.totals.turns)
    }

    /// Returns how much of the total has an answer.
    pub fn done(&self) -> u64 {
        (self.reused() + self.shared + self.counted).min(self.totals.turns)
    }

    /// Returns how much of the total has an answer or needs none any more.
    pub fn settled(&self) -> u64 {
        (self.done() + self.stored.unused + self.unused).min(self.totals.turns)
    }

    /// Returns the conversations that have ended.
    pub fn conversations_done(&self) -> u64 {
        (self.stored.conversations + self.closed).min(self.totals.conversations)
    }

    /// Adds the counts of another run of the same job.
    pub fn add_run(&mut self, other: &Self) {
        self.unit = other.unit;
        self.totals.conversations += other.totals.conversations;
        self.totals.turns += other.totals.turns;
        let is_exact = other.stored.is_exact && (self.stored.is_exact || self.stored == StoredSum::default());
        self.stored.answers += other.stored.answers;
        self.stored.unused += other.stored.unused;
        self.stored.conversations += other.stored.conversations;
        self.stored.is_exact = is_exact;
        for (sum, part) in [
            (&mut self.taken, other.taken),
            (&mut self.not_stored, other.not_stored),
            (&mut self.shared, other.shared),
            (&mut self.answered, other.answered),
            (&mut self.counted, other.counted),
            (&mut self.unused, other.unused),
            (&mut self.closed, other.closed),
            (&mut self.rejected, other.rejected),
        ] {
            *sum += part;
        }
    }

    /// Returns the calls in flight.
    pub fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.returned)
    }

    /// Returns how many calls failed.
    pub fn failure_count(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// How close a run came to the lower bound that the latencies of its server set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Efficiency {
    /// The bound as a share of the time that the run took, from 0 to 1.
    pub share: f64,
    /// The lower bound: all latencies divided by the slots, or the longest chain of turns where that is longer.
    pub bound: Duration,
    /// All latencies together, failed calls included.
    pub busy: Duration,
    /// Calls that were allowed in flight, averaged over the run.
    pub slots: f64,
    /// The latencies of the longest chain of turns.
    pub longest_chain: Duration,
    /// How long the run took.
    pub elapsed: Duration,
}
