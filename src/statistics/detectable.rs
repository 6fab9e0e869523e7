/// The quantiles for a two-sided test at 5 % and a power of 80 %: 1.96 + 0.84.
const POWER: f64 = 2.801_585_218_112_969;

/// Returns the smallest effect that N conversations detect with a power of 80 % (two-sided, 5 %), given the standard
/// deviation of their means.
pub fn detectable_effect(deviation: f64, conversations: usize) -> f64 {
    POWER * deviation / (conversations as f64).sqrt()
}

/// Returns the number of conversations that detect an effect of this size with a power of 80 %.
pub fn sample_size(deviation: f64, effect: f64) -> u64 {
    (POWER * deviation / effect).powi(2).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_the_inverse_of_the_other() {
        // (1.96 + 0.84)² · 0.3² / 0.1² = 70.6
        assert_eq!([0.1, 0.05, 0.03].map(|effect| sample_size(0.3, effect)), [71, 283, 785]);
        assert!((detectable_effect(0.3, 283) - 0.05).abs() < 1e-4);
    }
}
