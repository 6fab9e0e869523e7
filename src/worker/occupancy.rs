use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// A lower bound on the run's duration, for any client: the summed latencies of its calls divided by the calls that may
/// be in flight, the same for each model within its own limit, and at least its longest conversation, whose turns cannot
/// overlap (Graham's bounds for list scheduling, 1966).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LowerBound {
    /// The summed latencies of all calls, failed ones included.
    pub busy: Duration,
    /// The mean limit on calls in flight over the run.
    pub slots: f64,
    /// The summed latencies of one model's calls divided by the mean of its own limit; of the model for which that is most.
    pub narrowest: Duration,
    /// The summed latencies of the longest chain of turns.
    pub longest_chain: Duration,
    /// The duration of the run.
    pub elapsed: Duration,
}

impl LowerBound {
    /// Returns the bound.
    pub fn duration(&self) -> Duration {
        let shared = self.busy.as_secs_f64() / self.slots.max(1.0);
        Duration::from_secs_f64(shared).max(self.narrowest).max(self.longest_chain)
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
    longest_chain: Duration,
    /// All models together.
    all: Load,
    /// Each model, by name.
    models: BTreeMap<String, Load>,
}

/// What was asked of a number of slots.
#[derive(Debug)]
struct Load {
    busy: Duration,
    limit: usize,
    limit_since: Instant,
    /// The limit on calls in flight, integrated over time.
    slot_seconds: f64,
}

impl Load {
    fn new(now: Instant) -> Self {
        Self { busy: Duration::ZERO, limit: 0, limit_since: now, slot_seconds: 0.0 }
    }

    fn on_limit(&mut self, limit: usize, now: Instant) {
        if limit != self.limit {
            self.slot_seconds += self.limit as f64 * (now - self.limit_since).as_secs_f64();
            (self.limit, self.limit_since) = (limit, now);
        }
    }

    /// Returns the mean limit over the run.
    fn slots(&self, elapsed: Duration, now: Instant) -> f64 {
        let slot_seconds = self.slot_seconds + self.limit as f64 * (now - self.limit_since).as_secs_f64();
        slot_seconds / elapsed.as_secs_f64().max(1e-9)
    }
}

impl Occupancy {
    pub fn new(now: Instant) -> Self {
        Self { started: now, longest_chain: Duration::ZERO, all: Load::new(now), models: BTreeMap::new() }
    }

    /// Records the limit on calls in flight over all models.
    pub fn on_limit(&mut self, limit: usize, now: Instant) {
        self.all.on_limit(limit, now);
    }

    /// Records the limit on one model's calls in flight.
    pub fn on_model_limit(&mut self, model: &str, limit: usize, now: Instant) {
        match self.models.get_mut(model) {
            Some(load) => load.on_limit(limit, now),
            None => {
                let load = Load { limit, ..Load::new(self.started) };
                self.models.insert(model.to_owned(), load);
            }
        }
    }

    /// Records a call's latency.
    pub fn on_call(&mut self, model: &str, latency: Duration) {
        self.all.busy += latency;
        if let Some(load) = self.models.get_mut(model) {
            load.busy += latency;
        }
    }

    /// Records the summed latencies of a conversation.
    pub fn on_chain(&mut self, chain: Duration) {
        self.longest_chain = self.longest_chain.max(chain);
    }

    /// Returns the bound for the run until `now`.
    pub fn bound(&self, now: Instant) -> LowerBound {
        let elapsed = now - self.started;
        let own = |load: &Load| load.busy.div_f64(load.slots(elapsed, now).max(1.0));
        LowerBound {
            busy: self.all.busy,
            slots: self.all.slots(elapsed, now),
            narrowest: self.models.values().map(own).max().unwrap_or_default(),
            longest_chain: self.longest_chain,
            elapsed,
        }
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
        (0..40).for_each(|_| occupancy.on_call("m", Duration::from_secs(1)));
        occupancy.on_chain(Duration::from_secs(8));
        let bound = occupancy.bound(at(12));
        assert_eq!((bound.duration(), bound.slots), (Duration::from_secs(10), 4.0));
        assert!((bound.efficiency() - 10.0 / 12.0).abs() < 1e-9);
        occupancy.on_limit(8, at(12));
        occupancy.on_chain(Duration::from_secs(15));
        let bound = occupancy.bound(at(24));
        assert_eq!((bound.duration(), bound.slots), (Duration::from_secs(15), 6.0));
    }

    #[test]
    fn a_model_with_a_limit_of_its_own_may_be_the_narrowest_place() {
        let start = Instant::now();
        let end = start + Duration::from_secs(25);
        let mut occupancy = Occupancy::new(start);
        occupancy.on_limit(16, start);
        occupancy.on_model_limit("teacher", 16, start);
        occupancy.on_model_limit("judge", 2, start);
        (0..40).for_each(|_| occupancy.on_call("teacher", Duration::from_secs(1)));
        (0..40).for_each(|_| occupancy.on_call("judge", Duration::from_secs(1)));
        assert_eq!(
            occupancy.bound(end).duration(),
            Duration::from_secs(20),
            "forty seconds of the judge, two at a time"
        );
    }
}
