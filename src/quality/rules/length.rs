use super::{Action, Candidate, Rule};

/// Far longer than the conversation's other answers: the distance of its length from their median exceeds the threshold,
/// in median absolute deviations (times 1.4826, which makes them standard deviations of a normal distribution).
pub struct Length;

/// Fewer answers have no meaningful spread.
const ANSWERS_MIN: usize = 5;
/// Shorter answers are never flagged.
const BYTES_MIN: usize = 4_000;

impl Rule for Length {
    fn name(&self) -> &'static str {
        "length"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Flag)
    }

    fn threshold(&self) -> Option<f64> {
        Some(6.0)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        self.value(candidate).is_some_and(|deviations| deviations > threshold)
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        if candidate.answer.len() < BYTES_MIN || candidate.earlier.len() < ANSWERS_MIN {
            return None;
        }
        let lengths: Vec<f64> = candidate.earlier.iter().map(|answer| answer.len() as f64).collect();
        let middle = median_length(lengths.clone());
        let deviation = median_length(lengths.iter().map(|length| (length - middle).abs()).collect());
        // The spread is at least a tenth of the median, for answers of nearly equal length.
        let spread = (1.4826 * deviation).max(middle / 10.0);
        Some((candidate.answer.len() as f64 - middle) / spread.max(1.0))
    }
}

fn median_length(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dwarfs_the_others_is_flagged() {
        let short = "word ".repeat(60);
        let long = "word ".repeat(2_000);
        let mut candidate = Candidate::new("Why?", &long);
        assert!(!Length.hits(&candidate, 6.0), "nothing to compare with");
        candidate.earlier = vec![&short; 5];
        assert!(Length.hits(&candidate, 6.0));
        candidate.earlier = vec![&long; 5];
        assert!(!Length.hits(&candidate, 6.0));
    }
}
