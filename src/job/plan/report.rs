use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::conversation::Unit;
use crate::model::RequestPreview;
use crate::report::{InputRows, Totals};

/// What a run would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanReport {
    /// Conversations of the input, and how much there is to do in them.
    pub totals: Totals,
    /// The rows that would be gone over: those of a shard, where there is one.
    pub input: InputRows,
    /// What that counts.
    pub unit: Unit,
    /// Stored answers that are used.
    pub answered: u64,
    /// Calls that would be sent.
    pub calls: u64,
    /// Open questions that another conversation asks too.
    pub shared: u64,
    /// Questions after a failure that is not retried.
    pub failed: u64,
    /// Tokens of the prompts of these calls, estimated.
    pub prompt_tokens: u64,
    /// Tokens of their answers, estimated.
    pub completion_tokens: u64,
    /// Their cost in dollars, where each model's price is known.
    pub price: Option<f64>,
    /// The same at the standard tier.
    pub standard_price: Option<f64>,
    /// The same where each model with a price for its flex tier is asked there; `None` if no model has one.
    pub flex_price: Option<f64>,
    /// Dollars that earlier runs of the store have spent on these models, where each model's price is known.
    pub spent: Option<f64>,
    /// The cap in dollars that holds for the run, earlier runs included.
    pub max_cost: Option<f64>,
    /// The seconds that the calls take, where the store knows how fast the models answer.
    pub seconds: Option<f64>,
    /// What was begun under older rules, in words.
    pub rules: Option<String>,
    /// The calls by role and model.
    pub roles: Vec<RolePlan>,
    /// What the numbers rest on, in words.
    pub basis: Vec<String>,
    /// Rows that reading rules leave out, and invalid rows, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Invalid rows.
    pub invalid: u64,
    /// The first request, where it was asked for and there is one: the first open question, or the first of all.
    pub request: Option<RequestPreview>,
}

/// The calls of one role to one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolePlan {
    /// What the model is asked for: `teacher`, `judge`, `user`, `student`, `grader`, ...
    pub role: String,
    /// The model.
    pub model: String,
    /// Calls that would be sent.
    pub calls: u64,
    /// Tokens of their prompts, estimated.
    pub prompt_tokens: u64,
    /// Tokens of their answers, estimated.
    pub completion_tokens: u64,
    /// Their cost in dollars, where the model's price is known.
    pub price: Option<f64>,
}

impl PlanReport {
    /// True where the run would stop at its cap.
    pub fn exceeds_cap(&self) -> bool {
        let sum = self.price.zip(self.spent).map(|(price, spent)| price + spent);
        sum.zip(self.max_cost).is_some_and(|(sum, cap)| sum > cap)
    }

    /// Returns the plan as JSON.
    pub fn to_json(&self) -> Value {
        let roles = self.roles.iter().map(|role| {
            json!({
                "role": role.role, "model": role.model, "calls": role.calls, "prompt_tokens": role.prompt_tokens,
                "completion_tokens": role.completion_tokens, "price": role.price,
            })
        });
        let mut plan = json!({
            "conversations": self.totals.conversations, "turns": self.totals.turns, "unit": self.unit.noun(), "shard": self.input.shard_name(), "answered": self.answered,
            "calls": self.calls, "shared": self.shared, "failed": self.failed, "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens, "price": self.price, "standard_price": self.standard_price,
            "flex_price": self.flex_price, "spent": self.spent, "max_cost": self.max_cost, "seconds": self.seconds, "rules": self.rules,
            "roles": roles.collect::<Vec<_>>(), "basis": self.basis,
            "left_out": self.left_out,
        });
        if let Some(RequestPreview { url, headers, body }) = &self.request {
            let headers: Map<String, Value> =
                headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            plan["request"] = json!({"method": "POST", "url": url, "headers": headers, "body": body});
        }
        plan
    }
}
