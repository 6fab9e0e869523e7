//! Limits on requests and tokens a minute, as providers set them for an account. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::PaceLimits;

/// The rate limits of a model's account, shared by its replicas.
#[derive(Clone, Debug)]
pub struct Rate {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Rate {
    /// Begins at `now`.
    pub fn new(limits: &PaceLimits, now: Instant) -> Self {
        Self {
            requests: limits.requests_per_minute.map(|rate| Bucket::new(f64::from(rate), now)),
            tokens: limits.tokens_per_minute.map(|rate| Bucket::new(rate as f64, now)),
        }
    }

    /// Replaces the limit on requests a minute. Calls of the last second still count.
    pub fn set_requests(&mut self, per_minute: Option<u32>, now: Instant) {
        let left = self.requests.as_ref().map(|bucket| bucket.level);
        self.requests = per_minute.map(|rate| {
            let fresh = Bucket::new(f64::from(rate), now);
            Bucket { level: left.map_or(fresh.level, |left| left.min(fresh.level)), ..fresh }
        });
    }

    /// Returns the earliest time at which the rate limits allow a call of `tokens` tokens; `now` or earlier means now.
    pub fn ready_at(&mut self, tokens: u64, now: Instant) -> Instant {
        let by_requests = self.requests.as_mut().map_or(now, |bucket| bucket.ready_at(1.0, now));
        let by_tokens = self.tokens.as_mut().map_or(now, |bucket| bucket.ready_at(tokens as f64, now));
        by_requests.max(by_tokens)
    }

    /// Charges a call that is sent now.
    pub fn on_sent(&mut self, tokens: u64) {
        self.requests.iter_mut().for_each(|bucket| bucket.take(1.0));
        self.tokens.iter_mut().for_each(|bucket| bucket.take(tokens as f64));
    }
}

/// A token bucket that holds one second's worth: servers punish bursts.
#[derive(Clone, Debug)]
struct Bucket {
    per_second: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    fn new(per_minute: f64, now: Instant) -> Self {
        let per_second = per_minute.max(1.0) / 60.0;
        Self { per_second, level: per_second.max(1.0), filled: now }
    }

    /// Returns when `amount` may be taken. An amount larger than the bucket waits for a full bucket and leaves it in
    /// debt.
    fn ready_at(&mut self, amount: f64, now: Instant) -> Instant {
        let capacity = self.per_second.max(1.0);
        self.level = (self.level + (now - self.filled).as_secs_f64() * self.per_second).min(capacity);
        self.filled = now;
        let missing = amount.min(capacity) - self.level;
        if missing <= 0.0 { now } else { now + Duration::from_secs_f64(missing / self.per_second) }
    }

    fn take(&mut self, amount: f64) {
        self.level -= amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_never_sees_more_than_its_ceiling_and_a_second() {
        let start = Instant::now();
        let limits =
            PaceLimits { requests_per_minute: Some(600), tokens_per_minute: Some(60_000), ..PaceLimits::default() };
        let (mut rate, mut now, mut sent) = (Rate::new(&limits, start), start, 0u32);
        while now < start + Duration::from_secs(60) {
            now = rate.ready_at(70, now);
            rate.on_sent(70);
            sent += 1;
        }
        // 600 requests would fit, but 70 tokens each leave room for 857 of them: requests decide.
        assert!((595..=611).contains(&sent), "{sent}");
        rate.set_requests(Some(60), now);
        let (minute, mut sent) = (now + Duration::from_secs(60), 0);
        while now < minute {
            now = rate.ready_at(1, now);
            rate.on_sent(1);
            sent += 1;
        }
        assert!((59..=62).contains(&sent), "{sent} in the minute after the limit was lowered");
        let limits = PaceLimits { tokens_per_minute: Some(6_000), ..PaceLimits::default() };
        let (mut rate, mut now, mut tokens) = (Rate::new(&limits, start), start, 0);
        while now < start + Duration::from_secs(60) {
            now = rate.ready_at(500, now);
            rate.on_sent(500);
            tokens += 500;
        }
        assert!((5_000..=6_700).contains(&tokens), "{tokens}");
    }
}
