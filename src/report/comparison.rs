//! What duels of systems come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::agreement::{BiasReport, MajorityReport};
use super::evaluation::{CostReport, DatasetReport, Example, JudgeReport, UNPARSED_SHARE_MAX, shortened};
use super::votes::{Ballot, ConversationScores, SystemReport};
use super::words::{counted, number};
use crate::conversation::{Answer, Duel, DuelEnd, Price, Vote, Winner};
use crate::statistics::{
    Conversations, Interval, LengthControlled, Random, detectable_effect, holm, length_controlled, mean, sign_flip,
    wilson,
};

/// Verdicts on two systems or more.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ComparisonReport {
    /// Bumped when a field changes its meaning.
    pub schema: u32,
    /// Why the figures cannot be trusted, where that is so.
    pub incomplete: Vec<String>,
    /// What else a reader must know.
    pub cautions: Vec<String>,
    /// The day (UTC) on which the comparison was begun.
    pub date: String,
    /// `own` or `shared`: what stood before each answer.
    pub history: String,
    /// Two systems are called equivalent where the interval of the score lies so near to 0.5.
    pub margin: f64,
    /// Who was compared.
    pub systems: Vec<ComparedReport>,
    /// Over what.
    pub dataset: DatasetReport,
    /// By whom.
    pub judge: JudgeReport,
    /// Each pair.
    pub pairs: Vec<DuelReport>,
    /// All systems in a row: wins, and strengths by Bradley and Terry.
    pub ranking: Vec<SystemReport>,
    /// The judge beside people, where their votes are given.
    pub calibration: Option<MajorityReport>,
    /// The same pair by pair: what the judge sees otherwise than people do.
    pub human_pairs: Vec<BiasReport>,
    /// What the judge makes of pairs whose outcome is known.
    pub controls: Option<ControlsReport>,
    /// Duels with the judge's words: at random, and the clearest, for each outcome.
    pub examples: Vec<Example>,
}

/// One of the systems.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ComparedReport {
    /// Its name.
    pub name: String,
    /// The model that was asked, or none for answers out of a file.
    pub model: Option<String>,
    /// The names that the server gave.
    pub reported: Vec<String>,
    /// Hosts, or the file.
    pub from: Vec<String>,
    /// The hash of its system message, where it has one of its own.
    pub system_prompt: Option<String>,
    /// How it was asked.
    pub sampling: Option<String>,
    /// Conversations in which an answer is missing, by reason.
    pub failed: BTreeMap<String, u64>,
    /// The mean length of its answers, in letters.
    pub mean_length: Option<f64>,
    /// What its answers cost, whenever they were paid for.
    pub cost: CostReport,
}

/// Two systems.
#[derive(Clone, Debug, Serialize)]
pub struct DuelReport {
    /// The one whose side the figures take.
    pub a: String,
    /// The other.
    pub b: String,
    /// `a better`, `b better`, `equivalent`, `inconclusive`; with the systems' names.
    pub verdict: String,
    /// Duels that `a` won in both orders.
    pub wins: u64,
    /// Those that `b` won.
    pub losses: u64,
    /// Neither, in both orders.
    pub ties: u64,
    /// Otherwise in one order than in the other; counted as ties.
    pub inconsistent: u64,
    /// Those without a readable verdict; not counted.
    pub unparsed: u64,
    /// Those in which `a` has no answer.
    pub a_missing: u64,
    /// Those in which `b` has none.
    pub b_missing: u64,
    /// Those in which neither has.
    pub both_missing: u64,
    /// The score of `a`, each conversation counted once.
    pub score: ConversationScores,
    /// Its distance from 0.5.
    pub effect: f64,
    /// The 95 % interval of that.
    pub effect_interval: Option<Interval>,
    /// The p of flipping the signs of the conversations' effects.
    pub sign_flip_p: f64,
    /// The smallest effect that so many conversations show with a power of 80 %.
    pub detectable_effect: Option<f64>,
    /// The share of `a` among decided duels.
    pub decided_interval: Option<Interval>,
    /// The score where a missing answer is a lost duel.
    pub intention_to_treat: ConversationScores,
    /// What the order does.
    pub position: PositionReport,
    /// Verdicts on the same that differ from the first one, where there are several.
    pub flip_share: Option<f64>,
    /// Turn by turn.
    pub turns: Vec<SliceScore>,
    /// By the rows' `category`; exploratory.
    pub categories: Vec<SliceScore>,
    /// What length does.
    pub length: LengthReport,
    /// Answers' lengths (that of `a` less that of `b`) and scores, for the plot; a thousand at most.
    pub length_points: Vec<(f64, f64)>,
}

/// What the order of the answers does.
#[derive(Clone, Debug, Serialize)]
pub struct PositionReport {
    /// How often the first of two wins, of all single verdicts that are no tie.
    pub first_wins: Option<f64>,
    /// Wilson's interval of that.
    pub interval: Option<Interval>,
    /// The share of duels that changed with the order.
    pub inconsistent_share: f64,
    /// The judge prefers a place: the interval leaves out 0.5 by more than a tenth.
    pub is_biased: bool,
}

/// A part of the duels.
#[derive(Clone, Debug, Serialize)]
pub struct SliceScore {
    /// Which.
    pub name: String,
    /// The score of `a`.
    pub score: ConversationScores,
    /// The sign test, adjusted for all slices of its kind (Holm).
    pub adjusted_p: f64,
}

/// What length does.
#[derive(Clone, Debug, Serialize)]
pub struct LengthReport {
    /// The mean length of the answers of `a`, in letters.
    pub a_mean: Option<f64>,
    /// Of `b`.
    pub b_mean: Option<f64>,
    /// The score of `a` where its answer is the longer one.
    pub score_where_longer: Option<f64>,
    /// Where it is the shorter one.
    pub score_where_shorter: Option<f64>,
    /// The score between answers of equal length.
    pub controlled: Option<LengthControlled>,
}

/// What the judge makes of pairs whose outcome is known.
#[derive(Clone, Debug, Serialize)]
pub struct ControlsReport {
    /// The same answers on both sides: the interval should cover 0.5.
    pub same: ControlReport,
    /// Answers to other conversations on the second side: the first should nearly always win.
    pub shuffled: ControlReport,
}

/// One control.
#[derive(Clone, Debug, Serialize)]
pub struct ControlReport {
    /// Conversations.
    pub conversations: u64,
    /// The first side's score.
    pub score: ConversationScores,
    /// It is as it should be.
    pub passes: bool,
    /// What was expected.
    pub expected: String,
}

/// A conversation in which systems were compared.
#[derive(Debug)]
pub struct Compared<'a> {
    /// The row.
    pub id: &'a str,
    /// Its `category`.
    pub category: Option<&'a str>,
    /// What the user says, turn by turn.
    pub questions: &'a [String],
    /// Each system's answers, turn by turn.
    pub answers: &'a [Vec<Option<String>>],
    /// What each system's answers cost.
    pub paid: &'a [Vec<Arc<Answer>>],
    /// Why a system has no answer, where that is so.
    pub failed: &'a [Option<String>],
    /// The duels.
    pub duels: &'a [Duel],
}

/// Duels while they are counted.
#[derive(Debug)]
pub struct Comparison {
    report: ComparisonReport,
    pairs: BTreeMap<(usize, usize), PairCount>,
    votes: Vec<Vote>,
    lengths: Vec<(f64, u64)>,
    examples: BTreeMap<&'static str, Examples>,
    dice: Random,
    duels: u64,
    suspect: u64,
    open: u64,
}

#[derive(Debug, Default)]
struct PairCount {
    counts: [u64; 9],
    scores: Conversations,
    treated: Conversations,
    by_turn: BTreeMap<u32, Conversations>,
    by_category: BTreeMap<String, Conversations>,
    first_wins: u64,
    second_wins: u64,
    flips: (u64, u64),
    lengths: [Vec<f64>; 2],
    /// The score of the first, and how much longer it is.
    votes: Vec<(f64, f64)>,
}

#[derive(Debug, Default)]
struct Examples {
    seen: usize,
    random: Vec<Example>,
    clearest: Vec<(f64, usize, Example)>,
}

const EXAMPLES: usize = 5;
const EXAMPLE_SEED: u64 = 0x6475_656c_7320_2121;
/// Fewer conversations give no verdict.
pub(super) const CONVERSATIONS_MIN: u64 = 5;
/// From so many conversations on the bootstrap's interval can be trusted alone.
const BOOTSTRAP_MIN: u64 = 50;
/// A judge that changes its mind with the order more often than this says nothing.
const INCONSISTENT_SHARE_MAX: f64 = 0.5;
const POINTS_MAX: usize = 1000;

impl Comparison {
    /// Begins. `report` holds what is known beforehand, the systems among it.
    pub fn new(report: ComparisonReport) -> Self {
        Self {
            lengths: vec![(0.0, 0); report.systems.len()],
            report,
            pairs: BTreeMap::new(),
            votes: Vec::new(),
            examples: BTreeMap::new(),
            dice: Random::new(EXAMPLE_SEED),
            duels: 0,
            suspect: 0,
            open: 0,
        }
    }

    /// Counts a conversation.
    pub fn add(&mut self, compared: &Compared<'_>, prices: &BTreeMap<String, Price>) {
        let number = self.report.dataset.conversations;
        let dataset = &mut self.report.dataset;
        dataset.conversations += 1;
        dataset.turns += compared.questions.len() as u64;
        if let Some(category) = compared.category {
            *dataset.categories.entry(category.to_owned()).or_default() += 1;
        }
        for (at, system) in self.report.systems.iter_mut().enumerate() {
            let price = system.model.as_ref().and_then(|model| prices.get(model));
            for answer in &compared.paid[at] {
                system.cost.add(&answer.usage, price);
                if !system.reported.contains(&answer.model) {
                    system.reported.push(answer.model.clone());
                }
            }
            if let Some(reason) = &compared.failed[at] {
                *system.failed.entry(reason.clone()).or_default() += 1;
            }
            for answer in compared.answers[at].iter().flatten() {
                self.lengths[at].0 += answer.chars().count() as f64;
                self.lengths[at].1 += 1;
            }
        }
        let judge_price = prices.get(&self.report.judge.model);
        for words in compared.duels.iter().flat_map(|duel| &duel.words).flatten() {
            self.report.judge.cost.add(&words.usage, judge_price);
            if !self.report.judge.reported.contains(&words.model) {
                self.report.judge.reported.push(words.model.clone());
            }
        }
        let mut pairs: Vec<(usize, usize)> = compared.duels.iter().map(|duel| (duel.first, duel.second)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        for pair in pairs {
            let duels: Vec<&Duel> = compared.duels.iter().filter(|duel| (duel.first, duel.second) == pair).collect();
            self.pairs.entry(pair).or_default().add(&duels, compared.category);
            let decided = duels.iter().filter_map(|duel| duel.score()).collect::<Vec<_>>();
            let gap = mean(&decided).map_or(0.0, |score| (score - 0.5).abs());
            for duel in duels {
                self.duels += 1;
                self.suspect += u64::from(duel.is_suspect && duel.repeat == 0);
                self.open += u64::from(duel.end == DuelEnd::Open);
                let DuelEnd::Decided(winner) = duel.end else { continue };
                self.votes.push(self.report.vote(&number.to_string(), duel, winner));
                self.show(compared, duel, winner, gap);
            }
        }
    }

    fn show(&mut self, compared: &Compared<'_>, duel: &Duel, winner: Winner, gap: f64) {
        let kind = match winner {
            Winner::First => "first wins",
            Winner::Second => "second wins",
            Winner::Tie => "tie",
            Winner::Inconsistent => "inconsistent",
        };
        let names = [duel.first, duel.second].map(|system| self.report.systems[system].name.clone());
        let examples = self.examples.entry(kind).or_default();
        examples.seen += 1;
        let seen = examples.seen;
        let example = |why: &str| Example {
            kind: format!("{why}, {}", outcome(winner, &names)),
            id: compared.id.to_owned(),
            turn: duel.turn,
            verdict: format!("{} against {}", names[0], names[1]),
            question: shortened(match duel.turn {
                0 => compared.questions.last().map_or("", String::as_str),
                turn => compared.questions.get(turn as usize - 1).map_or("", String::as_str),
            }),
            answers: [duel.first, duel.second]
                .iter()
                .zip(&names)
                .map(|(system, name)| {
                    let answers = &compared.answers[*system];
                    let answer = if duel.turn == 0 { answers.last() } else { answers.get(duel.turn as usize - 1) };
                    (name.clone(), shortened(answer.and_then(Option::as_deref).unwrap_or_default()))
                })
                .collect(),
            words: duel.words.iter().flatten().map(|words| shortened(words.text())).collect(),
        };
        let least = examples.clearest.last().map_or(-1.0, |(gap, ..)| *gap);
        if examples.clearest.len() < EXAMPLES || gap > least {
            examples.clearest.push((gap, seen, example("clearest")));
            examples.clearest.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
            examples.clearest.truncate(EXAMPLES);
        }
        let place = self.dice.below(seen);
        if examples.random.len() < EXAMPLES {
            examples.random.push(example("at random"));
        } else if place < EXAMPLES {
            examples.random[place] = example("at random");
        }
    }

    /// Returns half the width of the widest interval so far; infinite where there is none yet.
    pub fn half_width(&self) -> f64 {
        let width = |pair: &PairCount| pair.scores.interval().map_or(f64::INFINITY, |interval| interval.half_width());
        self.pairs.values().map(width).fold(0.0, f64::max).max(if self.pairs.is_empty() { f64::INFINITY } else { 0.0 })
    }

    /// Returns the report as far as it is known.
    pub fn report(&self) -> &ComparisonReport {
        &self.report
    }

    /// Ends the count.
    pub fn finish(self) -> ComparisonReport {
        let mut report = self.report;
        for (system, (letters, answers)) in report.systems.iter_mut().zip(&self.lengths) {
            system.mean_length = (*answers > 0).then(|| letters / *answers as f64);
        }
        let names: Vec<String> = report.systems.iter().map(|system| system.name.clone()).collect();
        let margin = report.margin;
        report.pairs = self.pairs.iter().map(|((a, b), count)| count.report(&names[*a], &names[*b], margin)).collect();
        report.ranking = Ballot::of(&self.votes).systems();
        report.ranking.sort_by(|left, right| right.win_rate_adjusted.total_cmp(&left.win_rate_adjusted));
        let unparsed: u64 = report.pairs.iter().map(|pair| pair.unparsed).sum();
        let judged = unparsed + self.votes.len() as u64;
        report.judge.unparsed = unparsed;
        report.judge.unparsed_share = unparsed as f64 / judged.max(1) as f64;
        if report.judge.unparsed_share > UNPARSED_SHARE_MAX {
            let share = report.judge.unparsed_share * 100.0;
            report.incomplete.push(format!("{share:.1} % of the verdicts cannot be read"));
        }
        if self.open > 0 {
            report.incomplete.push(format!("{} without a verdict", counted(self.open, "duel")));
        }
        if self.votes.is_empty() {
            report.incomplete.push("there is no verdict at all".to_owned());
        }
        for pair in &report.pairs {
            if pair.position.is_biased {
                let share = pair.position.first_wins.unwrap_or(0.5) * 100.0;
                report.cautions.push(format!(
                    "the judge is position-biased between {} and {}: what stands first wins {share:.0} % of its single verdicts",
                    pair.a, pair.b
                ));
            }
        }
        for pair in &report.pairs {
            let missing = pair.a_missing + pair.b_missing + pair.both_missing;
            if missing > 0 {
                let all = missing + pair.wins + pair.losses + pair.ties + pair.inconsistent + pair.unparsed;
                report.cautions.push(format!(
                    "{} and {}: in {} of {} an answer is missing; the score is over the others",
                    pair.a,
                    pair.b,
                    number(missing),
                    counted(all, "duel")
                ));
            }
        }
        if self.suspect > 0 {
            report
                .cautions
                .push(format!("{} with an answer that holds what looks like a verdict", counted(self.suspect, "duel")));
        }
        let family = |model: &str| model.split(['-', ':', '/', '.']).next().unwrap_or(model).to_lowercase();
        for system in &report.systems {
            if system.model.as_ref().is_some_and(|model| family(model) == family(&report.judge.model)) {
                let (judge, name) = (&report.judge.model, &system.name);
                report
                    .cautions
                    .push(format!("{judge} judges {name}, which looks like its own family: judges prefer their own"));
            }
        }
        let kinds = self.examples.into_values();
        report.examples = kinds
            .flat_map(|examples| {
                examples.random.into_iter().chain(examples.clearest.into_iter().map(|(.., example)| example))
            })
            .collect();
        report
    }
}

impl Duel {
    /// Returns what the first gets of one point, where there is a verdict.
    fn score(&self) -> Option<f64> {
        match self.end {
            DuelEnd::Decided(winner) => Some(winner.score()),
            _ => None,
        }
    }

    /// Returns the same with a missing answer as a lost duel.
    fn treated(&self) -> Option<f64> {
        match self.end {
            DuelEnd::Decided(winner) => Some(winner.score()),
            DuelEnd::FirstMissing => Some(0.0),
            DuelEnd::SecondMissing => Some(1.0),
            DuelEnd::BothMissing => Some(0.5),
            DuelEnd::Unparsed | DuelEnd::Open => None,
        }
    }
}

fn outcome(winner: Winner, names: &[String; 2]) -> String {
    match winner {
        Winner::First => format!("{} better", names[0]),
        Winner::Second => format!("{} better", names[1]),
        Winner::Tie => "tie".to_owned(),
        Winner::Inconsistent => "inconsistent".to_owned(),
    }
}

impl PairCount {
    fn add(&mut self, duels: &[&Duel], category: Option<&str>) {
        let mut first_said: BTreeMap<u32, Winner> = BTreeMap::new();
        for duel in duels {
            let at = match duel.end {
                DuelEnd::Decided(Winner::First) => 0,
                DuelEnd::Decided(Winner::Second) => 1,
                DuelEnd::Decided(Winner::Tie) => 2,
                DuelEnd::Decided(Winner::Inconsistent) => 3,
                DuelEnd::Unparsed => 4,
                DuelEnd::FirstMissing => 5,
                DuelEnd::SecondMissing => 6,
                DuelEnd::BothMissing => 7,
                DuelEnd::Open => 8,
            };
            self.counts[at] += 1;
            for (order, said) in duel.orders.iter().enumerate() {
                let first_place = if order == 0 { Winner::First } else { Winner::Second };
                match said {
                    Some(Winner::First | Winner::Second) if *said == Some(first_place) => self.first_wins += 1,
                    Some(Winner::First | Winner::Second) => self.second_wins += 1,
                    _ => {}
                }
            }
            let DuelEnd::Decided(winner) = duel.end else { continue };
            match first_said.get(&duel.turn) {
                None => drop(first_said.insert(duel.turn, winner)),
                Some(first) => self.flips = (self.flips.0 + u64::from(*first != winner), self.flips.1 + 1),
            }
            let [a, b] = duel.lengths.map(|length| length as f64);
            self.lengths[0].push(a);
            self.lengths[1].push(b);
            self.votes.push((winner.score(), a - b));
        }
        let scores = |keep: &dyn Fn(&Duel) -> bool| {
            duels.iter().filter(|duel| keep(duel)).filter_map(|duel| duel.score()).collect::<Vec<_>>()
        };
        self.scores.push(scores(&|_| true));
        self.treated.push(duels.iter().filter_map(|duel| duel.treated()));
        let mut turns: Vec<u32> = duels.iter().map(|duel| duel.turn).collect();
        turns.sort_unstable();
        turns.dedup();
        for turn in turns {
            self.by_turn.entry(turn).or_default().push(scores(&|duel| duel.turn == turn));
        }
        if let Some(category) = category {
            self.by_category.entry(category.to_owned()).or_default().push(scores(&|_| true));
        }
    }

    fn report(&self, a: &str, b: &str, margin: f64) -> DuelReport {
        let [wins, losses, ties, inconsistent, unparsed, a_missing, b_missing, both_missing, _] = self.counts;
        let score = ConversationScores::of(&self.scores);
        let position = self.position();
        let effects: Vec<f64> = self.scores.means().iter().map(|mean| mean - 0.5).collect();
        let longer = |keep: fn(f64) -> bool| {
            mean(&self.votes.iter().filter(|(_, longer)| keep(*longer)).map(|(score, _)| *score).collect::<Vec<_>>())
        };
        let step = self.votes.len().div_ceil(POINTS_MAX).max(1);
        DuelReport {
            a: a.to_owned(),
            b: b.to_owned(),
            verdict: verdict(a, b, &score, &position, margin),
            wins,
            losses,
            ties,
            inconsistent,
            unparsed,
            a_missing,
            b_missing,
            both_missing,
            effect: score.score - 0.5,
            effect_interval: score.interval.map(|interval| interval.moved(-0.5)),
            sign_flip_p: sign_flip(&effects),
            detectable_effect: score.deviation.map(|deviation| detectable_effect(deviation, self.scores.len())),
            decided_interval: wilson(wins, wins + losses),
            intention_to_treat: ConversationScores::of(&self.treated),
            position,
            flip_share: (self.flips.1 > 0).then(|| self.flips.0 as f64 / self.flips.1 as f64),
            turns: slices(
                self.by_turn
                    .iter()
                    .map(|(turn, all)| (if *turn == 0 { "whole".to_owned() } else { turn.to_string() }, all)),
            ),
            categories: slices(self.by_category.iter().map(|(name, all)| (name.clone(), all))),
            length: LengthReport {
                a_mean: mean(&self.lengths[0]),
                b_mean: mean(&self.lengths[1]),
                score_where_longer: longer(|longer| longer > 0.0),
                score_where_shorter: longer(|longer| longer < 0.0),
                controlled: length_controlled(&self.votes),
            },
            length_points: self.votes.iter().step_by(step).map(|(score, longer)| (*longer, *score)).collect(),
            score,
        }
    }

    fn position(&self) -> PositionReport {
        let total = self.first_wins + self.second_wins;
        let interval = wilson(self.first_wins, total);
        let decided: u64 = self.counts[..4].iter().sum();
        let apart = interval.map_or(0.0, |interval| (interval.low - 0.5).max(0.5 - interval.high));
        PositionReport {
            first_wins: (total > 0).then(|| self.first_wins as f64 / total as f64),
            interval,
            inconsistent_share: self.counts[3] as f64 / decided.max(1) as f64,
            is_biased: apart > 0.1,
        }
    }
}

/// Returns the verdict by rule: the interval of the score beside 0.5 and the margin.
fn verdict(a: &str, b: &str, score: &ConversationScores, position: &PositionReport, margin: f64) -> String {
    let Some(interval) = score.interval.filter(|_| score.count >= CONVERSATIONS_MIN) else {
        return "inconclusive".to_owned();
    };
    let interval_is_near = interval.low >= 0.5 - margin && interval.high <= 0.5 + margin;
    match () {
        // What depends on the order is no opinion of the answers.
        () if position.is_biased || position.inconsistent_share > INCONSISTENT_SHARE_MAX => "inconclusive".to_owned(),
        // The bootstrap's interval is too narrow over few conversations: there the exact test must agree.
        () if score.count < BOOTSTRAP_MIN && !interval_is_near && score.sign_test_p >= 0.05 => {
            "inconclusive".to_owned()
        }
        () if interval.low > 0.5 => format!("{a} better"),
        () if interval.high < 0.5 => format!("{b} better"),
        () if interval_is_near => {
            format!("equivalent within ±{:.0} points", margin * 100.0)
        }
        () => "inconclusive".to_owned(),
    }
}

fn slices<'a>(slices: impl Iterator<Item = (String, &'a Conversations)>) -> Vec<SliceScore> {
    let judged = slices.filter(|(_, all)| !all.is_empty());
    let mut slices: Vec<SliceScore> =
        judged.map(|(name, all)| SliceScore { name, score: ConversationScores::of(all), adjusted_p: 1.0 }).collect();
    let adjusted = holm(&slices.iter().map(|slice| slice.score.sign_test_p).collect::<Vec<_>>());
    slices.iter_mut().zip(adjusted).for_each(|(slice, p)| slice.adjusted_p = p);
    // The whole behind its parts.
    slices.sort_by_key(|slice| slice.name == "whole");
    slices
}

impl ControlReport {
    /// Returns what a control with the same answers on both sides came to.
    pub fn same(scores: &Conversations) -> Self {
        let score = ConversationScores::of(scores);
        let passes = score.interval.is_some_and(|interval| interval.covers(0.5));
        Self { conversations: score.count, score, passes, expected: "the interval covers 50 %".to_owned() }
    }

    /// Returns what a control with other conversations' answers on the second side came to.
    pub fn shuffled(scores: &Conversations) -> Self {
        const SCORE_MIN: f64 = 0.9;
        let score = ConversationScores::of(scores);
        let passes = score.score >= SCORE_MIN;
        Self { conversations: score.count, score, passes, expected: "the fitting answers get at least 90 %".to_owned() }
    }
}

impl ComparisonReport {
    /// Returns a duel as a vote.
    pub fn vote(&self, item: &str, duel: &Duel, winner: Winner) -> Vote {
        let name = |system: usize| self.systems[system].name.clone();
        Vote {
            item: item.to_owned(),
            turn: duel.turn,
            first: name(duel.first),
            second: name(duel.second),
            winner,
            judge: self.judge.model.clone(),
        }
    }

    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.incomplete.iter().map(|reason| format!("INCOMPLETE: {reason}")).collect();
        lines.extend(self.cautions.iter().map(|caution| format!("caution: {caution}")));
        for pair in &self.pairs {
            lines.push(format!("{} against {}: {}", pair.a, pair.b, pair.verdict));
            let mut row = |name: &str, text: String| lines.push(format!("  {name:<18}{text}"));
            row("score", pair.score.words());
            row(
                "duels",
                format!(
                    "{} won, {} lost, {} tied, {} inconsistent, {} unparsed",
                    number(pair.wins),
                    number(pair.losses),
                    number(pair.ties),
                    number(pair.inconsistent),
                    number(pair.unparsed)
                ),
            );
            if pair.a_missing + pair.b_missing + pair.both_missing > 0 {
                row(
                    "missing",
                    format!(
                        "{} of {}, {} of {}, {} of both; counted as lost the score is {}",
                        number(pair.a_missing),
                        pair.a,
                        number(pair.b_missing),
                        pair.b,
                        number(pair.both_missing),
                        pair.intention_to_treat.words()
                    ),
                );
            }
            let p = pair.score.sign_test_p;
            let shown = pair.detectable_effect.filter(|_| p >= 0.05);
            let detectable = shown.map_or(String::new(), |effect| {
                format!("; an effect below {:.1} points does not show", effect * 100.0)
            });
            row("sign test", format!("p = {p:.4} over {}{detectable}", counted(pair.score.count, "conversation")));
            if let Some(first) = pair.position.first_wins {
                row(
                    "position",
                    format!(
                        "the first wins {:.0} %, {:.0} % inconsistent",
                        first * 100.0,
                        pair.position.inconsistent_share * 100.0
                    ),
                );
            }
            if let Some(flips) = pair.flip_share {
                row("flips", format!("{:.1} % of repeated verdicts differ from the first", flips * 100.0));
            }
            if let (Some(a), Some(b)) = (pair.length.a_mean, pair.length.b_mean) {
                let controlled = pair
                    .length
                    .controlled
                    .map_or(String::new(), |controlled| format!("; at equal length {:.1} %", controlled.score * 100.0));
                row("length", format!("{a:.0} and {b:.0} letters{controlled}"));
            }
            if pair.turns.len() > 1 {
                for turn in &pair.turns {
                    let name = if turn.name == "whole" { turn.name.clone() } else { format!("turn {}", turn.name) };
                    row(&name, turn.score.words());
                }
            }
        }
        if self.systems.len() > 2 {
            lines.push("ranking".to_owned());
            for system in &self.ranking {
                let elo = system.elo.map_or("-".to_owned(), |elo| format!("{elo:.0}"));
                lines.push(format!("  {:<24}{:>6.1} %  Elo {elo}", system.name, system.win_rate_adjusted * 100.0));
            }
        }
        if let Some(calibration) = &self.calibration {
            let kappa = calibration.kappa.map_or("-".to_owned(), |kappa| format!("{kappa:.2}"));
            let share = calibration.agreement.unwrap_or(0.0) * 100.0;
            lines.push(format!(
                "people              {share:.0} % agreement over {} votes, kappa {kappa}",
                calibration.items
            ));
        }
        if let Some(controls) = &self.controls {
            for (name, control) in [("same answers", &controls.same), ("shuffled answers", &controls.shuffled)] {
                let passes = if control.passes { "as it should" } else { "NOT as it should" };
                lines.push(format!("control: {name:<17} {} ({passes}: {})", control.score.words(), control.expected));
            }
        }
        lines
    }
}

impl ConversationScores {
    /// Returns them in words: `61.2 % (55.0 to 67.4)`.
    pub fn words(&self) -> String {
        if self.count == 0 {
            return "no verdict".to_owned();
        }
        let interval = self.interval.map_or(String::new(), |interval| {
            format!(" ({:.1} to {:.1})", interval.low * 100.0, interval.high * 100.0)
        });
        format!("{:.1} %{interval}", self.score * 100.0)
    }
}
