use std::collections::HashMap;

use crate::conversation::Lane;

/// The length of each open conversation's last prompt, to see servers that cut the history silently: their count of the
/// prompt's tokens stops growing.
#[derive(Debug, Default)]
pub struct Prompts {
    last: HashMap<u64, Vec<(Lane, Prompt)>>,
}

#[derive(Clone, Copy, Debug)]
struct Prompt {
    length: u64,
    tokens: u64,
}

impl Prompts {
    /// Records the prompt of an answer. Returns true if it is longer than the last one of its conversation and lane and the
    /// server counted no more tokens.
    pub fn is_cut(&mut self, session: u64, lane: Lane, length: u64, tokens: Option<u64>) -> bool {
        let Some(tokens) = tokens else { return false };
        let lanes = self.last.entry(session).or_default();
        let now = Prompt { length, tokens };
        match lanes.iter_mut().find(|(other, _)| *other == lane) {
            Some((_, last)) => {
                let before = std::mem::replace(last, now);
                length > before.length && tokens <= before.tokens
            }
            None => {
                lanes.push((lane, now));
                false
            }
        }
    }

    /// Records that a session is over.
    pub fn leave(&mut self, session: u64) {
        self.last.remove(&session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_that_grows_without_more_tokens_is_cut() {
        let mut prompts = Prompts::default();
        assert!(!prompts.is_cut(1, Lane::Main, 100, Some(40)));
        assert!(!prompts.is_cut(1, Lane::Judge, 900, Some(40)), "another lane");
        assert!(!prompts.is_cut(1, Lane::Main, 100, Some(40)), "the same prompt again");
        assert!(prompts.is_cut(1, Lane::Main, 200, Some(40)));
        assert!(!prompts.is_cut(1, Lane::Main, 300, Some(50)) && !prompts.is_cut(1, Lane::Main, 400, None));
        prompts.leave(1);
        assert!(!prompts.is_cut(1, Lane::Main, 500, Some(10)));
    }
}
