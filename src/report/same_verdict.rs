use std::collections::BTreeMap;

use super::words::counted;

/// Fewer verdicts may well be the same by chance.
const VERDICTS_MIN: u64 = 8;
/// The same for verdicts that are the example in the prompt.
const EXAMPLES_MIN: u64 = 5;
/// From this share on, verdicts that are the example in the prompt are taken for copies.
const EXAMPLE_SHARE_MIN: f64 = 0.8;

/// How often a judge has given each verdict, to notice one that always says the same.
#[derive(Clone, Debug, Default)]
pub(super) struct SameVerdict {
    counts: BTreeMap<String, u64>,
}

impl SameVerdict {
    /// Counts a verdict.
    pub fn add(&mut self, verdict: impl ToString) {
        *self.counts.entry(verdict.to_string()).or_default() += 1;
    }

    /// Says that the judge always gives one verdict, or nearly always the example that its prompt shows.
    pub fn caution(&self, example: Option<&str>) -> Option<String> {
        let all: u64 = self.counts.values().sum();
        let (verdict, count) = self.counts.iter().max_by_key(|(_, count)| **count)?;
        let is_example = example == Some(verdict.as_str());
        let shown = if is_example { ", the example in its prompt" } else { "" };
        match () {
            () if all < if is_example { EXAMPLES_MIN } else { VERDICTS_MIN } => None,
            () if *count == all => Some(format!(
                "the judge gave the same verdict {count} times out of {all}: {verdict}{shown}; it may not look at the answers"
            )),
            () if is_example && *count as f64 >= EXAMPLE_SHARE_MIN * all as f64 => {
                Some(format!("{count} of {} are {verdict}{shown}; the judge may copy it", counted(all, "verdict")))
            }
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_that_always_says_the_same_is_noticed() {
        let caution = |verdicts: &[(f64, u64)], example| {
            let mut same = SameVerdict::default();
            for (verdict, count) in verdicts {
                (0..*count).for_each(|_| same.add(verdict));
            }
            same.caution(example).unwrap_or_default()
        };
        assert!(caution(&[(5.0, 19)], Some("5")).contains("19 times out of 19: 5, the example in its prompt"));
        assert!(caution(&[(7.0, 8)], Some("5")).contains("8 times out of 8: 7; it may not look"));
        assert!(caution(&[(5.0, 8), (6.0, 2)], Some("5")).starts_with("8 of 10 verdicts are 5"));
        for (verdicts, example) in [
            (&[(5.0, 4)][..], Some("5")),
            (&[(5.0, 7)], None),
            (&[(5.0, 8), (6.0, 1)], None),
            (&[(5.0, 7), (6.0, 3)], Some("5")),
            (&[], None),
        ] {
            assert_eq!(caution(verdicts, example), "", "{verdicts:?}");
        }
    }
}
