//! Decides how many calls a server gets at a time. Pure: times and outcomes in, a limit with its reason out.
//!
//! Follows TCP's congestion control (RFC 5681): slow start, additive increase, multiplicative decrease, with these
//! differences. The limit grows only while it is used. One episode of rate limits cuts it once, to the calls that the
//! server accepted, or by a share where it accepted none of them or the last cut did not help. Because servers such as
//! vLLM and llama.cpp queue instead of refusing, growth that does not increase the throughput is undone. And a server
//! that reports its capacity is believed: more conversations than it has slots, or room for, evict each other's caches.

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

/// The limit before the first answer, which may tell the server's capacity.
const LIMIT_FIRST: f64 = 4.0;
/// The first limit of slow start.
const LIMIT_START: f64 = 8.0;
/// The highest limit that a server's cache size sets at once; throughput decides about more.
const LIMIT_REPORTED_MAX: f64 = 64.0;
/// Weight of the newest answer in the mean size of a conversation.
const NEWEST_SHARE: f64 = 0.05;
/// The limit may exceed the room in the server's cache by this factor, so that it does not change with every answer.
const ROOM_SLACK: f64 = 1.2;
/// A rate limit so soon after the last one shows that the last cut was not enough.
const EPISODE_GAP: Duration = Duration::from_secs(30);
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
    /// True once a call has been answered.
    is_answered: bool,
    /// The capacity that the server reports.
    capacity: Option<Capacity>,
    /// The mean tokens of a call, prompt and answer.
    mean_tokens: f64,
    /// The last episode of rate limits.
    episode: Option<Episode>,
    round: PaceRound,
    /// Limit and answers per second of the previous round.
    before: Option<(f64, f64)>,
    hold_rounds: u32,
}

/// What a server says about the calls that it can work on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// A number of calls; each slot keeps the cache of one conversation.
    Slots(usize),
    /// The tokens of a cache that all conversations share.
    CacheTokens(u64),
}

/// Rate limits that belong together.
#[derive(Clone, Copy, Debug)]
struct Episode {
    /// Calls sent before this belong to it.
    began: Instant,
    /// The limit before it.
    limit_before: f64,
    /// True if the limit was cut by a share at once.
    is_repeated: bool,
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
        let limit = limits.concurrency.map_or(LIMIT_FIRST, |fixed| fixed.max(1) as f64);
        Self {
            limits,
            limit,
            slow_start: true,
            is_answered: false,
            capacity: None,
            mean_tokens: 0.0,
            episode: None,
            round: PaceRound::default(),
            before: None,
            hold_rounds: 0,
        }
    }

    /// Returns how many calls may be in flight.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Replaces the user's limits. Without a fixed number the search continues from the present limit.
    pub fn set_limits(&mut self, limits: PaceLimits) {
        self.limits = limits;
        (self.round, self.before) = (PaceRound::default(), None);
        match limits.concurrency {
            Some(fixed) => self.limit = fixed.max(1) as f64,
            None => drop(self.set_limit(self.limit, "the limits were changed")),
        }
    }

    /// Records an answer of `tokens` tokens, prompt included; `in_flight` calls, itself included, were in flight when it
    /// came.
    pub fn on_answer(&mut self, in_flight: usize, tokens: u64, now: Instant) -> Option<PaceChange> {
        if self.limits.concurrency.is_some() {
            return None;
        }
        let weight = if self.is_answered { NEWEST_SHARE } else { 1.0 };
        self.mean_tokens += weight * (tokens as f64 - self.mean_tokens);
        if !std::mem::replace(&mut self.is_answered, true) && self.episode.is_none() {
            return match self.capacity {
                None => self.set_limit(LIMIT_START, "slow start"),
                Some(Capacity::Slots(_)) => None,
                Some(Capacity::CacheTokens(_)) => self.fill_cache(),
            };
        }
        if self.limit > ROOM_SLACK * self.ceiling() {
            return self.set_limit(self.ceiling(), "conversations have outgrown the server's cache");
        }
        let started = *self.round.started.get_or_insert(now);
        self.round.answers += 1;
        self.round.at_limit += u32::from(in_flight as f64 >= USED_SHARE_MIN * self.limit);
        let is_over = self.round.answers >= ROUND_ANSWERS_MIN.max(self.limit as u32);
        if is_over { self.end_round(now - started) } else { None }
    }

    /// Records the capacity that the server reports.
    pub fn on_capacity(&mut self, capacity: Capacity) -> Option<PaceChange> {
        if self.limits.concurrency.is_some() || self.capacity.is_some() {
            return None;
        }
        self.capacity = Some(capacity);
        match capacity {
            Capacity::Slots(slots) => self.set_limit(slots as f64, "the server reports its slots"),
            Capacity::CacheTokens(_) if self.is_answered => self.fill_cache(),
            Capacity::CacheTokens(_) => None,
        }
    }

    /// Starts with as many calls as conversations of the size of the first have room in the server's cache.
    fn fill_cache(&mut self) -> Option<PaceChange> {
        self.set_limit(self.ceiling().min(LIMIT_REPORTED_MAX), "the server reports the size of its cache")
    }

    /// Records a rate limit that refused a call sent at `sent`; `in_flight` calls remain.
    pub fn on_rate_limit(&mut self, sent: Instant, in_flight: usize, now: Instant) -> Option<PaceChange> {
        const REASON: &str = "the server reported a rate limit";
        if self.limits.concurrency.is_some() {
            return None;
        }
        let accepted = in_flight as f64;
        if let Some(episode) = self.episode.filter(|episode| sent <= episode.began) {
            // What remains in flight of the episode is what the server has accepted.
            let limit = if in_flight == 0 { CUT_SHARE * episode.limit_before } else { self.limit.min(accepted) };
            let is_worse = limit < self.limit || in_flight == 0 && !episode.is_repeated;
            return if is_worse { self.set_limit(limit, REASON) } else { None };
        }
        let is_repeated = self.episode.is_some_and(|episode| now - episode.began < EPISODE_GAP);
        self.episode = Some(Episode { began: now, limit_before: self.limit, is_repeated });
        self.slow_start = false;
        self.hold_rounds = HOLD_ROUNDS;
        let share = if is_repeated || in_flight == 0 { CUT_SHARE } else { 1.0 };
        self.set_limit((self.limit * share).min(accepted.max(1.0)), REASON)
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

    /// Returns the limit that the server's reported capacity sets.
    fn ceiling(&self) -> f64 {
        match self.capacity {
            None => LIMIT_MAX,
            Some(Capacity::Slots(slots)) => slots as f64,
            Some(Capacity::CacheTokens(tokens)) => (tokens as f64 / self.mean_tokens.max(1.0)).max(1.0),
        }
    }

    fn set_limit(&mut self, limit: f64, reason: &'static str) -> Option<PaceChange> {
        let calls_max = self.limits.calls_max.map_or(LIMIT_MAX, |calls| LIMIT_MAX.min(calls as f64));
        let calls_max = calls_max.min(self.ceiling());
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
            pace.on_answer(pace.limit(), 100, now);
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
            pace.on_answer(3, 100, now);
        }
        assert_eq!(pace.limit(), 8);
    }

    /// Sends `sent` calls at once, of which the server refuses all but `accepted`.
    fn refuse(pace: &mut Pace, sent: usize, accepted: usize, start: Instant) -> usize {
        for in_flight in (accepted..sent).rev() {
            pace.on_rate_limit(start, in_flight, start + Duration::from_millis(5));
        }
        pace.limit()
    }

    #[test]
    fn a_rate_limit_cuts_to_the_calls_that_the_server_accepted() {
        let (start, mut pace) = (Instant::now(), Pace::new(AUTO));
        pace.on_answer(4, 100, start);
        assert_eq!(refuse(&mut pace, 8, 2, start), 2, "a gateway that takes two at a time");
        assert_eq!(refuse(&mut pace, 3, 2, start + Duration::from_secs(1)), 1, "the last cut did not help");
    }

    #[test]
    fn one_episode_in_which_every_call_is_refused_cuts_once() {
        let (start, mut pace) = (Instant::now(), Pace::new(AUTO));
        pace.on_answer(4, 100, start);
        assert_eq!(refuse(&mut pace, 8, 0, start), 5);
        assert_eq!(refuse(&mut pace, 5, 0, start + Duration::from_secs(100)), 3);
    }

    #[test]
    fn a_server_that_reports_its_slots_gets_as_many_calls() {
        let (mut now, mut pace) = (Instant::now(), Pace::new(AUTO));
        assert_eq!(pace.limit(), 4, "before the first answer");
        pace.on_capacity(Capacity::Slots(6));
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            pace.on_answer(6, 100, now);
        }
        assert_eq!(pace.limit(), 6);
        let mut pace = Pace::new(AUTO);
        pace.on_capacity(Capacity::CacheTokens(12_800));
        pace.on_answer(4, 1_000, now);
        assert_eq!(pace.limit(), 12, "as many conversations as the cache has room for");
    }

    #[test]
    fn a_limit_that_a_person_changes_holds_at_once() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceLimits { concurrency: Some(64), ..AUTO });
        pace.set_limits(PaceLimits { concurrency: Some(3), ..AUTO });
        assert_eq!(pace.limit(), 3);
        pace.set_limits(PaceLimits { calls_max: Some(2), ..AUTO });
        assert_eq!(pace.limit(), 2, "the search starts within its bound");
        pace.on_answer(2, 100, now);
        assert_eq!(pace.limit(), 2);
    }

    #[test]
    fn a_fixed_number_stays() {
        let now = Instant::now();
        let mut pace = Pace::new(PaceLimits { concurrency: Some(64), ..AUTO });
        assert!(pace.on_rate_limit(now, 63, now).is_none() && pace.on_answer(64, 100, now).is_none());
        assert_eq!(pace.limit(), 64);
    }
}
