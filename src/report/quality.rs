use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::histogram::Histogram;
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
    /// By the language of the answer (ISO 639-3, or the script where that alone is known; empty without letters). Short answers
    /// are often counted for another one.
    pub languages: BTreeMap<&'static str, LanguageCount>,
    /// How the values of the rules that measure something are spread, where they were asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<&'static str, Histogram>,
}

/// The answers in one language.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LanguageCount {
    /// Answers that were judged.
    pub answers: u64,
    /// Those that were rejected.
    pub rejected: u64,
    /// Answers with a fault, by rule.
    pub rules: BTreeMap<&'static str, u64>,
}

/// What one rule found in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: &'static str,
    /// The answer was rejected for it.
    pub is_rejected: bool,
}

impl Hit {
    /// A fault that rejects nothing.
    pub fn flag(rule: &'static str) -> Self {
        Self { rule, is_rejected: false }
    }

    /// The fault for which an answer is rejected.
    pub fn reject(rule: &'static str) -> Self {
        Self { rule, is_rejected: true }
    }
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
    fn hit(&mut self, id: &str, is_rejected: bool) {
        self.hits += 1;
        self.rejected += u64::from(is_rejected);
        if self.examples.len() < EXAMPLES_MAX && self.examples.last().is_none_or(|last| last != id) {
            self.examples.push(id.to_owned());
        }
    }
}

impl QualityReport {
    /// Counts a finished conversation; `language_of` tells the language of an answer.
    pub fn add(
        &mut self,
        id: &str,
        dialogue: &Dialogue,
        prices: &BTreeMap<String, Price>,
        language_of: fn(&str) -> &'static str,
    ) {
        let accepted = dialogue.spoken.iter().filter(|spoken| spoken.answer.is_some());
        let mut turns_accepted = 0;
        for spoken in accepted {
            turns_accepted += 1;
            self.count(id, language_of(spoken.message.content()), spoken.flags.iter().map(|rule| Hit::flag(rule)));
        }
        let mut healed = BTreeSet::new();
        for rejected in &dialogue.rejected {
            if rejected.rule == Rejected::OUTSCORED {
                self.count(id, language_of(rejected.answer.text()), []);
                continue;
            }
            self.count(id, language_of(rejected.answer.text()), [Hit::reject(rejected.rule)]);
            let usage = &rejected.answer.usage;
            let count = self.rules.entry(rejected.rule).or_default();
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

    /// Counts an answer in a language with what was found in it.
    pub fn count(&mut self, id: &str, language: &'static str, hits: impl IntoIterator<Item = Hit>) {
        self.answers += 1;
        let language = self.languages.entry(language).or_default();
        language.answers += 1;
        let mut is_rejected = false;
        for hit in hits {
            is_rejected |= hit.is_rejected;
            *language.rules.entry(hit.rule).or_default() += 1;
            self.rules.entry(hit.rule).or_default().hit(id, hit.is_rejected);
        }
        language.rejected += u64::from(is_rejected);
    }

    /// Counts the value that a rule measured of an answer.
    pub fn measure(&mut self, rule: &'static str, value: f64, threshold: f64) {
        self.values.entry(rule).or_insert_with(|| Histogram::new(threshold)).add(value);
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
