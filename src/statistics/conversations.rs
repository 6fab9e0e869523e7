use super::random::Random;
use super::{Interval, Z_95, mean, standard_deviation};

/// Resamples of a bootstrap.
pub const BOOTSTRAP_DRAWS: usize = 10_000;
/// The bootstrap draws at most this many numbers. Beyond that the normal interval is used; at such sizes the two agree to
/// three digits.
const DRAWN_MAX: usize = 1 << 27;
const SEED: u64 = 0x636f_686f_6261_7465;

/// Values grouped by conversation. Values of one conversation are correlated, so they are resampled together.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    values: Vec<f64>,
    /// The end of each conversation's values.
    ends: Vec<usize>,
}

impl Conversations {
    /// Adds a conversation. One without values is ignored.
    pub fn push(&mut self, values: impl IntoIterator<Item = f64>) {
        self.values.extend(values);
        if self.values.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.values.len());
        }
    }

    /// Returns the number of conversations.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True where there are no conversations.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns all values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns each conversation's values.
    pub fn each(&self) -> impl Iterator<Item = &[f64]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.values[begin..*end])
    }

    /// Returns each conversation's mean.
    pub fn means(&self) -> Vec<f64> {
        self.each().filter_map(mean).collect()
    }

    /// Returns the mean of the conversations' means: all conversations have equal weight, whatever their length.
    pub fn mean(&self) -> Option<f64> {
        mean(&self.means())
    }

    /// Returns the standard deviation of the conversations' means.
    pub fn deviation(&self) -> Option<f64> {
        standard_deviation(&self.means())
    }

    /// Returns the standard error of the mean of all values, clustered by conversation:
    /// `sqrt(Σ_i (Σ_j (s_ij − s̄))²) / n` (Liang and Zeger, 1986; Miller, arXiv 2411.00640, section 2.2).
    pub fn clustered_error(&self) -> Option<f64> {
        let centre = mean(&self.values)?;
        let squares: f64 =
            self.each().map(|values| values.iter().map(|value| value - centre).sum::<f64>().powi(2)).sum();
        Some(squares.sqrt() / self.values.len() as f64)
    }

    /// Returns the 95 % percentile bootstrap interval of [`mean`](Self::mean) (Efron, 1979): [`BOOTSTRAP_DRAWS`] resamples of
    /// conversations from a fixed seed. `None` for fewer than two conversations.
    pub fn interval(&self) -> Option<Interval> {
        interval_of_mean(&self.means(), BOOTSTRAP_DRAWS)
    }
}

/// Returns the 95 % bootstrap interval of the mean of independent values.
fn interval_of_mean(values: &[f64], draws: usize) -> Option<Interval> {
    let count = values.len();
    let deviation = standard_deviation(values)?;
    if count.saturating_mul(draws) > DRAWN_MAX {
        let (centre, reach) = (mean(values)?, Z_95 * deviation / (count as f64).sqrt());
        return Some(Interval { low: centre - reach, high: centre + reach });
    }
    let mut random = Random::new(SEED);
    let draw = |_| (0..count).map(|_| values[random.below(count)]).sum::<f64>() / count as f64;
    Some(percentiles((0..draws).map(draw).collect()))
}

/// Returns the interval between the 2.5th and the 97.5th percentile.
pub(super) fn percentiles(mut draws: Vec<f64>) -> Interval {
    draws.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (draws.len() - 1) as f64;
        let (below, above) = (draws[place.floor() as usize], draws[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    Interval { low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_without_values_do_not_count() {
        let mut values = Conversations::default();
        values.push([1.0, 0.0]);
        values.push([]);
        values.push([0.5]);
        assert_eq!((values.len(), values.means()), (2, vec![0.5, 0.5]));
        assert_eq!(values.mean(), Some(0.5));
        assert!(Conversations::default().interval().is_none());
    }

    #[test]
    fn the_clustered_error_is_the_plain_one_where_each_stands_alone() {
        let mut alone = Conversations::default();
        for value in [0.0, 1.0, 1.0, 0.5] {
            alone.push([value]);
        }
        // sqrt(Σ (s − s̄)²) / n, the standard error with n in place of n − 1.
        let expected = ((0.625f64.powi(2) + 2.0 * 0.375f64.powi(2) + 0.125f64.powi(2)).sqrt()) / 4.0;
        assert!((alone.clustered_error().unwrap() - expected).abs() < 1e-12);
    }

    /// Conversations of two to four turns with correlated values, as verdicts have.
    fn experiment(random: &mut Random, conversations: usize, favour: f64) -> Conversations {
        let mut all = Conversations::default();
        for _ in 0..conversations {
            // Each conversation has a bias of its own that moves all its verdicts.
            let inclined = favour + 0.5 * (random.fraction() - 0.5);
            let turns = 2 + random.below(3);
            all.push((0..turns).map(|_| match random.fraction() {
                tie if tie < 0.2 => 0.5,
                other => f64::from(u8::from((other - 0.2) / 0.8 < inclined)),
            }));
        }
        all
    }

    /// Uses fewer draws than a report, for a fast test. The ends of the interval move by a hundredth of its width.
    fn interval(experiment: &Conversations) -> Interval {
        interval_of_mean(&experiment.means(), 2000).unwrap()
    }

    #[test]
    fn the_interval_covers_the_truth_in_95_of_100_experiments() {
        const EXPERIMENTS: usize = 2000;
        let mut random = Random::new(7);
        let covered = (0..EXPERIMENTS).filter(|_| {
            // The true value: 0.2 · 0.5 + 0.8 · 0.6.
            interval(&experiment(&mut random, 60, 0.6)).covers(0.58)
        });
        let share = covered.count() as f64 / EXPERIMENTS as f64;
        assert!((0.93..=0.97).contains(&share), "coverage of the 95 % interval: {share}");
    }

    #[test]
    fn two_equal_systems_are_told_apart_in_one_of_20_experiments() {
        const EXPERIMENTS: usize = 2000;
        let mut random = Random::new(11);
        let rejected = (0..EXPERIMENTS).filter(|_| !interval(&experiment(&mut random, 60, 0.5)).covers(0.5));
        let share = rejected.count() as f64 / EXPERIMENTS as f64;
        assert!((0.03..=0.07).contains(&share), "A/A experiments that reject: {share}");
    }
}
