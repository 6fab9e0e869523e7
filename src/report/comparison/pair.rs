use std::collections::{BTreeMap, BTreeSet};

use super::verdict::slices;
use super::{DuelReport, LengthReport, PositionReport};
use crate::conversation::{Duel, DuelEnd, Scope, Winner};
use crate::report::votes::ConversationScores;
use crate::statistics::{Conversations, detectable_effect, length_controlled, mean, sign_flip, wilson};

/// Points of a plot.
const POINTS_MAX: usize = 1000;

/// The duels of two systems while they are counted. The figures take the side of the first.
#[derive(Debug, Default)]
pub(super) struct PairCount {
    ends: Ends,
    scores: Conversations,
    treated: Conversations,
    by_scope: BTreeMap<Scope, Conversations>,
    by_category: BTreeMap<String, Conversations>,
    /// Single verdicts for the answer that stood first, and for the one that stood second.
    first_wins: u64,
    second_wins: u64,
    /// Repeats of verdicts, and those among them that differ from the first.
    repeats: u64,
    flips: u64,
    a_lengths: Vec<f64>,
    b_lengths: Vec<f64>,
    /// The score of the first, and how much longer it is.
    votes: Vec<(f64, f64)>,
}

/// How duels ended, from the first one's side.
#[derive(Debug, Default)]
struct Ends {
    wins: u64,
    losses: u64,
    ties: u64,
    inconsistent: u64,
    unparsed: u64,
    a_missing: u64,
    b_missing: u64,
    both_missing: u64,
    open: u64,
}

impl Ends {
    fn add(&mut self, end: DuelEnd) {
        let count = match end {
            DuelEnd::Decided(Winner::First) => &mut self.wins,
            DuelEnd::Decided(Winner::Second) => &mut self.losses,
            DuelEnd::Decided(Winner::Tie) => &mut self.ties,
            DuelEnd::Decided(Winner::Inconsistent) => &mut self.inconsistent,
            DuelEnd::Unparsed => &mut self.unparsed,
            DuelEnd::FirstMissing => &mut self.a_missing,
            DuelEnd::SecondMissing => &mut self.b_missing,
            DuelEnd::BothMissing => &mut self.both_missing,
            DuelEnd::Open => &mut self.open,
        };
        *count += 1;
    }

    fn decided(&self) -> u64 {
        self.wins + self.losses + self.ties + self.inconsistent
    }
}

impl PairCount {
    /// Counts the duels of one conversation.
    pub fn add(&mut self, duels: &[&Duel], category: Option<&str>) {
        let mut first_said: BTreeMap<Scope, Winner> = BTreeMap::new();
        for duel in duels {
            self.ends.add(duel.end);
            self.add_orders(duel);
            let DuelEnd::Decided(winner) = duel.end else { continue };
            match first_said.get(&duel.scope) {
                None => drop(first_said.insert(duel.scope, winner)),
                Some(first) => {
                    self.repeats += 1;
                    self.flips += u64::from(*first != winner);
                }
            }
            let [a, b] = duel.lengths.map(|length| length as f64);
            self.a_lengths.push(a);
            self.b_lengths.push(b);
            self.votes.push((winner.score(), a - b));
        }
        let scores = || duels.iter().filter_map(|duel| duel.score());
        self.scores.push(scores());
        self.treated.push(duels.iter().filter_map(|duel| duel.treated()));
        let judged: BTreeSet<Scope> = duels.iter().map(|duel| duel.scope).collect();
        for scope in judged {
            let of_scope = duels.iter().filter(|duel| duel.scope == scope).filter_map(|duel| duel.score());
            self.by_scope.entry(scope).or_default().push(of_scope);
        }
        if let Some(category) = category {
            self.by_category.entry(category.to_owned()).or_default().push(scores());
        }
    }

    /// Counts which place won: in the first order the first one's answer stands first, in the second the other's.
    fn add_orders(&mut self, duel: &Duel) {
        for (said, first_place) in duel.orders.iter().zip([Winner::First, Winner::Second]) {
            match said {
                Some(said) if *said == first_place => self.first_wins += 1,
                Some(Winner::First | Winner::Second) => self.second_wins += 1,
                Some(Winner::Tie | Winner::Inconsistent) | None => {}
            }
        }
    }

    /// Returns half the width of the score's interval; infinite where no interval exists yet.
    pub fn half_width(&self) -> f64 {
        self.scores.interval().map_or(f64::INFINITY, |interval| interval.half_width())
    }

    /// Returns how many duels have no verdict yet.
    pub fn open(&self) -> u64 {
        self.ends.open
    }

    /// Returns the report of the duels between systems of these names, without a verdict.
    pub fn report(&self, a: &str, b: &str) -> DuelReport {
        let score = ConversationScores::of(&self.scores);
        let position = self.position();
        let effects: Vec<f64> = self.scores.means().iter().map(|mean| mean - 0.5).collect();
        let step = self.votes.len().div_ceil(POINTS_MAX).max(1);
        let mut scopes: Vec<_> = self.by_scope.iter().collect();
        scopes.sort_by_key(|(scope, _)| scope.is_whole());
        DuelReport {
            a: a.to_owned(),
            b: b.to_owned(),
            verdict: String::new(),
            withheld: Vec::new(),
            wins: self.ends.wins,
            losses: self.ends.losses,
            ties: self.ends.ties,
            inconsistent: self.ends.inconsistent,
            unparsed: self.ends.unparsed,
            a_missing: self.ends.a_missing,
            b_missing: self.ends.b_missing,
            both_missing: self.ends.both_missing,
            effect: score.score - 0.5,
            effect_interval: score.interval.map(|interval| interval.moved(-0.5)),
            sign_flip_p: sign_flip(&effects),
            detectable_effect: score.deviation.map(|deviation| detectable_effect(deviation, self.scores.len())),
            decided_interval: wilson(self.ends.wins, self.ends.wins + self.ends.losses),
            intention_to_treat: ConversationScores::of(&self.treated),
            position,
            flip_share: (self.repeats > 0).then(|| self.flips as f64 / self.repeats as f64),
            turns: slices(scopes.into_iter().map(|(scope, all)| (scope.to_string(), all))),
            categories: slices(self.by_category.iter().map(|(name, all)| (name.clone(), all))),
            length: self.length(),
            length_points: self.votes.iter().step_by(step).map(|(score, longer)| (*longer, *score)).collect(),
            score,
        }
    }

    fn position(&self) -> PositionReport {
        let total = self.first_wins + self.second_wins;
        let interval = wilson(self.first_wins, total);
        let apart = interval.map_or(0.0, |interval| (interval.low - 0.5).max(0.5 - interval.high));
        PositionReport {
            first_wins: (total > 0).then(|| self.first_wins as f64 / total as f64),
            interval,
            inconsistent_share: self.ends.inconsistent as f64 / self.ends.decided().max(1) as f64,
            is_biased: apart > 0.1,
        }
    }

    fn length(&self) -> LengthReport {
        let score_where = |keep: fn(f64) -> bool| {
            mean(&self.votes.iter().filter(|(_, longer)| keep(*longer)).map(|(score, _)| *score).collect::<Vec<_>>())
        };
        LengthReport {
            a_mean: mean(&self.a_lengths),
            b_mean: mean(&self.b_lengths),
            score_where_longer: score_where(|longer| longer > 0.0),
            score_where_shorter: score_where(|longer| longer < 0.0),
            controlled: length_controlled(&self.votes),
        }
    }
}

impl Duel {
    /// Returns the same with a missing answer as a lost duel.
    fn treated(&self) -> Option<f64> {
        match self.end {
            DuelEnd::FirstMissing => Some(0.0),
            DuelEnd::SecondMissing => Some(1.0),
            DuelEnd::BothMissing => Some(0.5),
            DuelEnd::Decided(_) | DuelEnd::Unparsed | DuelEnd::Open => self.score(),
        }
    }
}
