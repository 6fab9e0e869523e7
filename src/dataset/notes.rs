//! Results of normalisation apart from the turns: the changes to a row, or the reason why it is skipped.

use std::collections::BTreeMap;

/// The changes that normalisation made to a row, with counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<&'static str, u64>);

impl Notes {
    /// Counts a change or an observation.
    pub fn note(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Adds the counts of another row.
    pub fn add(&mut self, other: &Notes) {
        other.counts().for_each(|(what, count)| self.note(what, count));
    }

    /// Returns the changes with their counts.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

/// The reason why a valid row is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// There is no user message.
    NoUser,
    /// The first user message is empty.
    EmptyUser,
    /// Tools are called: a new answer has no recorded result to continue from.
    ToolUse,
    /// Tools are called that the row does not define: no model can be asked to call them.
    UndefinedTools,
    /// A message contains something other than text.
    Multimodal,
    /// A part of an answer is trained on, or it has a weight other than 0 and 1, which no output format can hold.
    PartialMask,
    /// A result of a tool does not follow its call.
    ToolOrder,
    /// Two user messages are consecutive, and the rule is to skip such rows.
    DoubleUser,
    /// A template's placeholder was not filled in, and the rule is to skip such rows.
    Placeholder,
    /// An earlier row has the same user messages, and duplicates are dropped.
    Duplicate,
}

impl Skip {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Skip::NoUser => "no_user",
            Skip::EmptyUser => "empty_user",
            Skip::ToolUse => "tool_use",
            Skip::UndefinedTools => "undefined_tools",
            Skip::Multimodal => "multimodal",
            Skip::PartialMask => "partial_mask",
            Skip::ToolOrder => "tool_order",
            Skip::DoubleUser => "double_user",
            Skip::Placeholder => "placeholder",
            Skip::Duplicate => "duplicate",
        }
    }
}
