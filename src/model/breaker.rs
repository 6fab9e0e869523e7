//! Decides when a server counts as down, and when to probe it. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::{Failure, FailureClass};

/// Consecutive failures after which the server counts as down even though something still replies: a proxy in front of
/// a dead upstream, a server that is starting.
const FAILURES_IN_A_ROW_MAX: u32 = 20;
/// The failures must also span this long: a burst of calls that fail together is one fault, not an outage.
const FAILURES_SPAN_MIN: Duration = Duration::from_secs(5);
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Tracks whether one server answers.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Failures since the last answer, and the time of the first.
    failing: Option<(u32, Instant)>,
    /// The current outage, if the server is down.
    gone: Option<Outage>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    probes: u32,
    next_probe: Instant,
}

impl Breaker {
    /// True while only probes may be sent.
    pub fn is_open(&self) -> bool {
        self.gone.is_some()
    }

    /// Returns the time since which the server is down.
    pub fn gone_since(&self) -> Option<Instant> {
        self.gone.map(|outage| outage.since)
    }

    /// Returns the time of the next probe.
    pub fn next_probe(&self) -> Option<Instant> {
        self.gone.map(|outage| outage.next_probe)
    }

    /// Records an answer. Returns true if it ends an outage.
    pub fn on_answer(&mut self) -> bool {
        self.failing = None;
        self.gone.take().is_some()
    }

    /// Records a failed call. Returns the wait until the first probe if the call begins an outage.
    pub fn on_failure(&mut self, failure: &Failure, now: Instant) -> Option<Duration> {
        if self.gone.is_some() {
            return None;
        }
        match failure.class {
            FailureClass::Outage => {}
            FailureClass::Transient => {
                let (count, since) = self.failing.get_or_insert((0, now));
                *count += 1;
                if *count < FAILURES_IN_A_ROW_MAX || now - *since < FAILURES_SPAN_MIN {
                    return None;
                }
            }
            // The server responds with a client error, or only the connection failed.
            FailureClass::RetryNow => return None,
            FailureClass::Learned | FailureClass::RateLimited | FailureClass::Permanent | FailureClass::Fatal => {
                self.failing = None;
                return None;
            }
        }
        let since = self.failing.map_or(now, |(_, since)| since);
        self.gone = Some(Outage { since, probes: 0, next_probe: now + WAIT_FIRST });
        Some(WAIT_FIRST)
    }

    /// Records a failed probe. Returns the wait until the next one.
    pub fn on_failed_probe(&mut self, now: Instant) -> Option<Duration> {
        let outage = self.gone.as_mut()?;
        outage.probes += 1;
        let wait = WAIT_FIRST.saturating_mul(1 << outage.probes.min(8)).min(WAIT_MAX);
        outage.next_probe = now + wait;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::FailureCode;

    #[test]
    fn a_refused_connection_opens_at_once_and_probes_come_at_growing_intervals() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let refused = Failure::new(FailureClass::Outage, FailureCode::Connect, "refused");
        assert_eq!(breaker.on_failure(&refused, now), Some(Duration::from_secs(1)));
        assert_eq!(breaker.on_failure(&refused, now), None, "the calls that fail with it are the same outage");
        let waits: Vec<u64> = (0..8).map(|_| breaker.on_failed_probe(now).unwrap().as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(breaker.on_answer() && !breaker.is_open() && !breaker.on_answer());
    }

    #[test]
    fn errors_count_as_an_outage_only_when_nothing_else_comes_for_a_while() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let error = Failure::new(FailureClass::Transient, FailureCode::Http(500), "broke");
        for count in 0..100 {
            assert_eq!(breaker.on_failure(&error, start), None, "a burst of {count} errors at once");
        }
        assert!(breaker.on_failure(&error, start + Duration::from_secs(6)).is_some());
        let mut breaker = Breaker::default();
        for second in 0..100 {
            assert_eq!(breaker.on_failure(&error, start + Duration::from_secs(second)), None);
            if second % 10 == 9 {
                breaker.on_answer();
            }
        }
    }
}
