//! Entries of every kind, for tests of what is folded from them.

use std::collections::HashMap;
use std::sync::Arc;

use super::Reader;
use super::entry::{Entry, LostCalls, Run, Status};
use super::index::{IndexReader, MemoryIndex};
use super::place::Place;
use crate::conversation::{
    Answer, ConversationKey, FailureReason, Fingerprint, Lane, ServiceTier, Settings, Slot, TurnIndex, Usage,
};

/// A question.
pub fn question(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

/// A conversation.
pub fn conversation(number: u8) -> ConversationKey {
    ConversationKey([100 + number; 32])
}

/// An answer of the first run to a question of a conversation.
pub fn answered(of: u8, slot: Slot, number: u8) -> Entry {
    let tokens = u64::from(number);
    let usage = Usage {
        prompt_tokens: Some(10 * tokens),
        cached_tokens: Some(tokens),
        cache_write_tokens: Some(2),
        completion_tokens: Some(20 * tokens),
        reasoning_tokens: Some(3),
        tier: if number == 3 { ServiceTier::Flex } else { ServiceTier::Standard },
    };
    let answer = Answer { usage, ..Answer::complete("m", format!("answer {number}")) };
    Entry::Answered {
        run: 1,
        conversation: conversation(of),
        slot,
        fingerprint: question(number),
        model: "m".to_owned(),
        answer: Arc::new(answer),
    }
}

/// Entries of every kind: two runs, three answers in two conversations, one of which has ended.
pub fn entries() -> Vec<Entry> {
    let run = |number| {
        Entry::Run(Run {
            number,
            started_ms: 1_000 * u64::from(number),
            settings: Settings::default().with("recipe", "distill"),
            answers: 0,
        })
    };
    let failed = Status::Failed {
        turn: TurnIndex::from_index(1),
        reason: FailureReason::from("http_500: down"),
        permanent: true,
    };
    let judge = Slot { lane: Lane::Judge, ..Slot::main(0) };
    vec![
        run(1),
        answered(1, Slot::main(0), 1),
        answered(1, Slot::main(1), 2),
        answered(2, judge, 3),
        Entry::Linked { conversation: conversation(2), slot: Slot::main(0), fingerprint: question(1) },
        Entry::Lost { fingerprint: question(9), lost: LostCalls { calls: 2, reason: "http_504: gave up".to_owned() } },
        Entry::Unknown { model: "n".to_owned(), calls: 3, prompt_tokens: 40, completion_tokens: 50 },
        Entry::Closed { conversation: conversation(1), status: failed },
        run(2),
        answered(1, Slot::main(1), 4),
    ]
}

/// The same with places of their own.
pub fn placed() -> Vec<(Place, Entry)> {
    let place = |at: usize| Place { segment: 1 + at as u32 / 4, offset: 1_000 * at as u64, length: 70, checksum: 9 };
    entries().into_iter().enumerate().map(|(at, entry)| (place(at), entry)).collect()
}

/// A store of these entries says what the index in memory says, which is the definition.
pub fn assert_whole(store: &dyn Reader) {
    let mut expected = MemoryIndex::default();
    for (place, entry) in &placed() {
        expected.add(*place, entry);
    }
    for number in 0..=9 {
        let key = conversation(number);
        assert_eq!(store.state(&key).unwrap(), expected.state(&key).unwrap());
        assert_eq!(store.lost(&question(number)).unwrap(), expected.lost(&question(number)).unwrap());
        let text = store.answer(&question(number)).unwrap().map(|stored| stored.answer.text().to_owned());
        assert_eq!(text, (1..=4).contains(&number).then(|| format!("answer {number}")));
    }
    let mut states = HashMap::new();
    store.for_each_state(&mut |key, state| drop(states.insert(key, state))).unwrap();
    assert_eq!((states, store.runs().unwrap()), (expected.states.clone(), expected.runs().unwrap()));
    assert_eq!(store.spending().unwrap(), expected.origins.spending(None));
}
