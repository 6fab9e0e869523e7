use std::sync::Arc;

use super::{Reader, StoreError};
use crate::conversation::{Answer, AnswerTokens, Fingerprint, LineTokens, SharedTokens};

/// Links of a chain of answers that lean on each other: no conversation has more turns.
const LINKS_MAX: usize = 100_000;

/// Finds the whole token sequences of stored answers: the ids of prompt and answer, of which a stored answer holds those that
/// an earlier one does not. The last one is kept, so that the answers of a conversation, one after the other, are each read
/// once.
#[derive(Debug, Default)]
pub struct Sequences {
    last: Option<(Fingerprint, Arc<[u32]>)>,
}

impl Sequences {
    /// Returns the sequence of the answer to a question; `None` where it has no ids, or the store has lost those of an answer
    /// that it leans on.
    ///
    /// # Errors
    /// Fails where the store cannot be read.
    pub fn of(
        &mut self,
        store: &(impl Reader + ?Sized),
        question: &Fingerprint,
        answer: &Answer,
    ) -> Result<Option<Arc<[u32]>>, StoreError> {
        if let Some((_, ids)) = self.last.as_ref().filter(|(last, _)| last == question) {
            return Ok(Some(Arc::clone(ids)));
        }
        let Some(tokens) = &answer.tokens else { return Ok(None) };
        let earlier = self.earlier(store, tokens)?;
        let ids: Option<Arc<[u32]>> = earlier.and_then(|earlier| tokens.sequence_after(&earlier)).map(Arc::from);
        self.last = ids.clone().map(|ids| (*question, ids));
        Ok(ids)
    }

    /// Returns an answer's tokens with all of its prompt; `None` as with [`Sequences::of`].
    ///
    /// # Errors
    /// Fails where the store cannot be read.
    pub fn line_of(
        &mut self,
        store: &(impl Reader + ?Sized),
        answer: &Answer,
    ) -> Result<Option<LineTokens>, StoreError> {
        let Some(tokens) = &answer.tokens else { return Ok(None) };
        let prompt = self.earlier(store, tokens)?.and_then(|earlier| tokens.prompt_after(&earlier));
        let (completion, logprobs) = (&tokens.completion, &tokens.logprobs);
        let line = |prompt| LineTokens { prompt, completion: completion.clone(), logprobs: logprobs.clone() };
        Ok(prompt.map(line))
    }

    /// Returns the sequence that tokens lean on; an empty one where they hold their prompt whole.
    fn earlier(
        &mut self,
        store: &(impl Reader + ?Sized),
        tokens: &AnswerTokens,
    ) -> Result<Option<Arc<[u32]>>, StoreError> {
        let mut chain: Vec<(Fingerprint, Arc<AnswerTokens>)> = Vec::new();
        let mut shared = tokens.prompt.shared;
        let mut ids: Arc<[u32]> = loop {
            let Some(SharedTokens { question, .. }) = shared else { break Arc::from([]) };
            if let Some((_, ids)) = self.last.as_ref().filter(|(last, _)| *last == question) {
                break Arc::clone(ids);
            }
            let stored = store.answer(&question)?.filter(|_| chain.len() < LINKS_MAX);
            let Some(tokens) = stored.and_then(|stored| stored.answer.tokens.clone()) else { return Ok(None) };
            shared = tokens.prompt.shared;
            chain.push((question, tokens));
        };
        for (question, tokens) in chain.into_iter().rev() {
            let Some(sequence) = tokens.sequence_after(&ids) else { return Ok(None) };
            ids = sequence.into();
            self.last = Some((question, Arc::clone(&ids)));
        }
        Ok(Some(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{ConversationKey, Slot};
    use crate::store::{Entry, MemoryStore, Store};

    fn question(number: u32) -> Fingerprint {
        Fingerprint([number as u8; 32])
    }

    /// Ten turns of a conversation, each of which leans on the one before; with the sequence of each.
    fn turns() -> Vec<(Fingerprint, Arc<Answer>, Vec<u32>)> {
        let mut turns: Vec<(Fingerprint, Arc<Answer>, Vec<u32>)> = Vec::new();
        for number in 0..10u32 {
            let earlier = turns.last().map_or(&[][..], |(.., ids)| ids).to_vec();
            let prompt = [&earlier[..], &(0..30).map(|id| id + number * 100).collect::<Vec<_>>()].concat();
            let completion: Vec<u32> = (50..70).map(|id| id + number * 100).collect();
            let ids = [&prompt[..], &completion].concat();
            let mut tokens = AnswerTokens::whole(prompt, completion);
            if let Some((before, ..)) = turns.last() {
                tokens = tokens.after(*before, &earlier);
                assert!(tokens.prompt.shared.is_some() && tokens.prompt.rest.len() == 30);
            }
            let answer = Answer { tokens: Some(Arc::new(tokens)), ..Answer::complete("m", "text") };
            turns.push((question(number + 1), Arc::new(answer), ids));
        }
        turns
    }

    fn stored(turns: &[(Fingerprint, Arc<Answer>, Vec<u32>)]) -> MemoryStore {
        let store = MemoryStore::new();
        let entry = |(fingerprint, answer, _): &(Fingerprint, Arc<Answer>, Vec<u32>)| Entry::Answered {
            run: 1,
            conversation: ConversationKey([1; 32]),
            slot: Slot::main(u32::from(fingerprint.0[0])),
            fingerprint: *fingerprint,
            model: "m".to_owned(),
            answer: Arc::clone(answer),
        };
        store.commit(turns.iter().map(entry).collect()).unwrap();
        store
    }

    #[test]
    fn a_sequence_is_found_from_any_turn_and_in_any_order() {
        let turns = turns();
        let store = stored(&turns);
        for order in [(0..10).collect::<Vec<_>>(), (0..10).rev().collect(), vec![9, 9, 3, 4, 0, 8]] {
            let mut sequences = Sequences::default();
            for at in order {
                let (fingerprint, answer, ids) = &turns[at];
                let found = sequences.of(&store, fingerprint, answer).unwrap();
                assert_eq!(found.as_deref(), Some(&ids[..]));
                let line = sequences.line_of(&store, answer).unwrap().unwrap();
                assert_eq!((line.sequence(), line.prompt.len()), (ids.clone(), ids.len() - 20));
            }
        }
    }

    #[test]
    fn what_leans_on_a_lost_or_another_answer_has_no_sequence() {
        let turns = turns();
        let (fingerprint, answer, _) = &turns[9];
        let last = |store: &MemoryStore| Sequences::default().of(store, fingerprint, answer).unwrap();
        assert!(last(&stored(&turns)).is_some());
        assert!(last(&stored(&turns[1..])).is_none(), "the first one is lost");
        let mut changed = turns.clone();
        let other = AnswerTokens::whole((1_000..1_040).collect(), (0..30).collect());
        changed[0].1 = Arc::new(Answer { tokens: Some(Arc::new(other)), ..Answer::complete("m", "text") });
        assert!(last(&stored(&changed)).is_none(), "the first one was asked again");
        let plain = Arc::new(Answer::complete("m", "text"));
        assert_eq!(Sequences::default().of(&stored(&turns), &question(77), &plain).unwrap(), None);
    }
}
