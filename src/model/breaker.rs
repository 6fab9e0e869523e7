//! Decides when a server counts as down, and when to probe it. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::{Failure, FailureClass};

/// Consecutive failures after which the server counts as down even though something still replies: a proxy in front of
/// a dead upstream, a forwarder that accepts connections and closes them, a server that is starting.
const FAILURES_IN_A_ROW_MAX: u32 = 20;
/// The failures must also span this long: a burst of calls that fail together is one fault, not an outage.
const FAILURES_SPAN_MIN: Duration = Duration::from_secs(5);
/// Consecutive refusals after which a probe finds out whether the server refuses everything.
const REFUSALS_IN_A_ROW_MAX: u32 = 3;
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Tracks whether one server answers.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Failures since the last answer, and the time of the first.
    failing: Option<(u32, Instant)>,
    /// Refusals since the last answer.
    refusals: u32,
    /// The current outage, if the server is down.
    gone: Option<Outage>,
    /// Outages so far.
    outages: u64,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    probes: u32,
    next_probe: Instant,
    state: OutageState,
    /// The connection was refused, or a probe has failed. Calls that failed together may have been at fault themselves.
    is_confirmed: bool,
}

/// What is known about a server that gets only probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageState {
    /// Nothing yet: the first probe will show.
    Suspected,
    /// It refuses even the probe.
    Refusing,
    /// It does not answer.
    Down,
}

impl Breaker {
    /// True while only probes may be sent.
    pub fn is_open(&self) -> bool {
        self.gone.is_some()
    }

    /// Returns the time since which the server is down, and in which way.
    pub fn gone_since(&self) -> Option<(Instant, OutageState)> {
        self.gone.map(|outage| (outage.since, outage.state))
    }

    /// Returns the number of failed probes of this outage, without the first one of a suspicion.
    pub fn probes(&self) -> u32 {
        self.gone.map_or(0, |outage| outage.probes)
    }

    /// Returns the time of the next probe.
    pub fn next_probe(&self) -> Option<Instant> {
        self.gone.map(|outage| outage.next_probe)
    }

    /// True while the server is known to be down: what fails now is not the question's fault.
    pub fn is_down(&self) -> bool {
        self.gone.is_some_and(|outage| outage.is_confirmed)
    }

    /// Returns the number of outages so far. One that the first probe dispels does not count.
    pub fn outages(&self) -> u64 {
        self.outages
    }

    /// Records an answer. Returns what it ends, if it ends something.
    pub fn on_answer(&mut self) -> Option<OutageState> {
        (self.failing, self.refusals) = (None, 0);
        self.gone.take().map(|outage| outage.state)
    }

    /// Records a failed call. Returns the wait until the first probe if the call begins an outage.
    pub fn on_failure(&mut self, failure: &Failure, now: Instant) -> Option<Duration> {
        if self.gone.is_some() {
            return None;
        }
        match failure.class {
            FailureClass::Outage => {}
            FailureClass::Transient | FailureClass::RetryNow => {
                let (count, since) = self.failing.get_or_insert((0, now));
                *count += 1;
                if *count < FAILURES_IN_A_ROW_MAX || now - *since < FAILURES_SPAN_MIN {
                    return None;
                }
            }
            FailureClass::Refused => {
                self.failing = None;
                self.refusals += 1;
                if self.refusals >= REFUSALS_IN_A_ROW_MAX {
                    self.suspect(now);
                }
                return None;
            }
            // The server responds, and says what it needs.
            FailureClass::Learned | FailureClass::RateLimited | FailureClass::Permanent | FailureClass::Fatal => {
                self.failing = None;
                return None;
            }
        }
        let since = self.failing.map_or(now, |(_, since)| since);
        let is_confirmed = failure.class == FailureClass::Outage;
        self.outages += u64::from(is_confirmed);
        let (next_probe, state) = (now + WAIT_FIRST, OutageState::Down);
        self.gone = Some(Outage { since, probes: 0, next_probe, state, is_confirmed });
        Some(WAIT_FIRST)
    }

    /// Sends a probe at once, and nothing else until it is answered.
    pub fn suspect(&mut self, now: Instant) {
        let state = OutageState::Suspected;
        let outage = Outage { since: now, probes: 0, next_probe: now, state, is_confirmed: false };
        self.gone.get_or_insert(outage);
    }

    /// Records a failed probe. Returns the wait until the next one.
    pub fn on_failed_probe(&mut self, failure: &Failure, now: Instant) -> Option<Duration> {
        let outage = self.gone.as_mut()?;
        self.outages += u64::from(!outage.is_confirmed);
        outage.is_confirmed = true;
        outage.probes += u32::from(outage.state != OutageState::Suspected);
        let is_refused = failure.class == FailureClass::Refused;
        outage.state = if is_refused { OutageState::Refusing } else { OutageState::Down };
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
        let waits: Vec<u64> = (0..8).map(|_| breaker.on_failed_probe(&refused, now).unwrap().as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(
            (breaker.on_answer(), breaker.is_open(), breaker.on_answer()),
            (Some(OutageState::Down), false, None)
        );
        assert_eq!(breaker.outages(), 1);
    }

    #[test]
    fn calls_that_fail_together_are_an_outage_once_a_probe_has_failed() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let lost = Failure::new(FailureClass::Transient, FailureCode::Http(504), "gateway timeout");
        for second in 0..20 {
            breaker.on_failure(&lost, now + Duration::from_secs(second));
        }
        assert!(breaker.is_open() && !breaker.is_down());
        assert_eq!((breaker.outages(), breaker.on_answer()), (0, Some(OutageState::Down)));
        for second in 0..20 {
            breaker.on_failure(&lost, now + Duration::from_secs(second));
        }
        breaker.on_failed_probe(&lost, now);
        assert!(breaker.is_down() && breaker.outages() == 1);
        breaker.on_failed_probe(&lost, now);
        assert_eq!(breaker.outages(), 1, "the same outage");
    }

    #[test]
    fn a_few_refusals_in_a_row_bring_a_probe_that_shows_whether_the_server_refuses_everything() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let refusal = Failure::new(FailureClass::Refused, FailureCode::Http(404), "no such model");
        for _ in 0..2 {
            assert_eq!((breaker.on_failure(&refusal, now), breaker.is_open()), (None, false));
        }
        breaker.on_answer();
        for _ in 0..3 {
            breaker.on_failure(&refusal, now);
        }
        assert_eq!(breaker.gone_since(), Some((now, OutageState::Suspected)));
        assert_eq!(breaker.next_probe(), Some(now));
        assert_eq!((breaker.on_answer(), breaker.outages()), (Some(OutageState::Suspected), 0));
        breaker.suspect(now);
        assert_eq!(breaker.on_failed_probe(&refusal, now), Some(Duration::from_secs(1)));
        assert_eq!((breaker.gone_since(), breaker.outages()), (Some((now, OutageState::Refusing)), 1));
    }

    #[test]
    fn closed_connections_in_a_row_are_an_outage_too() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let closed = Failure::new(FailureClass::RetryNow, FailureCode::Closed, "closed");
        let opened =
            (0..40).find(|tick| breaker.on_failure(&closed, start + Duration::from_millis(200 * tick)).is_some());
        assert_eq!(opened, Some(25), "20 in a row and 5 s");
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
