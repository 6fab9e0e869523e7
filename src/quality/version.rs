use std::fmt;

use super::rules::{FIRST_RULES, RULES, Rule};

/// Which set of rules judges.
///
/// Verdicts are made again whenever stored answers are read. A rule that changes makes another history, whose later turns
/// would be asked again; so a set of rules never changes once it was released, and a conversation is finished under the set
/// under which it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RulesVersion {
    /// The rules of the first stores.
    First = 1,
    /// A language that the user names sets the language of the answer.
    Second = 2,
}

impl RulesVersion {
    /// Every version, newest first.
    pub const ALL: &[Self] = &[Self::Second, Self::First];
    /// The version under which conversations begin.
    pub const NEWEST: Self = Self::ALL[0];

    /// Returns the version of this number.
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.number() == number)
    }

    /// Returns its number, from 1.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Returns its rules, cheapest first.
    pub(super) fn rules(self) -> &'static [&'static dyn Rule] {
        match self {
            Self::First => FIRST_RULES,
            Self::Second => RULES,
        }
    }
}

impl fmt::Display for RulesVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.number())
    }
}
