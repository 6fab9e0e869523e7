//! Decides whether and when to retry. Pure: failure and earlier attempts in, decision out.

use std::time::Duration;

use super::failure::{Failure, FailureClass};
use crate::conversation::{Dice, Fingerprint};

/// Attempts of a question before its conversation fails in this run. With the waits below that is at most five
/// minutes of a server that returns only errors, four on average.
pub const ATTEMPTS_MAX: u32 = 12;
/// The same for complete but unusable replies: each of them may have been billed.
const UNUSABLE_REPLIES_MAX: u32 = 4;
/// How often a raced connection is retried without a wait.
const IMMEDIATE_ATTEMPTS_MAX: u32 = 3;
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How to handle a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Retry after a wait.
    Retry {
        /// The wait.
        after: Duration,
        /// True if the failure counts as an attempt of the question.
        counted: bool,
    },
    /// The question fails in this run.
    GiveUp,
    /// The run stops: every question would fail.
    StopRun,
}

/// The earlier failures of a question, without the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Failures that count as attempts.
    pub counted: u32,
    /// Of those, complete but unusable replies.
    pub unusable: u32,
    /// All failures since the question was first sent, counted or not.
    pub streak: u32,
}

impl Tries {
    /// Adds the current failure.
    pub fn add(&mut self, failure: &Failure, counted: bool) {
        // Nothing went wrong that waiting could heal.
        self.streak += u32::from(failure.class != FailureClass::Learned);
        self.counted += u32::from(counted);
        self.unusable += u32::from(counted && failure.is_unusable_reply());
    }
}

/// Decides how to handle `failure`, given the question's earlier failures.
///
/// Waits double from half a second to a minute. Jitter between half and the full wait keeps questions that failed
/// together from returning together. The server's requested wait is a lower bound.
pub fn decide(failure: &Failure, tries: Tries, fingerprint: &Fingerprint) -> RetryDecision {
    let (attempt, streak) = (tries.counted + 1, tries.streak + 1);
    let after = backoff(streak, fingerprint).max(failure.retry_after.unwrap_or_default());
    match failure.class {
        FailureClass::Fatal => RetryDecision::StopRun,
        FailureClass::Permanent => RetryDecision::GiveUp,
        FailureClass::RateLimited | FailureClass::Outage => RetryDecision::Retry { after, counted: false },
        FailureClass::Learned => RetryDecision::Retry { after: Duration::ZERO, counted: false },
        FailureClass::RetryNow if streak <= IMMEDIATE_ATTEMPTS_MAX => {
            RetryDecision::Retry { after: Duration::ZERO, counted: false }
        }
        FailureClass::RetryNow | FailureClass::Transient if attempt >= ATTEMPTS_MAX => RetryDecision::GiveUp,
        FailureClass::Transient if failure.is_unusable_reply() && tries.unusable + 1 >= UNUSABLE_REPLIES_MAX => {
            RetryDecision::GiveUp
        }
        FailureClass::RetryNow | FailureClass::Transient => RetryDecision::Retry { after, counted: true },
    }
}

fn backoff(streak: u32, fingerprint: &Fingerprint) -> Duration {
    let ceiling = WAIT_FIRST.saturating_mul(1 << streak.saturating_sub(1).min(16)).min(WAIT_MAX);
    let mut key = fingerprint.0.to_vec();
    key.extend_from_slice(&streak.to_le_bytes());
    ceiling.mul_f64(0.5 + 0.5 * Dice::new("backoff", &key).fraction())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::FailureCode;

    fn decision(class: FailureClass, attempt: u32, streak: u32) -> RetryDecision {
        let tries = Tries { counted: attempt - 1, unusable: 0, streak: streak - 1 };
        decide(&Failure::new(class, FailureCode::from("code"), "message"), tries, &Fingerprint([7; 32]))
    }

    #[test]
    fn waits_grow_and_stay_within_their_bounds() {
        for streak in 1..100 {
            let wait = backoff(streak, &Fingerprint([streak as u8; 32]));
            let ceiling = Duration::from_millis(500).saturating_mul(1 << (streak - 1).min(16)).min(WAIT_MAX);
            assert!(wait <= ceiling && wait >= ceiling / 2, "{streak}: {wait:?}");
        }
    }

    #[test]
    fn only_transient_failures_use_up_attempts() {
        assert!(matches!(decision(FailureClass::Transient, 1, 1), RetryDecision::Retry { counted: true, .. }));
        assert_eq!(decision(FailureClass::Transient, ATTEMPTS_MAX, 1), RetryDecision::GiveUp);
        assert!(matches!(decision(FailureClass::RateLimited, 99, 99), RetryDecision::Retry { counted: false, .. }));
        assert!(matches!(decision(FailureClass::Outage, 99, 99), RetryDecision::Retry { counted: false, .. }));
        assert_eq!(
            decision(FailureClass::RetryNow, 1, 1),
            RetryDecision::Retry { after: Duration::ZERO, counted: false }
        );
        assert_eq!(
            decision(FailureClass::Learned, ATTEMPTS_MAX, 99),
            RetryDecision::Retry { after: Duration::ZERO, counted: false }
        );
        assert_eq!(decision(FailureClass::Permanent, 1, 1), RetryDecision::GiveUp);
        assert_eq!(decision(FailureClass::Fatal, 1, 1), RetryDecision::StopRun);
    }

    #[test]
    fn unusable_replies_are_retried_a_few_times_only() {
        let garbage = Failure::new(FailureClass::Transient, FailureCode::Garbage, "not JSON");
        let broken = Failure::new(FailureClass::Transient, FailureCode::Http(500), "broke");
        let mut tries = Tries::default();
        for _ in 0..5 {
            tries.add(&broken, true);
        }
        for bought in 1..=UNUSABLE_REPLIES_MAX {
            let decision = decide(&garbage, tries, &Fingerprint([3; 32]));
            assert_eq!(decision == RetryDecision::GiveUp, bought == UNUSABLE_REPLIES_MAX, "reply {bought}");
            tries.add(&garbage, true);
        }
    }

    #[test]
    fn a_server_that_names_a_wait_gets_at_least_that() {
        let mut failure = Failure::new(FailureClass::RateLimited, FailureCode::RateLimit, "slow down");
        failure.retry_after = Some(Duration::from_secs(90));
        let RetryDecision::Retry { after, .. } = decide(&failure, Tries::default(), &Fingerprint([1; 32])) else {
            panic!("not retried")
        };
        assert_eq!(after, Duration::from_secs(90));
    }
}
