use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::mem;

use super::text::{Spread, Words};

/// Detects an answer that is given to many different questions. Constant text fools judges (a null model wins 76.9 % of
/// `AlpacaEval` 2) and teaches nothing.
///
/// Memory: at most 22 MB, whatever the number of answers. Answers are counted by a hash of their words. An answer is forgotten
/// when between 450,000 and 900,000 other answers have come since it came last, so one whose questions are farther apart is
/// missed. Among 450,000 different answers none is missed.
#[derive(Debug)]
pub struct Boilerplate {
    /// Answers that have come since the last exchange of the two.
    recent: Generation,
    /// Answers that came before it and not since.
    earlier: Generation,
    /// Answers in one of the two.
    answers_max: usize,
}

type Generation = HashMap<AnswerHash, Questions, Spread>;

/// Answers that a table of 2^19 places holds.
const ANSWERS_MAX: usize = 450_000;
/// One answer may be given to at most this many different questions.
const QUESTIONS_MAX: usize = 3;
/// Shorter answers ("Yes.") are not boilerplate.
const WORDS_MIN: usize = 5;

/// The two halves of a hash, so that an entry of a table has 20 bytes and not 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AnswerHash(u32, u32);

impl Hash for AnswerHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.0) << 32 | u64::from(self.1));
    }
}

/// The hashes of the questions that an answer was given to, then zeros.
#[derive(Clone, Copy, Debug, Default)]
struct Questions([u32; QUESTIONS_MAX]);

impl Questions {
    /// Every place has this value once there are more than fit.
    const MANY: u32 = u32::MAX;

    /// Adds a question; true where there are now more than fit.
    fn add(&mut self, question: u64) -> bool {
        // Neither of the two values with a meaning of their own.
        let question = ((question >> 32) as u32).clamp(1, Self::MANY - 1);
        if self.0[0] == Self::MANY {
            return true;
        }
        match self.0.iter_mut().find(|known| **known == 0 || **known == question) {
            Some(place) => *place = question,
            None => self.0 = [Self::MANY; QUESTIONS_MAX],
        }
        self.0[0] == Self::MANY
    }
}

impl Default for Boilerplate {
    fn default() -> Self {
        Self::remembering(ANSWERS_MAX)
    }
}

impl Boilerplate {
    /// The flag of such an answer.
    pub const FLAG: &'static str = "boilerplate_constant";

    fn remembering(answers_max: usize) -> Self {
        Self { recent: Generation::default(), earlier: Generation::default(), answers_max }
    }

    /// Counts an answer. True once it has been given to more than three different questions.
    pub fn count(&mut self, user: &str, answer: &str) -> bool {
        let words = Words::of(answer);
        words.len() >= WORDS_MIN && self.count_hashed(words_hash(&Words::of(user)), words_hash(&words))
    }

    fn count_hashed(&mut self, question: u64, answer: u64) -> bool {
        let answer = AnswerHash((answer >> 32) as u32, answer as u32);
        if let Some(questions) = self.recent.get_mut(&answer) {
            return questions.add(question);
        }
        let known = self.earlier.remove(&answer).unwrap_or_default();
        if self.recent.len() >= self.answers_max {
            mem::swap(&mut self.recent, &mut self.earlier);
            self.recent.clear();
        }
        let questions = self.recent.entry(answer).or_insert(known);
        questions.add(question)
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

    fn spread(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn among_as_many_answers_as_are_remembered_each_constant_one_is_found() {
        let mut boilerplate = Boilerplate::remembering(1_000);
        let found = (0..5)
            .map(|round| (0..1_000).filter(|answer| boilerplate.count_hashed(spread(round), spread(*answer))).count());
        assert_eq!(found.collect::<Vec<_>>(), [0, 0, 0, 1_000, 1_000]);
    }

    #[test]
    fn of_any_number_of_answers_a_bounded_number_is_kept_and_one_that_comes_often_enough_stays() {
        let mut boilerplate = Boilerplate::remembering(1_000);
        let mut others = (1..).map(spread);
        let mut after = |boilerplate: &mut Boilerplate, count: usize, question: u64| {
            for other in others.by_ref().take(count) {
                boilerplate.count_hashed(other, other);
            }
            boilerplate.count_hashed(question, spread(0))
        };
        let found: Vec<bool> = (1..=5).map(|number| after(&mut boilerplate, 1_000, spread(number))).collect();
        assert_eq!(found, [false, false, false, true, true]);
        assert!(boilerplate.recent.len() <= 1_000 && boilerplate.earlier.len() <= 1_000);
        assert!(!after(&mut boilerplate, 2_000, spread(6)), "too long ago: it counts from the beginning");
    }

    #[test]
    fn the_memory_is_as_stated() {
        let places = Generation::with_capacity_and_hasher(ANSWERS_MAX, Spread).capacity() * 8 / 7;
        // Each place has a byte beside its entry.
        let bytes = 2 * places * (size_of::<(AnswerHash, Questions)>() + 1);
        assert!((21_000_000..=22_100_000).contains(&bytes), "{bytes}");
    }
}
