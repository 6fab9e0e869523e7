//! What a worker has lately read or committed, so that not every look-up asks the database.

use std::collections::{HashMap, VecDeque};

use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, Stored};

/// Bytes of answers that are kept.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// States that are kept.
const STATES_MAX: usize = 1 << 16;
/// Bytes that an answer costs beside its texts.
const ANSWER_OVERHEAD_BYTES: usize = 512;

/// What is known of a conversation's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownState {
    /// Nothing: the database was not asked.
    Unasked,
    /// The database does not know the conversation.
    Absent,
    /// Its state.
    Present(ConversationState),
}

/// Answers and states at hand. What comes first goes first.
#[derive(Default)]
pub struct LookupCache {
    answers: HashMap<Fingerprint, Stored>,
    order: VecDeque<(Fingerprint, usize)>,
    bytes: usize,
    /// `None` is a conversation that the database does not know.
    states: HashMap<ConversationKey, Option<ConversationState>>,
    state_order: VecDeque<ConversationKey>,
}

impl LookupCache {
    /// Returns an answer.
    pub fn answer(&self, question: &Fingerprint) -> Option<Stored> {
        self.answers.get(question).cloned()
    }

    /// Keeps an answer, in place of one that is there.
    pub fn put_answer(&mut self, question: Fingerprint, stored: Stored) {
        let text = stored.answer.text().len() + stored.answer.reasoning.as_ref().map_or(0, String::len);
        let bytes = text + stored.answer.tokens.as_ref().map_or(0, |tokens| tokens.bytes_max()) + ANSWER_OVERHEAD_BYTES;
        if self.answers.insert(question, stored).is_none() {
            self.order.push_back((question, bytes));
            self.bytes += bytes;
        }
        while self.bytes > ANSWER_BYTES_MAX
            && let Some((oldest, bytes)) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
            self.bytes -= bytes;
        }
    }

    /// Returns what is known of a conversation's state.
    pub fn state(&self, key: &ConversationKey) -> KnownState {
        match self.states.get(key) {
            None => KnownState::Unasked,
            Some(None) => KnownState::Absent,
            Some(Some(state)) => KnownState::Present(state.clone()),
        }
    }

    /// Keeps a state.
    pub fn put_state(&mut self, key: ConversationKey, state: Option<ConversationState>) {
        if self.states.insert(key, state).is_none() {
            self.state_order.push_back(key);
        }
        while self.states.len() > STATES_MAX
            && let Some(oldest) = self.state_order.pop_front()
        {
            self.states.remove(&oldest);
        }
    }

    /// Forgets all states: other workers may have changed any of them.
    pub fn forget_states(&mut self) {
        self.states.clear();
        self.state_order.clear();
    }

    /// Forgets a state that has changed.
    pub fn forget_state(&mut self, key: &ConversationKey) {
        self.states.remove(key);
        // Places of states that are forgotten stay in the order until there are many.
        if self.state_order.len() > 2 * STATES_MAX {
            let states = &self.states;
            self.state_order.retain(|other| states.contains_key(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conversation::Answer;

    #[test]
    fn it_is_bounded_and_what_came_first_goes_first() {
        let mut cache = LookupCache::default();
        let text = "x".repeat(1 << 20);
        for number in 0..80u8 {
            let stored = Stored { run: 1, answer: Arc::new(Answer::complete("m", text.as_str())) };
            cache.put_answer(Fingerprint([number; 32]), stored.clone());
            cache.put_answer(Fingerprint([number; 32]), stored);
        }
        assert!(cache.bytes <= ANSWER_BYTES_MAX && cache.answers.len() == 63, "{}", cache.answers.len());
        assert!(cache.answer(&Fingerprint([16; 32])).is_none() && cache.answer(&Fingerprint([17; 32])).is_some());
        let key = ConversationKey([1; 32]);
        assert_eq!(cache.state(&key), KnownState::Unasked);
        cache.put_state(key, None);
        assert_eq!(cache.state(&key), KnownState::Absent);
        cache.forget_state(&key);
        assert_eq!(cache.state(&key), KnownState::Unasked);
        for _ in 0..3 * STATES_MAX {
            cache.put_state(key, None);
            cache.forget_state(&key);
        }
        assert!(cache.state_order.len() <= 2 * STATES_MAX + 1);
    }
}
