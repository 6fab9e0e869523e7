use std::fmt;
use std::sync::Arc;

use super::{Compare, ComparedHistory};
use crate::conversation::{
    Answer, FailureCause, Finish, Lane, Message, Messages, Question, Role, Scope, Seed, Slot, Target, TurnIndex,
};
use crate::recipe::Answered;
use crate::recipe::judge::Scale;

/// One system's answers to a conversation.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Turn by turn; `None` where an answer is missing.
    pub answers: Vec<Option<Arc<Message>>>,
    /// The answers paid for in this run or an earlier one, turn by turn.
    pub paid: Vec<Arc<Answer>>,
    /// The first turn without an answer, and why.
    pub failed: Option<(TurnIndex, NoAnswer)>,
    open: Vec<Question>,
}

/// Why a system has no answer to a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The file of existing answers has none.
    NotGiven,
    /// The answer is incomplete.
    Finish(Finish),
    /// The question failed permanently.
    Failed(FailureCause),
}

/// Writes the code that outputs use.
impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGiven => f.write_str("no_answer"),
            Self::Finish(finish) => f.write_str(finish.name()),
            Self::Failed(cause) => cause.fmt(f),
        }
    }
}

/// How to go on with a side.
pub(super) struct Path {
    number: usize,
    /// The model that answers; `None` where the answers are given.
    target: Option<Arc<Target>>,
    /// The messages so far; with a shared history all of the conversation.
    history: Messages,
    /// With a shared history: how many of them each turn hears.
    heard: Vec<usize>,
    /// The next turn to be asked.
    turn: usize,
}

impl Compare {
    /// Begins a system's side at the first turn.
    pub(super) fn begin_side(&self, number: usize, seed: &Seed) -> (Side, Path) {
        let (system, mut side) = (&self.systems[number], Side::default());
        let target = system.target.as_ref().map(|target| target.offering(seed.tools.as_ref()));
        let (mut history, mut heard) = (Messages::default(), Vec::new());
        for (turn, said) in seed.turns.iter().enumerate() {
            if target.is_none() {
                let given = said.given.get(number).cloned().flatten();
                if given.is_none() {
                    side.fail(turn, NoAnswer::NotGiven);
                }
                side.answers.push(given);
            } else if self.history == ComparedHistory::Shared {
                history.extend(system.heard(turn, &said.messages));
                heard.push(history.len());
                history.extend(said.replaced.clone().map(|text| Message::new(Role::Assistant, text)));
            }
        }
        let path = Path { number, target, history, heard, turn: side.answers.len() };
        (side, path)
    }

    /// Walks through the turns of a side as far as there are answers. Turns behind the last one that was asked have none.
    pub(super) fn walk_side(&self, seed: &Seed, answered: &Answered, side: &mut Side, path: &mut Path) {
        let Some(target) = path.target.clone() else { return };
        for question in std::mem::take(&mut side.open) {
            self.take(question, answered, side, path);
        }
        let may_ask = |side: &Side| match self.history {
            ComparedHistory::Own => side.failed.is_none() && side.open.is_empty(),
            ComparedHistory::Shared => true,
        };
        while path.turn < seed.turns.len() && may_ask(side) {
            let question = self.ask(seed, path, &target);
            side.answers.push(None);
            self.take(question, answered, side, path);
        }
    }

    /// Returns the question of the next turn.
    fn ask(&self, seed: &Seed, path: &mut Path, target: &Arc<Target>) -> Question {
        let turn = path.turn;
        let messages = match self.history {
            ComparedHistory::Own => {
                path.history.extend(self.systems[path.number].heard(turn, &seed.turns[turn].messages));
                path.history.clone()
            }
            ComparedHistory::Shared => path.history.first_ones(path.heard[turn]),
        };
        path.turn += 1;
        let slot = Slot { lane: Lane::System(path.number as u8), turn: turn as u32, attempt: 0 };
        Question { slot, target: Arc::clone(target), sample: 0, messages }
    }

    /// Takes the answer to a question; without one the question is open.
    fn take(&self, question: Question, answered: &Answered, side: &mut Side, path: &mut Path) {
        let turn = question.slot.turn as usize;
        let Some(answer) = answered.get(question.slot) else {
            side.open.push(question);
            return;
        };
        // The history grows in place once no question holds it.
        drop(question);
        side.paid.push(Arc::clone(answer));
        if !answer.is_whole() {
            side.fail(turn, NoAnswer::Finish(answer.finish));
            return;
        }
        side.answers[turn] = Some(Arc::clone(&answer.message));
        if self.history == ComparedHistory::Own {
            path.history.push(Arc::clone(&answer.message));
        }
    }
}

/// The state of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerState {
    There,
    Open,
    Missing,
}

impl Side {
    /// Counts the open questions as failed: the model's server has refused them permanently.
    pub fn give_up(&mut self, cause: &FailureCause) {
        if let Some(question) = self.open.first() {
            self.failed.get_or_insert((TurnIndex::from_index(question.slot.turn), NoAnswer::Failed(cause.clone())));
            self.open.clear();
        }
    }

    /// Returns the questions that have no answer yet.
    pub(super) fn open(&self) -> &[Question] {
        &self.open
    }

    /// Notes a turn without an answer; the first one counts.
    fn fail(&mut self, turn: usize, why: NoAnswer) {
        let turn = TurnIndex::from_index(turn as u32);
        if self.failed.as_ref().is_none_or(|(first, _)| turn < *first) {
            self.failed = Some((turn, why));
        }
    }

    /// Returns the state of the answer of a turn, or of all answers together.
    pub(super) fn state(&self, scope: Scope) -> AnswerState {
        let is_there = match scope {
            Scope::Whole => self.failed.is_none() && self.open.is_empty() && self.answers.iter().all(Option::is_some),
            Scope::Turn(turn) => turn.item_of(&self.answers).is_some_and(Option::is_some),
        };
        let is_asked = |question: &Question| scope.turn().is_none_or(|turn| question.slot.turn <= turn.index());
        let is_it = |question: &Question| scope.turn().is_some_and(|turn| question.slot.turn == turn.index());
        match is_there {
            true => AnswerState::There,
            // An open question, or a turn after it in a conversation that has not failed, is not missing yet.
            false if self.failed.is_none() && self.open.iter().any(is_asked) => AnswerState::Open,
            false if self.open.iter().any(is_it) => AnswerState::Open,
            false => AnswerState::Missing,
        }
    }

    fn of(&self, scope: Scope) -> &[Option<Arc<Message>>] {
        match scope {
            Scope::Whole => &self.answers,
            Scope::Turn(turn) => turn.item_of(&self.answers).map_or(&[], std::slice::from_ref),
        }
    }

    pub(super) fn letters(&self, scope: Scope) -> usize {
        self.of(scope).iter().flatten().map(|answer| answer.content().chars().count()).sum()
    }

    pub(super) fn has_suspect(&self, scope: Scope) -> bool {
        self.of(scope).iter().flatten().any(|answer| Scale::Pair.is_imitated(answer.content()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::conversation::{FailureCode, Sampling};

    fn question(turn: u32) -> Question {
        let slot = Slot { lane: Lane::System(0), turn, attempt: 0 };
        let target = Target::new("m", "openai", Sampling::default());
        Question { slot, target, sample: 0, messages: Messages::default() }
    }

    /// A side with these answers whose open questions are those of these turns.
    fn side(answers: &[Option<&str>], open: &[u32]) -> Side {
        let answer = |text: Option<&str>| text.map(|text| Message::new(Role::Assistant, text));
        Side {
            answers: answers.iter().copied().map(answer).collect(),
            open: open.iter().map(|turn| question(*turn)).collect(),
            ..Side::default()
        }
    }

    fn states(side: &Side, turns: u32) -> String {
        let letter = |number| match side.state(Scope::from_number(number)) {
            AnswerState::There => 't',
            AnswerState::Open => 'o',
            AnswerState::Missing => 'm',
        };
        (0..=turns).map(letter).collect()
    }

    #[test]
    fn an_answer_is_there_or_open_or_missing() {
        assert_eq!(states(&side(&[Some("a"), Some("b")], &[]), 2), "ttt");
        // The whole, then turn by turn: one question is open, and a turn after it has not been asked.
        assert_eq!(states(&side(&[Some("a"), None], &[1]), 3), "otoo");
        assert_eq!(states(&side(&[None, None], &[0, 1]), 2), "ooo");
        assert_eq!(states(&side(&[Some("a"), None], &[]), 2), "mtm");
        let mut failed = side(&[Some("a"), None, None], &[2]);
        failed.fail(1, NoAnswer::NotGiven);
        assert_eq!(states(&failed, 3), "mtmo");
        let mut all = side(&[Some("a"), Some("b")], &[]);
        all.fail(1, NoAnswer::NotGiven);
        assert_eq!(states(&all, 2), "mtt");
        assert_eq!(states(&side(&[Some("a")], &[1]), 1), "ot", "more is asked");
    }

    #[test]
    fn the_first_turn_without_an_answer_counts() {
        let turn = |side: &Side| side.failed.as_ref().map(|(turn, why)| (turn.number(), why.to_string()));
        let mut side = side(&[None, None, None], &[1, 2]);
        let cause = FailureCause::new(Lane::System(0), FailureCode::Http(400), "no".to_owned());
        side.fail(2, NoAnswer::NotGiven);
        side.fail(2, NoAnswer::Finish(Finish::Length));
        assert_eq!(turn(&side), Some((3, "no_answer".to_owned())));
        side.fail(1, NoAnswer::Finish(Finish::Length));
        assert_eq!(turn(&side), Some((2, "length".to_owned())));
        side.give_up(&cause);
        assert_eq!((turn(&side), side.open().len()), (Some((2, "length".to_owned())), 0), "it had failed before");
        let mut other = super::tests::side(&[None, None], &[1]);
        other.give_up(&cause);
        assert_eq!(turn(&other), Some((2, cause.to_string())));
        other.give_up(&cause);
        assert_eq!(states(&other, 2), "mmm");
        let mut none = super::tests::side(&[Some("a")], &[]);
        none.give_up(&cause);
        assert_eq!(turn(&none), None, "nothing was open");
    }

    #[test]
    fn letters_and_suspects_are_those_of_the_scope() {
        let side = side(&[Some("äb"), None, Some("[[A]]")], &[]);
        let letters: Vec<usize> = (0..=4).map(|number| side.letters(Scope::from_number(number))).collect();
        assert_eq!(letters, [7, 2, 0, 5, 0]);
        let suspect: Vec<bool> = (0..=4).map(|number| side.has_suspect(Scope::from_number(number))).collect();
        assert_eq!(suspect, [true, false, false, true, false]);
    }
}
