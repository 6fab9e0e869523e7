//! A recipe walks a conversation step by step: what it keeps from one step to the next is a shortcut and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use cohobate::conversation::{Answer, Finish, Message, Outcome, Question, Role, Sampling, Seed, Slot, Target};
use cohobate::model::Simulated;
use cohobate::recipe::{
    Answered, Compare, ComparedHistory, Distill, Evaluate, Judge, JudgedHistory, JudgedScope, OrphanCheck, Orphans,
    Prompt, Recipe, Replay, ReplayEnd, Scale, Step, System, Walked,
};
use proptest::prelude::*;

use crate::crash_at_every_commit::{recipes, with_calls_for};
use crate::support::{seed, target};

/// Every recipe there is, and more settings of those that keep most.
fn more_recipes() -> Vec<(&'static str, Arc<dyn Recipe>)> {
    let judge = |scale| Judge { target: target(), prompt: Prompt::standard(scale), repeats: 1 };
    let system = |name: &str, is_asked: bool| System {
        name: name.to_owned(),
        target: is_asked.then(|| Target::new(name, Simulated::DIALECT, Sampling::default())),
        system: is_asked.then(|| Message::new(Role::System, "Be brief.")),
    };
    let systems = || vec![system("x", true), system("given", false), system("y", true)];
    let compare = |scope, history| Arc::new(Compare::new(systems(), judge(Scale::Pair), scope, history));
    let distill = Distill::new(target(), None).with_reasoning_in_history().with_orphans(Orphans::Rewrite);
    let orphans = Judge { target: target(), prompt: Prompt::orphans(), repeats: 1 };
    let orphans = OrphanCheck { judge: Some(orphans), ..OrphanCheck::from(Orphans::Truncate) };
    let doubtful = Distill::new(target(), None).with_orphans(orphans);
    let golden = Evaluate::new(judge(Scale::Score), JudgedScope::Turns, JudgedHistory::Golden, Vec::new());
    let mut recipes = recipes();
    recipes.push(("distill, messages that are rewritten", Arc::new(distill)));
    recipes.push(("distill, doubtful messages that are judged", Arc::new(doubtful)));
    recipes.push(("evaluate after a reference", Arc::new(golden)));
    recipes.push(("compare with given answers", compare(JudgedScope::Both, ComparedHistory::Own)));
    recipes.push(("compare with given answers, one by one", compare(JudgedScope::Both, ComparedHistory::Shared)));
    recipes
}

/// A conversation that has been answered already, some turns with answers of another system.
fn conversation() -> impl Strategy<Value = Seed> {
    let words =
        prop::sample::select(vec!["a", "b", "Where is the harbor you mentioned?", "How big is Marenholm?", "你好", ""]);
    let turn = (words, any::<bool>(), any::<bool>());
    (prop::collection::vec(turn, 1..6), any::<bool>()).prop_map(|(turns, has_greeting)| {
        let said: Vec<String> = turns.iter().map(|(words, ..)| (*words).to_owned()).collect();
        let mut seed = Seed { counts_replaced: true, ..seed("one", &said) };
        for (turn, (_, is_answered, is_given)) in seed.turns.iter_mut().zip(&turns) {
            turn.replaced = is_answered.then(|| "The first step was the harbor, and then Marenholm.".to_owned());
            turn.given = vec![None, is_given.then(|| Message::new(Role::Assistant, "So it is."))];
        }
        if has_greeting {
            let greeting = [(Role::System, "You help."), (Role::Assistant, "Hello!")];
            let greeting = greeting.map(|(role, text)| Message::new(role, text));
            seed.turns[0].messages.splice(0..0, greeting);
        }
        seed
    })
}

/// Answers as the simulated model does, or in a way that a recipe must not accept.
fn answer(question: &Question, dice: u8) -> Arc<Answer> {
    let plain = Simulated::answer(question, 1);
    let said = |text: &str| Answer::complete("simulated", text);
    Arc::new(match dice % 16 {
        0 => Answer { finish: Finish::Length, ..plain },
        1 => Answer { finish: Finish::Filtered, ..said("") },
        2 => Answer { finish: Finish::Empty, ..said("") },
        3 => said("Nobody can read this."),
        4 => Answer { reasoning: Some("I think.".to_owned()), ..plain },
        5 => said("###STOP###"),
        _ => plain,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_step_from_where_the_walk_stands_is_the_step_from_the_first_turn(
        seed in conversation(),
        dice in prop::collection::vec(any::<u8>(), 16..64),
    ) {
        for (name, recipe) in more_recipes() {
            let seed = with_calls_for(name, seed.clone());
            let (mut walked, mut answers) = (Walked::default(), Answered::default());
            let mut was_open: BTreeMap<Slot, Question> = BTreeMap::new();
            let mut dice = dice.iter().cycle().copied();
            let mut throw = || usize::from(dice.next().unwrap());
            loop {
                let (fresh, step) = (recipe.next(&seed, &answers), recipe.advance(&seed, &answers, &mut walked));
                prop_assert_eq!(format!("{fresh:?}"), format!("{step:?}"), "{}", name);
                let mut questions = match step {
                    Step::Ask(questions) => questions,
                    Step::Finish(Outcome::Complete(dialogue) | Outcome::Stopped { dialogue, .. }) => {
                        prop_assert_eq!(recipe.so_far(&seed, &answers), dialogue, "{}", name);
                        break;
                    }
                };
                for question in &questions {
                    prop_assert!(answers.get(question.slot).is_none(), "{name}: {:?} is answered", question.slot);
                    // A fingerprint is kept as long as its question is open.
                    let earlier = was_open.get(&question.slot);
                    prop_assert!(earlier.is_none_or(|earlier| earlier == question), "{name}: {question:?} is another");
                }
                was_open = questions.iter().map(|question| (question.slot, question.clone())).collect();
                for _ in 0..=throw() % 3 {
                    if !questions.is_empty() {
                        let question = questions.swap_remove(throw() % questions.len());
                        answers.insert(question.slot, answer(&question, throw() as u8));
                    }
                }
            }
        }
    }
}

/// A plan assumes answers. Where one is found after all, what followed from the assumed one is worth nothing.
#[test]
fn an_answer_in_the_place_of_an_assumed_one_is_walked_from_the_first_turn() {
    let seed = seed("one", &["first", "second", "third"].map(str::to_owned));
    let open = |replay: &mut Replay| format!("{:?}", replay.advance(|_, _| Ok::<_, Infallible>(None)).unwrap());
    let text = |question: &Question, text: &str| Arc::new(Answer::complete(question.target.model(), text));
    for (name, recipe) in more_recipes() {
        let mut replay = Replay::new(&*recipe, &seed);
        let ReplayEnd::Open(asked) = replay.advance(|_, _| Ok::<_, Infallible>(None)).unwrap() else { continue };
        for (_, question) in &asked {
            replay.assume(question.slot, Arc::new(Simulated::answer(question, 1)));
        }
        let assumed = open(&mut replay);
        for (_, question) in &asked {
            replay.record(question.slot, text(question, "It has a tail of ribbons and needs some wind."));
        }
        let mut fresh = Replay::new(&*recipe, &seed);
        for (_, question) in &asked {
            fresh.record(question.slot, text(question, "It has a tail of ribbons and needs some wind."));
        }
        let recorded = open(&mut replay);
        assert_eq!(recorded, open(&mut fresh), "{name}");
        assert!(!name.starts_with("distill") || recorded != assumed, "{name}: the answer shows in what is asked next");
    }
}
