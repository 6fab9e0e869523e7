use std::collections::{HashMap, HashSet};

use super::text::Words;

/// Detects an answer that is given to many different questions. Constant text fools judges (a null model wins 76.9 % of
/// `AlpacaEval` 2) and teaches nothing.
///
/// Memory: about 50 bytes per answer. Answers are counted by a hash of their words.
#[derive(Debug, Default)]
pub struct Boilerplate {
    questions: HashMap<u64, HashSet<u64>>,
}

/// One answer may be given to at most this many different questions.
const QUESTIONS_MAX: usize = 3;
/// Shorter answers ("Yes.") are not boilerplate.
const WORDS_MIN: usize = 5;

impl Boilerplate {
    /// Counts an answer. True once it has been given to more than three different questions.
    pub fn count(&mut self, user: &str, answer: &str) -> bool {
        let words = Words::of(answer);
        if words.len() < WORDS_MIN {
            return false;
        }
        let questions = self.questions.entry(words_hash(&words)).or_default();
        if questions.len() <= QUESTIONS_MAX {
            questions.insert(words_hash(&Words::of(user)));
        }
        questions.len() > QUESTIONS_MAX
    }
}

fn words_hash(words: &Words) -> u64 {
    words.ids.iter().fold(0, |hash: u64, id| (hash.rotate_left(7) ^ u64::from(*id)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_different_question_shows_it() {
        let mut boilerplate = Boilerplate::default();
        let answer = "That is a very good question indeed.";
        assert!(!["a", "b", "c", "a", "b"].iter().any(|user| boilerplate.count(user, answer)));
        assert!(boilerplate.count("d", answer) && boilerplate.count("a", answer));
        assert!(!["a", "b", "c", "d"].iter().any(|user| boilerplate.count(user, "Yes.")));
    }
}
