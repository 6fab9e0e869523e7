//! What is said of a row beside its turns: what was done to it, or why it has none.

use std::collections::BTreeMap;

/// What was done to a row to make turns of it, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<&'static str, u64>);

impl Notes {
    /// Counts something that was done, or seen.
    pub fn note(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Adds what was done to another row.
    pub fn add(&mut self, other: &Notes) {
        other.counts().for_each(|(what, count)| self.note(what, count));
    }

    /// Returns what was done, with how often.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

/// Why a row that can be read has nothing to distil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// No user speaks.
    NoUser,
    /// The user's first turn is empty.
    EmptyUser,
    /// Tools are called: a new answer would have no recorded result to go on with.
    ToolUse,
    /// Something other than text.
    Multimodal,
    /// Two user messages stand in a row, where that is not wanted.
    DoubleUser,
    /// A gap of a template was not filled in, where that is not wanted.
    Placeholder,
    /// An earlier row's users say the same, where that is not wanted.
    Duplicate,
}

impl Skip {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Skip::NoUser => "no_user",
            Skip::EmptyUser => "empty_user",
            Skip::ToolUse => "tool_use",
            Skip::Multimodal => "multimodal",
            Skip::DoubleUser => "double_user",
            Skip::Placeholder => "placeholder",
            Skip::Duplicate => "duplicate",
        }
    }
}
