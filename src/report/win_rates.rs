//! Win rates as `AlpacaEval` counts them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::conversation::Preference;
use crate::statistics::{LengthBaseline, LengthControlled, length_controlled, mean, standard_deviation};

/// A system's win rate against a baseline. All rates are shares, 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub struct WinRateReport {
    /// Who judges.
    pub judge: String,
    /// The system.
    pub system: String,
    /// The system that it is measured by.
    pub baseline: String,
    /// Preferences.
    pub count: u64,
    /// Rows without a verdict.
    pub unparsed: u64,
    /// The mean of the preferences.
    pub win_rate: f64,
    /// Its standard error.
    pub error: Option<f64>,
    /// The same with each preference taken for a win, a loss or a draw.
    pub discrete_win_rate: f64,
    /// Preferences for the system.
    pub wins: u64,
    /// Those for the baseline.
    pub losses: u64,
    /// Those for neither.
    pub draws: u64,
    /// The win rate at equal length, where the answers are there.
    pub length_controlled: Option<LengthControlledRate>,
}

/// A win rate at equal length.
#[derive(Clone, Debug, Serialize)]
pub struct LengthControlledRate {
    /// The share, 0 to 1.
    pub win_rate: f64,
    /// Which one it is.
    pub method: LengthMethod,
}

/// How a win rate at equal length is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthMethod {
    /// The length term of `AlpacaEval`'s model alone: no difficulties of instructions, and no penalty.
    LengthTerm,
    /// `AlpacaEval`'s `length_controlled_v1`, with the file of `--lc-baseline`.
    AlpacaEval,
}

impl WinRateReport {
    /// Counts preferences by judge, system and baseline. The rows of one of these are numbered as they come, as `AlpacaEval`
    /// numbers its instructions.
    pub fn of(preferences: &[Preference], baseline: Option<&LengthBaseline>) -> Vec<Self> {
        let mut groups: BTreeMap<(&str, &str, &str), Vec<&Preference>> = BTreeMap::new();
        for preference in preferences {
            let key = (preference.judge.as_str(), preference.baseline.as_str(), preference.system.as_str());
            groups.entry(key).or_default().push(preference);
        }
        let mut all: Vec<Self> = groups.into_values().filter_map(|group| Self::of_group(&group, baseline)).collect();
        all.sort_by(|left, right| right.win_rate.total_cmp(&left.win_rate));
        all
    }

    fn of_group(group: &[&Preference], baseline: Option<&LengthBaseline>) -> Option<Self> {
        let shares: Vec<f64> = group.iter().filter_map(|preference| preference.share).collect();
        let count = |keep: fn(&f64) -> bool| shares.iter().filter(|share| keep(share)).count() as u64;
        let (wins, losses) = (count(|share| *share > 0.5), count(|share| *share < 0.5));
        let draws = shares.len() as u64 - wins - losses;
        let total = shares.len() as f64;
        let first = group.first()?;
        Some(Self {
            judge: first.judge.clone(),
            system: first.system.clone(),
            baseline: first.baseline.clone(),
            count: shares.len() as u64,
            unparsed: (group.len() - shares.len()) as u64,
            win_rate: mean(&shares)?,
            error: standard_deviation(&shares).map(|deviation| deviation / total.sqrt()),
            discrete_win_rate: (wins as f64 + draws as f64 / 2.0) / total,
            wins,
            losses,
            draws,
            length_controlled: LengthControlledRate::of(group, baseline),
        })
    }

    /// Returns the report as lines for a terminal.
    pub fn lines(reports: &[Self]) -> Vec<String> {
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let mut lines = vec![format!(
            "{:<44}{:>6}{:>11}{:>8}{:>11}{:>20}",
            "win rate", "n", "mean", "error", "discrete", "length-controlled"
        )];
        for report in reports {
            let error = report.error.map_or(String::new(), |error| format!("{:.2}", error * 100.0));
            let equal = report.length_controlled.as_ref().map_or("-".to_owned(), |rate| percent(rate.win_rate));
            lines.push(format!(
                "{:<44}{:>6}{:>11}{error:>8}{:>11}{equal:>20}",
                format!("{} against {}", report.system, report.baseline),
                report.count,
                percent(report.win_rate),
                percent(report.discrete_win_rate),
            ));
        }
        let shown = reports.iter().find_map(|report| report.length_controlled.as_ref());
        lines.extend(shown.map(|rate| rate.method.words().to_owned()));
        lines
    }
}

impl LengthMethod {
    fn words(self) -> &'static str {
        match self {
            Self::LengthTerm => {
                "length-controlled: this program's estimate, by the length term alone; AlpacaEval's own needs --lc-baseline"
            }
            Self::AlpacaEval => "length-controlled: AlpacaEval's length_controlled_v1, with the file of --lc-baseline",
        }
    }
}

impl LengthControlledRate {
    fn of(group: &[&Preference], baseline: Option<&LengthBaseline>) -> Option<Self> {
        let difference = |lengths: [usize; 2]| lengths[1] as f64 - lengths[0] as f64;
        let Some(baseline) = baseline else {
            let votes = group.iter().filter_map(|row| row.share.zip(row.lengths.map(difference)));
            let LengthControlled { score, .. } = length_controlled(&votes.collect::<Vec<_>>())?;
            return Some(Self { win_rate: score, method: LengthMethod::LengthTerm });
        };
        let rows: Option<Vec<(Option<f64>, f64)>> =
            group.iter().map(|row| Some((row.share, -difference(row.lengths?)))).collect();
        let win_rate = baseline.win_rate(&rows?)?;
        Some(Self { win_rate, method: LengthMethod::AlpacaEval })
    }
}
