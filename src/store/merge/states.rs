//! The states of conversations, cut and joined.

use std::collections::BTreeMap;

use crate::conversation::{Fingerprint, Slot};
use crate::store::entry::{ConversationState, Status};
use crate::store::error::StoreError;

/// Cuts a conversation after the first answer that is replaced: what came later was built on it. Returns what is cut off, in order.
///
/// Later is what belongs to a later turn, and what follows in the same turn. What does not depend on the answer may be cut with it:
/// the next replay finds it again.
pub fn cut(
    state: &mut ConversationState,
    mut is_replaced: impl FnMut(&Fingerprint) -> Result<bool, StoreError>,
) -> Result<Vec<(Slot, Fingerprint)>, StoreError> {
    let mut in_order = state.history.clone();
    in_order.sort_by_key(|(slot, _)| order(*slot));
    for at in 0..in_order.len() {
        if is_replaced(&in_order[at].1)? {
            let gone = in_order.split_off(at + 1);
            in_order.sort_by_key(|(slot, _)| *slot);
            state.history = in_order;
            state.status = Status::Open;
            state.cursor = state.next_turn();
            return Ok(gone);
        }
    }
    Ok(Vec::new())
}

/// Returns the place of a slot in its conversation.
pub fn order(slot: Slot) -> (u32, Slot) {
    (slot.turn, slot)
}

/// Joins what two stores know of a conversation. Both were built on the answers that are used, so they do not contradict each other;
/// if they do, the smaller question is kept. The status is that of whoever knows all of it: a finished one before a failed one.
pub fn join(one: &ConversationState, other: &ConversationState) -> ConversationState {
    let mut slots: BTreeMap<Slot, Fingerprint> = one.history.iter().copied().collect();
    for (slot, fingerprint) in &other.history {
        let known = slots.entry(*slot).or_insert(*fingerprint);
        *known = (*known).min(*fingerprint);
    }
    let history: Vec<(Slot, Fingerprint)> = slots.into_iter().collect();
    let whole = [one, other].into_iter().filter(|state| state.history == history);
    let status = whole.map(|state| &state.status).min_by_key(|status| rank(status)).cloned().unwrap_or_default();
    let mut joined = ConversationState { history, cursor: 0, status };
    joined.cursor = joined.next_turn();
    joined
}

/// The status that counts has the smallest rank. Equal ranks are equal statuses.
fn rank(status: &Status) -> (u8, u32, String) {
    match status {
        Status::Complete => (0, 0, String::new()),
        Status::Stopped { turn, reason } => (1, turn.index(), reason.to_string()),
        Status::Failed { turn, reason, permanent: true } => (2, turn.index(), reason.to_string()),
        Status::Failed { turn, reason, permanent: false } => (3, turn.index(), reason.to_string()),
        Status::Open => (4, 0, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Lane, TurnIndex};

    fn state(history: &[(u32, u8)], status: Status) -> ConversationState {
        let history = history.iter().map(|(turn, number)| (Slot::main(*turn), Fingerprint([*number; 32]))).collect();
        let mut state = ConversationState { history, cursor: 0, status };
        state.cursor = state.next_turn();
        state
    }

    fn failed(permanent: bool) -> Status {
        Status::Failed { turn: TurnIndex::from_index(1), reason: "http_400: no".into(), permanent }
    }

    #[test]
    fn what_was_built_on_a_replaced_answer_is_cut() {
        let mut whole = state(&[(0, 1), (1, 2), (2, 3)], Status::Complete);
        let judged = Slot { lane: Lane::Judge, ..Slot::main(1) };
        whole.history.push((judged, Fingerprint([9; 32])));
        let replaced =
            |numbers: &'static [u8]| move |fingerprint: &Fingerprint| Ok(numbers.contains(&fingerprint.0[0]));
        let mut none = whole.clone();
        assert_eq!((cut(&mut none, replaced(&[7])).unwrap(), &none), (Vec::new(), &whole));
        let mut second = whole.clone();
        let gone = cut(&mut second, replaced(&[2, 3])).unwrap();
        assert_eq!(gone, [(judged, Fingerprint([9; 32])), (Slot::main(2), Fingerprint([3; 32]))]);
        assert_eq!(second, state(&[(0, 1), (1, 2)], Status::Open));
        let mut last = whole.clone();
        assert_eq!(cut(&mut last, replaced(&[3])).unwrap(), []);
        assert_eq!((last.history, last.status), (whole.history.clone(), Status::Open), "its end is not known any more");
        let mut of_judge = whole.clone();
        assert_eq!(cut(&mut of_judge, replaced(&[9])).unwrap(), [(Slot::main(2), Fingerprint([3; 32]))]);
    }

    #[test]
    fn who_knows_all_of_a_conversation_knows_how_it_stands() {
        let (long, short) = (&[(0, 1), (1, 2)][..], &[(0, 1)][..]);
        let joined = |one: &ConversationState, other: &ConversationState| {
            assert_eq!(join(one, other), join(other, one));
            assert_eq!(join(one, one), *one);
            join(one, other)
        };
        let complete = state(long, Status::Complete);
        assert_eq!(joined(&complete, &state(short, Status::Open)), complete);
        assert_eq!(joined(&complete, &state(long, failed(true))), complete);
        assert_eq!(joined(&state(long, Status::Open), &state(short, failed(true))), state(long, Status::Open));
        assert_eq!(joined(&state(long, failed(false)), &state(long, failed(true))), state(long, failed(true)));
        let parted = joined(&state(&[(0, 1), (2, 3)], failed(true)), &state(long, failed(true)));
        assert_eq!(parted, state(&[(0, 1), (1, 2), (2, 3)], Status::Open));
    }
}
