//! Decides how many calls a server gets at a time. Pure: times and outcomes in, a limit with its reason out.
//!
//! Follows TCP's congestion control (RFC 5681): slow start, additive increase, multiplicative decrease, with three
//! differences. The limit grows only while it is used. One episode of rate limits cuts it once, however many calls fail
//! in it. And because servers such as vLLM and llama.cpp queue instead of refusing, growth that does not increase the
//! throughput is undone.

use std::time::Duration;

use tokio::time::Instant;

/// The user's limits on the pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceLimits {
    /// A fixed number of calls in flight; `None` finds the server's limit.
    pub concurrency: Option<usize>,
    /// At most this many requests a minute.
    pub requests_per_minute: Option<u32>,
    /// At most this many tokens a minute, prompt and answer.
    pub tokens_per_minute: Option<u64>,
    /// The automatic limit stays at or below this; it never exceeds 2,048.
    pub calls_max: Option<usize>,
}

/// A change of the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceChange {
    /// Calls in flight before.
    pub from: usize,
    /// Calls in flight from now on.
    pub to: usize,
    /// The reason, for the user.
    pub reason: &'static str,
}

/// The first limit of slow start.
const LIMIT_START: f64 = 8.0;
/// The automatic limit never exceeds this.
const LIMIT_MAX: f64 = 2048.0;
/// The share of the limit that a cut leaves.
const CUT_SHARE: f64 = 0.7;
/// The limit grows only while this share of it is in use.
const USED_SHARE_MIN: f64 = 0.8;
/// Throughput must grow by at least this share of the limit's growth, or the growth is undone.
const GAIN_SHARE_MIN: f64 = 0.3;
/// Rounds without growth after growth was undone or the limit was cut.
const HOLD_ROUNDS: u32 = 8;
/// Minimum answers in a round; fewer say nothing about throughput.
const ROUND_ANSWERS_MIN: u32 = 16;

/// The pace of one server.
#[derive(Clone, Debug)]
pub struct Pace {
    limits: PaceLimits,
    limit: f64,
    slow_start: bool,
    /// Calls sent before this belong to an episode whose cut is already made.
    cut_at: Option<Instant>,
    round: PaceRound,
    /// Limit and answers per second of the previous round.
    before: Option<(f64, f64)>,
    hold_rounds: u32,
}

/// The answers since the last decision about the limit.
#[derive(Clone, Debug, Default)]
struct PaceRound {
    started: Option<Instant>,
    answers: u32,
    /// Answers that came while the limit was in use.
    at_limit: u32,
}

impl Pace {
    /// Begins with slow start, or with the user's fixed number.
    pub fn new(limits: PaceLimits) -> Self {
        let limit = limits.concurrency.map_or(LIMIT_START, |fixed| fixed.max(1) as f64);
        Self {
            limits,
            limit,
            slow_start: true,
            cut_at: None,
            round: PaceRound::default(),
            before: None,
            hold_rounds: 0,
        }
    }

    /// Returns how many calls may be in flight.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Records an answer; `in_flight` calls, itself included, were in flight when it came.
    pub fn on_answer(&mut self, in_flight: usize, now: Instant) -> Option<PaceChange> {
        if self.limits.concurrency.is_some() {
            return None;
        }
        let started = *self.round.started.get_or_insert(now);
        self.round.answers += 1;
        self.round.at_limit += u32::from(in_flight as f64 >= USED_SHARE_MIN * self.limit);
        let is_over = self.round.answers >= ROUND_ANSWERS_MIN.max(self.limit as u32);
        if is_over { self.end_round(now - started) } else { None }
    }

    /// Records a rate limit that refused a call sent at `sent`.
    pub fn on_rate_limit(&mut self, sent: Instant, now: Instant) -> Option<PaceChange> {
        let is_same_episode = self.cut_at.is_some_and(|cut| sent <= cut);
        if self.limits.concurrency.is_some() || is_same_episode {
            return None;
        }
        self.cut_at = Some(now);
        self.slow_start = false;
        self.hold_rounds = HOLD_ROUNDS;
        self.set_limit((self.limit * CUT_SHARE).max(1.0), "the server reported a rate limit")
    }

    /// Decides at the end of a round whether to grow, and whether to undo the last growth.
    fn end_round(&mut self, duration: Duration) -> Option<PaceChange> {
        let round = std::mem::take(&mut self.round);
        let rate = f64::from(round.answers) / duration.as_secs_f64().max(1e-6);
        let is_used = f64::from(round.at_limit) >= 0.5 * f64::from(round.answers);
        let before = self.before.replace((self.limit, rate));
        if !is_used {
            return None;
        }
        if let Some((limit_before, rate_before)) = before.filter(|(limit, _)| *limit < self.limit) {
            let growth = self.limit / limit_before - 1.0;
            if rate / rate_before - 1.0 < GAIN_SHARE_MIN * growth {
                self.slow_start = false;
                self.hold_rounds = HOLD_ROUNDS;
                self.before = Some((limit_before, rate_before));
                return self.set_limit(limit_before, "more calls in flight did not increase throughput");
            }
        }
        if self.hold_rounds > 0 {
            self.hold_rounds -= 1;
            return None;
        }
        if self.slow_start {
            return self.set_limit(self.limit * 2.0, "slow start");
        }
        // The step is large enough to show in the next round's throughput.
        self.set_limit(self.limit + (self.limit * 0.1).max(1.0), "the limit is in use and throughput keeps growing")
    }

    fn set_limit(&mut self, limit: f64, reason: &'static str) -> Option<PaceChange> {
        let calls_max = self.limits.calls_max.map_or(LIMIT_MAX, |calls| LIMIT_MAX.min(calls as f64));
        let (from, to) = (self.limit as usize, limit.clamp(1.0, calls_max.max(1.0)));
        self.limit = to;
        self.round = PaceRound::default();
        (from != to as usize).then_some(PaceChange { from, to: to as usize, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTO: PaceLimits =
        PaceLimits { concurrency: None, requests_per_minute: None, tokens_per_minute: None, calls_max: None };

    /// Drives a pace against a server that processes `capacity` calls at a time, 100 ms each, and queues the rest.
    fn against_a_queue(capacity: f64, seconds: u64) -> Pace {
        let start = Instant::now();
        let mut pace = Pace::new(AUTO);
        let mut now = start;
        while now < start + Duration::from_secs(seconds) {
            let limit = pace.limit() as f64;
            // With the maximum in flight, answers come at the server's rate.
            now += Duration::from_secs_f64(0.1 / limit.min(capacity));
            pace.on_answer(pace.limit(), now);
        }
        pace
    }

    #[test]
    fn a_server_that_queues_gets_about_as_many_calls_as_it_works_on() {
        for capacity in [12.0, 100.0, 700.0] {
            let limit = against_a_queue(capacity, 120).limit() as f64;
            assert!(limit >= 0.8 * capacity && limit <= 2.1 * capacity, "{limit} calls for {capacity} places");
        }
    }

    #[test]
    fn the_limit_does_not_grow_while_it_is_not_used() {
        let mut now = Instant::now();
        let mut pace = Pace::new(AUTO);
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            assert_eq!(pace.on_answer(3, now), None);
        }
        assert_eq!(pace.limit(), 8);
    }

    #[test]
    fn one_episode_of_rate_limits_cuts_once() {
        let start = Instant::now();
        let mut pace = Pace::new(AUTO);
        let later = start + Duration::from_secs(1);
        assert_eq!(pace.on_rate_limit(start, later).map(|change| (change.from, change.to)), Some((8, 5)));
        for _ in 0..7 {
            assert_eq!(pace.on_rate_limit(start, later + Duration::from_millis(5)), None);
        }
        assert!(pace.on_rate_limit(later + Duration::from_secs(1), later + Duration::from_secs(2)).is_some());
    }

    #[test]
    fn a_fixed_number_stays() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceLimits { concurrency: Some(64), ..AUTO });
        assert!(pace.on_rate_limit(now, now).is_none() && pace.on_answer(64, now).is_none());
        assert_eq!(pace.limit(), 64);
    }
}
