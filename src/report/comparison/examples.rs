use std::collections::BTreeMap;

use super::Compared;
use crate::conversation::{Duel, Winner};
use crate::report::evaluation::{EXAMPLES, Example, Exchange, shortened, shown_history};
use crate::statistics::Random;

const EXAMPLE_SEED: u64 = 0x6475_656c_7320_2121;

/// Duels with the judge's words: for each outcome a few at random and the clearest.
#[derive(Debug)]
pub(super) struct Examples {
    /// By the outcome's name: in this order a report shows them.
    by_outcome: BTreeMap<&'static str, OfOutcome>,
    dice: Random,
}

#[derive(Debug, Default)]
struct OfOutcome {
    seen: usize,
    random: Vec<Example>,
    /// Each with how far its conversation's score is from even.
    clearest: Vec<(f64, Example)>,
}

impl Examples {
    pub fn new() -> Self {
        Self { by_outcome: BTreeMap::new(), dice: Random::new(EXAMPLE_SEED) }
    }

    /// Takes a decided duel between systems of these names. `shares_history` where both answered to the dataset's history,
    /// which their own earlier answers are no part of.
    pub fn add(
        &mut self,
        compared: &Compared<'_>,
        duel: &Duel,
        winner: Winner,
        names: [&str; 2],
        gap: f64,
        shares_history: bool,
    ) {
        let outcome = match winner {
            Winner::First => "first wins",
            Winner::Second => "second wins",
            Winner::Tie => "tie",
            Winner::Inconsistent => "inconsistent",
        };
        let examples = self.by_outcome.entry(outcome).or_default();
        examples.seen += 1;
        let example = |why: &str| example(why, compared, duel, winner, names, shares_history);
        let least = examples.clearest.last().map_or(-1.0, |(gap, _)| *gap);
        if examples.clearest.len() < EXAMPLES || gap > least {
            examples.clearest.push((gap, example("clearest")));
            // Of equal ones the first stays.
            examples.clearest.sort_by(|left, right| right.0.total_cmp(&left.0));
            examples.clearest.truncate(EXAMPLES);
        }
        let place = self.dice.below(examples.seen);
        if examples.random.len() < EXAMPLES {
            examples.random.push(example("at random"));
        } else if place < EXAMPLES {
            examples.random[place] = example("at random");
        }
    }

    pub fn finish(self) -> Vec<Example> {
        let all = self.by_outcome.into_values();
        all.flat_map(|examples| {
            examples.random.into_iter().chain(examples.clearest.into_iter().map(|(_, example)| example))
        })
        .collect()
    }
}

fn example(
    why: &str,
    compared: &Compared<'_>,
    duel: &Duel,
    winner: Winner,
    names: [&str; 2],
    shares_history: bool,
) -> Example {
    let outcome = match winner {
        Winner::First => format!("{} better", names[0]),
        Winner::Second => format!("{} better", names[1]),
        Winner::Tie => "tie".to_owned(),
        Winner::Inconsistent => "inconsistent".to_owned(),
    };
    let question = duel.scope.last_of(compared.questions).map_or("", String::as_str);
    let answer = |system: usize| duel.scope.last_of(&compared.answers[system]).and_then(Option::as_deref);
    let systems = [duel.first, duel.second].into_iter().zip(names);
    let before = duel.scope.before(compared.questions).iter().enumerate();
    let (earlier, history) = shown_history(before.map(|(turn, question)| {
        let said = |system: usize| compared.answers[system].get(turn).and_then(Option::as_deref).unwrap_or_default();
        let answers = systems.clone().filter(|_| !shares_history);
        let answers = answers.map(|(system, name)| (name.to_owned(), shortened(said(system)))).collect();
        Exchange { question: shortened(question), answers }
    }));
    Example {
        kind: format!("{why}, {outcome}"),
        id: compared.id.to_owned(),
        turn: duel.scope.number(),
        verdict: format!("{} against {}", names[0], names[1]),
        earlier,
        history,
        question: shortened(question),
        answers: systems
            .map(|(system, name)| (name.to_owned(), shortened(answer(system).unwrap_or_default())))
            .collect(),
        words: duel.words.iter().flatten().map(|words| shortened(words.text())).collect(),
    }
}
