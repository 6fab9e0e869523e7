/// Returns the exact two-sided p-value of a sign test: the probability of an at least equally uneven split where wins and
/// losses are equally likely (Conover, "Practical nonparametric statistics", 3.4). The caller excludes ties.
pub fn sign_test(wins: u64, losses: u64) -> f64 {
    let (total, fewer) = (wins + losses, wins.min(losses));
    // A sum of plain terms would underflow; logarithms do not.
    let mut log_term = -(total as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    let mut log_tail_offset = 0.0;
    if tail == 0.0 {
        // Beyond 1,074 trials the first term underflows, so it is carried as an offset.
        log_tail_offset = log_term;
        log_term = 0.0;
        tail = 1.0;
    }
    for hits in 0..fewer {
        log_term += ((total - hits) as f64).ln() - ((hits + 1) as f64).ln();
        let term = log_term.exp();
        if term.is_infinite() || tail > 1e300 {
            log_tail_offset += log_term;
            tail = tail * (-log_term).exp() + 1.0;
            log_term = 0.0;
        } else {
            tail += term;
        }
    }
    (2.0 * (tail.ln() + log_tail_offset).exp()).min(1.0)
}

/// Returns the exact two-sided p-value of `McNemar`'s test (Psychometrika 12, 1947). `only_a` and `only_b` count the cases
/// in which only that side passes.
pub fn mcnemar(only_a: u64, only_b: u64) -> f64 {
    sign_test(only_a, only_b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        assert!((sign_test(5, 0) - 2.0 / 32.0).abs() < 1e-15);
        assert!((sign_test(0, 0) - 1.0).abs() < 1e-15);
        assert!((sign_test(3, 3) - 1.0).abs() < 1e-12);
        // 2 · (1 + 10 + 45) / 2^10
        assert!((sign_test(8, 2) - 112.0 / 1024.0).abs() < 1e-14);
        assert!((mcnemar(15, 6) - sign_test(6, 15)).abs() < 1e-15);
    }

    #[test]
    fn large_counts_stay_exact() {
        // The normal approximation with continuity correction is good to a percent here.
        let p = sign_test(5200, 4800);
        assert!((p - 6.5e-5).abs() < 0.3e-5, "{p}");
        assert!((sign_test(500_000, 500_000) - 1.0).abs() < 1e-6);
        assert!(sign_test(3000, 0) < 1e-300);
    }
}
