use std::time::Duration;

use tokio::time::Instant;

/// A shorter wait is not reported, nor is a change by less.
pub(super) const REPORTED_MIN: Duration = Duration::from_secs(1);

/// What the next call waits for, while none is in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The model.
    pub model: String,
    /// The cause.
    pub cause: WaitCause,
    /// The time until the next try; `None` while one is made.
    pub time: Option<Duration>,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCause {
    /// The server is down; it is probed.
    Outage,
    /// The server asked for no calls before a time.
    RateLimit,
    /// The run's own limit of requests or tokens a minute is used up.
    Pace,
    /// Failed calls are repeated after a pause.
    Retry,
}

/// A wait that ends at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimedWait {
    pub model: String,
    pub cause: WaitCause,
    pub until: Option<Instant>,
}

impl TimedWait {
    pub fn is_same(&self, other: &Self) -> bool {
        let is_near = match (self.until, other.until) {
            (Some(one), Some(two)) => one.max(two) - one.min(two) < REPORTED_MIN,
            (one, two) => one == two,
        };
        self.model == other.model && self.cause == other.cause && is_near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_the_same_while_its_end_moves_by_less_than_a_second() {
        let start = Instant::now();
        let wait = |millis: Option<u64>| TimedWait {
            model: "m".to_owned(),
            cause: WaitCause::Retry,
            until: millis.map(|millis| start + Duration::from_millis(millis)),
        };
        let is_same = |one, two| wait(one).is_same(&wait(two));
        assert!(is_same(Some(0), Some(999)) && is_same(Some(999), Some(0)) && is_same(None, None));
        assert!(!is_same(Some(0), Some(1_000)) && !is_same(Some(1_000), Some(0)));
        assert!(!is_same(None, Some(0)) && !is_same(Some(0), None));
        let other = TimedWait { cause: WaitCause::Pace, ..wait(None) };
        assert!(!wait(None).is_same(&other) && !other.is_same(&wait(None)));
        assert!(!wait(None).is_same(&TimedWait { model: "n".to_owned(), ..wait(None) }));
    }
}
