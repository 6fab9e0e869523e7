use std::collections::BTreeMap;

use super::examples::Examples;
use super::pair::PairCount;
use super::verdict;
use super::{Compared, ComparisonReport};
use crate::conversation::{Duel, DuelEnd, Price, Vote, Winner};
use crate::report::controls::ControlsReport;
use crate::report::same_verdict::SameVerdict;
use crate::report::votes::Ballot;
use crate::statistics::mean;

/// Duels while they are counted.
#[derive(Debug)]
pub struct Comparison {
    report: ComparisonReport,
    pairs: BTreeMap<(usize, usize), PairCount>,
    votes: Vec<Vote>,
    /// For each system.
    lengths: Vec<Lengths>,
    examples: Examples,
    /// Duels with an answer that looks like a verdict.
    suspect: u64,
    /// The judge's single verdicts, by the place of the better answer.
    same: SameVerdict,
}

/// The lengths of one system's answers.
#[derive(Clone, Debug, Default)]
struct Lengths {
    letters: f64,
    answers: u64,
}

impl Comparison {
    /// Starts a count. `report` holds the settings and the systems.
    pub fn new(report: ComparisonReport) -> Self {
        Self {
            lengths: vec![Lengths::default(); report.systems.len()],
            report,
            pairs: BTreeMap::new(),
            votes: Vec::new(),
            examples: Examples::new(),
            suspect: 0,
            same: SameVerdict::default(),
        }
    }

    /// Counts a conversation.
    pub fn add(&mut self, compared: &Compared<'_>, prices: &BTreeMap<String, Price>) {
        let item = self.report.dataset.conversations.to_string();
        let dataset = &mut self.report.dataset;
        dataset.conversations += 1;
        dataset.turns += compared.questions.len() as u64;
        if let Some(category) = compared.category {
            *dataset.categories.entry(category.to_owned()).or_default() += 1;
        }
        self.add_systems(compared, prices);
        self.add_judge(compared.duels, prices);
        let mut pairs: Vec<(usize, usize)> = compared.duels.iter().map(|duel| (duel.first, duel.second)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        for pair in pairs {
            let duels: Vec<&Duel> = compared.duels.iter().filter(|duel| (duel.first, duel.second) == pair).collect();
            self.pairs.entry(pair).or_default().add(&duels, compared.category);
            self.add_votes(&item, compared, &duels);
        }
    }

    /// Counts what the systems' answers cost, how long they are and which are missing.
    fn add_systems(&mut self, compared: &Compared<'_>, prices: &BTreeMap<String, Price>) {
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
                self.lengths[at].letters += answer.chars().count() as f64;
                self.lengths[at].answers += 1;
            }
        }
    }

    fn add_judge(&mut self, duels: &[Duel], prices: &BTreeMap<String, Price>) {
        let judge = &mut self.report.judge;
        let price = prices.get(&judge.model);
        for duel in duels {
            let [one, other] = duel.orders;
            for placed in [one, other.map(Winner::turned)].into_iter().flatten() {
                self.same.add(match placed {
                    Winner::First => "A",
                    Winner::Second => "B",
                    Winner::Tie | Winner::Inconsistent => "C",
                });
            }
        }
        let readings = duels.iter().flat_map(|duel| duel.readings).flatten();
        readings.for_each(|reading| judge.replies.add(reading));
        for words in duels.iter().flat_map(|duel| &duel.words).flatten() {
            judge.cost.add(&words.usage, price);
            if !judge.reported.contains(&words.model) {
                judge.reported.push(words.model.clone());
            }
        }
    }

    /// Takes the verdicts on one pair in a conversation.
    fn add_votes(&mut self, item: &str, compared: &Compared<'_>, duels: &[&Duel]) {
        let scores: Vec<f64> = duels.iter().filter_map(|duel| duel.score()).collect();
        let gap = mean(&scores).map_or(0.0, |score| (score - 0.5).abs());
        for duel in duels {
            self.suspect += u64::from(duel.is_suspect && duel.repeat == 0);
            if let DuelEnd::Decided(winner) = duel.end {
                self.votes.push(self.report.vote(item, duel, winner));
                let names = [duel.first, duel.second].map(|system| self.report.systems[system].name.as_str());
                self.examples.add(compared, duel, winner, names, gap, self.report.history == "shared");
            }
        }
    }

    /// Returns half the width of the widest interval so far; infinite where no interval exists yet.
    pub fn half_width(&self) -> f64 {
        self.pairs.values().map(PairCount::half_width).reduce(f64::max).unwrap_or(f64::INFINITY)
    }

    /// Returns the report as far as it is known.
    pub fn report(&self) -> &ComparisonReport {
        &self.report
    }

    /// Ends the count, with the judge's verdicts on pairs whose outcome is known, where there are some.
    pub fn finish(self, controls: Option<ControlsReport>) -> ComparisonReport {
        let mut report = self.report;
        for (system, lengths) in report.systems.iter_mut().zip(&self.lengths) {
            system.mean_length = (lengths.answers > 0).then(|| lengths.letters / lengths.answers as f64);
        }
        let name = |system: usize| report.systems[system].name.as_str();
        let pairs = self.pairs.iter().map(|((a, b), count)| count.report(name(*a), name(*b)));
        report.pairs = pairs.collect();
        report.ranking = Ballot::of(&self.votes).systems();
        report.ranking.sort_by(|left, right| right.win_rate_adjusted.total_cmp(&left.win_rate_adjusted));
        let unparsed: u64 = report.pairs.iter().map(|pair| pair.unparsed).sum();
        let judged = unparsed + self.votes.len() as u64;
        report.judge.unparsed = unparsed;
        report.judge.unparsed_share = unparsed as f64 / judged.max(1) as f64;
        let open = self.pairs.values().map(PairCount::open).sum();
        report.incomplete.extend(verdict::why_incomplete(&report.judge, open, self.votes.len()));
        report.cautions.extend(self.same.caution(report.judge.prompt_example.as_deref()));
        report.controls = controls;
        verdict::settle(&mut report, self.suspect);
        report.examples = self.examples.finish();
        report
    }
}
