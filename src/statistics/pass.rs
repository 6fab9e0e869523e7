/// Returns pass^k, the probability that `k` trials of a task all pass, averaged over tasks (τ-bench, arXiv 2406.12045,
/// section 4): the mean of `C(passed, k) / C(trials, k)`. Tasks with fewer than `k` trials are ignored. `None` where none
/// is left.
pub fn pass_hat_k(tasks: &[(u64, u64)], k: u64) -> Option<f64> {
    let shares = tasks.iter().filter(|(_, trials)| *trials >= k).map(|(passed, trials)| {
        // C(c, k) / C(n, k) = Π (c − i) / (n − i)
        (0..k).map(|i| passed.saturating_sub(i) as f64 / (trials - i) as f64).product()
    });
    super::mean(&shares.collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_must_pass() {
        assert_eq!(pass_hat_k(&[(2, 4), (4, 4)], 1), Some(0.75));
        assert!((pass_hat_k(&[(2, 4), (4, 4)], 2).unwrap() - f64::midpoint(1.0 / 6.0, 1.0)).abs() < 1e-12);
        assert_eq!(pass_hat_k(&[(2, 4)], 3), Some(0.0));
        assert_eq!(pass_hat_k(&[(2, 2)], 3), None);
    }
}
