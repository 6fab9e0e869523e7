use std::fmt;
use std::sync::Arc;

use super::evaluate::reference;
use super::judge::{Judge, Scale, Scene};
use super::{Answered, JudgedScope, Recipe, Step};
use crate::conversation::{
    Answer, Dialogue, Duel, DuelEnd, FailureCause, Finish, Lane, Message, Outcome, Question, Role, Scope, Seed,
    Settings, Slot, Target, TurnIndex, Unit,
};

/// Has systems answer the same conversations and a judge say whose answers are better, each pair in both orders.
///
/// All systems are asked at the same time, each with its own history; a turn is judged as soon as both sides of a pair have answered it.
pub struct Compare {
    systems: Vec<System>,
    judge: Judge,
    scope: JudgedScope,
    history: ComparedHistory,
    settings: Settings,
}

/// A source of answers that is compared.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name in reports.
    pub name: String,
    /// The model that answers; `None` where the answers are given with the conversation.
    pub target: Option<Arc<Target>>,
    /// The system message that replaces the rows' own.
    pub system: Option<Arc<Message>>,
}

/// The history before each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComparedHistory {
    /// Each system's own answers: whole conversations are compared.
    #[default]
    Own,
    /// The dataset's answers, the same for all: turns are compared one by one.
    Shared,
}

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

impl Compare {
    /// Makes the recipe. Systems without a target have their answers among each turn's given ones, under their own number. With a
    /// shared history the seeds must count what they replace into their identity.
    pub fn new(systems: Vec<System>, judge: Judge, scope: JudgedScope, history: ComparedHistory) -> Self {
        let mut settings = judge
            .settings("compare")
            .with("per", scope.name())
            .with("history", if history == ComparedHistory::Own { "own" } else { "shared" });
        for (number, system) in systems.iter().enumerate() {
            let who = match &system.target {
                Some(target) => target.to_string(),
                None => "given".to_owned(),
            };
            let text = system.system.as_ref().map_or("from the rows", |system| system.content());
            settings = settings.with(&format!("system-{number}"), format!("{who}, system message {text}"));
        }
        Self { systems, judge, scope, history, settings }
    }

    /// False where a shared history is wanted and the conversation has none.
    pub fn can_take(&self, seed: &Seed) -> bool {
        let earlier = seed.turns.len().saturating_sub(1);
        self.history == ComparedHistory::Own || seed.turns[..earlier].iter().all(|turn| turn.replaced.is_some())
    }

    /// Returns each system's answers, as far as they are there.
    pub fn sides(&self, seed: &Seed, answered: &Answered) -> Vec<Side> {
        (0..self.systems.len()).map(|number| self.side(number, seed, answered)).collect()
    }

    /// Returns every duel: turn by turn, pair by pair, repeat by repeat.
    pub fn duels(&self, seed: &Seed, sides: &[Side], answered: &Answered) -> Vec<Duel> {
        self.judge_all(seed, sides, answered).into_iter().map(|(duel, _)| duel).collect()
    }

    fn side(&self, number: usize, seed: &Seed, answered: &Answered) -> Side {
        let system = &self.systems[number];
        let mut side = Side::default();
        let mut history: Vec<Arc<Message>> = Vec::new();
        for (turn, said) in seed.turns.iter().enumerate() {
            let Some(target) = &system.target else {
                let given = said.given.get(number).cloned().flatten();
                if given.is_none() && side.failed.is_none() {
                    side.failed = Some((TurnIndex::from_index(turn as u32), NoAnswer::NotGiven));
                }
                side.answers.push(given);
                continue;
            };
            if self.history == ComparedHistory::Own && (side.failed.is_some() || !side.open.is_empty()) {
                side.answers.push(None);
                continue;
            }
            history.extend(system.heard(turn, &said.messages));
            let slot = Slot { lane: Lane::System(number as u8), turn: turn as u32, attempt: 0 };
            let answer = answered.get(slot);
            match answer {
                Some(answer) if answer.is_whole() => {
                    side.answers.push(Some(Arc::clone(&answer.message)));
                }
                Some(answer) => {
                    side.failed.get_or_insert((TurnIndex::from_index(turn as u32), NoAnswer::Finish(answer.finish)));
                    side.answers.push(None);
                }
                None => {
                    let target = target.offering(seed.tools.as_ref());
                    side.open.push(Question { slot, target, sample: 0, messages: history.clone() });
                    side.answers.push(None);
                }
            }
            side.paid.extend(answer.cloned());
            let heard = match self.history {
                ComparedHistory::Own => side.answers[turn].clone(),
                ComparedHistory::Shared => said.replaced.clone().map(|text| Message::new(Role::Assistant, text)),
            };
            history.extend(heard);
        }
        side
    }

    fn judge_all(&self, seed: &Seed, sides: &[Side], answered: &Answered) -> Vec<(Duel, Vec<Question>)> {
        let count = self.systems.len();
        let pairs: Vec<(usize, usize)> =
            (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second))).collect();
        let mut duels = Vec::new();
        for scope in self.scope.scopes(seed.turns.len() as u32) {
            for (number, pair) in pairs.iter().enumerate() {
                for repeat in 0..self.judge.repeats {
                    let call = (number as u32 * self.judge.repeats + repeat) * 2;
                    duels.push(self.duel(seed, sides, *pair, scope, repeat, call, answered));
                }
            }
        }
        duels
    }

    #[expect(clippy::too_many_arguments, reason = "they name one call among all")]
    fn duel(
        &self,
        seed: &Seed,
        sides: &[Side],
        (first, second): (usize, usize),
        scope: Scope,
        repeat: u32,
        call: u32,
        answered: &Answered,
    ) -> (Duel, Vec<Question>) {
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
            self.judge.prompt.about(&Scene {
                sides: &in_order,
                is_shared: self.history == ComparedHistory::Shared && !scope.is_whole(),
                is_whole: scope.is_whole(),
                turns: scope.turn_count(seed.turns.len() as u32),
                // The reference comes after the given answers of the systems.
                reference: reference(seed, scope, self.systems.len()),
                criterion: "",
                call: order,
            })
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

impl System {
    fn heard(&self, turn: usize, messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
        let Some(system) = self.system.as_ref().filter(|_| turn == 0) else { return messages.to_vec() };
        let others = messages.iter().filter(|message| message.role() != Role::System).cloned();
        [Arc::clone(system)].into_iter().chain(others).collect()
    }
}

/// The state of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AnswerState {
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

    /// Returns the state of the answer of a turn, or of all answers together.
    fn state(&self, scope: Scope) -> AnswerState {
        let is_there = match scope {
            Scope::Whole => self.answers.iter().all(Option::is_some),
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

    fn letters(&self, scope: Scope) -> usize {
        self.of(scope).iter().flatten().map(|answer| answer.content().chars().count()).sum()
    }

    fn has_suspect(&self, scope: Scope) -> bool {
        self.of(scope).iter().flatten().any(|answer| Scale::Pair.is_imitated(answer.content()))
    }
}

impl Recipe for Compare {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        let speaking = self.systems.iter().filter(|system| system.target.is_some()).count();
        let pairs = self.systems.len() * (self.systems.len() - 1) / 2;
        let judged = self.scope.scopes(seed.turns.len() as u32).count() * pairs * 2 * self.judge.repeats as usize;
        (speaking * seed.turns.len() + judged) as u32
    }

    fn unit(&self) -> Unit {
        Unit::Answer
    }

    fn is_counted(&self, slot: Slot) -> bool {
        slot.lane != Lane::Judge || Judge::is_first_reply(slot)
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        let sides = self.sides(seed, answered);
        let judged = self.judge_all(seed, &sides, answered).into_iter().flat_map(|(_, open)| open);
        let spoken = sides.iter().flat_map(|side| side.open.iter().cloned());
        let open: Vec<Question> = spoken.chain(judged).collect();
        if open.is_empty() { Step::Finish(Outcome::Complete(Dialogue::default())) } else { Step::Ask(open) }
    }

    fn so_far(&self, _: &Seed, _: &Answered) -> Dialogue {
        Dialogue::default()
    }
}
