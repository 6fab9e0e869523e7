use super::identity::{ConversationKey, Digest, PartHasher};

/// A recipe's settings as named values: everything that can change its answers.
///
/// Written into the store with each run, so that a later run can say *which* setting made stored
/// answers unusable. Digest: blake3 over `"cohobate settings 1\0"` and each name and value, both
/// length-prefixed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name and value, in a fixed order.
    pub entries: Vec<(String, String)>,
}

impl Settings {
    /// Adds a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.entries.push((name.to_owned(), value.to_string()));
        self
    }

    /// Returns the settings with another value of one that is there.
    #[must_use]
    pub fn changed(mut self, name: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        self.entries.iter_mut().filter(|(other, _)| other == name).for_each(|(_, old)| old.clone_from(&value));
        self
    }

    /// Returns the settings without one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.entries.retain(|(other, _)| other != name);
        self
    }

    /// Returns the value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Returns the hash of all names and values.
    pub fn digest(&self) -> Digest {
        let mut hasher = PartHasher::new("cohobate settings 1");
        for (name, value) in &self.entries {
            hasher.text(name).text(value);
        }
        Digest(hasher.finish())
    }

    /// Returns each setting whose value differs from `other`'s: name, value here, value there.
    pub fn differences<'a>(&'a self, other: &'a Settings) -> Vec<(&'a str, &'a str, &'a str)> {
        let here = self.entries.iter();
        let here = here.map(|(name, value)| (name.as_str(), value.as_str(), other.get(name).unwrap_or("unset")));
        let only_there = other
            .entries
            .iter()
            .filter(|(name, _)| self.get(name).is_none())
            .map(|(name, value)| (name.as_str(), "unset", value.as_str()));
        here.chain(only_there).filter(|(_, mine, theirs)| mine != theirs).collect()
    }
}

impl ConversationKey {
    /// Returns the key of `seed` worked on under `settings`.
    pub fn new(settings: &Settings, seed_digest: &Digest) -> Self {
        let mut hasher = PartHasher::new("cohobate conversation 1");
        hasher.digest(&settings.digest()).digest(seed_digest);
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_every_setting_that_is_not_the_same() {
        let here = Settings::default().with("recipe", "distill").with("seed", 3).with("system", "x");
        let there = Settings::default().with("recipe", "distill").with("seed", 4).with("gate", "on");
        assert_eq!((here.get("seed"), here.get("gate")), (Some("3"), None));
        let expected = [("seed", "3", "4"), ("system", "x", "unset"), ("gate", "unset", "on")];
        assert_eq!(here.differences(&there), expected);
        assert!(here.differences(&here.clone()).is_empty());
    }

    #[test]
    fn the_digest_changes_with_every_name_value_and_their_order() {
        let made = |entries: &[(&str, &str)]| {
            entries.iter().fold(Settings::default(), |settings, (name, value)| settings.with(name, value)).digest()
        };
        let digests = [
            made(&[]),
            made(&[("a", "b")]),
            made(&[("ab", "")]),
            made(&[("a", "c")]),
            made(&[("a", "b"), ("c", "d")]),
            made(&[("c", "d"), ("a", "b")]),
        ];
        let distinct: std::collections::BTreeSet<Digest> = digests.into_iter().collect();
        assert_eq!(distinct.len(), digests.len());
        let key = |settings: &Settings, seed| ConversationKey::new(settings, &Digest([seed; 32]));
        let (one, two) = (Settings::default(), Settings::default().with("a", "b"));
        assert_ne!(key(&one, 1), key(&two, 1));
        assert_ne!(key(&one, 1), key(&one, 2));
    }
}
