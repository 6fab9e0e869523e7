use std::collections::BTreeMap;
use std::time::Duration;

use crate::conversation::{FailureCode, Price, Usage};

/// How much a run has to do, known after the first pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Conversations.
    pub conversations: u64,
    /// Turns to be answered in them.
    pub turns: u64,
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How much there is to do.
    pub totals: Totals,
    /// Prices by model.
    pub prices: BTreeMap<String, Price>,
    /// Turns taken from earlier runs.
    pub reused: u64,
    /// Turns taken from another conversation of this run.
    pub shared: u64,
    /// Answers that this run paid for.
    pub answered: u64,
    /// Those of them with U+FFFD in their text, in the place of a character that was cut or garbled.
    pub damaged: u64,
    /// Calls that were sent.
    pub sent: u64,
    /// Calls that ended, with an answer or without.
    pub returned: u64,
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
    /// Returns the turns that have an answer.
    pub fn done(&self) -> u64 {
        self.reused + self.shared + self.answered
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
