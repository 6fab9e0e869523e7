use std::collections::BTreeMap;

use crate::conversation::{Price, Usage};
use crate::worker::{Event, LowerBound};

/// What a run is about, known after the first pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Conversations.
    pub conversations: u64,
    /// Turns to be answered in them.
    pub turns: u64,
}

/// What has happened in a run: a fold over its events.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// What the run is about.
    pub totals: Totals,
    /// Prices by model.
    pub prices: BTreeMap<String, Price>,
    /// Turns taken from earlier runs.
    pub reused: u64,
    /// Turns taken from another conversation of this run.
    pub shared: u64,
    /// Answers that this run paid for.
    pub answered: u64,
    /// Calls that went out.
    pub sent: u64,
    /// Calls that came back, good or bad.
    pub returned: u64,
    /// Tokens of the answers that this run paid for.
    pub usage: Usage,
    /// What those cost, where prices are known.
    pub cost: f64,
    /// Failed calls by code.
    pub failures: BTreeMap<String, u64>,
    /// What the last failed call was told.
    pub last_failure: Option<String>,
    /// The least time that the run could have taken, once it is over.
    pub bound: Option<LowerBound>,
}

impl Tally {
    /// Returns the turns that have an answer.
    pub fn done(&self) -> u64 {
        self.reused + self.shared + self.answered
    }

    /// Returns the calls under way.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.returned
    }

    /// Returns how many calls failed.
    pub fn failure_count(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Takes an event in.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Reused => self.reused += 1,
            Event::Shared => self.shared += 1,
            Event::Sent => self.sent += 1,
            Event::Answered { model, usage, .. } => {
                self.returned += 1;
                self.answered += 1;
                add_usage(&mut self.usage, usage);
                self.cost += self.prices.get(model).map_or(0.0, |price| price.cost(usage));
            }
            Event::Failed { code, message, .. } => {
                self.returned += 1;
                self.last_failure = Some(format!("{code}: {message}"));
                *self.failures.entry(code.clone()).or_default() += 1;
            }
            Event::Measured(bound) => self.bound = Some(*bound),
            Event::Opened
            | Event::Closed(_)
            | Event::Pace { .. }
            | Event::Rested { .. }
            | Event::Parked { .. }
            | Event::Recovered { .. }
            | Event::Drained { .. }
            | Event::Stopping { .. } => {}
        }
    }
}

fn add_usage(total: &mut Usage, usage: &Usage) {
    let fields = [
        (&mut total.prompt_tokens, usage.prompt_tokens),
        (&mut total.cached_tokens, usage.cached_tokens),
        (&mut total.completion_tokens, usage.completion_tokens),
        (&mut total.reasoning_tokens, usage.reasoning_tokens),
    ];
    for (sum, part) in fields {
        if let Some(part) = part {
            *sum = Some(sum.unwrap_or(0).saturating_add(part));
        }
    }
}
