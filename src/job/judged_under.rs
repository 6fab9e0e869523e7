use std::collections::BTreeMap;

use crate::conversation::Settings;
use crate::quality::RulesVersion;
use crate::recipe::Recipe;
use crate::report::words::{counted, number};

/// Which versions of the prompts judge the conversations of a run.
#[derive(Clone, Debug, Default)]
pub struct JudgedUnder {
    conversations: u64,
    older: BTreeMap<RulesVersion, u64>,
}

impl JudgedUnder {
    /// Adds a conversation; `rules` are the older ones under which it was begun.
    pub fn add(&mut self, rules: Option<RulesVersion>) {
        self.conversations += 1;
        if let Some(rules) = rules {
            *self.older.entry(rules).or_default() += 1;
        }
    }

    /// True where every conversation was begun under older prompts: nothing of them is asked in the newest words.
    pub fn is_all_older(&self) -> bool {
        self.conversations > 0 && self.older.values().sum::<u64>() == self.conversations
    }

    /// Returns the settings under which the conversations are judged: the recipe's own, unless all share an older version.
    pub fn settings<'a>(&self, recipe: &'a dyn Recipe) -> &'a Settings {
        let shared = self.older.iter().find(|(_, count)| **count == self.conversations).map(|(rules, _)| *rules);
        let older = shared.and_then(|shared| recipe.older().iter().find(|older| older.rules == shared));
        older.map_or(recipe.settings(), |older| &older.settings)
    }

    /// Says that the judge was asked in different words; `None` where all conversations share a version.
    pub fn caution(&self) -> Option<String> {
        let (rules, count) = self.older.iter().next().filter(|(_, count)| **count < self.conversations)?;
        let (newest, of) = (RulesVersion::NEWEST, counted(self.conversations, "conversation"));
        Some(format!(
            "{} of {of} were begun under version {rules} of the prompts, and are judged by it; --rules-version {newest} judges \
             all in the same words",
            number(*count)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_where_the_judge_was_asked_in_different_words() {
        let of = |versions: &[Option<RulesVersion>]| {
            let mut under = JudgedUnder::default();
            for rules in versions {
                under.add(*rules);
            }
            under
        };
        let first = Some(RulesVersion::First);
        assert!(!of(&[]).is_all_older() && of(&[first, first]).is_all_older() && !of(&[first, None]).is_all_older());
        assert_eq!((of(&[None, None]).caution(), of(&[first, first]).caution()), (None, None));
        assert!(of(&[first, None]).caution().is_some_and(|words| words.starts_with("1 of 2 conversations were begun")));
    }
}
