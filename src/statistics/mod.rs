//! Intervals, tests, agreement and rankings: numbers in, numbers out.
//!
//! Everything here is pure and deterministic: what is random (bootstrap, permutations) runs on a fixed seed, so that the
//! same verdicts always make the same report. The unit of resampling is the conversation: votes on the turns of one
//! conversation are not independent, and intervals that treat them so are too narrow.

mod alpha;
mod binomial;
mod bradley_terry;
mod conversations;
mod detectable;
mod holm;
mod kappa;
mod length;
mod pass;
mod permutation;
mod proportion;
mod random;

pub use alpha::krippendorff_alpha;
pub use binomial::{mcnemar, sign_test};
pub use bradley_terry::{Match, Ranking, bradley_terry};
pub use conversations::{BOOTSTRAP_DRAWS, Conversations};
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
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// True where `value` lies in it.
    pub fn covers(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Returns half its width.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Returns it with both ends moved by `shift`.
    #[must_use]
    pub fn moved(self, shift: f64) -> Self {
        Self { low: self.low + shift, high: self.high + shift }
    }
}

/// The standard normal quantile of 0.975.
pub(crate) const Z_95: f64 = 1.959_963_984_540_054;

/// Returns the arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the standard deviation of a sample, with n − 1; `None` of fewer than two.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
