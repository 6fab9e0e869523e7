//! Scores of judges and people: means by system, and how far two sides go together.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::words::{counted, p_value};
use crate::conversation::{Rating, Scope};
use crate::statistics::{Conversations, Correlation, mcnemar, mean};

/// The scores of a judge, of people, or of both.
#[derive(Clone, Debug, Serialize)]
pub struct ScoresReport {
    /// The judge's means, best first.
    pub judge: Vec<SystemScores>,
    /// People's means, best first.
    pub human: Vec<SystemScores>,
    /// Answers that both have scored, each with its mean score by either side.
    pub answers: Option<Correlation>,
    /// Systems that both have scored, each with its mean over the answers that both have scored.
    pub systems: Option<Correlation>,
    /// Pairs of systems whose answers pass or fail: every score of the side is 0 or 1.
    pub passes: Vec<SidePasses>,
}

/// The scores of one system.
#[derive(Clone, Debug, Serialize)]
pub struct SystemScores {
    /// Its name; empty where the file names none.
    pub name: String,
    /// Scores.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Its standard error, clustered by item.
    pub error: Option<f64>,
    /// The means by part of the conversation.
    pub turns: Vec<TurnScores>,
}

/// The scores of one part of the conversations.
#[derive(Clone, Debug, Serialize)]
pub struct TurnScores {
    /// The part.
    pub turn: Scope,
    /// Scores.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
}

/// Two systems on the same items, which pass or fail.
#[derive(Clone, Debug, Serialize)]
pub struct PairedPasses {
    /// A system.
    pub a: String,
    /// Another.
    pub b: String,
    /// Items that both have answered.
    pub items: u64,
    /// Those that only `a` passes.
    pub only_a: u64,
    /// Those that only `b` passes.
    pub only_b: u64,
    /// `McNemar`'s exact test.
    pub mcnemar_p: f64,
}

/// The pairs of one side.
#[derive(Clone, Debug, Serialize)]
pub struct SidePasses {
    /// Who scores: `judge` or `human`.
    pub side: &'static str,
    /// In the order of names.
    pub pairs: Vec<PairedPasses>,
}

/// An answer: item, part, and system.
type Key<'a> = (&'a str, Scope, &'a str);

impl ScoresReport {
    /// Compares a judge's scores with people's; either may be empty.
    pub fn of(judge: &[Rating], human: &[Rating]) -> Self {
        let sides = [by_answer(judge), by_answer(human)];
        let both: Vec<(Key<'_>, (f64, f64))> =
            sides[0].iter().filter_map(|(key, score)| Some((*key, (*score, *sides[1].get(key)?)))).collect();
        let mut systems: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for ((_, _, system), (ours, theirs)) in &both {
            let scores = systems.entry(system).or_default();
            scores.0.push(*ours);
            scores.1.push(*theirs);
        }
        let means = systems.values().filter_map(|(ours, theirs)| mean(ours).zip(mean(theirs)));
        let means: Vec<(f64, f64)> = means.collect();
        let answers: Vec<(f64, f64)> = both.into_iter().map(|(_, scores)| scores).collect();
        let has_both = !judge.is_empty() && !human.is_empty();
        let passes = ["judge", "human"].into_iter().zip(&sides).zip([judge, human]);
        Self {
            judge: by_system(judge),
            human: by_system(human),
            answers: has_both.then(|| Correlation::of(&answers)),
            systems: has_both.then(|| Correlation::of(&means)),
            passes: passes.filter_map(|((side, scores), ratings)| passes_of(side, scores, ratings)).collect(),
        }
    }

    /// True without scores.
    pub fn is_empty(&self) -> bool {
        self.judge.is_empty() && self.human.is_empty()
    }

    /// Returns how many answers both sides have scored.
    pub fn common_count(&self) -> u64 {
        self.answers.map_or(0, |answers| answers.count)
    }

    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (who, systems) in [("judge's scores", &self.judge), ("people's scores", &self.human)] {
            if systems.is_empty() {
                continue;
            }
            let turns: BTreeSet<Scope> =
                systems.iter().flat_map(|system| &system.turns).map(|turn| turn.turn).collect();
            let turns = Some(turns).filter(|turns| turns.len() > 1).unwrap_or_default();
            lines.extend((!lines.is_empty()).then(String::new));
            let heads = turns.iter().fold(String::new(), |heads, turn| heads + &format!("{:>10}", name_of(*turn)));
            lines.push(format!("{who:<32}{:>8}{:>10}{:>9}{heads}", "n", "mean", "± 95 %"));
            for system in systems {
                let error = system.error.map_or(String::new(), |error| format!("{:.3}", 1.96 * error));
                let means = turns.iter().fold(String::new(), |means, turn| {
                    let found = system.turns.iter().find(|found| found.turn == *turn);
                    means + &format!("{:>10}", found.map_or("-".to_owned(), |found| format!("{:.4}", found.mean)))
                });
                let name = if system.name.is_empty() { "all answers" } else { &system.name };
                lines.push(format!("{name:<32}{:>8}{:>10.4}{error:>9}{means}", system.count, system.mean));
            }
        }
        for (what, noun, found) in [("answers", "answer", &self.answers), ("systems", "system", &self.systems)] {
            if let Some(found) = found.filter(|found| noun == "answer" || found.count > 1) {
                lines.extend((noun == "answer").then(String::new));
                let digits = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
                lines.push(format!(
                    "judge and people, {what}  Pearson {}, Spearman {}, Kendall {} over {}",
                    digits(found.pearson),
                    digits(found.spearman),
                    digits(found.kendall),
                    counted(found.count, noun)
                ));
            }
        }
        for SidePasses { side, pairs } in &self.passes {
            let who = if *side == "judge" { "judge" } else { "people" };
            lines.push(String::new());
            for pair in pairs {
                lines.push(format!(
                    "{who}: {} against {}  only the first passes {}, only the second {}, of {}; McNemar {}",
                    pair.a,
                    pair.b,
                    pair.only_a,
                    pair.only_b,
                    pair.items,
                    p_value(pair.mcnemar_p)
                ));
            }
        }
        lines
    }
}

fn name_of(scope: Scope) -> String {
    scope.turn().map_or("whole".to_owned(), |turn| format!("turn {turn}"))
}

/// Returns each answer's mean score.
fn by_answer(ratings: &[Rating]) -> BTreeMap<Key<'_>, f64> {
    let mut scores: BTreeMap<Key<'_>, Vec<f64>> = BTreeMap::new();
    for rating in ratings {
        scores.entry((&rating.item, rating.scope, &rating.system)).or_default().push(rating.score);
    }
    scores.into_iter().filter_map(|(key, scores)| Some((key, mean(&scores)?))).collect()
}

fn by_system(ratings: &[Rating]) -> Vec<SystemScores> {
    let mut systems: BTreeMap<&str, Vec<&Rating>> = BTreeMap::new();
    for rating in ratings {
        systems.entry(&rating.system).or_default().push(rating);
    }
    let mut all: Vec<SystemScores> =
        systems.into_iter().filter_map(|(name, ratings)| SystemScores::of(name, &ratings)).collect();
    all.sort_by(|left, right| right.mean.total_cmp(&left.mean).then_with(|| left.name.cmp(&right.name)));
    all
}

impl SystemScores {
    fn of(name: &str, ratings: &[&Rating]) -> Option<Self> {
        let scores: Vec<f64> = ratings.iter().map(|rating| rating.score).collect();
        let mut items: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut turns: BTreeMap<Scope, Vec<f64>> = BTreeMap::new();
        for rating in ratings {
            items.entry(&rating.item).or_default().push(rating.score);
            turns.entry(rating.scope).or_default().push(rating.score);
        }
        let mut clusters = Conversations::default();
        for scores in items.into_values() {
            clusters.push(scores);
        }
        let turn = |(turn, scores): (Scope, Vec<f64>)| {
            Some(TurnScores { turn, count: scores.len() as u64, mean: mean(&scores)? })
        };
        Some(Self {
            name: name.to_owned(),
            count: scores.len() as u64,
            mean: mean(&scores)?,
            error: clusters.clustered_error().filter(|_| clusters.len() > 1),
            turns: turns.into_iter().filter_map(turn).collect(),
        })
    }
}

/// Which items a system passes.
type Passes<'a> = BTreeMap<(&'a str, Scope), bool>;

/// More systems make more pairs than anybody reads.
const PASSING_SYSTEMS_MAX: usize = 32;

/// Compares the systems of a side pair by pair, where each score is 0 or 1 and both occur.
fn passes_of(side: &'static str, scores: &BTreeMap<Key<'_>, f64>, ratings: &[Rating]) -> Option<SidePasses> {
    let is = |score: f64| move |rating: &Rating| rating.score.to_bits() == score.to_bits();
    let (is_pass, is_fail) = (is(1.0), is(0.0));
    let is_binary = ratings.iter().all(|rating| is_pass(rating) || is_fail(rating));
    if !is_binary || !ratings.iter().any(is_pass) || !ratings.iter().any(is_fail) {
        return None;
    }
    let mut by_name: BTreeMap<&str, Passes<'_>> = BTreeMap::new();
    for ((item, scope, system), score) in scores {
        by_name.entry(system).or_default().insert((item, *scope), *score > 0.5);
    }
    let systems: Vec<(&str, Passes<'_>)> = by_name.into_iter().take(PASSING_SYSTEMS_MAX).collect();
    let pairs = systems.iter().enumerate().flat_map(|(at, (a, first))| {
        systems[at + 1..].iter().map(move |(b, second)| {
            let both: Vec<(bool, bool)> =
                first.iter().filter_map(|(item, passes)| Some((*passes, *second.get(item)?))).collect();
            let count = |which| both.iter().filter(|pair| **pair == which).count() as u64;
            let (only_a, only_b) = (count((true, false)), count((false, true)));
            PairedPasses {
                a: (*a).to_owned(),
                b: (*b).to_owned(),
                items: both.len() as u64,
                only_a,
                only_b,
                mcnemar_p: mcnemar(only_a, only_b),
            }
        })
    });
    let pairs: Vec<PairedPasses> = pairs.filter(|pair| pair.items > 0).collect();
    (!pairs.is_empty()).then_some(SidePasses { side, pairs })
}
