//! How far a judge agrees with people, and people with each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::votes::{Ballot, PairReport, SystemReport, wins_and_losses};
use super::words::p_value;
use crate::conversation::{Scope, Vote, Winner};
use crate::statistics::{
    Conversations, Interval, cohen_kappa, krippendorff_alpha, mcnemar, sign_test, standard_deviation,
};

/// A judge beside people.
#[derive(Clone, Debug, Serialize)]
pub struct AgreementReport {
    /// The judge's votes.
    pub judge: SideReport,
    /// People's votes.
    pub human: SideReport,
    /// Shares of equal votes, for each two groups of voters, turn by turn (Zheng et al., arXiv 2306.05685, table 5).
    pub agreement: Vec<GroupAgreement>,
    /// The judge beside the majority of the people.
    pub majority: MajorityReport,
    /// Krippendorff's alpha of the people among themselves.
    pub human_alpha: AlphaReport,
    /// Each pair of systems on the items that both have voted on.
    pub pairs: Vec<BiasReport>,
}

/// One side's votes.
#[derive(Clone, Debug, Serialize)]
pub struct SideReport {
    /// All of them.
    pub votes: u64,
    /// Those that changed with the order of the answers.
    pub inconsistent: u64,
    /// Systems.
    pub systems: Vec<SystemReport>,
    /// Pairs of systems.
    pub pairs: Vec<PairReport>,
}

/// How often two groups of voters say the same.
#[derive(Clone, Debug, Serialize)]
pub struct GroupAgreement {
    /// The part of the conversation that the votes are about.
    #[serde(rename = "turn")]
    pub scope: Scope,
    /// A group: voters' names without their numbers.
    pub first: String,
    /// Another, or the same.
    pub second: String,
    /// Over all pairs of votes on the same answers; a tie agrees with a tie.
    pub with_ties: Share,
    /// Over those in which both have decided.
    pub without_ties: Share,
}

/// A share of pairs of votes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Share {
    /// Equal ones.
    pub agree: u64,
    /// All.
    pub total: u64,
    /// Their ratio.
    pub share: Option<f64>,
    /// Its standard error, clustered by item.
    pub error: Option<f64>,
}

/// The judge beside the people's majority, item by item. Without a clear majority it is a tie.
#[derive(Clone, Debug, Serialize)]
pub struct MajorityReport {
    /// Items on which both have voted.
    pub items: u64,
    /// Share of equal ones.
    pub agreement: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// Items that both have decided.
    pub decided_items: u64,
    /// Share of equal ones among these.
    pub decided_agreement: Option<f64>,
    /// Cohen's kappa of these.
    pub decided_kappa: Option<f64>,
}

/// Agreement of many.
#[derive(Clone, Debug, Serialize)]
pub struct AlphaReport {
    /// Items with two votes or more.
    pub units: u64,
    /// Krippendorff's alpha, nominal.
    pub alpha: Option<f64>,
}

/// The judge's bias against people's votes, in one pair of systems.
#[derive(Clone, Debug, Serialize)]
pub struct BiasReport {
    /// A system.
    pub a: String,
    /// Another.
    pub b: String,
    /// Conversations on which both have voted.
    pub conversations: u64,
    /// People's mean score of `a`.
    pub human: f64,
    /// Its sign test over conversations.
    pub human_p: f64,
    /// The judge's.
    pub judge: f64,
    /// Its sign test.
    pub judge_p: f64,
    /// The judge's score minus people's.
    pub bias: f64,
    /// Its standard error.
    pub bias_error: Option<f64>,
    /// Its 95 % interval.
    pub bias_interval: Option<Interval>,
    /// Items that both have decided, the judge for `a` and people for `b`.
    pub only_judge: u64,
    /// Items that both have decided, people for `a` and the judge for `b`.
    pub only_human: u64,
    /// `McNemar`'s exact test of these two: would the judge decide for `a` as often as people do?
    pub mcnemar_p: f64,
}

/// A matter that is voted on: scope, item and pair of systems in the order of their names.
type Key = (Scope, String, String, String);
type Votes<'a> = BTreeMap<Key, BTreeMap<&'a str, Vec<Winner>>>;

impl AgreementReport {
    /// Compares a judge's votes with people's.
    pub fn of(judge: &[Vote], human: &[Vote]) -> Self {
        let (judged, voted) = (by_key(judge), by_key(human));
        Self {
            judge: SideReport::of(judge),
            human: SideReport::of(human),
            agreement: agreement(Some(&judged), &voted),
            majority: majority(&judged, &voted),
            human_alpha: AlphaReport::of(human),
            pairs: biases(&judged, &voted),
        }
    }

    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = GroupAgreement::lines(&self.agreement);
        let digits = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let majority = &self.majority;
        lines.push(String::new());
        lines.push(format!(
            "kappa with people's majority  {} over {} items, {} over {} that both decided",
            digits(majority.kappa),
            majority.items,
            digits(majority.decided_kappa),
            majority.decided_items
        ));
        lines.push(self.human_alpha.line());
        lines.push(format!("judge's inconsistent verdicts {}", self.judge.inconsistent_words()));
        lines.push(String::new());
        lines
            .push(format!("{:<44}{:>6}{:>9}{:>9}{:>9}  {:<16}McNemar", "pair", "n", "people", "judge", "bias", "95 %"));
        for pair in &self.pairs {
            let interval = pair.bias_interval.map_or(String::new(), |interval| {
                format!("{:+.1} to {:+.1}", interval.low * 100.0, interval.high * 100.0)
            });
            lines.push(format!(
                "{:<44}{:>6}{:>7.1} %{:>7.1} %{:>+9.1}  {interval:<16}{}",
                format!("{} against {}", pair.a, pair.b),
                pair.conversations,
                pair.human * 100.0,
                pair.judge * 100.0,
                pair.bias * 100.0,
                p_value(pair.mcnemar_p)
            ));
        }
        lines
    }
}

impl SideReport {
    /// Counts votes.
    pub fn of(votes: &[Vote]) -> Self {
        let ballot = Ballot::of(votes);
        let inconsistent = votes.iter().filter(|vote| vote.winner == Winner::Inconsistent).count() as u64;
        Self { votes: votes.len() as u64, inconsistent, systems: ballot.systems(), pairs: ballot.pairs() }
    }

    /// Returns one side alone as lines for a terminal, the best system first.
    pub fn lines(&self, title: &str) -> Vec<String> {
        let mut lines = vec![format!(
            "{title:<32}{:>6}{:>8}{:>6}{:>10}{:>11}{:>7}",
            "won", "lost", "tied", "win rate", "ties half", "Elo"
        )];
        let mut systems: Vec<&SystemReport> = self.systems.iter().collect();
        systems.sort_by(|left, right| right.win_rate_adjusted.total_cmp(&left.win_rate_adjusted));
        for system in systems {
            let elo = system.elo.map_or("-".to_owned(), |elo| format!("{elo:.0}"));
            lines.push(format!(
                "{:<32}{:>6}{:>8}{:>6}{:>8.1} %{:>9.1} %{elo:>7}",
                system.name,
                system.wins,
                system.losses,
                system.ties,
                system.win_rate * 100.0,
                system.win_rate_adjusted * 100.0
            ));
        }
        lines.push(String::new());
        lines.push(format!("inconsistent verdicts         {}", self.inconsistent_words()));
        lines.push(format!("{:<44}{:>6}{:>14}  sign test over conversations", "pair", "n", "ties half"));
        for pair in &self.pairs {
            lines.push(format!(
                "{:<44}{:>6}{:>12.1} %  {}",
                format!("{} against {}", pair.a, pair.b),
                pair.votes,
                pair.score * 100.0,
                p_value(pair.conversations.sign_test_p)
            ));
        }
        lines
    }

    fn inconsistent_words(&self) -> String {
        let percent = 100.0 * self.inconsistent as f64 / self.votes.max(1) as f64;
        format!("{} of {} ({percent:.1} %)", self.inconsistent, self.votes)
    }
}

fn by_key(votes: &[Vote]) -> Votes<'_> {
    let mut sorted = Votes::new();
    for vote in votes {
        let ordered = vote.clone().in_order();
        let key = (ordered.scope, ordered.item, ordered.first, ordered.second);
        sorted.entry(key).or_default().entry(group(&vote.judge)).or_default().push(ordered.winner);
    }
    sorted
}

/// Returns a voter's name without its number: `expert_17` is an `expert`.
fn group(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((group, number)) if !group.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => group,
        _ => name,
    }
}

/// Compares each group of judges with each group of people, and people with each other. Without judges, people alone.
fn agreement(judged: Option<&Votes<'_>>, voted: &Votes<'_>) -> Vec<GroupAgreement> {
    let is_common = |key: &&Key| judged.is_none_or(|judged| judged.contains_key(*key));
    let scopes: BTreeSet<Scope> = voted.keys().filter(is_common).map(|key| key.0).collect();
    let nobody = Votes::new();
    let judged = judged.unwrap_or(&nobody);
    let groups = |votes: &Votes<'_>| votes.values().flat_map(BTreeMap::keys).map(|name| (*name).to_owned()).collect();
    let (machines, people): (BTreeSet<String>, BTreeSet<String>) = (groups(judged), groups(voted));
    let mut rows = Vec::new();
    for scope in scopes {
        let here = |key: &Key| key.0 == scope;
        for judge in &machines {
            for person in &people {
                let pairs = judged.iter().filter(|(key, _)| here(key)).filter_map(|(key, votes)| {
                    let others = voted.get(key)?.get(person.as_str())?;
                    Some((key, crossed(votes.get(judge.as_str())?, others)))
                });
                rows.push(GroupAgreement::of(scope, judge, person, pairs));
            }
        }
        for (at, first) in people.iter().enumerate() {
            for second in people.iter().skip(at) {
                let pairs = voted.iter().filter(|(key, _)| here(key)).filter_map(|(key, votes)| {
                    let (ours, theirs) = (votes.get(first.as_str())?, votes.get(second.as_str())?);
                    Some((key, if first == second { among(ours) } else { crossed(ours, theirs) }))
                });
                rows.push(GroupAgreement::of(scope, first, second, pairs));
            }
        }
    }
    rows
}

fn crossed(first: &[Winner], second: &[Winner]) -> Vec<(Winner, Winner)> {
    first.iter().flat_map(|one| second.iter().map(|other| (one.counted(), other.counted()))).collect()
}

fn among(votes: &[Winner]) -> Vec<(Winner, Winner)> {
    let pairs = votes.iter().enumerate().flat_map(|(at, one)| votes[at + 1..].iter().map(move |other| (one, other)));
    pairs.map(|(one, other)| (one.counted(), other.counted())).collect()
}

impl GroupAgreement {
    /// Compares the groups of one side with each other.
    pub fn among(votes: &[Vote]) -> Vec<Self> {
        agreement(None, &by_key(votes))
    }

    /// Returns them as lines for a terminal.
    pub fn lines(rows: &[Self]) -> Vec<String> {
        let share = |share: &Share| {
            let percent = share.share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0));
            let error = share.error.map_or(String::new(), |error| format!(" ±{:.0}", error * 196.0));
            format!("{:<20}", format!("{percent}{error} [{}]", share.total))
        };
        let mut lines = vec![format!("{:<6}{:<30}{:<20}{}", "turn", "agreement of", "with ties", "decided by both")];
        for row in rows {
            let who = format!("{} and {}", row.first, row.second);
            let turn = row.scope.turn().map_or("all".to_owned(), |turn| turn.to_string());
            lines.push(
                format!("{turn:<6}{who:<30}{}{}", share(&row.with_ties), share(&row.without_ties))
                    .trim_end()
                    .to_owned(),
            );
        }
        lines
    }

    fn of<'a>(
        scope: Scope,
        first: &str,
        second: &str,
        items: impl Iterator<Item = (&'a Key, Vec<(Winner, Winner)>)>,
    ) -> Self {
        let mut by_item: BTreeMap<&str, Vec<(Winner, Winner)>> = BTreeMap::new();
        for (key, pairs) in items {
            by_item.entry(&key.1).or_default().extend(pairs);
        }
        let share = |keep: fn(&(Winner, Winner)) -> bool| {
            let mut equal = Conversations::default();
            for pairs in by_item.values() {
                equal
                    .push(pairs.iter().filter(|pair| keep(pair)).map(|(one, other)| f64::from(u8::from(one == other))));
            }
            Share {
                agree: equal.values().iter().sum::<f64>() as u64,
                total: equal.values().len() as u64,
                share: crate::statistics::mean(equal.values()),
                error: equal.clustered_error(),
            }
        };
        let (first, second) = (first.to_owned(), second.to_owned());
        let (with_ties, without_ties) = (share(|_| true), share(|(one, other)| !one.is_tie() && !other.is_tie()));
        Self { scope, first, second, with_ties, without_ties }
    }
}

/// Returns what most say; a tie where no one has most.
fn plurality(votes: impl Iterator<Item = Winner>) -> Winner {
    let mut counts: BTreeMap<Winner, u32> = BTreeMap::new();
    votes.for_each(|vote| *counts.entry(vote.counted()).or_default() += 1);
    let most = counts.values().copied().max().unwrap_or(0);
    let mut leading = counts.iter().filter(|(_, count)| **count == most).map(|(winner, _)| *winner);
    match (leading.next(), leading.next()) {
        (Some(winner), None) => winner,
        _ => Winner::Tie,
    }
}

fn majority(judged: &Votes<'_>, voted: &Votes<'_>) -> MajorityReport {
    let most = |votes: &BTreeMap<&str, Vec<Winner>>| plurality(votes.values().flatten().copied());
    let both: Vec<(Winner, Winner)> =
        judged.iter().filter_map(|(key, votes)| Some((most(votes), most(voted.get(key)?)))).collect();
    let decided: Vec<_> = both.iter().copied().filter(|(one, other)| !one.is_tie() && !other.is_tie()).collect();
    let agreement = |pairs: &[(Winner, Winner)]| {
        let equal = pairs.iter().filter(|(one, other)| one == other).count();
        (!pairs.is_empty()).then(|| equal as f64 / pairs.len() as f64)
    };
    MajorityReport {
        items: both.len() as u64,
        agreement: agreement(&both),
        kappa: cohen_kappa(&both),
        decided_items: decided.len() as u64,
        decided_agreement: agreement(&decided),
        decided_kappa: cohen_kappa(&decided),
    }
}

impl AlphaReport {
    /// Takes each item that was voted on as a unit.
    pub fn of(votes: &[Vote]) -> Self {
        let items = by_key(votes);
        let units = items.values().map(|said| said.values().flatten().map(|vote| vote.counted()).collect::<Vec<_>>());
        let units: Vec<Vec<Winner>> = units.filter(|unit| unit.len() > 1).collect();
        Self { units: units.len() as u64, alpha: krippendorff_alpha(&units) }
    }

    /// Returns it as a line for a terminal.
    pub fn line(&self) -> String {
        let alpha = self.alpha.map_or("-".to_owned(), |alpha| format!("{alpha:.3}"));
        format!("alpha of the people           {alpha} over {} items", self.units)
    }
}

fn biases(judged: &Votes<'_>, voted: &Votes<'_>) -> Vec<BiasReport> {
    type Scores<'a> = BTreeMap<&'a str, (Vec<f64>, Vec<f64>)>;
    let mut pairs: BTreeMap<(&str, &str), Scores<'_>> = BTreeMap::new();
    let score = |votes: &BTreeMap<&str, Vec<Winner>>| {
        crate::statistics::mean(&votes.values().flatten().map(|vote| vote.score()).collect::<Vec<_>>())
    };
    let mut decided: BTreeMap<(&str, &str), [u64; 2]> = BTreeMap::new();
    for (key, votes) in judged {
        let Some((judge, human)) = score(votes).zip(voted.get(key).and_then(score)) else { continue };
        let (_, item, a, b) = key;
        let scores = pairs.entry((a, b)).or_default().entry(item).or_default();
        scores.0.push(judge);
        scores.1.push(human);
        let opposite = decided.entry((a, b)).or_default();
        opposite[0] += u64::from(judge > 0.5 && human < 0.5);
        opposite[1] += u64::from(judge < 0.5 && human > 0.5);
    }
    let report = |((a, b), items): ((&str, &str), Scores<'_>)| {
        let [only_judge, only_human] = decided.get(&(a, b)).copied().unwrap_or_default();
        let report = BiasReport::of(a, b, items.into_values());
        BiasReport { only_judge, only_human, mcnemar_p: mcnemar(only_judge, only_human), ..report }
    };
    pairs.into_iter().map(report).collect()
}

impl BiasReport {
    fn of(a: &str, b: &str, items: impl Iterator<Item = (Vec<f64>, Vec<f64>)>) -> Self {
        let mut sides = [Conversations::default(), Conversations::default()];
        let mut difference = Conversations::default();
        for (judge, human) in items {
            let means = [&judge, &human].map(|values| crate::statistics::mean(values).unwrap_or(0.5));
            sides[0].push([means[0]]);
            sides[1].push([means[1]]);
            difference.push([means[0] - means[1]]);
        }
        let p = |side: &Conversations| {
            let (wins, losses) = wins_and_losses(&side.means());
            sign_test(wins, losses)
        };
        let count = difference.len();
        Self {
            a: a.to_owned(),
            b: b.to_owned(),
            conversations: count as u64,
            human: sides[1].mean().unwrap_or(0.5),
            human_p: p(&sides[1]),
            judge: sides[0].mean().unwrap_or(0.5),
            judge_p: p(&sides[0]),
            bias: difference.mean().unwrap_or(0.0),
            bias_error: standard_deviation(difference.values()).map(|deviation| deviation / (count as f64).sqrt()),
            bias_interval: difference.interval(),
            only_judge: 0,
            only_human: 0,
            mcnemar_p: 1.0,
        }
    }
}
