//! How the models of a run share its slots, so that none starves another. Pure.
//!
//! A free slot goes to a model that has less than its share; only where none has questions does another get more than its
//! share. And beyond its share a model gets slots only while its calls are answered: one that hangs keeps its share, and
//! the others continue beside it.

use std::time::Duration;

use tokio::time::Instant;

/// A model without questions counts as at work for this long: its conversations may be about to ask.
const AT_WORK: Duration = Duration::from_secs(1);
/// A model gets slots beyond its share for as many mean latencies after its last answer.
const LATENCIES_MAX: f64 = 3.0;
/// And for at least this long.
const ANSWERED_MIN: Duration = Duration::from_secs(1);
/// Weight of the newest answer in the mean latency.
const NEWEST_SHARE: f64 = 0.1;

/// How busy one model is, and whether it answers.
#[derive(Debug, Default)]
pub struct Turnover {
    worked: Option<Instant>,
    answered: Option<Instant>,
    latency_s: f64,
}

impl Turnover {
    /// Records that the model has questions or calls.
    pub fn on_work(&mut self, now: Instant) {
        self.worked = Some(now);
    }

    /// Records an answer.
    pub fn on_answer(&mut self, latency: Duration, now: Instant) {
        let newest = latency.as_secs_f64();
        let weight = if self.answered.is_some() { NEWEST_SHARE } else { 1.0 };
        self.latency_s += weight * (newest - self.latency_s);
        self.answered = Some(now);
    }

    /// Returns when the model no longer counts as at work.
    pub fn works_until(&self) -> Option<Instant> {
        self.worked.map(|worked| worked + AT_WORK)
    }

    /// True if the model may have more than its share.
    pub fn may_exceed(&self, now: Instant) -> bool {
        let patience = Duration::from_secs_f64(LATENCIES_MAX * self.latency_s).max(ANSWERED_MIN);
        self.answered.is_some_and(|answered| now < answered + patience)
    }
}

/// Returns the share of each of `models` models at work.
pub fn share(slots: usize, models: usize) -> usize {
    (slots / models.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_exceeds_its_share_only_while_it_answers() {
        let start = Instant::now();
        let at = |second: f64| start + Duration::from_secs_f64(second);
        let mut turnover = Turnover::default();
        assert!(!turnover.may_exceed(start), "it has answered nothing yet");
        turnover.on_answer(Duration::from_secs(60), at(60.0));
        assert!(turnover.may_exceed(at(239.0)) && !turnover.may_exceed(at(240.0)), "a slow model gets its time");
        let mut quick = Turnover::default();
        quick.on_answer(Duration::from_millis(1), start);
        assert!(quick.may_exceed(at(0.9)) && !quick.may_exceed(at(1.1)));
    }

    #[test]
    fn shares_are_at_least_one_slot() {
        assert_eq!((share(16, 3), share(2, 3), share(8, 0)), (5, 1, 8));
    }

    #[test]
    fn a_model_counts_as_at_work_for_a_second_after_its_last_question() {
        let start = Instant::now();
        let mut turnover = Turnover::default();
        assert_eq!(turnover.works_until(), None);
        turnover.on_work(start);
        assert_eq!(turnover.works_until(), Some(start + Duration::from_secs(1)));
        turnover.on_work(start + Duration::from_secs(5));
        assert_eq!(turnover.works_until(), Some(start + Duration::from_secs(6)));
    }

    #[test]
    fn the_mean_latency_follows_the_newest_answers() {
        let start = Instant::now();
        let mut turnover = Turnover::default();
        turnover.on_answer(Duration::from_secs(20), start);
        turnover.on_answer(Duration::from_secs(10), start);
        // Nine tenths of 20 and one tenth of 10: 19 seconds.
        let at = |second: f64| start + Duration::from_secs_f64(second);
        assert!(turnover.may_exceed(at(56.9)) && !turnover.may_exceed(at(57.1)));
        let mut quick = Turnover::default();
        quick.on_answer(Duration::ZERO, start);
        assert!(!quick.may_exceed(at(1.0)), "the last moment does not count");
    }
}
