use std::sync::Arc;

use super::answer::Answer;
use super::reading::Reading;
use super::turn::Scope;

/// The verdict of a judge or a person on two systems' answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The conversation, or question, that both have answered.
    pub item: String,
    /// The part of the conversation.
    pub scope: Scope,
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
    /// The judge's verdict changed with the order; counts as a tie and is reported separately.
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

    /// Returns the share of one point that the first gets.
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

/// Two systems' answers to the same words, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Duel {
    /// A system's number.
    pub first: usize,
    /// Another's.
    pub second: usize,
    /// The part of the conversation.
    pub scope: Scope,
    /// Which repeat of the same verdict, from 0.
    pub repeat: u32,
    /// How it ended.
    pub end: DuelEnd,
    /// The verdicts with the first system's answer shown first, then with the second's. `None` where no verdict could be
    /// read.
    pub orders: [Option<Winner>; 2],
    /// The judge's words, in the same order.
    pub words: [Option<Arc<Answer>>; 2],
    /// How they were read.
    pub readings: [Option<Reading>; 2],
    /// The lengths of the answers in characters.
    pub lengths: [usize; 2],
    /// An answer holds what looks like a verdict.
    pub is_suspect: bool,
}

impl Duel {
    /// Returns what the first gets of one point, where there is a verdict.
    pub fn score(&self) -> Option<f64> {
        match self.end {
            DuelEnd::Decided(winner) => Some(winner.score()),
            _ => None,
        }
    }
}

/// How a duel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuelEnd {
    /// There is a verdict.
    Decided(Winner),
    /// The judge's verdict is invalid in at least one order.
    Unparsed,
    /// The first has no answer.
    FirstMissing,
    /// The second has none.
    SecondMissing,
    /// Neither has.
    BothMissing,
    /// The judge has not been asked, or has not answered.
    Open,
}

/// A judge's mark for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The part of the conversation.
    pub scope: Scope,
    /// Which criterion, from 0.
    pub criterion: u32,
    /// Which repeat of the same mark, from 0.
    pub repeat: u32,
    /// The mark: a score, or 1 and 0 for a criterion that is met and one that is not. `None` where none could be read.
    pub value: Option<f64>,
    /// The judge's words; `None` where it has not answered.
    pub words: Option<Arc<Answer>>,
    /// How they were read.
    pub reading: Option<Reading>,
    /// The answer holds what looks like a mark.
    pub is_suspect: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_shared_and_turned_with_the_sides() {
        let all = [Winner::First, Winner::Second, Winner::Tie, Winner::Inconsistent];
        assert_eq!(format!("{:?}", all.map(Winner::score)), "[1.0, 0.0, 0.5, 0.5]");
        assert_eq!(all.map(Winner::turned), [Winner::Second, Winner::First, Winner::Tie, Winner::Inconsistent]);
        assert_eq!(all.map(Winner::is_tie), [false, false, true, true]);
        assert_eq!(all.map(Winner::counted), [Winner::First, Winner::Second, Winner::Tie, Winner::Tie]);
    }

    #[test]
    fn a_vote_is_put_in_the_order_of_names() {
        let vote = |first: &str, second: &str, winner| Vote {
            item: "i".to_owned(),
            scope: Scope::Whole,
            first: first.to_owned(),
            second: second.to_owned(),
            winner,
            judge: "j".to_owned(),
        };
        assert_eq!(vote("b", "a", Winner::First).in_order(), vote("a", "b", Winner::Second));
        assert_eq!(vote("a", "b", Winner::First).in_order(), vote("a", "b", Winner::First));
        assert_eq!(vote("a", "a", Winner::First).in_order(), vote("a", "a", Winner::First), "nothing to exchange");
    }

    #[test]
    fn only_a_decided_duel_has_a_score() {
        let duel = |end| Duel {
            first: 0,
            second: 1,
            scope: Scope::Whole,
            repeat: 0,
            end,
            orders: [None; 2],
            words: [None, None],
            readings: [None; 2],
            lengths: [0; 2],
            is_suspect: false,
        };
        let decided = [Winner::First, Winner::Second, Winner::Tie].map(|winner| duel(DuelEnd::Decided(winner)).score());
        assert_eq!(format!("{decided:?}"), "[Some(1.0), Some(0.0), Some(0.5)]");
        for end in
            [DuelEnd::Unparsed, DuelEnd::FirstMissing, DuelEnd::SecondMissing, DuelEnd::BothMissing, DuelEnd::Open]
        {
            assert_eq!(duel(end).score(), None, "{end:?}");
        }
    }
}
