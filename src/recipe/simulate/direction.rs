use crate::conversation::{Dice, Digest};

/// What a simulated user is told to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// Ask about what was just said.
    FollowUp,
    /// Ask for a change of the answer.
    Refine,
    /// Point out what is wrong or missing.
    Correct,
    /// Ask what something means.
    Clarify,
    /// Turn to something else.
    NewTopic,
    /// End the conversation.
    Stop,
}

/// How often each move is thrown, out of a hundred.
const SHARES: [(Move, usize); 6] = [
    (Move::FollowUp, 45),
    (Move::Refine, 20),
    (Move::Correct, 10),
    (Move::Clarify, 10),
    (Move::NewTopic, 10),
    (Move::Stop, 5),
];

impl Move {
    /// Throws the move before a turn of a conversation: the same one in any run.
    pub fn thrown(seed: &Digest, turn: u32) -> Self {
        let mut key = seed.0.to_vec();
        key.extend_from_slice(&turn.to_le_bytes());
        let mut rest = Dice::new("move", &key).below(100);
        for (one, share) in SHARES {
            if rest < share {
                return one;
            }
            rest -= share;
        }
        Move::FollowUp
    }

    /// Returns its name in outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Move::FollowUp => "follow_up",
            Move::Refine => "refine",
            Move::Correct => "correct",
            Move::Clarify => "clarify",
            Move::NewTopic => "new_topic",
            Move::Stop => "stop",
        }
    }

    /// Returns what the user is told.
    pub fn words(self) -> &'static str {
        match self {
            Move::FollowUp => "Ask a question that follows from what the assistant has just said.",
            Move::Refine => "Ask for a change: other words, another form, more or less of something.",
            Move::Correct => {
                "Say what is wrong, missing or unconvincing in what the assistant has just said, or that it does not fit you."
            }
            Move::Clarify => "Ask what one thing that the assistant has just said means.",
            Move::NewTopic => "Turn to something else that you want to know as well.",
            Move::Stop => "End the conversation.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_thrown_as_often_as_they_should_be() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<usize>(), 100);
        let thrown: Vec<Move> = (0..20_000).map(|turn| Move::thrown(&Digest([7; 32]), turn)).collect();
        for (one, share) in SHARES {
            let count = thrown.iter().filter(|other| **other == one).count();
            assert!(count.abs_diff(share * 200) < 200, "{}: {count}", one.name());
        }
    }
}
