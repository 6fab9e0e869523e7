/// What a judge, or a person, says of two systems' answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The conversation, or question, that both have answered.
    pub item: String,
    /// The turn, from 1; 0 for the whole conversation.
    pub turn: u32,
    /// A system.
    pub first: String,
    /// Another.
    pub second: String,
    /// Who is better.
    pub winner: Winner,
    /// Who says so.
    pub judge: String,
}

/// Who of two is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Winner {
    /// The first.
    First,
    /// The second.
    Second,
    /// Neither.
    Tie,
    /// Asked in both orders the judge said two different things; counts as a tie and is told apart.
    Inconsistent,
}

impl Vote {
    /// Returns the vote with its systems in the order of their names.
    #[must_use]
    pub fn in_order(self) -> Self {
        if self.first <= self.second {
            return self;
        }
        Self { first: self.second, second: self.first, winner: self.winner.turned(), ..self }
    }
}

impl Winner {
    /// Returns the same with the sides exchanged.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Winner::First => Winner::Second,
            Winner::Second => Winner::First,
            other => other,
        }
    }

    /// Returns what the first gets of one point.
    pub fn score(self) -> f64 {
        match self {
            Winner::First => 1.0,
            Winner::Second => 0.0,
            Winner::Tie | Winner::Inconsistent => 0.5,
        }
    }

    /// True where neither is better.
    pub fn is_tie(self) -> bool {
        matches!(self, Winner::Tie | Winner::Inconsistent)
    }

    /// Returns the same with an inconsistent verdict taken for the tie that it counts as.
    #[must_use]
    pub fn counted(self) -> Self {
        if self.is_tie() { Winner::Tie } else { self }
    }
}
