use super::turn::Scope;
use super::vote::{Vote, Winner};

/// The score that a judge or a person gives to an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Rating {
    /// The conversation, or question, that is answered.
    pub item: String,
    /// The part of the conversation.
    pub scope: Scope,
    /// Who answers; empty where the file does not say.
    pub system: String,
    /// Who says so.
    pub judge: String,
    /// The score, on any scale.
    pub score: f64,
}

/// How much a judge prefers a system's answer to a baseline's, as `AlpacaEval` annotates it.
#[derive(Clone, Debug, PartialEq)]
pub struct Preference {
    /// The instruction.
    pub item: String,
    /// The system that the other one is measured by.
    pub baseline: String,
    /// The system.
    pub system: String,
    /// Who says so.
    pub judge: String,
    /// The share of one point that the system gets; `None` where there is no verdict.
    pub share: Option<f64>,
    /// The lengths of both answers in characters, the baseline's first, where the answers are there.
    pub lengths: Option<[usize; 2]>,
}

impl Preference {
    /// Returns the vote for the side that is preferred, where there is a verdict.
    pub fn vote(&self) -> Option<Vote> {
        let share = self.share?;
        let winner = match share {
            _ if share > 0.5 => Winner::Second,
            _ if share < 0.5 => Winner::First,
            _ => Winner::Tie,
        };
        Some(Vote {
            item: self.item.clone(),
            scope: Scope::from_number(1),
            first: self.baseline.clone(),
            second: self.system.clone(),
            winner,
            judge: self.judge.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_vote_for_the_side_that_has_more_than_half_of_the_point() {
        let preference = |share| Preference {
            item: "i".to_owned(),
            baseline: "old".to_owned(),
            system: "new".to_owned(),
            judge: "j".to_owned(),
            share,
            lengths: None,
        };
        let winner = |share| preference(Some(share)).vote().map(|vote| vote.winner);
        let near_half = [0.5_f64.next_down(), 0.5, 0.5_f64.next_up()].map(winner);
        assert_eq!(near_half, [Winner::First, Winner::Tie, Winner::Second].map(Some));
        assert_eq!([0.0, 1.0].map(winner), [Winner::First, Winner::Second].map(Some));
        assert_eq!(preference(None).vote(), None, "without a verdict there is no vote");
        let vote = preference(Some(1.0)).vote().unwrap();
        assert_eq!((&*vote.item, &*vote.first, &*vote.second, &*vote.judge), ("i", "old", "new", "j"));
        assert_eq!(vote.scope, Scope::from_number(1));
    }
}
