use crate::conversation::{Dice, Digest};

/// The next action of a simulated user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// Ask about the last answer.
    FollowUp,
    /// Ask for a change of the answer.
    Refine,
    /// Point out what is wrong or missing.
    Correct,
    /// Ask what something means.
    Clarify,
    /// Change the topic.
    NewTopic,
    /// End the conversation.
    Stop,
}

/// The frequency of each move in percent.
const SHARES: [(Move, usize); 6] = [
    (Move::FollowUp, 45),
    (Move::Refine, 20),
    (Move::Correct, 10),
    (Move::Clarify, 10),
    (Move::NewTopic, 10),
    (Move::Stop, 5),
];

impl Move {
    /// Draws the move before a turn of a conversation: the same one in any run with this seed.
    pub fn thrown(conversation: &Digest, seed: Option<i64>, turn: u32) -> Self {
        let key = [&conversation.0[..], &turn.to_le_bytes()].concat();
        let mut rest = seeded("move", key, seed).below(100);
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

    /// Returns the instruction to the user.
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

/// Returns random numbers that depend only on the key, which begins with the conversation's, and the seed.
pub(super) fn seeded(purpose: &'static str, mut key: Vec<u8>, seed: Option<i64>) -> Dice {
    key.extend(seed.into_iter().flat_map(i64::to_le_bytes));
    Dice::new(purpose, &key)
}

/// Returns the message to a user about this fault.
pub(super) fn complaint_about(rule: &str) -> &'static str {
    match rule {
        "thanks_only" => "a user who goes on asks or tells something, and does not only thank or agree",
        "role_flip" => "it is the assistant's voice, not the user's",
        "no_message" => "it speaks about the message; write the user's words themselves",
        "answers_itself" => "it answers its own question",
        "repeat" => "it has been said before",
        "too_long" | "length" => "it is too long",
        "language" => "it is not in the language of your first message",
        _ => "it is no message of a user",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_thrown_as_often_as_they_should_be() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<usize>(), 100);
        let thrown: Vec<Move> = (0..20_000).map(|turn| Move::thrown(&Digest([7; 32]), None, turn)).collect();
        for (one, share) in SHARES {
            let count = thrown.iter().filter(|other| **other == one).count();
            assert!(count.abs_diff(share * 200) < 200, "{}: {count}", one.name());
        }
    }

    /// Prompts hold these words: another one asks every question again.
    #[test]
    fn what_a_user_is_told_to_do_stays_as_it_is() {
        let moves = [Move::FollowUp, Move::Refine, Move::Correct, Move::Clarify, Move::NewTopic, Move::Stop];
        let names = ["follow_up", "refine", "correct", "clarify", "new_topic", "stop"];
        assert_eq!(moves.map(Move::name), names);
        let faults =
            ["thanks_only", "role_flip", "no_message", "answers_itself", "repeat", "too_long", "length", "language"];
        let words =
            moves.map(Move::words).into_iter().chain(faults.map(complaint_about)).chain([complaint_about("odd")]);
        let words = words.collect::<Vec<_>>().join("\n");
        let distinct: std::collections::BTreeSet<&str> = words.lines().collect();
        assert_eq!(distinct.len(), 6 + faults.len(), "two faults of length are told alike:\n{words}");
        assert_eq!(complaint_about("too_long"), "it is too long");
    }

    #[test]
    fn what_is_thrown_depends_on_the_seed_and_the_turn() {
        let thrown = |seed, turn| seeded("move", vec![turn], seed).next_bits();
        let all: std::collections::BTreeSet<u64> =
            [(None, 0), (None, 1), (Some(1), 0), (Some(2), 0)].map(|(seed, turn)| thrown(seed, turn)).into();
        assert_eq!(all.len(), 4);
        assert_eq!(thrown(Some(1), 0), thrown(Some(1), 0));
    }
}
