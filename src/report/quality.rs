use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::orphans::OrphanCounts;
use super::words::{counted, money, number};
use crate::conversation::{Dialogue, Price, Rejected};

/// Conversations that are named for each rule.
const EXAMPLES_MAX: usize = 10;

/// The findings of the rules: a fold over finished conversations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QualityReport {
    /// Answers that were judged, rejected ones included.
    pub answers: u64,
    /// By rule.
    pub rules: BTreeMap<&'static str, RuleCount>,
    /// Users' messages that refer to a replaced answer, where they were looked for.
    #[serde(skip_serializing_if = "OrphanCounts::is_empty")]
    pub orphans: OrphanCounts,
}

/// The findings of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleCount {
    /// Answers with this fault.
    pub hits: u64,
    /// Those that were rejected for it.
    pub rejected: u64,
    /// Turns that had such an answer and got a good one on a further attempt.
    pub passed_on_retry: u64,
    /// Prompt tokens of the rejected answers.
    pub prompt_tokens: u64,
    /// Completion tokens of the rejected answers.
    pub completion_tokens: u64,
    /// Their cost, where prices are known.
    pub cost: Option<f64>,
    /// The first conversations with such an answer.
    pub examples: Vec<String>,
}

impl RuleCount {
    fn hit(&mut self, id: &str) {
        self.hits += 1;
        if self.examples.len() < EXAMPLES_MAX && self.examples.last().is_none_or(|last| last != id) {
            self.examples.push(id.to_owned());
        }
    }

    fn reject(&mut self, id: &str) {
        self.hit(id);
        self.rejected += 1;
    }
}

impl QualityReport {
    /// Counts a finished conversation.
    pub fn add(&mut self, id: &str, dialogue: &Dialogue, prices: &BTreeMap<String, Price>) {
        let accepted = dialogue.spoken.iter().filter(|spoken| spoken.answer.is_some());
        let mut turns_accepted = 0;
        for spoken in accepted {
            turns_accepted += 1;
            self.answers += 1;
            spoken.flags.iter().for_each(|rule| self.flag(rule, id));
        }
        let mut healed = BTreeSet::new();
        for rejected in &dialogue.rejected {
            self.answers += 1;
            if rejected.rule == Rejected::OUTSCORED {
                continue;
            }
            let usage = &rejected.answer.usage;
            let count = self.rules.entry(rejected.rule).or_default();
            count.reject(id);
            count.prompt_tokens += usage.prompt_tokens.unwrap_or(0);
            count.completion_tokens += usage.completion_tokens.unwrap_or(0);
            if let Some(price) = prices.get(&rejected.answer.model).or_else(|| prices.values().next()) {
                *count.cost.get_or_insert_default() += price.cost(usage);
            }
            if rejected.turn.index() < turns_accepted && healed.insert((rejected.turn, rejected.rule)) {
                count.passed_on_retry += 1;
            }
        }
    }

    /// Counts a fault that rejects nothing.
    pub fn flag(&mut self, rule: &'static str, id: &str) {
        self.rules.entry(rule).or_default().hit(id);
    }

    /// Counts an answer of a finished row.
    pub fn count(&mut self, id: &str, flags: &[&'static str], rejected_by: Option<&'static str>) {
        self.answers += 1;
        for rule in flags {
            self.flag(rule, id);
        }
        if let Some(rule) = rejected_by {
            self.rules.entry(rule).or_default().reject(id);
        }
    }

    /// True where no rule has found anything.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the table for people, a line for each rule that has found something, and for each language with orphans.
    pub fn lines(&self) -> Vec<String> {
        let width = self.rules.keys().map(|rule| rule.len()).max().unwrap_or(0);
        let line = |(rule, count): (&&str, &RuleCount)| {
            let mut parts = vec![counted(count.hits, "hit")];
            if count.rejected > 0 {
                parts.push(format!("{} rejected", number(count.rejected)));
                parts.extend(
                    (count.passed_on_retry > 0).then(|| format!("{} passed on retry", number(count.passed_on_retry))),
                );
                let tokens = count.prompt_tokens + count.completion_tokens;
                parts.extend((tokens > 0).then(|| format!("{} tokens", number(tokens))));
                parts.extend(count.cost.map(money));
            }
            let examples = count.examples.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            format!("{rule:<width$}  {}: {examples}", parts.join(", "))
        };
        self.rules.iter().map(line).chain(self.orphans.lines()).collect()
    }
}
