use super::Recipe;
use crate::conversation::{ConversationKey, Digest, Settings};
use crate::quality::RulesVersion;

/// An older version of the rules under which conversations may have been begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderRules {
    /// The version.
    pub rules: RulesVersion,
    /// The recipe's settings under that version.
    pub settings: Settings,
}

/// Returns the older versions with the settings under each.
pub(super) fn older_rules(
    versions: impl IntoIterator<Item = RulesVersion>,
    settings: impl Fn(RulesVersion) -> Settings,
) -> Vec<OlderRules> {
    versions.into_iter().map(|rules| OlderRules { rules, settings: settings(rules) }).collect()
}

/// Adds the version of the prompts to settings. Those of the first version have none: they were made before there were others.
pub(super) fn with_prompts(settings: Settings, version: RulesVersion) -> Settings {
    match version {
        RulesVersion::First => settings,
        RulesVersion::Second => settings.with("prompts", version),
    }
}

/// How a conversation was begun, with its state where a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun<State> {
    /// The older rules under which it was begun; `None`: the recipe's own.
    pub rules: Option<RulesVersion>,
    /// Its key.
    pub key: ConversationKey,
    /// Its state; `None` where nobody has begun it.
    pub state: Option<State>,
}

/// Returns the keys under which a conversation may be stored: its own, and those of older rules.
pub fn keys_of(recipe: &dyn Recipe, seed: &Digest) -> Vec<ConversationKey> {
    let older = recipe.older().iter().map(|older| ConversationKey::new(&older.settings, seed));
    std::iter::once(ConversationKey::new(recipe.settings(), seed)).chain(older).collect()
}

/// Looks up under which rules a conversation was begun: it is finished and exported under the same, so that better rules do not
/// buy its answers again. `state` looks a key up in the store.
pub fn begun<State, Fault>(
    recipe: &dyn Recipe,
    seed: &Digest,
    mut state: impl FnMut(&ConversationKey) -> Result<Option<State>, Fault>,
) -> Result<Begun<State>, Fault> {
    let own = ConversationKey::new(recipe.settings(), seed);
    let known = state(&own)?;
    if known.is_none() {
        for older in recipe.older() {
            let key = ConversationKey::new(&older.settings, seed);
            if let Some(known) = state(&key)? {
                return Ok(Begun { rules: Some(older.rules), key, state: Some(known) });
            }
        }
    }
    Ok(Begun { rules: None, key: own, state: known })
}
