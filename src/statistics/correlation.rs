use std::cmp::Ordering;

/// How far two lists of numbers go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Correlation {
    /// Pairs of numbers.
    pub count: u64,
    /// Pearson's r: how nearly they lie on a line.
    pub pearson: Option<f64>,
    /// Spearman's rho: Pearson's r of the ranks; equal numbers share the mean of their ranks.
    pub spearman: Option<f64>,
    /// Kendall's tau-b (Biometrika 33, 1945): how much more often two pairs are in the same order than in opposite ones,
    /// corrected for ties.
    pub kendall: Option<f64>,
}

impl Correlation {
    /// Correlates pairs of finite numbers. A coefficient is `None` for fewer than two pairs, and where all numbers of a side
    /// are equal.
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let ranks = |side: fn(&(f64, f64)) -> f64| ranks(&pairs.iter().map(side).collect::<Vec<_>>());
        let ranked: Vec<(f64, f64)> = ranks(|pair| pair.0).into_iter().zip(ranks(|pair| pair.1)).collect();
        Self {
            count: pairs.len() as u64,
            pearson: pearson(pairs),
            spearman: pearson(&ranked),
            kendall: kendall(&ranked),
        }
    }
}

fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let mean = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (x, y) = (x - x_mean, y - y_mean);
        (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
    }
    let product: f64 = xx * yy;
    (pairs.len() > 1 && product > 0.0 && product.is_finite()).then(|| (xy / product.sqrt()).clamp(-1.0, 1.0))
}

/// True of numbers without any difference: only those share a rank.
fn is_equal(left: f64, right: f64) -> bool {
    left.partial_cmp(&right) == Some(Ordering::Equal)
}

/// Returns each number's rank, from 1; equal numbers have the mean of their ranks.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|left, right| numbers[*left].total_cmp(&numbers[*right]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut begin = 0;
    for group in order.chunk_by(|left, right| is_equal(numbers[*left], numbers[*right])) {
        let rank = begin as f64 + (group.len() + 1) as f64 / 2.0;
        for at in group {
            ranks[*at] = rank;
        }
        begin += group.len();
    }
    ranks
}

/// Returns tau-b by Knight's method (JASA 61, 1966), in n log n steps.
fn kendall(pairs: &[(f64, f64)]) -> Option<f64> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
    let pairs_in = |count: usize| (count as u64) * (count as u64).saturating_sub(1) / 2;
    let tied_first: u64 =
        sorted.chunk_by(|left, right| is_equal(left.0, right.0)).map(|group| pairs_in(group.len())).sum();
    let tied_both: u64 = sorted.chunk_by(|left, right| left == right).map(|group| pairs_in(group.len())).sum();
    let mut second: Vec<f64> = sorted.into_iter().map(|pair| pair.1).collect();
    let opposite = sort_and_count(&mut second);
    let tied_second: u64 =
        second.chunk_by(|left, right| is_equal(*left, *right)).map(|group| pairs_in(group.len())).sum();
    let all = pairs_in(pairs.len());
    let (first, second) = (all - tied_first, all - tied_second);
    // In the same order are all that are neither tied nor in opposite order.
    let surplus = (all + tied_both) as f64 - (tied_first + tied_second) as f64 - 2.0 * opposite as f64;
    (first > 0 && second > 0).then(|| (surplus / (first as f64).sqrt() / (second as f64).sqrt()).clamp(-1.0, 1.0))
}

/// Sorts by merging, and returns how many pairs were in descending order.
fn sort_and_count(numbers: &mut Vec<f64>) -> u64 {
    let (mut from, mut to, mut descending) = (std::mem::take(numbers), Vec::new(), 0);
    let mut width = 1;
    while width < from.len() {
        to.clear();
        for run in from.chunks(2 * width) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            while let (Some(first), Some(second)) = (left.first(), right.first()) {
                if second < first {
                    descending += left.len() as u64;
                    to.push(*second);
                    right = &right[1..];
                } else {
                    to.push(*first);
                    left = &left[1..];
                }
            }
            to.extend_from_slice(left);
            to.extend_from_slice(right);
        }
        std::mem::swap(&mut from, &mut to);
        width *= 2;
    }
    *numbers = from;
    descending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_independent_implementation_gives_the_same() {
        // scipy 1.17: pearsonr, spearmanr, kendalltau.
        let pairs = [(1.0, 2.0), (2.0, 1.0), (2.0, 3.0), (3.0, 3.0), (5.0, 9.0), (8.0, 4.0), (8.0, 4.0), (9.5, 20.0)];
        let found = Correlation::of(&pairs);
        let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(near(found.pearson, EXPECTED[0]), "{found:?}");
        assert!(near(found.spearman, EXPECTED[1]), "{found:?}");
        assert!(near(found.kendall, EXPECTED[2]), "{found:?}");
    }

    const EXPECTED: [f64; 3] = [0.672_801_730_299_705_4, 0.871_951_219_512_195_2, 0.730_769_230_769_230_8];

    #[test]
    fn nothing_is_said_of_constant_numbers() {
        let none = Correlation { count: 3, ..Correlation::default() };
        assert_eq!(Correlation::of(&[(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]), none);
        assert_eq!(Correlation::of(&[]), Correlation::default());
        let line = Correlation::of(&[(1.0, -2.0), (3.0, -6.0), (2.0, -4.0)]);
        assert_eq!((line.pearson, line.spearman, line.kendall), (Some(-1.0), Some(-1.0), Some(-1.0)));
    }

    proptest::proptest! {
        #[test]
        fn tau_is_what_counting_all_pairs_gives(numbers in proptest::collection::vec((0u8..6, 0u8..6), 2..40)) {
            let pairs: Vec<(f64, f64)> = numbers.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
            let (mut surplus, mut first, mut second) = (0.0, 0.0f64, 0.0f64);
            for (at, (x, y)) in pairs.iter().enumerate() {
                for (other_x, other_y) in &pairs[at + 1..] {
                    let sign = |difference: f64| if difference == 0.0 { 0.0 } else { difference.signum() };
                    let (dx, dy) = (sign(x - other_x), sign(y - other_y));
                    (surplus, first, second) = (surplus + dx * dy, first + dx * dx, second + dy * dy);
                }
            }
            let plain = (first * second > 0.0).then(|| surplus / (first * second).sqrt());
            let found = Correlation::of(&pairs).kendall;
            proptest::prop_assert!(found.is_some() == plain.is_some());
            proptest::prop_assert!((found.unwrap_or(0.0) - plain.unwrap_or(0.0)).abs() < 1e-12);
        }
    }
}
