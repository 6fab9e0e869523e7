//! Detects a replica that is much slower than its siblings, or hangs while they answer. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A replica is slow if a token takes it this many times as long as its siblings.
const SLOW_FACTOR: f64 = 4.0;
/// Minimum answers before a replica's speed is judged.
const ANSWERS_MIN: u32 = 8;
/// Weight of the newest answer in a replica's moving average.
const NEWEST_SHARE: f64 = 0.2;
/// A replica hangs if it returns no answer for this long, and for a multiple of a sibling's time per answer.
const SILENCE_MIN: Duration = Duration::from_secs(30);
const SILENCE_FACTOR: f64 = 10.0;
/// How long a slow replica is paused before it is tried again.
const PAUSE: Duration = Duration::from_secs(60);
/// Maximum conversations of a replica on trial.
const TRIAL_CONVERSATIONS: usize = 4;

/// The speeds of a model's replicas.
#[derive(Clone, Debug)]
pub struct SpeedMonitor {
    replicas: Vec<Speed>,
}

#[derive(Clone, Debug, Default)]
struct Speed {
    seconds_per_token: f64,
    seconds_per_answer: f64,
    /// Answers since the replica's last trial began.
    answers: u32,
    /// The time since which calls are in flight and none has ended.
    silent_since: Option<Instant>,
    paused_until: Option<Instant>,
    on_trial: bool,
}

impl SpeedMonitor {
    /// Monitors `count` replicas.
    pub fn new(count: usize) -> Self {
        Self { replicas: vec![Speed::default(); count] }
    }

    /// Monitors one more replica.
    pub fn add(&mut self) {
        self.replicas.push(Speed::default());
    }

    /// True if `replica`, with `conversations` open there, may take one more at `now`.
    pub fn is_usable(&self, replica: usize, conversations: usize, now: Instant) -> bool {
        let speed = &self.replicas[replica];
        let is_paused = speed.paused_until.is_some_and(|until| now < until);
        !is_paused && (!speed.on_trial || conversations < TRIAL_CONVERSATIONS)
    }

    /// Records a call that is sent.
    pub fn on_sent(&mut self, replica: usize, now: Instant) {
        self.replicas[replica].silent_since.get_or_insert(now);
    }

    /// Records a call that ended, with an answer or without. `in_flight` calls of the replica remain.
    pub fn on_call_end(&mut self, replica: usize, in_flight: usize, now: Instant) {
        self.replicas[replica].silent_since = (in_flight > 0).then_some(now);
    }

    /// Records an answer of `tokens` tokens; `in_flight` calls of the replica remain. Returns a replica that turns out to be slow, and the reason.
    pub fn on_answer(
        &mut self,
        replica: usize,
        latency: Duration,
        tokens: u64,
        in_flight: usize,
        now: Instant,
    ) -> Option<(usize, &'static str)> {
        self.on_call_end(replica, in_flight, now);
        self.replicas[replica].record_answer(latency, tokens);
        let slow = (0..self.replicas.len()).find_map(|index| Some((index, self.slowness_of(index, now)?)))?;
        let speed = &mut self.replicas[slow.0];
        (speed.paused_until, speed.on_trial, speed.answers) = (Some(now + PAUSE), true, 0);
        speed.silent_since = speed.silent_since.map(|_| now + PAUSE);
        Some(slow)
    }

    fn slowness_of(&self, index: usize, now: Instant) -> Option<&'static str> {
        let speed = &self.replicas[index];
        if speed.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let siblings = || {
            let others = self.replicas.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, speed)| speed).filter(|speed| speed.answers >= ANSWERS_MIN)
        };
        let usual_token = median(siblings().map(|speed| speed.seconds_per_token))?;
        let usual_answer = median(siblings().map(|speed| speed.seconds_per_answer))?;
        if speed.answers >= ANSWERS_MIN && speed.seconds_per_token > SLOW_FACTOR * usual_token {
            return Some("it is much slower than the other replicas");
        }
        let patience =
            SILENCE_MIN.max(Duration::try_from_secs_f64(SILENCE_FACTOR * usual_answer).unwrap_or(SILENCE_MIN));
        let is_silent = speed.silent_since.is_some_and(|since| now.saturating_duration_since(since) > patience);
        is_silent.then_some("it hangs while the other replicas answer")
    }
}

impl Speed {
    fn record_answer(&mut self, latency: Duration, tokens: u64) {
        let seconds = latency.as_secs_f64();
        let weight = if self.answers == 0 { 1.0 } else { NEWEST_SHARE };
        self.seconds_per_answer += weight * (seconds - self.seconds_per_answer);
        self.seconds_per_token += weight * (seconds / tokens.max(1) as f64 - self.seconds_per_token);
        self.answers = self.answers.saturating_add(1);
        self.on_trial &= self.answers < ANSWERS_MIN;
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets every replica answer once a second, after its own latency; returns the replicas found slow, and when.
    fn watch(latencies_ms: [u64; 3], seconds: u64) -> Vec<(u64, usize)> {
        let (mut speed, start, mut found) = (SpeedMonitor::new(3), Instant::now(), Vec::new());
        for second in 0..seconds {
            let now = start + Duration::from_secs(second);
            for (replica, latency) in latencies_ms.into_iter().enumerate() {
                if speed.is_usable(replica, 0, now) {
                    speed.on_sent(replica, now);
                    let slow = speed.on_answer(replica, Duration::from_millis(latency), 100, 0, now);
                    found.extend(slow.map(|(replica, _)| (second, replica)));
                }
            }
        }
        found
    }

    #[test]
    fn a_slow_replica_is_paused_and_is_tried_again() {
        assert_eq!(watch([100, 100, 390], 200), []);
        let found = watch([100, 100, 500], 200);
        assert!(found.iter().all(|(_, replica)| *replica == 2), "{found:?}");
        assert!((2..=3).contains(&found.len()), "a pause of a minute, eight answers, again: {found:?}");
        assert_eq!(watch([500, 500, 500], 200), [], "all alike is not slow");
    }

    #[test]
    fn a_hanging_replica_is_detected_by_its_siblings_answers() {
        let (mut speed, start) = (SpeedMonitor::new(2), Instant::now());
        speed.on_sent(1, start);
        let mut found = Vec::new();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            speed.on_sent(0, now);
            found.extend(
                speed.on_answer(0, Duration::from_millis(200), 50, 0, now).map(|(replica, _)| (second, replica)),
            );
        }
        assert_eq!(found, [(31, 1)]);
        assert!(!speed.is_usable(1, 0, start + Duration::from_secs(60)));
        let later = start + Duration::from_secs(100);
        assert!(speed.is_usable(1, 3, later) && !speed.is_usable(1, 4, later), "a few conversations try it");
    }
}
