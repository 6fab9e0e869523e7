use serde::Serialize;

/// How the values of a rule are spread, in steps of a tenth of its threshold, from 0 to twice the threshold. So the threshold lies
/// between two steps, whatever the unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// The threshold.
    pub threshold: f64,
    /// How wide a step is.
    pub step: f64,
    /// Answers by step: the first holds all below its end, the last all from twice the threshold on.
    pub counts: Vec<u64>,
    /// The largest value.
    pub most: f64,
}

const STEPS_TO_THRESHOLD: usize = 10;
/// Steps up to twice the threshold, and one for what is above.
const STEPS: usize = 2 * STEPS_TO_THRESHOLD + 1;

impl Histogram {
    /// Creates one without values.
    pub fn new(threshold: f64) -> Self {
        // A threshold of 0 or less finds everything; its values are spread from 0 to 2.
        let step = if threshold > 0.0 { threshold } else { 1.0 } / STEPS_TO_THRESHOLD as f64;
        Self { threshold, step, counts: vec![0; STEPS], most: 0.0 }
    }

    /// Counts a value.
    pub fn add(&mut self, value: f64) {
        // A value at the threshold lies above it, however the division is rounded.
        let at = if value >= self.threshold && self.threshold > 0.0 {
            ((value / self.step + 1e-9) as usize).max(STEPS_TO_THRESHOLD)
        } else {
            (value.max(0.0) / self.step) as usize
        };
        self.counts[at.min(STEPS - 1)] += 1;
        self.most = self.most.max(value);
    }

    /// Returns how many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns where the step of the threshold begins among [`counts`](Self::counts).
    pub fn threshold_step(&self) -> usize {
        if self.threshold > 0.0 { STEPS_TO_THRESHOLD } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_on_the_side_of_the_threshold_where_they_are() {
        let mut histogram = Histogram::new(0.3);
        for value in [0.0, 0.299_999, 0.3, 0.31, 0.6, 55.0, -2.0] {
            histogram.add(value);
        }
        assert_eq!(
            (histogram.counts[0], histogram.counts[9], histogram.counts[10], histogram.counts[20]),
            (2, 1, 2, 2)
        );
        assert_eq!((histogram.total(), histogram.threshold_step()), (7, 10));
        assert!((histogram.most - 55.0).abs() < 1e-9);
        let mut of_zero = Histogram::new(0.0);
        of_zero.add(0.05);
        assert_eq!((of_zero.counts[0], of_zero.threshold_step()), (1, 0));
    }

    proptest::proptest! {
        #[test]
        fn every_value_is_counted_once_and_on_its_side(threshold in 0.001f64..100.0, value in -10.0f64..1000.0) {
            let mut histogram = Histogram::new(threshold);
            histogram.add(value);
            let at = histogram.counts.iter().position(|count| *count == 1).unwrap();
            proptest::prop_assert_eq!(at >= histogram.threshold_step(), value >= threshold);
        }
    }
}
