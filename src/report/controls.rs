//! What a judge makes of answers that are known to be right or wrong, and whether its verdicts can be used.

use std::collections::BTreeMap;

use serde::Serialize;

use super::votes::ConversationScores;
use super::words::number;
use crate::statistics::{Conversations, Interval, wilson};

/// The share of decided pairs that a judge must get right.
const RIGHT_SHARE_MIN: f64 = 0.9;
/// The share of pairs that a judge must decide; of answers one of which is plainly wrong.
const DECIDED_SHARE_MIN: f64 = 0.5;

/// The verdict of a report whose judge has failed its controls.
pub const NOT_RELIABLE: &str = "judge not reliable";

/// A judge's verdicts on answers that are known to be right or wrong.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ControlsReport {
    /// A right answer and a wrong one.
    pub known: ControlReport,
    /// The same answer twice: the share of verdicts for the first place. `None` for marks.
    pub same: Option<ControlReport>,
    /// A right answer, and one to another question. `None` for marks.
    pub shuffled: Option<ControlReport>,
    /// Why the judge's verdicts cannot be used; empty where they can.
    pub failed: Vec<String>,
    /// The judge is the built-in model: its verdicts mean nothing, and nothing is withheld because of them.
    pub is_exempt: bool,
}

/// One control.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ControlReport {
    /// Pairs.
    pub conversations: u64,
    /// Pairs that the judge decided: the same way in both orders, and no tie. 0 for the same answer twice.
    pub decided: u64,
    /// Those that it decided rightly.
    pub right: u64,
    /// Their share of the decided ones.
    pub right_share: Option<f64>,
    /// Wilson's interval of that.
    pub right_interval: Option<Interval>,
    /// The same by language, where the pairs have one: right ones and decided ones.
    pub languages: BTreeMap<&'static str, (u64, u64)>,
    /// For the same answer twice: how often the first place is preferred.
    pub score: Option<ConversationScores>,
    /// The control has the expected outcome.
    pub passes: bool,
    /// The expected outcome.
    pub expected: String,
}

/// A judge's verdict on a pair of which one answer is right.
#[derive(Clone, Copy, Debug)]
pub struct KnownVerdict {
    /// The code of its language; empty without one.
    pub language: &'static str,
    /// Whether the right answer won; `None` where no answer did.
    pub is_right: Option<bool>,
}

impl ControlsReport {
    /// Returns the result of these controls.
    pub fn of(known: ControlReport, same: Option<ControlReport>, shuffled: Option<ControlReport>) -> Self {
        let mut failed = Vec::new();
        let named = [
            (Some(&known), "known answers"),
            (same.as_ref(), "the same answer twice"),
            (shuffled.as_ref(), "shuffled answers"),
        ];
        for (control, name) in named {
            let missed = control.filter(|control| !control.passes);
            failed.extend(missed.map(|control| format!("the control with {name} failed: {}", control.outcome())));
        }
        Self { known, same, shuffled, failed, is_exempt: false }
    }

    /// Marks them as those of the built-in model.
    #[must_use]
    pub fn exempt_if(mut self, is_simulated: bool) -> Self {
        self.is_exempt = is_simulated;
        self
    }

    /// True where the judge's verdicts are not used.
    pub fn forbids_verdict(&self) -> bool {
        !self.is_exempt && !self.failed.is_empty()
    }

    /// Returns what readers must know before the figures.
    pub fn cautions(&self) -> Vec<String> {
        if self.is_exempt { Vec::new() } else { self.failed.clone() }
    }

    /// Returns each control with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &ControlReport)> {
        let others = [("same answer twice", self.same.as_ref()), ("shuffled answers", self.shuffled.as_ref())];
        let others = others.into_iter().filter_map(|(name, control)| Some((name, control?)));
        [("known answers", &self.known)].into_iter().chain(others)
    }

    /// Returns the lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let line = |(name, control): (&str, &ControlReport)| {
            let passes = match control.passes {
                true => "as it should be",
                false if self.is_exempt => "a simulated judge is exempt",
                false => "NOT as it should be",
            };
            format!("control: {name:<18} {} ({passes}: {})", control.outcome(), control.expected)
        };
        self.named().map(line).collect()
    }
}

impl ControlReport {
    /// Returns the result of a control with pairs of which one answer is right.
    pub fn known(verdicts: &[KnownVerdict], expected: &str) -> Self {
        let mut report =
            Self { conversations: verdicts.len() as u64, expected: expected.to_owned(), ..Self::default() };
        for verdict in verdicts {
            let Some(is_right) = verdict.is_right else { continue };
            report.decided += 1;
            report.right += u64::from(is_right);
            if !verdict.language.is_empty() {
                let (right, decided) = report.languages.entry(verdict.language).or_default();
                *right += u64::from(is_right);
                *decided += 1;
            }
        }
        report.right_share = (report.decided > 0).then(|| report.right as f64 / report.decided as f64);
        report.right_interval = wilson(report.right, report.decided);
        let decides = report.decided as f64 >= DECIDED_SHARE_MIN * report.conversations as f64;
        report.passes = decides && report.right_share.is_some_and(|share| share >= RIGHT_SHARE_MIN);
        report
    }

    /// Returns the result of a control with the same answer twice: for each pair, how often the first place is preferred.
    pub fn same(first_places: &Conversations) -> Self {
        let score = ConversationScores::of(first_places);
        Self {
            conversations: score.count,
            passes: score.interval.is_some_and(|interval| interval.covers(0.5)),
            score: Some(score),
            expected: "the interval of the first place's share covers 50 %".to_owned(),
            ..Self::default()
        }
    }

    /// Returns the outcome in words.
    pub fn outcome(&self) -> String {
        match &self.score {
            Some(score) => format!("the first place gets {}", score.words()),
            None => {
                let share = self.right_share.map_or(String::new(), |share| format!(" ({:.0} %)", share * 100.0));
                let (right, decided) = (number(self.right), number(self.decided));
                format!(
                    "{right} of {decided} decided pairs right{share}, {} undecided",
                    self.conversations - self.decided
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(right: u64, wrong: u64, undecided: u64) -> ControlReport {
        let of = |count: u64, is_right| (0..count).map(move |_| KnownVerdict { language: "en", is_right });
        let verdicts: Vec<KnownVerdict> =
            of(right, Some(true)).chain(of(wrong, Some(false))).chain(of(undecided, None)).collect();
        ControlReport::known(&verdicts, "90 %")
    }

    #[test]
    fn nine_in_ten_of_the_decided_pairs_must_be_right_and_half_of_all_decided() {
        for (right, wrong, undecided, passes) in [
            (48, 0, 0, true),
            (44, 4, 0, true),
            (43, 5, 0, false),
            (24, 0, 24, true),
            (23, 0, 25, false),
            (0, 0, 48, false),
        ] {
            let report = known(right, wrong, undecided);
            assert_eq!(report.passes, passes, "{}", report.outcome());
        }
        assert_eq!(known(43, 5, 2).outcome(), "43 of 48 decided pairs right (90 %), 2 undecided");
        assert_eq!(known(9, 1, 0).languages["en"], (9, 10));
    }

    #[test]
    fn a_judge_that_prefers_a_place_between_equal_answers_fails() {
        let scores = |first: usize, second: usize, ties: usize| {
            let mut scores = Conversations::default();
            (0..first).for_each(|_| scores.push([1.0, 1.0]));
            (0..second).for_each(|_| scores.push([0.0, 0.0]));
            (0..ties).for_each(|_| scores.push([0.5, 0.5]));
            ControlReport::same(&scores)
        };
        assert!(scores(0, 0, 24).passes && scores(12, 12, 0).passes && scores(2, 1, 21).passes);
        assert!(!scores(24, 0, 0).passes && !scores(0, 20, 4).passes && !scores(0, 0, 0).passes);
        let controls = ControlsReport::of(known(48, 0, 0), Some(scores(24, 0, 0)), None);
        assert!(controls.forbids_verdict() && controls.failed.len() == 1, "{:?}", controls.failed);
        assert!(!controls.exempt_if(true).forbids_verdict());
    }
}
