//! The length-controlled win rate of `AlpacaEval` 2 (Dubois et al., arXiv 2404.04475), its model `length_controlled_v1`.

use std::collections::BTreeMap;

use super::{mean, standard_deviation};

/// What `AlpacaEval` knows beforehand: how difficult each instruction is, and the judgments of two systems that are longer or
/// shorter than the baseline on purpose, which keep the fit in place.
#[derive(Clone, Debug, Default)]
pub struct LengthBaseline {
    rows: Vec<Judged>,
    difficulties: BTreeMap<u64, f64>,
}

/// One judged answer, as the model sees it.
#[derive(Clone, Copy, Debug)]
struct Judged {
    share: f64,
    weight: f64,
    /// Squashed difference of the lengths, difficulty, and 1 for the system that is measured.
    features: Features,
}

const FEATURES: usize = 3;
type Features = [f64; FEATURES];

/// The rows of both systems together weigh a fifth of those of the system that is measured.
const BASELINE_WEIGHT: f64 = 0.2 / 2.0;
/// Strengths of the penalty that are tried: ten from 10⁻⁴ to 10⁴, evenly in their logarithms.
const STRENGTHS: i32 = 10;
const FOLDS: usize = 5;

impl LengthBaseline {
    /// Adds a row of the file: the number of the instruction, its difficulty, the system's share of one point, and the
    /// difference of the lengths in standard deviations, the baseline's minus the system's.
    pub fn add(&mut self, instruction: u64, difficulty: f64, share: f64, difference: f64) {
        self.difficulties.entry(instruction).or_insert(difficulty);
        self.rows.push(Judged { share, weight: BASELINE_WEIGHT, features: [difference.tanh(), difficulty, 0.0] });
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the win rate of a system at equal length. Each row is one instruction, in the order of their numbers: the system's
    /// share of one point, where there is a verdict, and the baseline's length minus the system's. `None` where an
    /// instruction has no difficulty, or all differences are equal.
    pub fn win_rate(&self, rows: &[(Option<f64>, f64)]) -> Option<f64> {
        let differences: Vec<f64> = rows.iter().map(|(_, difference)| *difference).collect();
        let deviation = standard_deviation(&differences).filter(|deviation| *deviation > 0.0)?;
        let difficulties: Option<Vec<f64>> =
            (0..rows.len() as u64).map(|number| self.difficulties.get(&number).copied()).collect();
        let difficulties = difficulties?;
        let own = rows.iter().zip(&difficulties).filter_map(|((share, difference), difficulty)| {
            let features = [(difference / deviation).tanh(), *difficulty, 1.0];
            share.map(|share| Judged { share, weight: 1.0, features })
        });
        let all: Vec<Judged> = self.rows.iter().copied().chain(own).collect();
        let weights = fit(&all, best_strength(&all));
        let expected: Vec<f64> =
            difficulties.iter().map(|difficulty| likely(&weights, &[0.0, *difficulty, 1.0])).collect();
        mean(&expected).filter(|rate| rate.is_finite())
    }
}

/// Returns the strength whose fits predict the folds best that were left out. Rows are dealt to the folds from the last one on.
fn best_strength(rows: &[Judged]) -> f64 {
    let fold_of = |at: usize| (rows.len() - 1 - at) % FOLDS;
    let strength = |step: i32| 10f64.powf(-4.0 + 8.0 * f64::from(step) / f64::from(STRENGTHS - 1));
    let loss = |strength: f64| {
        let of_fold = |fold: usize| {
            let part = |is_left_out: bool| -> Vec<Judged> {
                let rows = rows.iter().enumerate().filter(|(at, _)| (fold_of(*at) == fold) == is_left_out);
                rows.map(|(_, row)| *row).collect()
            };
            let (weights, left_out) = (fit(&part(false), strength), part(true));
            left_out.iter().map(|row| row.loss(&weights)).sum::<f64>() / left_out.len().max(1) as f64
        };
        (0..FOLDS).map(of_fold).sum::<f64>()
    };
    let losses = (0..STRENGTHS).map(|step| (loss(strength(step)), strength(step)));
    // Of equal ones the first.
    losses.min_by(|left, right| left.0.total_cmp(&right.0)).map_or(1.0, |(_, strength)| strength)
}

/// Fits the weights: the logistic loss times `strength`, and the sum of the weights' sizes as penalty, by Newton steps along one
/// weight after the other (Yuan et al., JMLR 11, 2010).
fn fit(rows: &[Judged], strength: f64) -> Features {
    const SWEEPS_MAX: usize = 1_000;
    const CHANGE_MIN: f64 = 1e-9;
    let mut weights = [0.0; FEATURES];
    let cost = |weights: &Features| {
        let penalty: f64 = weights.iter().map(|weight| weight.abs()).sum();
        penalty + strength * rows.iter().map(|row| row.loss(weights)).sum::<f64>()
    };
    let mut lowest = cost(&weights);
    for _ in 0..SWEEPS_MAX {
        let mut change = 0.0f64;
        for at in 0..FEATURES {
            let mut step = newton_step(rows, strength, &weights, at);
            // A step that is too long is halved.
            for _ in 0..40 {
                let mut next = weights;
                next[at] += step;
                let reached = cost(&next);
                if reached <= lowest {
                    (weights, lowest, change) = (next, reached, change.max(step.abs()));
                    break;
                }
                step /= 2.0;
            }
        }
        if change < CHANGE_MIN {
            break;
        }
    }
    weights
}

fn newton_step(rows: &[Judged], strength: f64, weights: &Features, at: usize) -> f64 {
    // A curvature of nothing at all would make an endless step.
    let (mut slope, mut curve) = (0.0, 1e-12);
    for row in rows {
        let (expected, x) = (likely(weights, &row.features), row.features[at]);
        slope += strength * row.weight * (expected - row.share) * x;
        curve += strength * row.weight * expected * (1.0 - expected) * x * x;
    }
    if slope + 1.0 <= curve * weights[at] {
        -(slope + 1.0) / curve
    } else if slope - 1.0 >= curve * weights[at] {
        -(slope - 1.0) / curve
    } else {
        -weights[at]
    }
}

impl Judged {
    fn loss(&self, weights: &Features) -> f64 {
        let z = dot(weights, &self.features);
        // -ln of a logistic function, without overflow.
        let minus_ln = |z: f64| (-z.abs()).exp().ln_1p() + (-z).max(0.0);
        self.weight * (self.share * minus_ln(z) + (1.0 - self.share) * minus_ln(-z))
    }
}

fn likely(weights: &Features, features: &Features) -> f64 {
    1.0 / (1.0 + (-dot(weights, features)).exp())
}

fn dot(weights: &Features, features: &Features) -> f64 {
    weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system that is longer and worse than it looks, over `count` instructions, and two systems that play with the length.
    fn judged(count: u64) -> (LengthBaseline, Vec<(Option<f64>, f64)>) {
        let drawn = |number: u64, salt: u64| ((number * 7_919 + salt * 104_729) % 1_009) as f64 / 1_009.0;
        let logistic = |z: f64| 1.0 / (1.0 + (-z).exp());
        let difficulty = |number: u64| 2.0 * drawn(number, 1) - 1.0;
        let mut baseline = LengthBaseline::default();
        for (salt, shift) in [(2, 1.5), (3, -1.5)] {
            for number in 0..count {
                let difference = shift + drawn(number, salt) - 0.5;
                let share = logistic(-1.2 * difference.tanh() + drawn(number, salt + 10) - 0.5);
                baseline.add(number, difficulty(number), share, difference);
            }
        }
        let rows = (0..count).map(|number| {
            let difference = -800.0 + 1_500.0 * (drawn(number, 4) - 0.5);
            let z =
                -1.5 * (difference / 500.0).tanh() + 0.7 * difficulty(number) - 1.0 + 3.0 * (drawn(number, 5) - 0.5);
            ((number % 50 != 7).then(|| logistic(z)), difference)
        });
        (baseline, rows.collect())
    }

    #[test]
    fn the_original_gives_the_same() {
        // alpaca_eval's `get_length_controlled_winrate` with scikit-learn, on the same numbers. Its solver stops at 10⁻⁴.
        let (baseline, rows) = judged(200);
        let found = baseline.win_rate(&rows).unwrap();
        assert!((found - 0.360_882).abs() < 2e-4, "{found}");
    }

    #[test]
    fn an_instruction_without_a_difficulty_has_no_rate() {
        let (baseline, mut rows) = judged(20);
        assert!(baseline.win_rate(&rows).is_some());
        rows.push((Some(1.0), 5.0));
        assert_eq!(baseline.win_rate(&rows), None);
        assert_eq!(baseline.win_rate(&[(Some(1.0), 5.0), (Some(0.0), 5.0)]), None, "all lengths are equal");
    }
}
