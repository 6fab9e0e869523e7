//! The spending caps of a run. Pure: the worst case of every call is reserved before it is sent, so the caps hold
//! whatever the calls in flight cost.

use std::collections::BTreeMap;

use crate::conversation::{Price, Question, Usage};
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

impl Budget {
    /// Begins with the spending of earlier runs.
    pub fn new(limits: BudgetLimits, earlier: &Spending) -> Self {
        let mut spent = Amount::default();
        for (model, paid) in earlier {
            let [standard, flex] = paid.usage_by_tier();
            // Calls of unknown outcome may have been charged at the standard tier.
            let standard = Usage {
                prompt_tokens: standard.prompt_tokens.map(|tokens| tokens + paid.unknown_prompt_tokens),
                completion_tokens: standard.completion_tokens.map(|tokens| tokens + paid.unknown_completion_tokens),
                ..standard
            };
            spent.requests += paid.calls + paid.unknown_calls;
            spent.prompt_tokens += paid.prompt_tokens + paid.unknown_prompt_tokens;
            spent.output_tokens += paid.completion_tokens + paid.unknown_completion_tokens;
            let cost = |price: &Price| price.cost(&standard) + price.cost(&flex);
            spent.cost += limits.prices.get(model).map_or(0.0, cost);
        }
        Self { limits, spent, reserved: Amount::default() }
    }

    /// Returns the highest cost of one call of `question`. A prompt has no more tokens than bytes.
    pub fn worst_case(&self, question: &Question) -> Amount {
        const FRAME_TOKENS: u64 = 16;
        let prompt_tokens = question.messages.iter().map(|message| message.content().len() as u64 + FRAME_TOKENS).sum();
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

    /// Replaces a call's reservation by its actual usage. `None` is an unknown outcome, which may have cost the worst
    /// case.
    pub fn settle(&mut self, worst: &Amount, model: &str, usage: Option<&Usage>) {
        self.reserved = self.reserved.plus(worst, -1);
        let Some(usage) = usage else {
            self.spent = self.spent.plus(worst, 1);
            return;
        };
        let price = self.limits.prices.get(model).copied().unwrap_or_default();
        let came_to = Amount {
            requests: 1,
            prompt_tokens: usage.prompt_tokens.unwrap_or(0),
            output_tokens: usage.completion_tokens.unwrap_or(worst.output_tokens),
            cost: price
                .cost(&Usage { completion_tokens: usage.completion_tokens.or(Some(worst.output_tokens)), ..*usage }),
        };
        self.spent = self.spent.plus(&came_to, 1);
    }

    /// Returns the amount spent, earlier runs included.
    pub fn spent(&self) -> &Amount {
        &self.spent
    }
}

impl Amount {
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
    use crate::conversation::{Message, Role, Sampling, Slot, Target};

    fn question(words: usize, max_tokens: u32) -> Question {
        let sampling = Sampling { max_tokens: Some(max_tokens), ..Sampling::default() };
        let messages = vec![Message::new(Role::User, "x".repeat(words))];
        Question { slot: Slot::main(0), target: Target::new("m", "openai", sampling), sample: 0, messages }
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
        let cheap = Usage { prompt_tokens: Some(100), completion_tokens: Some(10), ..Usage::default() };
        (0..3).for_each(|_| budget.settle(&worst, "m", Some(&cheap)));
        budget.settle(&worst, "m", None);
        assert!((budget.spent().cost - 2.7).abs() < 1e-9);
        while budget.reserve(&worst) == Grant::Granted {
            budget.settle(&worst, "m", None);
        }
        assert_eq!(budget.reserve(&worst), Grant::Exhausted("--max-cost"));
        assert!(budget.spent().cost <= 10.0 && budget.spent().cost > 10.0 - worst.cost);
    }
}
