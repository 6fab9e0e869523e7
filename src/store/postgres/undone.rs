//! How many slots of a run were not done a moment ago. Counting thousands of them in each commit would take longer than the
//! commit; nobody needs the exact number before there are few.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Up to this many are counted each time.
const EXACT_MAX: u64 = 1000;
/// How long a larger number is used.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The last counts, by run.
#[derive(Default)]
pub struct Undone(Mutex<HashMap<u32, (Instant, u64)>>);

impl Undone {
    /// Returns a count that is recent and large; `None` where it is to be counted.
    pub fn known(&self, run: u32, now: Instant) -> Option<u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) = counts.get(&run)?;
        (*count > EXACT_MAX && now.saturating_duration_since(*at) < AGE_MAX).then_some(*count)
    }

    /// Notes a count that was begun at `at`.
    pub fn count(&self, run: u32, at: Instant, count: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.entry(run).or_insert((at, count));
        if known.0 <= at {
            *known = (at, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_and_recent_count_is_used() {
        let (undone, now) = (Undone::default(), Instant::now());
        assert_eq!(undone.known(1, now), None);
        undone.count(1, now, EXACT_MAX + 1);
        assert_eq!((undone.known(1, now), undone.known(2, now)), (Some(EXACT_MAX + 1), None));
        assert_eq!(undone.known(1, now + AGE_MAX), None);
        undone.count(1, now + AGE_MAX, EXACT_MAX);
        assert_eq!(undone.known(1, now + AGE_MAX), None);
        // A count that was begun earlier and ended later.
        undone.count(1, now, EXACT_MAX + 1);
        assert_eq!(undone.known(1, now), None);
    }
}
