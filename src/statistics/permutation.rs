use super::random::Random;

/// Random sign patterns where there are too many to enumerate.
const PATTERNS: usize = 10_000;
/// The patterns of at most this many differences are enumerated: 4,096.
const ALL_MAX: usize = 12;
const SEED: u64 = 0x7065_726d_7574_6521;

/// Returns the two-sided p-value of a sign-flip permutation test on paired differences (Fisher, "The design of
/// experiments", 1935, section 21): the share of sign patterns whose sum is at least as far from 0 as the observed one. All
/// patterns are enumerated for few differences. Otherwise 10,000 are drawn from a fixed seed, and the observed one is
/// counted among them (Phipson and Smyth, 2010).
pub fn sign_flip(differences: &[f64]) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in a different order differ in their last digits.
    let reaches = |sum: f64| sum.abs() >= observed - 1e-9 * observed.max(1e-12);
    if differences.len() <= ALL_MAX {
        let patterns = 1u32 << differences.len();
        let sum = |pattern: u32| signed_sum(differences, |at| pattern >> at & 1 == 1);
        return (0..patterns).filter(|pattern| reaches(sum(*pattern))).count() as f64 / f64::from(patterns);
    }
    let mut random = Random::new(SEED);
    let mut bits = 0;
    let as_extreme = (0..PATTERNS).filter(|_| {
        let flips = |at: usize| {
            if at.is_multiple_of(64) {
                bits = random.bits();
            }
            bits >> (at % 64) & 1 == 1
        };
        reaches(signed_sum(differences, flips))
    });
    (as_extreme.count() + 1) as f64 / (PATTERNS + 1) as f64
}

fn signed_sum(differences: &[f64], mut is_flipped: impl FnMut(usize) -> bool) -> f64 {
    differences.iter().enumerate().map(|(at, difference)| if is_flipped(at) { -difference } else { *difference }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_differences_are_exact() {
        assert!((sign_flip(&[1.0, 1.0, 1.0, 1.0, 1.0]) - 2.0 / 32.0).abs() < 1e-12);
        assert!((sign_flip(&[]) - 1.0).abs() < 1e-12);
        // Darwin's maize (Fisher 1935, section 21): 863 + 863 of 32,768 patterns.
        let darwin = [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];
        assert!((sign_flip(&darwin) - 1726.0 / 32768.0).abs() < 0.006, "{}", sign_flip(&darwin));
    }

    #[test]
    fn under_the_null_hypothesis_it_rejects_one_in_20() {
        let mut random = Random::new(3);
        let rejected = (0..400).filter(|_| {
            let differences: Vec<f64> = (0..40).map(|_| random.fraction() - 0.5).collect();
            sign_flip(&differences) < 0.05
        });
        let count = rejected.count();
        assert!((8..=34).contains(&count), "{count} of 400");
    }
}
