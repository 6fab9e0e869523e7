use std::sync::Arc;

use super::side::AnswerState;
use super::{Compare, ComparedHistory, Side};
use crate::conversation::{Duel, DuelEnd, Message, Question, Role, Scope, Seed};
use crate::recipe::Answered;
use crate::recipe::evaluate::reference;
use crate::recipe::judge::Scene;

/// A duel that has not ended.
pub(super) struct OpenDuel {
    pair: (usize, usize),
    scope: Scope,
    repeat: u32,
    /// The number of the judge's first call.
    call: u32,
    /// Its open questions to the judge.
    open: Vec<Question>,
}

impl OpenDuel {
    /// Returns its questions that have no answer yet.
    pub fn open(&self) -> &[Question] {
        &self.open
    }
}

impl Compare {
    /// Returns all duels of a conversation as they begin.
    pub(super) fn open_duels(&self, seed: &Seed) -> Vec<OpenDuel> {
        let count = self.systems.len();
        let pairs: Vec<(usize, usize)> =
            (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second))).collect();
        let mut duels = Vec::new();
        for scope in self.scope.scopes(seed.turns.len() as u32) {
            for (number, pair) in pairs.iter().enumerate() {
                for repeat in 0..self.judge.repeats {
                    let call = (number as u32 * self.judge.repeats + repeat) * 2;
                    duels.push(OpenDuel { pair: *pair, scope, repeat, call, open: Vec::new() });
                }
            }
        }
        duels
    }

    /// Finds out what a duel asks now; false where it has ended. Without a new answer it asks what it did: a prompt shows the
    /// whole conversation, so rendering is what costs time.
    pub(super) fn stays_open(&self, seed: &Seed, sides: &[Side], duel: &mut OpenDuel, answered: &Answered) -> bool {
        let states = [duel.pair.0, duel.pair.1].map(|side| sides[side].state(duel.scope));
        let waits = match &duel.open[..] {
            [] => !states.contains(&AnswerState::Missing) && states.contains(&AnswerState::Open),
            open => open.iter().all(|question| answered.get(question.slot).is_none()),
        };
        if !waits {
            duel.open = self.duel(seed, sides, duel, answered).1;
        }
        waits || !duel.open.is_empty()
    }

    /// Returns a duel as far as there are answers, and its open questions.
    pub(super) fn duel(
        &self,
        seed: &Seed,
        sides: &[Side],
        open: &OpenDuel,
        answered: &Answered,
    ) -> (Duel, Vec<Question>) {
        let OpenDuel { pair: (first, second), scope, repeat, call, .. } = *open;
        let mut duel = Duel {
            first,
            second,
            scope,
            repeat,
            end: DuelEnd::Open,
            orders: [None; 2],
            words: [None, None],
            readings: [None; 2],
            lengths: [first, second].map(|side| sides[side].letters(scope)),
            is_suspect: false,
        };
        let states = [first, second].map(|side| sides[side].state(scope));
        duel.end = match states {
            [AnswerState::Missing, AnswerState::Missing] => DuelEnd::BothMissing,
            [AnswerState::Missing, _] => DuelEnd::FirstMissing,
            [_, AnswerState::Missing] => DuelEnd::SecondMissing,
            [AnswerState::There, AnswerState::There] => DuelEnd::Unparsed,
            _ => DuelEnd::Open,
        };
        if duel.end != DuelEnd::Unparsed {
            return (duel, Vec::new());
        }
        let shown = [first, second].map(|side| self.shown(seed, &sides[side], scope));
        duel.is_suspect = [first, second].iter().any(|side| sides[*side].has_suspect(scope));
        let prompt = |order: u32| {
            let in_order: [&[Arc<Message>]; 2] = [&shown[order as usize], &shown[1 - order as usize]];
            self.judge.prompt.about(
                answered.rules,
                &Scene {
                    sides: &in_order,
                    is_shared: self.history == ComparedHistory::Shared && !scope.is_whole(),
                    is_whole: scope.is_whole(),
                    turns: scope.turn_count(seed.turns.len() as u32),
                    // The reference comes after the given answers of the systems.
                    reference: reference(seed, scope, self.systems.len()),
                    criterion: "",
                    call: order,
                },
            )
        };
        let both = self.judge.in_both_orders(answered, scope.number(), call, repeat, prompt);
        (duel.end, duel.orders, duel.words) = (both.end, both.orders, both.words);
        duel.readings = both.readings;
        (duel, both.open)
    }

    /// Returns the messages of one side that the judge sees: everything up to its judged answer.
    fn shown(&self, seed: &Seed, side: &Side, scope: Scope) -> Vec<Arc<Message>> {
        let last = scope.turn_count(seed.turns.len() as u32) as usize;
        let mut shown = Vec::new();
        for (at, said) in seed.turns.iter().enumerate().take(last) {
            // System messages are hidden from the judge: they could identify the systems.
            shown.extend(said.messages.iter().filter(|message| message.role() != Role::System).cloned());
            let is_judged = scope.is_whole() || at + 1 == last;
            if self.history == ComparedHistory::Shared && !is_judged {
                shown.extend(said.replaced.clone().map(|text| Message::new(Role::Assistant, text)));
            } else {
                shown.extend(side.answers.get(at).cloned().flatten());
            }
        }
        shown
    }
}
