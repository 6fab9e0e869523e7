//! Confidence intervals, significance tests, agreement and rankings.
//!
//! Everything here is pure and deterministic. Random methods (bootstrap, permutations) use a fixed seed, so the same
//! verdicts always produce the same report. The unit of resampling is the conversation: votes on the turns of one
//! conversation are not independent, and intervals that treat them as independent are too narrow.

mod alpaca_eval;
mod alpha;
mod binomial;
mod bradley_terry;
mod conversations;
mod correlation;
mod detectable;
mod holm;
mod kappa;
mod length;
mod pass;
mod permutation;
mod proportion;
mod random;

pub use alpaca_eval::LengthBaseline;
pub use alpha::krippendorff_alpha;
pub use binomial::{mcnemar, sign_test};
pub use bradley_terry::{Match, Ranking, bradley_terry};
pub use conversations::{BOOTSTRAP_DRAWS, Conversations};
pub use correlation::Correlation;
pub use detectable::{detectable_effect, sample_size};
pub use holm::holm;
pub use kappa::cohen_kappa;
pub use length::{LengthControlled, length_controlled};
pub use pass::pass_hat_k;
pub use permutation::sign_flip;
pub use proportion::wilson;
pub use random::Random;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// True where the interval contains `value`.
    pub fn covers(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Returns half the width.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Returns the interval with both ends moved by `shift`.
    #[must_use]
    pub fn moved(self, shift: f64) -> Self {
        Self { low: self.low + shift, high: self.high + shift }
    }
}

/// The standard normal quantile of 0.975.
pub(crate) const Z_95: f64 = 1.959_963_984_540_054;

/// Returns the arithmetic mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the sample standard deviation (n − 1); `None` for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
