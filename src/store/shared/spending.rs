use std::collections::BTreeMap;

use crate::conversation::Price;
use crate::store::entry::{Entry, Spending, Spent};

/// Requests, tokens and money in whole numbers, so that sums over workers are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Billionths of a dollar.
    pub cost_nano: u64,
    /// Requests.
    pub requests: u64,
    /// Answer tokens.
    pub output_tokens: u64,
}

/// Billionths in a dollar.
pub const NANO: f64 = 1e9;

impl Allowance {
    /// Returns the sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// Returns the difference, at least 0 of each.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    /// Returns the larger of each.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        self.with(other, u64::max)
    }

    /// Returns the smaller of each.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        self.with(other, u64::min)
    }

    /// Returns `count` times as much.
    #[must_use]
    pub fn times(&self, count: u64) -> Self {
        self.with(self, |own, _| own.saturating_mul(count))
    }

    /// True if it is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the dollars.
    pub fn dollars(&self) -> f64 {
        self.cost_nano as f64 / NANO
    }

    fn with(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            cost_nano: join(self.cost_nano, other.cost_nano),
            requests: join(self.requests, other.requests),
            output_tokens: join(self.output_tokens, other.output_tokens),
        }
    }
}

/// Returns dollars in billionths, rounded up: a cap is never exceeded by rounding.
pub fn nano(dollars: f64) -> u64 {
    (dollars.max(0.0) * NANO).ceil() as u64
}

/// What one start of a worker has spent: counters that only grow.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    spent: Spending,
}

impl Counters {
    /// Counts what an entry books.
    pub fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Answered { model, answer, .. } => self.of(model).add(&answer.usage),
            Entry::Unknown { model, calls, prompt_tokens, completion_tokens } => {
                let spent = self.of(model);
                spent.unknown_calls = spent.unknown_calls.saturating_add(*calls);
                spent.unknown_prompt_tokens = spent.unknown_prompt_tokens.saturating_add(*prompt_tokens);
                spent.unknown_completion_tokens = spent.unknown_completion_tokens.saturating_add(*completion_tokens);
            }
            _ => {}
        }
    }

    /// Returns the counters by model.
    pub fn by_model(&self) -> Vec<(String, Spent)> {
        self.spent.iter().map(|(model, spent)| (model.clone(), *spent)).collect()
    }

    /// Returns the sum in the units of caps.
    pub fn booked(&self, prices: &BTreeMap<String, Price>) -> Allowance {
        booked(&self.spent, prices)
    }

    fn of(&mut self, model: &str) -> &mut Spent {
        if !self.spent.contains_key(model) {
            self.spent.insert(model.to_owned(), Spent::default());
        }
        self.spent.get_mut(model).expect("it was just inserted")
    }
}

/// Returns what was spent in the units of caps. Calls of unknown outcome may have cost the most that they could.
pub fn booked(spending: &Spending, prices: &BTreeMap<String, Price>) -> Allowance {
    let mut sum = Allowance::default();
    for (model, spent) in spending {
        let unknown = (spent.unknown_prompt_tokens, spent.unknown_completion_tokens);
        let cost = |price: &Price| nano(spent.cost(price)) + nano(price.worst_cost(unknown.0, unknown.1));
        sum = sum.plus(&Allowance {
            cost_nano: prices.get(model).map_or(0, cost),
            requests: spent.calls.saturating_add(spent.unknown_calls),
            output_tokens: spent.completion_tokens.saturating_add(spent.unknown_completion_tokens),
        });
    }
    sum
}
