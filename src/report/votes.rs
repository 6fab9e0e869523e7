//! The results of votes: pair by pair of systems, and a ranking of all systems.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::conversation::{Vote, Winner};
use crate::statistics::{
    Conversations, Interval, Match, Ranking, bradley_terry, sign_test, standard_deviation, wilson,
};

/// Votes on one pair of systems; everything is seen from the first one's side.
#[derive(Clone, Debug, Serialize)]
pub struct PairReport {
    /// A system.
    pub a: String,
    /// Another.
    pub b: String,
    /// Votes.
    pub votes: u64,
    /// Those for `a`.
    pub wins: u64,
    /// Those for `b`.
    pub losses: u64,
    /// Those for neither, inconsistent ones not included.
    pub ties: u64,
    /// Those that changed with the order of the answers.
    pub inconsistent: u64,
    /// The mean of the votes, 1 for `a`, 0.5 for neither.
    pub score: f64,
    /// Its standard error as if all votes were independent, which they are not.
    pub error_independent: f64,
    /// Its standard error, clustered by conversation.
    pub error_clustered: f64,
    /// The exact sign test over votes, as if all were independent.
    pub votes_sign_test_p: f64,
    /// Wilson's interval of the share of `a` among decided votes.
    pub decided_interval: Option<Interval>,
    /// The same with each conversation counted once.
    pub conversations: ConversationScores,
}

/// Conversations' mean scores.
#[derive(Clone, Debug, Serialize)]
pub struct ConversationScores {
    /// How many.
    pub count: u64,
    /// The mean of their means, 1 for `a`.
    pub score: f64,
    /// Its 95 % interval: cluster bootstrap.
    pub interval: Option<Interval>,
    /// The standard deviation of the means.
    pub deviation: Option<f64>,
    /// Those with a mean above 0.5.
    pub wins: u64,
    /// Those below.
    pub losses: u64,
    /// The exact sign test over these.
    pub sign_test_p: f64,
}

/// The results of one system over all votes.
#[derive(Clone, Debug, Serialize)]
pub struct SystemReport {
    /// Its name.
    pub name: String,
    /// Votes for it.
    pub wins: u64,
    /// Votes for the other one.
    pub losses: u64,
    /// Neither.
    pub ties: u64,
    /// Wins among all.
    pub win_rate: f64,
    /// The same with half of the ties.
    pub win_rate_adjusted: f64,
    /// Log-strength of a Bradley–Terry model, mean 0; `None` where systems were never compared.
    pub strength: Option<f64>,
    /// The same as Elo points around 1000.
    pub elo: Option<f64>,
    /// 95 % interval of the log-strength.
    pub interval: Option<Interval>,
}

/// Scores nearer to the middle than this differ from it by rounding alone.
const ROUNDING: f64 = 1e-9;

impl ConversationScores {
    /// Counts conversations by their means.
    pub fn of(scores: &Conversations) -> Self {
        let means = scores.means();
        let (wins, losses) = wins_and_losses(&means);
        Self {
            count: means.len() as u64,
            score: scores.mean().unwrap_or(0.5),
            interval: scores.interval(),
            deviation: scores.deviation(),
            wins,
            losses,
            sign_test_p: sign_test(wins, losses),
        }
    }
}

/// Counts the means on either side of even.
pub(super) fn wins_and_losses(means: &[f64]) -> (u64, u64) {
    let wins = means.iter().filter(|mean| **mean > 0.5 + ROUNDING).count() as u64;
    let losses = means.iter().filter(|mean| **mean < 0.5 - ROUNDING).count() as u64;
    (wins, losses)
}

impl PairReport {
    /// Counts the votes on one pair, conversation by conversation.
    pub fn of(a: &str, b: &str, conversations: &[Vec<Winner>]) -> Self {
        let mut scores = Conversations::default();
        for winners in conversations {
            scores.push(winners.iter().map(|winner| winner.score()));
        }
        let count = |which| conversations.iter().flatten().filter(|winner| **winner == which).count() as u64;
        let (wins, losses) = (count(Winner::First), count(Winner::Second));
        let votes = scores.values().len();
        let score = crate::statistics::mean(scores.values()).unwrap_or(0.5);
        let deviation = standard_deviation(scores.values()).unwrap_or(0.0);
        Self {
            a: a.to_owned(),
            b: b.to_owned(),
            votes: votes as u64,
            wins,
            losses,
            ties: count(Winner::Tie),
            inconsistent: count(Winner::Inconsistent),
            score,
            error_independent: deviation / (votes as f64).sqrt().max(1.0),
            error_clustered: scores.clustered_error().unwrap_or(0.0),
            votes_sign_test_p: sign_test(wins, losses),
            decided_interval: wilson(wins, wins + losses),
            conversations: ConversationScores::of(&scores),
        }
    }
}

/// Votes by pair of systems and conversation. Pairs are in the order of their names.
#[derive(Debug, Default)]
pub struct Ballot {
    pairs: BTreeMap<(String, String), BTreeMap<String, Vec<Winner>>>,
}

impl Ballot {
    /// Counts votes.
    pub fn of<'a>(votes: impl IntoIterator<Item = &'a Vote>) -> Self {
        let mut ballot = Self::default();
        for vote in votes {
            let vote = vote.clone().in_order();
            let pair = ballot.pairs.entry((vote.first, vote.second)).or_default();
            pair.entry(vote.item).or_default().push(vote.winner);
        }
        ballot
    }

    /// Returns each pair's report.
    pub fn pairs(&self) -> Vec<PairReport> {
        let report = |((a, b), items): (&(String, String), &BTreeMap<String, Vec<Winner>>)| {
            PairReport::of(a, b, &items.values().cloned().collect::<Vec<_>>())
        };
        self.pairs.iter().map(report).collect()
    }

    /// Returns each system's results, in the order of names.
    pub fn systems(&self) -> Vec<SystemReport> {
        let mut names: Vec<&String> = self.pairs.keys().flat_map(|(a, b)| [a, b]).collect();
        names.sort();
        names.dedup();
        let number = |name: &String| names.binary_search(&name).unwrap_or_default();
        let mut counts = vec![[0u64; 3]; names.len()];
        let mut conversations: BTreeMap<&String, Vec<Match>> = BTreeMap::new();
        for ((a, b), items) in &self.pairs {
            let (first, second) = (number(a), number(b));
            for (item, winners) in items {
                for winner in winners {
                    let (of_first, of_second) = match winner {
                        Winner::First => (0, 1),
                        Winner::Second => (1, 0),
                        Winner::Tie | Winner::Inconsistent => (2, 2),
                    };
                    counts[first][of_first] += 1;
                    counts[second][of_second] += 1;
                    let matches = conversations.entry(item).or_default();
                    matches.push(Match { first, second, score: winner.score() });
                }
            }
        }
        let ranking = bradley_terry(names.len(), &conversations.into_values().collect::<Vec<_>>());
        let standing = |(at, name): (usize, &&String)| {
            let [wins, losses, ties] = counts[at];
            let total = (wins + losses + ties) as f64;
            let strength = ranking.as_ref().map(|ranking| ranking.strengths[at]);
            SystemReport {
                name: (*name).clone(),
                wins,
                losses,
                ties,
                win_rate: wins as f64 / total,
                win_rate_adjusted: (wins as f64 + ties as f64 / 2.0) / total,
                strength,
                elo: strength.map(Ranking::elo),
                interval: ranking.as_ref().and_then(|ranking| ranking.intervals.get(at).copied()),
            }
        };
        names.iter().enumerate().map(standing).collect()
    }
}

/// Returns a mean of scores from 1 to 10 on `WildBench`'s scale, on which 5 is no better than nothing (Lin et al.,
/// arXiv 2406.04770, section 4.2).
pub fn adjusted_score(score: f64) -> f64 {
    (score - 5.0) * 2.0
}
