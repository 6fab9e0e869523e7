use serde::{Deserialize, Serialize};

/// Rules that an index can tell apart: a bit of 64 for each, the last for all further ones.
const RULES_MAX: usize = 63;
/// Reasons and languages that an index can tell apart; the last number stands for all further ones.
const NAMES_MAX: usize = 1_000;
/// What is beyond the limits.
const FURTHER: &str = "others";

/// Names that records have numbers for. They are only ever added to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Languages.
    pub languages: NameList,
    /// Reasons why conversations stopped or failed.
    pub reasons: NameList,
    /// Rules, as they reject and as they flag.
    pub rules: NameList,
}

/// A list of names; their numbers begin at 1, and 0 stands for no name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameList(Vec<String>);

impl NameList {
    /// Returns the number of a name, which is added where it is new.
    pub fn number(&mut self, name: &str) -> usize {
        if name.is_empty() {
            return 0;
        }
        if let Some(number) = self.find(name) {
            return number;
        }
        self.0.push(if self.0.len() + 1 >= NAMES_MAX { FURTHER.to_owned() } else { name.to_owned() });
        self.0.len().min(NAMES_MAX)
    }

    /// Returns the number of a name that is there.
    pub fn find(&self, name: &str) -> Option<usize> {
        let known = self.0.iter().position(|other| other == name);
        let further = || self.0.iter().position(|other| other == FURTHER);
        known.or_else(further).map(|at| at + 1)
    }

    /// Returns the bit of a name that is there.
    pub fn bit(&self, name: &str) -> Option<u64> {
        self.find(name).map(bit)
    }

    /// Returns the bits of names, which are added where they are new.
    pub fn bits<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> u64 {
        names.into_iter().fold(0, |bits, name| bits | bit(self.number(name)))
    }

    /// Returns the name with a number.
    pub fn name(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|at| self.0.get(at)).map_or("", String::as_str)
    }

    /// Returns the names with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().enumerate().map(|(at, name)| (at + 1, name.as_str()))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Returns the bit of a number.
pub fn bit(number: usize) -> u64 {
    number.checked_sub(1).map_or(0, |at| 1 << at.min(RULES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_and_there_is_an_end() {
        let mut names = NameList::default();
        assert_eq!(
            (names.number(""), names.number("echo"), names.number("length"), names.number("echo")),
            (0, 1, 2, 1)
        );
        assert_eq!((names.bits(["length", "pii"]), names.bit("echo"), names.bit("none")), (0b110, Some(1), None));
        assert_eq!((names.name(0), names.name(2), names.name(99)), ("", "length", ""));
        let numbers: Vec<usize> = (0..3_000).map(|number| names.number(&format!("rule {number}"))).collect();
        assert!(numbers.iter().all(|number| *number <= NAMES_MAX) && names.len() <= NAMES_MAX);
        assert_eq!(names.name(*numbers.last().unwrap()), FURTHER);
        assert_eq!(names.bit("rule 2000"), Some(1 << 63));
    }
}
