use std::time::Duration;

use tokio::time::Instant;

/// A lower bound on the run's duration, for any client: the summed latencies of its calls divided by the server's
/// concurrency, and at least its longest conversation, whose turns cannot overlap (Graham's bounds for list scheduling,
/// 1966).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LowerBound {
    /// The summed latencies of all calls, failed ones included.
    pub busy: Duration,
    /// The mean limit on calls in flight over the run.
    pub slots: f64,
    /// The summed latencies of the longest chain of turns.
    pub longest_chain: Duration,
    /// The duration of the run.
    pub elapsed: Duration,
}

impl LowerBound {
    /// Returns the bound.
    pub fn duration(&self) -> Duration {
        let shared = self.busy.as_secs_f64() / self.slots.max(1.0);
        Duration::from_secs_f64(shared).max(self.longest_chain)
    }

    /// Returns the bound as a share of the run's duration, from 0 to 1.
    pub fn efficiency(&self) -> f64 {
        (self.duration().as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9)).min(1.0)
    }
}

/// Measures the parts of a [`LowerBound`].
#[derive(Debug)]
pub struct Occupancy {
    started: Instant,
    busy: Duration,
    longest_chain: Duration,
    limit: usize,
    limit_since: Instant,
    /// The limit on calls in flight, integrated over time.
    slot_seconds: f64,
}

impl Occupancy {
    pub fn new(now: Instant) -> Self {
        let (busy, longest_chain) = (Duration::ZERO, Duration::ZERO);
        Self { started: now, busy, longest_chain, limit: 0, limit_since: now, slot_seconds: 0.0 }
    }

    /// Records the limit on calls in flight.
    pub fn on_limit(&mut self, limit: usize, now: Instant) {
        if limit != self.limit {
            self.slot_seconds += self.limit as f64 * (now - self.limit_since).as_secs_f64();
            (self.limit, self.limit_since) = (limit, now);
        }
    }

    /// Records a call's latency.
    pub fn on_call(&mut self, latency: Duration) {
        self.busy += latency;
    }

    /// Records the summed latencies of a conversation.
    pub fn on_chain(&mut self, chain: Duration) {
        self.longest_chain = self.longest_chain.max(chain);
    }

    /// Returns the bound for the run until `now`.
    pub fn bound(&self, now: Instant) -> LowerBound {
        let elapsed = now - self.started;
        let slot_seconds = self.slot_seconds + self.limit as f64 * (now - self.limit_since).as_secs_f64();
        let slots = slot_seconds / elapsed.as_secs_f64().max(1e-9);
        LowerBound { busy: self.busy, slots, longest_chain: self.longest_chain, elapsed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_larger_of_shared_work_and_longest_chain() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut occupancy = Occupancy::new(start);
        occupancy.on_limit(4, start);
        (0..40).for_each(|_| occupancy.on_call(Duration::from_secs(1)));
        occupancy.on_chain(Duration::from_secs(8));
        let bound = occupancy.bound(at(12));
        assert_eq!((bound.duration(), bound.slots), (Duration::from_secs(10), 4.0));
        assert!((bound.efficiency() - 10.0 / 12.0).abs() < 1e-9);
        occupancy.on_limit(8, at(12));
        occupancy.on_chain(Duration::from_secs(15));
        let bound = occupancy.bound(at(24));
        assert_eq!((bound.duration(), bound.slots), (Duration::from_secs(15), 6.0));
    }
}
