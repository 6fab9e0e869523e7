//! Systems answer the same conversations, and a judge says whose answers are better.
//!
//! Each system's side (`side`) grows turn by turn, and each duel (`duel`) is judged as soon as both sides have an answer.

mod duel;
mod side;

pub use side::{NoAnswer, Side};

use std::sync::Arc;

use super::begun::{OlderRules, older_rules, with_prompts};
use super::judge::{Judge, Prompt};
use super::{Answered, JudgedScope, Recipe, Step, Walked};
use crate::conversation::{Dialogue, Duel, Lane, Message, Outcome, Question, Role, Seed, Settings, Slot, Target, Unit};
use duel::OpenDuel;
use side::Path;

/// Has systems answer the same conversations and a judge say whose answers are better, each pair in both orders.
///
/// All systems are asked at the same time, each with its own history; a turn is judged as soon as both sides of a pair have answered it.
pub struct Compare {
    systems: Vec<System>,
    judge: Judge,
    scope: JudgedScope,
    history: ComparedHistory,
    settings: Settings,
    older: Vec<OlderRules>,
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

/// How far a conversation has been walked.
struct Walk {
    /// Each system's answers, and how to go on with them.
    sides: Vec<Side>,
    paths: Vec<Path>,
    /// The duels that have not ended.
    duels: Vec<OpenDuel>,
}

impl Compare {
    /// Makes the recipe. Systems without a target have their answers among each turn's given ones, under their own number. With a
    /// shared history the seeds must count what they replace into their identity.
    pub fn new(systems: Vec<System>, judge: Judge, scope: JudgedScope, history: ComparedHistory) -> Self {
        let settings_under = |version| {
            let mut settings = judge
                .settings("compare", version)
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
            with_prompts(settings, version)
        };
        let settings = settings_under(judge.prompt.version());
        let older = older_rules(judge.prompt.older_versions(), settings_under);
        Self { systems, judge, scope, history, settings, older }
    }

    /// Returns the judge's prompt.
    pub fn prompt(&self) -> &Prompt {
        &self.judge.prompt
    }

    /// False where a shared history is wanted and the conversation has none.
    pub fn can_take(&self, seed: &Seed) -> bool {
        let earlier = seed.turns.len().saturating_sub(1);
        self.history == ComparedHistory::Own || seed.turns[..earlier].iter().all(|turn| turn.replaced.is_some())
    }

    /// Returns each system's answers, as far as they are there.
    pub fn sides(&self, seed: &Seed, answered: &Answered) -> Vec<Side> {
        let mut walk = self.begin(seed);
        self.walk_sides(seed, answered, &mut walk);
        walk.sides.iter_mut().for_each(|side| side.answers.resize(seed.turns.len(), None));
        walk.sides
    }

    /// Returns every duel: turn by turn, pair by pair, repeat by repeat.
    pub fn duels(&self, seed: &Seed, sides: &[Side], answered: &Answered) -> Vec<Duel> {
        self.open_duels(seed).iter().map(|open| self.duel(seed, sides, open, answered).0).collect()
    }

    /// Begins a walk at the first turn.
    fn begin(&self, seed: &Seed) -> Walk {
        let (sides, paths) = (0..self.systems.len()).map(|number| self.begin_side(number, seed)).unzip();
        Walk { sides, paths, duels: self.open_duels(seed) }
    }

    fn walk_sides(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) {
        for (side, path) in walk.sides.iter_mut().zip(&mut walk.paths) {
            self.walk_side(seed, answered, side, path);
        }
    }
}

impl System {
    fn heard(&self, turn: usize, messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
        let Some(system) = self.system.as_ref().filter(|_| turn == 0) else { return messages.to_vec() };
        let others = messages.iter().filter(|message| message.role() != Role::System).cloned();
        [Arc::clone(system)].into_iter().chain(others).collect()
    }
}

impl Recipe for Compare {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn older(&self) -> &[OlderRules] {
        &self.older
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
        self.advance(seed, answered, &mut Walked::default())
    }

    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let mut walk = walked.take().unwrap_or_else(|| self.begin(seed));
        self.walk_sides(seed, answered, &mut walk);
        walk.duels.retain_mut(|duel| self.stays_open(seed, &walk.sides, duel, answered));
        let spoken = walk.sides.iter().flat_map(Side::open);
        let open: Vec<Question> = spoken.chain(walk.duels.iter().flat_map(OpenDuel::open)).cloned().collect();
        if open.is_empty() {
            return Step::Finish(Outcome::Complete(Dialogue::default()));
        }
        walked.keep(walk);
        Step::Ask(open)
    }

    fn so_far(&self, _: &Seed, _: &Answered) -> Dialogue {
        Dialogue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Columns, DuelEnd, Sampling, Turn, Winner};
    use crate::recipe::judge::{Prompt, Scale};

    fn recipe(history: ComparedHistory, scope: JudgedScope) -> Compare {
        let target = |name: &str| Target::new(name, "openai", Sampling::default());
        let judge = Judge { target: target("judge"), prompt: Prompt::standard(Scale::Pair), repeats: 3 };
        let system = |name: &str, speaks: bool| System {
            name: name.to_owned(),
            target: speaks.then(|| target(name)),
            system: None,
        };
        Compare::new(vec![system("a", true), system("b", false), system("c", true)], judge, scope, history)
    }

    fn seed(replaced: &[Option<&str>]) -> Seed {
        let turn = |replaced: Option<&str>| Turn {
            messages: vec![Message::new(Role::User, "q")],
            replaced: replaced.map(str::to_owned),
            given: Vec::new(),
            follows: Vec::new(),
            ends_in_calls: false,
        };
        Seed {
            id: "one".to_owned(),
            turns: replaced.iter().copied().map(turn).collect(),
            tools: None,
            columns: Columns::new(),
            counts_replaced: false,
            criteria: Vec::new(),
        }
    }

    #[test]
    fn every_pair_is_judged_in_both_orders_as_often_as_it_is_repeated() {
        let seed = seed(&[None, None]);
        for (scope, scopes) in [(JudgedScope::Turns, 2), (JudgedScope::Whole, 1), (JudgedScope::Both, 3)] {
            let recipe = recipe(ComparedHistory::Own, scope);
            let duels = recipe.open_duels(&seed);
            assert_eq!(duels.len(), scopes * 3 * 3, "three pairs, three times each");
            // Two systems speak twice; a duel is two calls.
            assert_eq!(recipe.turn_count(&seed) as usize, 4 + 2 * duels.len());
        }
    }

    #[test]
    fn a_shared_history_needs_every_answer_but_the_last() {
        let can_take =
            |history, replaced: &[Option<&str>]| recipe(history, JudgedScope::Turns).can_take(&seed(replaced));
        assert!(can_take(ComparedHistory::Own, &[None, None]));
        assert!(can_take(ComparedHistory::Shared, &[Some("a"), None]) && can_take(ComparedHistory::Shared, &[None]));
        assert!(!can_take(ComparedHistory::Shared, &[None, Some("a")]));
    }

    #[test]
    fn both_sides_are_asked_at_once_and_the_judge_only_with_both_answers() {
        let recipe = recipe(ComparedHistory::Own, JudgedScope::Turns);
        let seed = seed(&[None, None]);
        let Step::Ask(questions) = recipe.next(&seed, &Answered::default()) else { panic!("nothing is asked") };
        let models: Vec<&str> = questions.iter().map(|question| question.target.model()).collect();
        assert_eq!(models, ["a", "c"]);
        let mut answered = Answered::default();
        for question in &questions {
            let answer = crate::conversation::Answer::complete(question.target.model(), "an answer");
            answered.insert(question.slot, Arc::new(answer));
        }
        let Step::Ask(questions) = recipe.next(&seed, &answered) else { panic!("nothing is asked") };
        let count = |model: &str| questions.iter().filter(|question| question.target.model() == model).count();
        assert_eq!((count("a"), count("c"), count("judge")), (1, 1, 6), "one pair, three times, in both orders");
        let judged = questions.iter().filter(|question| question.slot.lane == Lane::Judge);
        let calls: Vec<u32> = judged.map(|question| question.slot.attempt).collect();
        assert_eq!(
            calls,
            [12, 14, 16, 18, 20, 22],
            "each call of the second pair has a slot of its own, and one for its repair"
        );
        assert_eq!((answered.len(), answered.is_empty(), Answered::default().len()), (2, false, 0));
        let sides = recipe.sides(&seed, &answered);
        let there: Vec<Vec<bool>> =
            sides.iter().map(|side| side.answers.iter().map(Option::is_some).collect()).collect();
        assert_eq!(there, [[true, false], [false, false], [true, false]]);
    }

    #[test]
    fn every_answer_and_every_verdict_counts() {
        // Two systems speak in three turns; three pairs are judged in both orders, three times each.
        let recipe = recipe(ComparedHistory::Own, JudgedScope::Whole);
        assert_eq!((recipe.turn_count(&seed(&[None, None, None])), recipe.unit()), (2 * 3 + 3 * 2 * 3, Unit::Answer));
        let first = Slot { lane: Lane::Judge, turn: 0, attempt: 2 };
        assert!(recipe.is_counted(first) && !recipe.is_counted(Slot { attempt: 3, ..first }));
        assert!(recipe.is_counted(Slot { lane: Lane::System(0), turn: 0, attempt: 1 }));
    }

    fn said(text: &str) -> Arc<crate::conversation::Answer> {
        Arc::new(crate::conversation::Answer::complete("m", text))
    }

    /// Two systems that have given their answers, and a judge that is asked once.
    fn given(history: ComparedHistory, scope: JudgedScope) -> Compare {
        let judge = Judge {
            target: Target::new("judge", "openai", Sampling::default()),
            prompt: Prompt::standard(Scale::Pair),
            repeats: 1,
        };
        let system = |name: &str| System { name: name.to_owned(), target: None, system: None };
        Compare::new(vec![system("a"), system("b")], judge, scope, history)
    }

    fn turn(user: &str, replaced: &str, given: [Option<&str>; 3]) -> Turn {
        let system = Message::new(Role::System, "You are a.");
        Turn {
            messages: vec![system, Message::new(Role::User, user)],
            replaced: Some(replaced.to_owned()),
            given: given.map(|text| text.map(|text| Message::new(Role::Assistant, text))).to_vec(),
            follows: Vec::new(),
            ends_in_calls: false,
        }
    }

    fn turns() -> Seed {
        let turns = vec![
            turn("q1", "old1", [Some("a1"), Some("b1"), Some("r1")]),
            turn("q2", "old2", [Some("a2"), Some("b2"), Some("r2")]),
        ];
        Seed { turns, ..seed(&[]) }
    }

    #[test]
    fn the_judge_sees_both_sides_in_both_orders_without_what_gives_them_away() {
        let prompts = |history, scope: JudgedScope| -> Vec<String> {
            let recipe = given(history, scope);
            let Step::Ask(open) = recipe.next(&turns(), &Answered::default()) else { panic!("nothing is asked") };
            open.iter().map(|question| question.messages[0].content().to_owned()).collect()
        };
        let has = |text: &str, words: &[&str], others: &[&str]| {
            assert!(words.iter().all(|word| text.contains(&format!("\n{word}\n"))), "{words:?}: {text}");
            assert!(others.iter().all(|word| !text.contains(&format!("\n{word}\n"))), "{others:?}: {text}");
        };
        let own = prompts(ComparedHistory::Own, JudgedScope::Turns);
        assert_eq!(own.len(), 4);
        has(&own[0], &["q1", "a1", "b1", "r1"], &["You are a.", "q2", "a2", "old1", "r2"]);
        has(&own[2], &["q1", "a1", "b1", "q2", "a2", "b2", "r2"], &["You are a.", "old1", "old2", "r1"]);
        let at = |text: &str, word: &str| text.find(&format!("\n{word}\n")).unwrap();
        assert!(at(&own[2], "a2") < at(&own[2], "b2") && at(&own[3], "b2") < at(&own[3], "a2"));
        let shared = prompts(ComparedHistory::Shared, JudgedScope::Turns);
        has(&shared[2], &["q1", "old1", "q2", "a2", "b2", "r2"], &["You are a.", "a1", "b1", "old2"]);
        let whole = prompts(ComparedHistory::Own, JudgedScope::Whole);
        assert_eq!(whole.len(), 2);
        has(&whole[0], &["q1", "a1", "b1", "q2", "a2", "b2"], &["You are a.", "old1", "r1", "r2"]);
        let whole = prompts(ComparedHistory::Shared, JudgedScope::Whole);
        has(&whole[0], &["a1", "b1", "a2", "b2"], &["old1", "old2"]);
    }

    #[test]
    fn a_duel_ends_with_its_verdicts_or_with_what_is_missing() {
        let recipe = given(ComparedHistory::Own, JudgedScope::Turns);
        let mut seed = turns();
        seed.turns.push(turn("q3", "old3", [None, Some("b3"), None]));
        seed.turns.push(turn("q4", "old4", [Some("a4"), None, None]));
        seed.turns.push(turn("q5", "old5", [None, None, None]));
        let mut answered = Answered::default();
        let mut walked = Walked::default();
        let Step::Ask(open) = recipe.advance(&seed, &answered, &mut walked) else { panic!("nothing is asked") };
        assert_eq!(open.len(), 4, "two turns in both orders");
        let judged = |attempt, turn| Slot { lane: Lane::Judge, turn, attempt };
        answered.insert(judged(0, 1), said("[[A]]"));
        let Step::Ask(open) = recipe.advance(&seed, &answered, &mut walked) else { panic!("nothing is asked") };
        assert_eq!(open.len(), 3);
        answered.insert(judged(2, 1), said("[[B]]"));
        answered.insert(judged(0, 2), said("[[A]]"));
        answered.insert(judged(2, 2), said("[[A]]"));
        assert!(matches!(recipe.advance(&seed, &answered, &mut walked), Step::Finish(_)));
        let sides = recipe.sides(&seed, &answered);
        let duels: Vec<_> =
            recipe.open_duels(&seed).iter().map(|open| recipe.duel(&seed, &sides, open, &answered).0).collect();
        let ends: Vec<DuelEnd> = duels.iter().map(|duel| duel.end).collect();
        assert_eq!(
            ends,
            [
                DuelEnd::Decided(Winner::First),
                DuelEnd::Decided(Winner::Inconsistent),
                DuelEnd::FirstMissing,
                DuelEnd::SecondMissing,
                DuelEnd::BothMissing,
            ]
        );
        assert_eq!(duels[0].orders, [Some(Winner::First), Some(Winner::First)]);
        assert_eq!(duels[1].orders, [Some(Winner::First), Some(Winner::Second)]);
        assert_eq!((duels[0].lengths, duels[2].lengths, duels[0].is_suspect), ([2, 2], [0, 2], false));
    }

    #[test]
    fn a_systems_own_message_takes_the_place_of_the_first_ones() {
        let own = Message::new(Role::System, "own");
        let system = System { name: "a".to_owned(), target: None, system: Some(own) };
        let heard = |turn| -> Vec<String> {
            let messages = &turns().turns[0].messages;
            system.heard(turn, messages).iter().map(|message| message.content().to_owned()).collect()
        };
        assert_eq!(
            (heard(0), heard(1)),
            (vec!["own".to_owned(), "q1".to_owned()], vec!["You are a.".to_owned(), "q1".to_owned()])
        );
        let plain = System { name: "a".to_owned(), target: None, system: None };
        assert_eq!(plain.heard(0, &turns().turns[0].messages).len(), 2);
    }
}
