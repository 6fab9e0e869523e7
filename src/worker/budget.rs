//! The spending caps of a run. Pure: the worst case of every call is reserved before it is sent, so the caps hold
//! whatever the calls in flight cost.

use std::collections::BTreeMap;

use crate::conversation::{Price, Question, Usage};
use crate::model::Failure;
use crate::store::Spending;

/// Caps on everything that the store has recorded, earlier runs included. `None` is no cap.
#[derive(Clone, Debug, Default)]
pub struct BudgetLimits {
    /// Dollars.
    pub cost: Option<f64>,
    /// Requests.
    pub requests: Option<u64>,
    /// Answer tokens.
    pub output_tokens: Option<u64>,
    /// The prices of tokens, by the model's name.
    pub prices: BTreeMap<String, Price>,
}

/// Requests, tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount {
    /// Requests.
    pub requests: u64,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Answer tokens.
    pub output_tokens: u64,
    /// Dollars.
    pub cost: f64,
}

/// Whether a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The worst case is reserved.
    Granted,
    /// The caps leave no room until calls in flight have ended.
    Wait,
    /// The cap with this name is reached.
    Exhausted(&'static str),
}

/// The amounts spent and reserved.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: BudgetLimits,
    spent: Amount,
    reserved: Amount,
}

/// What a call that was answered came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// All of it.
    pub came_to: Amount,
    /// The part that the server did not report, so that the stored answer does not show it.
    pub unreported: Amount,
}

impl Budget {
    /// Begins with the spending of earlier runs.
    pub fn new(limits: BudgetLimits, earlier: &Spending) -> Self {
        let mut spent = Amount::default();
        for (model, paid) in earlier {
            spent.requests += paid.calls + paid.unknown_calls;
            spent.prompt_tokens += paid.prompt_tokens + paid.unknown_prompt_tokens;
            spent.output_tokens += paid.completion_tokens + paid.unknown_completion_tokens;
            // Calls of unknown outcome may have cost the most that they could.
            let unknown = (paid.unknown_prompt_tokens, paid.unknown_completion_tokens);
            let cost = |price: &Price| paid.cost(price) + price.worst_cost(unknown.0, unknown.1);
            spent.cost += limits.prices.get(model).map_or(0.0, cost);
        }
        Self { limits, spent, reserved: Amount::default() }
    }

    /// Returns the highest cost of one call of `question`. A prompt has no more tokens than bytes.
    pub fn worst_case(&self, question: &Question) -> Amount {
        const FRAME_TOKENS: u64 = 16;
        let messages = &question.messages;
        let prompt_tokens = messages.content_bytes() + FRAME_TOKENS * messages.len() as u64;
        let output_tokens = question.target.sampling().max_tokens.map_or(0, u64::from);
        let price = self.limits.prices.get(question.target.model()).copied().unwrap_or_default();
        let cost = price.worst_cost(prompt_tokens, output_tokens);
        Amount { requests: 1, prompt_tokens, output_tokens, cost }
    }

    /// Reserves a call's worst case, if it fits.
    pub fn reserve(&mut self, worst: &Amount) -> Grant {
        // A millionth of a cent is a rounding error.
        const SLACK: f64 = 1e-8;
        let fits = |cap: Option<f64>, spent: f64, reserved: f64, worst: f64| {
            cap.is_none_or(|cap| spent + reserved + worst <= cap + SLACK)
        };
        let (spent, reserved) = (&self.spent, &self.reserved);
        let caps = [
            ("--max-cost", fits(self.limits.cost, spent.cost, reserved.cost, worst.cost)),
            (
                "--max-requests",
                fits(
                    self.limits.requests.map(|cap| cap as f64),
                    spent.requests as f64,
                    reserved.requests as f64,
                    worst.requests as f64,
                ),
            ),
            (
                "--max-output-tokens",
                fits(
                    self.limits.output_tokens.map(|cap| cap as f64),
                    spent.output_tokens as f64,
                    reserved.output_tokens as f64,
                    worst.output_tokens as f64,
                ),
            ),
        ];
        match caps.iter().find(|(_, fits)| !fits) {
            Some(_) if self.reserved.requests > 0 => Grant::Wait,
            Some((name, _)) => Grant::Exhausted(name),
            None => {
                self.reserved = self.reserved.plus(worst, 1);
                Grant::Granted
            }
        }
    }

    /// Replaces the reservation of a call that was answered by its actual usage. What the server does not report may have
    /// been the worst case.
    pub fn settle(&mut self, worst: &Amount, model: &str, usage: &Usage) -> Settled {
        self.reserved = self.reserved.plus(worst, -1);
        let price = self.limits.prices.get(model).copied().unwrap_or_default();
        let missing = |count: Option<u64>, worst: u64| if count.is_none() { worst } else { 0 };
        let unreported = Amount {
            requests: 0,
            prompt_tokens: missing(usage.prompt_tokens, worst.prompt_tokens),
            output_tokens: missing(usage.completion_tokens, worst.output_tokens),
            cost: 0.0,
        };
        let came_to = Amount {
            requests: 1,
            prompt_tokens: usage.prompt_tokens.unwrap_or(worst.prompt_tokens),
            output_tokens: usage.completion_tokens.unwrap_or(worst.output_tokens),
            cost: price.cost(usage) + price.worst_cost(unreported.prompt_tokens, unreported.output_tokens),
        };
        self.spent = self.spent.plus(&came_to, 1);
        Settled { came_to, unreported }
    }

    /// Replaces the reservation of a call without an answer by what it may have cost, and returns that.
    pub fn settle_failed(&mut self, worst: &Amount, failure: &Failure) -> Amount {
        self.reserved = self.reserved.plus(worst, -1);
        let came_to = match (failure.may_have_arrived(), failure.may_be_paid()) {
            (_, true) => *worst,
            (true, false) => Amount { requests: 1, ..Amount::default() },
            (false, false) => Amount::default(),
        };
        self.spent = self.spent.plus(&came_to, 1);
        came_to
    }

    /// Replaces the cap on dollars.
    pub fn set_cost(&mut self, dollars: Option<f64>) {
        self.limits.cost = dollars;
    }

    /// Replaces all caps.
    pub fn allow(&mut self, cost: Option<f64>, requests: Option<u64>, output_tokens: Option<u64>) {
        self.limits = BudgetLimits { cost, requests, output_tokens, prices: std::mem::take(&mut self.limits.prices) };
    }

    /// Returns the amount spent and reserved.
    pub fn used(&self) -> Amount {
        self.spent.plus(&self.reserved, 1)
    }

    /// Returns the cap on dollars.
    pub fn cost_max(&self) -> Option<f64> {
        self.limits.cost
    }

    /// True if something is capped.
    pub fn is_capped(&self) -> bool {
        self.limits.cost.is_some() || self.limits.requests.is_some() || self.limits.output_tokens.is_some()
    }

    /// Returns the amount spent, earlier runs included.
    pub fn spent(&self) -> &Amount {
        &self.spent
    }
}

impl Amount {
    /// Returns the larger of each.
    #[must_use]
    pub fn max(&self, other: &Amount) -> Self {
        Self {
            requests: self.requests.max(other.requests),
            prompt_tokens: self.prompt_tokens.max(other.prompt_tokens),
            output_tokens: self.output_tokens.max(other.output_tokens),
            cost: self.cost.max(other.cost),
        }
    }

    fn plus(&self, other: &Amount, sign: i64) -> Self {
        let add = |a: u64, b: u64| if sign >= 0 { a + b } else { a.saturating_sub(b) };
        let cost = self.cost + sign as f64 * other.cost;
        Self {
            requests: add(self.requests, other.requests),
            prompt_tokens: add(self.prompt_tokens, other.prompt_tokens),
            output_tokens: add(self.output_tokens, other.output_tokens),
            cost: cost.max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{FailureCode, Message, Role, Sampling, Slot, Target};
    use crate::model::FailureClass;
    use crate::store::Spent;

    fn question(words: usize, max_tokens: u32) -> Question {
        let sampling = Sampling { max_tokens: Some(max_tokens), ..Sampling::default() };
        let messages = vec![Message::new(Role::User, "x".repeat(words))];
        Question {
            slot: Slot::main(0),
            target: Target::new("m", "openai", sampling),
            sample: 0,
            messages: messages.into(),
        }
    }

    #[test]
    fn the_cap_holds_whatever_the_calls_in_flight_come_to() {
        let price =
            Price { input: 1e3, cached_input: Some(0.0), output: 1e4, reasoning: Some(2e4), ..Price::default() };
        let limits =
            BudgetLimits { cost: Some(10.0), prices: BTreeMap::from([("m".to_owned(), price)]), ..Default::default() };
        let mut budget = Budget::new(limits, &Spending::new());
        let question = question(84, 100);
        let worst = budget.worst_case(&question);
        assert!((worst.cost - 2.1).abs() < 1e-9, "100 prompt tokens and 100 of reasoning: {worst:?}");
        let mut in_flight = 0;
        while budget.reserve(&worst) == Grant::Granted {
            in_flight += 1;
        }
        assert_eq!((in_flight, budget.reserve(&worst)), (4, Grant::Wait));
        // Three calls cost little, one its worst case.
        let lost = Failure::new(FailureClass::Transient, FailureCode::Cut, "cut");
        let cheap = Usage { prompt_tokens: Some(100), completion_tokens: Some(10), ..Usage::default() };
        for _ in 0..3 {
            budget.settle(&worst, "m", &cheap);
        }
        budget.settle_failed(&worst, &lost);
        assert!((budget.spent().cost - 2.7).abs() < 1e-9);
        while budget.reserve(&worst) == Grant::Granted {
            budget.settle_failed(&worst, &lost);
        }
        assert_eq!(budget.reserve(&worst), Grant::Exhausted("--max-cost"));
        assert!(budget.spent().cost <= 10.0 && budget.spent().cost > 10.0 - worst.cost);
    }

    #[test]
    fn calls_of_unknown_outcome_count_with_the_most_that_they_can_have_cost() {
        let price = Price { input: 1.0, cache_write: Some(2.0), output: 1.0, reasoning: Some(4.0), ..Price::default() };
        let prices = BTreeMap::from([("m".to_owned(), price)]);
        let spent = Spent {
            unknown_calls: 3,
            unknown_prompt_tokens: 1_000_000,
            unknown_completion_tokens: 1_000_000,
            ..Spent::default()
        };
        let budget =
            Budget::new(BudgetLimits { prices, ..BudgetLimits::default() }, &Spending::from([("m".to_owned(), spent)]));
        assert_eq!((budget.spent().requests, budget.spent().cost), (3, 6.0));
    }

    #[test]
    fn what_is_not_reported_counts_as_the_worst_case_and_what_never_arrived_counts_nothing() {
        let mut budget = Budget::new(BudgetLimits::default(), &Spending::new());
        let worst = budget.worst_case(&question(84, 100));
        let usage = Usage { completion_tokens: Some(7), ..Usage::default() };
        let Settled { unreported, .. } = budget.settle(&worst, "m", &usage);
        assert_eq!((unreported.requests, unreported.prompt_tokens, unreported.output_tokens), (0, 100, 0));
        assert_eq!((budget.spent().prompt_tokens, budget.spent().output_tokens), (100, 7));
        let refused = Failure::new(FailureClass::Outage, FailureCode::Connect, "refused");
        assert_eq!(budget.settle_failed(&worst, &refused), Amount::default());
        let limited = Failure::new(FailureClass::RateLimited, FailureCode::RateLimit, "slow down");
        assert_eq!(budget.settle_failed(&worst, &limited), Amount { requests: 1, ..Amount::default() });
    }

    #[test]
    fn every_cap_holds_to_its_last_unit_and_is_named_once_it_is_reached() {
        let caps: [(&str, BudgetLimits); 3] = [
            ("--max-cost", BudgetLimits { cost: Some(6.0), ..Default::default() }),
            ("--max-requests", BudgetLimits { requests: Some(3), ..Default::default() }),
            ("--max-output-tokens", BudgetLimits { output_tokens: Some(30), ..Default::default() }),
        ];
        assert!(!Budget::new(BudgetLimits::default(), &Spending::new()).is_capped());
        for (name, limits) in caps {
            let mut budget = Budget::new(limits, &Spending::new());
            assert!(budget.is_capped());
            let worst = Amount { requests: 1, prompt_tokens: 5, output_tokens: 10, cost: 2.0 };
            let grants: Vec<Grant> = (0..4).map(|_| budget.reserve(&worst)).collect();
            assert_eq!(grants, [Grant::Granted, Grant::Granted, Grant::Granted, Grant::Wait], "{name}");
            let lost = Failure::new(FailureClass::Transient, FailureCode::Cut, "cut");
            assert_eq!(budget.settle_failed(&worst, &lost), worst);
            assert_eq!((budget.reserve(&worst), *budget.spent()), (Grant::Wait, worst));
            let refused = Failure::new(FailureClass::Outage, FailureCode::Connect, "refused");
            budget.settle_failed(&worst, &refused);
            assert_eq!((budget.reserve(&worst), *budget.spent()), (Grant::Granted, worst), "{name}");
            (0..2).for_each(|_| assert_eq!(budget.settle_failed(&worst, &lost), worst));
            assert_eq!(budget.reserve(&worst), Grant::Exhausted(name));
            assert_eq!(budget.spent().requests, 3);
        }
        let mut raised = Budget::new(BudgetLimits { cost: Some(1.0), ..Default::default() }, &Spending::new());
        let worst = Amount { cost: 2.0, ..Amount::default() };
        assert_eq!(raised.reserve(&worst), Grant::Exhausted("--max-cost"));
        raised.set_cost(Some(2.0));
        assert_eq!((raised.cost_max(), raised.reserve(&worst)), (Some(2.0), Grant::Granted));
    }

    #[test]
    fn what_earlier_runs_spent_counts_for_every_model() {
        let price = Price { input: 1.0, output: 10.0, ..Price::default() };
        let prices = BTreeMap::from([("priced".to_owned(), price)]);
        let spent = Spent {
            calls: 4,
            prompt_tokens: 1_000_000,
            completion_tokens: 200_000,
            unknown_calls: 2,
            unknown_prompt_tokens: 500_000,
            unknown_completion_tokens: 100_000,
            ..Spent::default()
        };
        let earlier = Spending::from([("priced".to_owned(), spent), ("free".to_owned(), spent)]);
        let budget = Budget::new(BudgetLimits { prices, ..Default::default() }, &earlier);
        let Amount { requests, prompt_tokens, output_tokens, cost } = *budget.spent();
        assert_eq!((requests, prompt_tokens, output_tokens), (12, 3_000_000, 600_000));
        assert!((cost - (1.0 + 2.0 + 0.5 + 1.0)).abs() < 1e-9, "{cost}");
    }

    #[test]
    fn an_answer_costs_what_it_reports_and_the_worst_case_of_the_rest() {
        let price = Price { input: 1e4, output: 1e5, ..Price::default() };
        let prices = BTreeMap::from([("m".to_owned(), price)]);
        let mut budget = Budget::new(BudgetLimits { prices, ..Default::default() }, &Spending::new());
        let worst = budget.worst_case(&question(84, 50));
        assert_eq!((worst.requests, worst.prompt_tokens, worst.output_tokens), (1, 100, 50));
        assert!((worst.cost - 6.0).abs() < 1e-9, "{worst:?}");
        let usage = Usage { prompt_tokens: Some(40), ..Usage::default() };
        let Settled { came_to, unreported } = budget.settle(&worst, "m", &usage);
        assert_eq!((came_to.requests, came_to.prompt_tokens, came_to.output_tokens), (1, 40, 50));
        assert!((came_to.cost - 5.4).abs() < 1e-9, "{came_to:?}");
        assert_eq!(unreported, Amount { output_tokens: 50, ..Amount::default() });
        assert_eq!(budget.spent(), &came_to);
    }

    #[test]
    fn a_prompt_has_no_more_tokens_than_bytes_and_16_for_each_message() {
        let budget = Budget::new(BudgetLimits::default(), &Spending::new());
        let mut question = question(84, 100);
        question.messages.push(Message::new(Role::User, "ü"));
        let expected = Amount { requests: 1, prompt_tokens: 84 + 2 + 2 * 16, output_tokens: 100, cost: 0.0 };
        assert_eq!(budget.worst_case(&question), expected);
    }
}
