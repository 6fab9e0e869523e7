//! The words that programs of this crate put before models never change unnoticed: they are part of each question's
//! fingerprint, and every stored verdict, grade and simulated message depends on them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use cohobate::conversation::{Answer, Lane, Question, Role, Seed};
use cohobate::model::Simulated;
use cohobate::quality::RulesVersion;
use cohobate::recipe::{Evaluate, Judge, JudgedHistory, JudgedScope, Prompt, Recipe, Replay, ReplayEnd, Scale};

use crate::crash_at_every_commit::recipes;
use crate::support::{seed, target};

/// How a model answers in a walk.
type Answering = fn(&Question) -> Answer;

/// Replies that no judge, grader or user may give: what is asked again, and how, is pinned too.
fn unreadable(question: &Question) -> Answer {
    match question.slot.lane {
        Lane::Judge | Lane::Grader => Answer::complete("m", "Both have their merits."),
        Lane::User => Answer::complete("m", "As an AI language model, I cannot help with that."),
        _ => Simulated::answer(question, 1),
    }
}

/// A strict grader: the prompts for edits and for another answer are asked as well.
fn strict(question: &Question) -> Answer {
    let (score, verdict) = if question.slot.turn.is_multiple_of(2) { (2, "rewrite") } else { (5, "revise") };
    let flaws = r#"[{"quote": "the", "type": "factual", "fix": "a"}]"#;
    match question.slot.lane {
        Lane::Grader => {
            Answer::complete("m", format!(r#"{{"errors": {flaws}, "score": {score}, "verdict": "{verdict}"}}"#))
        }
        Lane::Judge => Answer::complete("m", r#"{"reasoning": "Shorter.", "verdict": "tie", "score": 3}"#),
        _ => Simulated::answer(question, 1),
    }
}

fn seeds() -> Vec<Seed> {
    let mut seed = seed("1", &[0, 1].map(|turn| format!("Tell me about kites, part {turn}.")));
    seed.turns.iter_mut().for_each(|turn| turn.replaced = Some("Kites fly.".to_owned()));
    seed.counts_replaced = true;
    vec![seed]
}

/// Judging by criteria, beside the recipes that are crashed.
fn judging() -> [(&'static str, Arc<dyn Recipe>); 2] {
    let recipe = |scale| -> Arc<dyn Recipe> {
        let judge = Judge { target: target(), prompt: Prompt::standard(scale), repeats: 1 };
        let criteria = vec!["It is true.".to_owned(), "It is short.".to_owned()];
        Arc::new(Evaluate::new(judge, JudgedScope::Both, JudgedHistory::Own, criteria))
    };
    [("evaluate by a check list", recipe(Scale::Check)), ("evaluate by a rubric", recipe(Scale::Rubric))]
}

/// Every question that a recipe asks, in the order of asking.
fn questions(recipe: &dyn Recipe, rules: RulesVersion, answering: Answering) -> Vec<Question> {
    let mut asked = Vec::new();
    for seed in &seeds() {
        let mut replay = Replay::under(recipe, seed, Some(rules));
        while let ReplayEnd::Open(open) = replay.advance(|_, _| Ok::<_, ()>(None)).unwrap() {
            for (_, question) in open {
                replay.record(question.slot, Arc::new(answering(&question)));
                asked.push(question);
            }
        }
    }
    asked
}

/// All texts that a recipe adds: those of its questions that neither the source nor an answer has.
fn golden(rules: RulesVersion) -> String {
    let (mut golden, mut told) = (String::new(), BTreeSet::new());
    let answers: [(&str, Answering); 3] =
        [("simulated", |question| Simulated::answer(question, 1)), ("unreadable", unreadable), ("strict", strict)];
    for (how, answering) in answers {
        for (name, recipe) in recipes().into_iter().chain(judging()) {
            let asked = questions(&*recipe, rules, answering);
            assert!(!asked.is_empty(), "{name}");
            writeln!(golden, "== {name}, {how} answers: {} questions", asked.len()).unwrap();
            for question in asked {
                writeln!(golden, "{:?} {}", question.slot, question.fingerprint()).unwrap();
                for message in &question.messages {
                    let is_own = message.role() != Role::Assistant && !message.content().starts_with("Tell me about ");
                    if is_own && question.slot.lane != Lane::Main && told.insert(message.content().to_owned()) {
                        writeln!(golden, "--- {:?}\n{}\n---", message.role(), message.content()).unwrap();
                    }
                }
            }
        }
    }
    golden
}

#[test]
fn prompts_and_fingerprints_of_the_first_version_stay_as_they_are() {
    insta::assert_snapshot!("prompts_and_fingerprints_stay_as_they_are", golden(RulesVersion::First));
}

#[test]
fn prompts_and_fingerprints_of_the_newest_version_are_known() {
    insta::assert_snapshot!("prompts_and_fingerprints_of_the_newest_version", golden(RulesVersion::NEWEST));
}
