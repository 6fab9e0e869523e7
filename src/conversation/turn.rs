use std::fmt;

use serde::{Serialize, Serializer};

/// Which turn of a conversation.
///
/// The program counts turns from 0 ([`TurnIndex::index`]); people and outputs count them from 1 ([`TurnIndex::number`],
/// `Display` and `Serialize`).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnIndex(u32);

impl TurnIndex {
    /// The first turn.
    pub const FIRST: Self = Self(0);

    /// Makes a turn of its number from 0.
    pub fn from_index(index: u32) -> Self {
        Self(index)
    }

    /// Makes a turn of its number from 1; `None` for 0.
    pub fn from_number(number: u32) -> Option<Self> {
        number.checked_sub(1).map(Self)
    }

    /// Returns the number from 0.
    pub fn index(self) -> u32 {
        self.0
    }

    /// Returns the number from 1.
    pub fn number(self) -> u32 {
        self.0.saturating_add(1)
    }

    /// Returns this turn's item of a list with one item per turn.
    pub fn item_of<T>(self, items: &[T]) -> Option<&T> {
        items.get(self.0 as usize)
    }
}

impl fmt::Display for TurnIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// The number from 0, as stores hold it.
impl fmt::Debug for TurnIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for TurnIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.number())
    }
}

/// The part of a conversation that a verdict is about. The whole conversation comes before its turns, as in outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole conversation.
    Whole,
    /// The answer of one turn.
    Turn(TurnIndex),
}

impl Scope {
    /// Reads the number that outputs hold: a turn from 1, or 0 for the whole conversation.
    pub fn from_number(number: u32) -> Self {
        TurnIndex::from_number(number).map_or(Self::Whole, Self::Turn)
    }

    /// Returns the number that outputs hold: the turn from 1, or 0 for the whole conversation.
    pub fn number(self) -> u32 {
        self.turn().map_or(0, TurnIndex::number)
    }

    /// Returns the turn; `None` for the whole conversation.
    pub fn turn(self) -> Option<TurnIndex> {
        match self {
            Self::Whole => None,
            Self::Turn(turn) => Some(turn),
        }
    }

    /// True for the whole conversation.
    pub fn is_whole(self) -> bool {
        self == Self::Whole
    }

    /// Returns how many turns of a conversation with `all` turns a verdict of this scope covers, the judged turn included.
    pub fn turn_count(self, all: u32) -> u32 {
        self.turn().map_or(all, TurnIndex::number)
    }

    /// Returns the items before that one.
    pub fn before<T>(self, items: &[T]) -> &[T] {
        let last = self.turn().map_or(items.len(), |_| self.number() as usize);
        &items[..last.saturating_sub(1).min(items.len())]
    }

    /// Returns the last item that a verdict covers, of a list with one item per turn.
    pub fn last_of<T>(self, items: &[T]) -> Option<&T> {
        self.turn().map_or(items.last(), |turn| turn.item_of(items))
    }
}

/// `whole`, or the number of the turn from 1.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.pad("whole"),
            Self::Turn(turn) => turn.fmt(f),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_count_turns_from_1_and_write_0_for_the_whole() {
        for number in [0, 1, 7] {
            let scope = Scope::from_number(number);
            assert_eq!((scope.number(), serde_json::to_string(&scope).unwrap()), (number, number.to_string()));
        }
        assert_eq!(Scope::from_number(1), Scope::Turn(TurnIndex::FIRST));
        assert_eq!([0, 2].map(|number| Scope::from_number(number).to_string()), ["whole", "2"]);
        assert_eq!([0, 2].map(|number| Scope::from_number(number).turn_count(5)), [5, 2]);
        assert_eq!([0, 2, 4].map(|number| Scope::from_number(number).last_of(&[7, 8, 9])), [Some(&9), Some(&8), None]);
        let turn = TurnIndex::from_index(2);
        assert_eq!((turn.index(), turn.number(), turn.to_string().as_str()), (2, 3, "3"));
        assert_eq!((TurnIndex::from_number(0), TurnIndex::from_number(3)), (None, Some(turn)));
    }

    #[test]
    fn a_scope_knows_what_it_covers() {
        let scopes = [0, 1, 3].map(Scope::from_number);
        assert_eq!(scopes.map(Scope::is_whole), [true, false, false]);
        assert_eq!(scopes.map(|scope| scope.before(&[7, 8]).to_vec()), [vec![7], vec![], vec![7, 8]]);
        assert_eq!(Scope::from_number(2).before(&[7, 8]), [7]);
        assert_eq!(scopes.map(|scope| scope.turn().map(TurnIndex::number)), [None, Some(1), Some(3)]);
    }
}
