use std::sync::LazyLock;

use memchr::memmem::Finder;

/// A few strings that hardly any text has, exactly as they are written. Each is searched on its own: that is faster than one
/// automaton for all of them, once the searches are prepared.
pub struct Needles(LazyLock<Vec<Finder<'static>>, fn() -> Vec<Finder<'static>>>);

impl Needles {
    /// Creates the list. Searches are prepared on first use.
    pub const fn new(build: fn() -> Vec<Finder<'static>>) -> Self {
        Self(LazyLock::new(build))
    }

    /// Prepares to find these strings.
    pub fn finders(needles: &[&'static str]) -> Vec<Finder<'static>> {
        needles.iter().map(|needle| Finder::new(*needle)).collect()
    }

    /// True where `text` contains one of the strings.
    pub fn occur_in(&self, text: &str) -> bool {
        self.0.iter().any(|needle| needle.find(text.as_bytes()).is_some())
    }

    /// Returns where the strings begin in `text`, one string after the other.
    pub fn places_in(&self, text: &str) -> impl Iterator<Item = usize> {
        self.0.iter().flat_map(|needle| needle.find_iter(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_as_they_are_written() {
        static NEEDLES: Needles = Needles::new(|| Needles::finders(&["###", "USER: "]));
        assert!(NEEDLES.occur_in("So. USER: Yes") && !NEEDLES.occur_in("So. User: ##"));
        assert_eq!(NEEDLES.places_in("USER: ### a ###").collect::<Vec<_>>(), [6, 12, 0]);
    }
}
