use std::sync::Arc;

use super::judge::{Judge, JudgeReply, Judgment, Ruling, Scale, Scene};
use super::{Answered, Recipe, Step, Walked};
use crate::conversation::{
    Dialogue, Mark, Message, Outcome, Question, Role, Scope, Seed, Settings, Slot, TurnIndex, Unit,
};

/// Has a judge mark the answers that a dataset holds.
///
/// The marks are independent: all marks of a conversation are requested at once.
pub struct Evaluate {
    judge: Judge,
    scope: JudgedScope,
    history: JudgedHistory,
    criteria: Vec<String>,
    settings: Settings,
}

/// The units that are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JudgedScope {
    /// Each answer, with its history.
    #[default]
    Turns,
    /// The conversation as a whole.
    Whole,
    /// Both.
    Both,
}

/// The history that a judge sees before the judged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JudgedHistory {
    /// The same speaker's earlier answers.
    #[default]
    Own,
    /// The reference's.
    Golden,
}

impl JudgedScope {
    /// Returns the name that `--per` takes.
    pub fn name(self) -> &'static str {
        match self {
            JudgedScope::Turns => "turn",
            JudgedScope::Whole => "dialogue",
            JudgedScope::Both => "both",
        }
    }

    /// Returns the scopes to be judged in a conversation of `count` turns: its turns, then the whole.
    pub(super) fn scopes(self, count: u32) -> impl Iterator<Item = Scope> {
        let turns = if self == JudgedScope::Whole { 0 } else { count };
        let whole = if self == JudgedScope::Turns || count == 0 { None } else { Some(Scope::Whole) };
        (0..turns).map(|turn| Scope::Turn(TurnIndex::from_index(turn))).chain(whole)
    }
}

impl Evaluate {
    /// Makes the recipe. Each answer gets one mark for each criterion; a conversation's own criteria replace `criteria`. A score
    /// needs no criteria. The seeds must count what they replace into their identity; a reference is the first of a turn's given
    /// answers.
    pub fn new(judge: Judge, scope: JudgedScope, history: JudgedHistory, criteria: Vec<String>) -> Self {
        let settings = judge
            .settings("evaluate")
            .with("per", scope.name())
            .with("history", if history == JudgedHistory::Own { "own" } else { "golden" })
            .with("criteria", criteria.join("\n"));
        Self { judge, scope, history, criteria, settings }
    }

    /// Returns the marks, in order of turns, criteria and repeats. Marks without words are open.
    pub fn marks(&self, seed: &Seed, answered: &Answered) -> Vec<Mark> {
        self.walk(seed, answered).into_iter().map(|(mark, _)| mark).collect()
    }

    /// Returns the criteria for answers of this conversation.
    pub fn criteria<'a>(&'a self, seed: &'a Seed) -> &'a [String] {
        if seed.criteria.is_empty() { &self.criteria } else { &seed.criteria }
    }

    /// Returns the criteria for conversations without their own.
    pub fn criteria_of_all(&self) -> &[String] {
        &self.criteria
    }

    fn walk(&self, seed: &Seed, answered: &Answered) -> Vec<(Mark, Option<Question>)> {
        let count = match self.judge.prompt.scale() {
            Scale::Score | Scale::Pair => 1,
            Scale::Check | Scale::Rubric => self.criteria(seed).len() as u32,
        };
        let mut marks = Vec::new();
        for scope in self.scope.scopes(seed.turns.len() as u32) {
            let Some(shown) = self.shown(seed, scope) else { continue };
            let is_suspect = shown.iter().any(|message| {
                message.role() == Role::Assistant && self.judge.prompt.scale().is_imitated(message.content())
            });
            for criterion in 0..count {
                for repeat in 0..self.judge.repeats {
                    let mark = Mark { scope, criterion, repeat, value: None, words: None, reading: None, is_suspect };
                    marks.push(self.mark(seed, answered, mark, &shown));
                }
            }
        }
        marks
    }

    /// Returns an open mark with its question, if it is open with the answers that are there by now.
    fn still_open(&self, seed: &Seed, answered: &Answered, mark: Mark, open: Question) -> Option<(Mark, Question)> {
        if answered.get(open.slot).is_none() {
            return Some((mark, open));
        }
        let shown = self.shown(seed, mark.scope)?;
        let (mark, open) = self.mark(seed, answered, mark, &shown);
        Some((mark, open?))
    }

    /// Reads one mark, or returns the question for it.
    fn mark(
        &self,
        seed: &Seed,
        answered: &Answered,
        mut mark: Mark,
        shown: &[Arc<Message>],
    ) -> (Mark, Option<Question>) {
        let (scope, repeat) = (mark.scope, mark.repeat);
        let criterion = match self.judge.prompt.scale() {
            Scale::Score | Scale::Pair => "",
            Scale::Check | Scale::Rubric => &self.criteria(seed)[mark.criterion as usize],
        };
        let prompt = || {
            self.judge.prompt.about(&Scene {
                sides: &[shown],
                is_whole: scope.is_whole(),
                turns: scope.turn_count(seed.turns.len() as u32),
                reference: reference(seed, scope, 0),
                criterion,
                ..Scene::default()
            })
        };
        let call = mark.criterion * self.judge.repeats + repeat;
        match self.judge.read(answered, scope.number(), call, repeat, prompt) {
            JudgeReply::Open(question) => (mark, Some(question)),
            JudgeReply::Done(Judgment { ruling, words, reading }) => {
                mark.value = match ruling {
                    Some(Ruling::Value(value)) => Some(value),
                    Some(Ruling::Winner(_)) | None => None,
                };
                mark.words = Some(words);
                mark.reading = Some(reading);
                (mark, None)
            }
        }
    }

    /// Returns the messages that the judge sees: everything up to the judged answer. `None` where there is no answer.
    fn shown(&self, seed: &Seed, scope: Scope) -> Option<Vec<Arc<Message>>> {
        let last = scope.turn_count(seed.turns.len() as u32) as usize;
        let mut shown = Vec::new();
        for (at, said) in seed.turns.iter().enumerate().take(last) {
            shown.extend(said.messages.iter().cloned());
            let golden = said.given.first().cloned().flatten();
            let is_judged = scope.is_whole() || at + 1 == last;
            match (&said.replaced, golden) {
                (_, Some(golden)) if self.history == JudgedHistory::Golden && !is_judged => shown.push(golden),
                (Some(answer), _) => shown.push(Message::new(Role::Assistant, answer.clone())),
                // A missing answer cannot be judged.
                (None, _) if is_judged && !scope.is_whole() => return None,
                (None, _) => {}
            }
        }
        shown.last().is_some_and(|last| last.role() == Role::Assistant).then_some(shown)
    }
}

/// Returns the reference for a turn, which is its given answer number `at`; `None` for a whole conversation.
pub(super) fn reference(seed: &Seed, scope: Scope, at: usize) -> Option<&str> {
    let turn = scope.turn()?.item_of(&seed.turns)?;
    turn.given.get(at)?.as_ref().map(|reference| reference.content())
}

impl Judge {
    /// Returns the settings that every judging recipe has.
    pub(super) fn settings(&self, recipe: &str) -> Settings {
        let settings = Settings::default()
            .with("recipe", recipe)
            .with("judge", self.target.model())
            .with("judge-dialect", self.target.dialect())
            .with("judge-sampling", self.target.parameters())
            .with("prompt", self.prompt.digest())
            .with("repeats", self.repeats);
        if self.target.folds_system() { settings.with("judge-fold-system", "true") } else { settings }
    }
}

impl Recipe for Evaluate {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        self.walk(seed, &Answered::default()).len() as u32
    }

    fn unit(&self) -> Unit {
        Unit::Mark
    }

    fn is_counted(&self, slot: Slot) -> bool {
        Judge::is_first_reply(slot)
    }

    /// Every mark is asked for at once, so that none is left over; counting them renders every prompt.
    fn unused(&self, _: &Seed, _: &Answered) -> u32 {
        0
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        self.advance(seed, answered, &mut Walked::default())
    }

    /// Looks only at the marks that were open: a prompt shows the whole conversation, so rendering is what costs time.
    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let open: Vec<(Mark, Question)> = match walked.take::<Vec<(Mark, Question)>>() {
            None => self.walk(seed, answered).into_iter().filter_map(|(mark, open)| Some((mark, open?))).collect(),
            Some(earlier) => {
                earlier.into_iter().filter_map(|(mark, open)| self.still_open(seed, answered, mark, open)).collect()
            }
        };
        if open.is_empty() {
            return Step::Finish(Outcome::Complete(Dialogue::default()));
        }
        let questions = open.iter().map(|(_, question)| question.clone()).collect();
        walked.keep(open);
        Step::Ask(questions)
    }

    fn so_far(&self, _: &Seed, _: &Answered) -> Dialogue {
        Dialogue::default()
    }
}
