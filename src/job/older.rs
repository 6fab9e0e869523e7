//! Conversations that were begun under older rules: how many there are, and what better rules would ask again.

use super::JobError;
use super::stored::{answers_in, begun_in};
use crate::conversation::Seed;
use crate::quality::RulesVersion;
use crate::recipe::{Recipe, Replay};
use crate::report::words::{counted, number};
use crate::store::Reader;
use crate::worker::Seeds;

/// At most this many rows, spread over all, are looked at before the first call of a run.
const ROWS_LOOKED_AT: u64 = 512;

/// Conversations that continue under older rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OlderConversations {
    /// The oldest version.
    pub rules: Option<RulesVersion>,
    /// How many.
    pub conversations: u64,
    /// Their stored turns that the newest rules would ask again.
    pub asked_again: u64,
    /// Only some rows were looked at.
    pub is_estimate: bool,
}

impl OlderConversations {
    /// Adds a conversation that was begun under these older rules.
    pub fn add(
        &mut self,
        store: &dyn Reader,
        recipe: &dyn Recipe,
        seed: &Seed,
        rules: RulesVersion,
    ) -> Result<(), JobError> {
        let used = |rules: Option<RulesVersion>| -> Result<u32, JobError> {
            let mut replay = Replay::under(recipe, seed, rules);
            replay.advance(answers_in(store))?;
            Ok(replay.answered().counted(|slot| recipe.is_counted(slot)))
        };
        self.rules = Some(self.rules.map_or(rules, |oldest| oldest.min(rules)));
        self.conversations += 1;
        self.asked_again += u64::from(used(Some(rules))?.saturating_sub(used(None)?));
        Ok(())
    }

    /// Looks at the rows of a run; at none where no earlier run of the store had older rules.
    pub fn survey(store: &dyn Reader, recipe: &dyn Recipe, seeds: &dyn Seeds, rows: u64) -> Result<Self, JobError> {
        let mut found = Self::default();
        let is_older = |settings| recipe.older().iter().any(|older| older.settings == settings);
        if recipe.older().is_empty() || !store.runs()?.into_iter().any(|run| is_older(run.settings)) {
            return Ok(found);
        }
        let step = rows.div_ceil(ROWS_LOOKED_AT).max(1);
        for row in (0..rows).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            // A row that cannot be read is found by those who need it.
            let Ok(seed) = seeds.look(row) else { continue };
            if let Some(rules) = begun_in(store, recipe, &seed.digest())?.rules {
                found.add(store, recipe, &seed, rules)?;
            }
        }
        found.is_estimate = step > 1;
        (found.conversations, found.asked_again) = (found.conversations * step, found.asked_again * step);
        Ok(found)
    }

    /// Says what continues under older rules; `None` without such conversations.
    pub fn words(&self) -> Option<String> {
        let (rules, newest) = (self.rules?, RulesVersion::NEWEST);
        let about = if self.is_estimate { "about " } else { "" };
        let conversations = counted(self.conversations, "conversation");
        let verb = if self.conversations == 1 { "continues" } else { "continue" };
        let asked_again = match self.asked_again {
            0 => "none".to_owned(),
            turns => format!("{about}{}", number(turns)),
        };
        Some(format!(
            "{about}{conversations} {verb} under version {rules} of rules and prompts; --rules-version {newest} would ask {asked_again} of \
             the stored turns again"
        ))
    }
}
