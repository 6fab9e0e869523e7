//! Detects an answer that repeats itself endlessly while it is still streaming.

/// Text that must be one repetition. Shorter repetitions are legitimate: tables, refrains, zeros.
const WINDOW_BYTES: usize = 4_096;
/// Longest unit that counts as a repetition.
const PERIOD_BYTES_MAX: usize = 512;
/// Text between two checks.
const STEP_BYTES: usize = 1_024;

/// Watches a growing text.
#[derive(Debug, Default)]
pub struct RepetitionGuard {
    looked_at: usize,
}

impl RepetitionGuard {
    /// True if the end of `text` only repeats one short unit.
    pub fn sees_loop(&mut self, text: &[u8]) -> bool {
        if text.len() < WINDOW_BYTES || text.len() < self.looked_at + STEP_BYTES {
            return false;
        }
        self.looked_at = text.len();
        smallest_period(&text[text.len() - WINDOW_BYTES..]) <= PERIOD_BYTES_MAX
    }
}

/// Returns the length of the shortest unit that `bytes` repeats; the full length if nothing repeats.
///
/// Uses the failure function of Knuth, Morris and Pratt (1977), in linear time.
fn smallest_period(bytes: &[u8]) -> usize {
    let mut border = vec![0; bytes.len()];
    let mut length = 0;
    for at in 1..bytes.len() {
        while length > 0 && bytes[at] != bytes[length] {
            length = border[length - 1];
        }
        length += usize::from(bytes[at] == bytes[length]);
        border[at] = length;
    }
    bytes.len() - length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_found() {
        for (text, period) in [("abcabcab", 3), ("aaaa", 1), ("abcd", 4), ("abab x abab x ", 7)] {
            assert_eq!(smallest_period(text.as_bytes()), period, "{text}");
        }
    }

    #[test]
    fn a_loop_is_seen_after_a_few_thousand_characters_and_a_long_text_is_not_one() {
        let mut guard = RepetitionGuard::default();
        let (mut text, mut seen_at) = ("A good beginning. ".to_owned(), None);
        while seen_at.is_none() && text.len() < 100_000 {
            text.push_str("I will try again. 我再试一次。 ");
            seen_at = guard.sees_loop(text.as_bytes()).then_some(text.len());
        }
        assert!(seen_at.is_some_and(|at| at < 6_000), "{seen_at:?}");
        let mut guard = RepetitionGuard::default();
        let varied = (0..20_000).fold(String::new(), |text, number| text + &format!("| row {number} | 0 | 0 |\n"));
        assert!((0..varied.len()).step_by(700).all(|end| !guard.sees_loop(&varied.as_bytes()[..end])));
        assert!(!RepetitionGuard::default().sees_loop("0".repeat(3_000).as_bytes()));
    }
}
