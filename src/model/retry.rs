//! When to ask again. Pure: class and attempt in, wait or goodbye out.

use std::time::Duration;

use super::failure::{Class, Failure};
use crate::conversation::{Dice, Fingerprint};

/// How often a question is sent before its conversation is given up for this run. With the waits below that is
/// about seven minutes of a server that answers nothing but errors.
pub const ATTEMPTS_MAX: u32 = 12;
/// The same for whole replies that cannot be used: each of them may have been paid for.
const UNUSABLE_REPLIES_MAX: u32 = 4;
/// How often a raced connection is tried again without a wait.
const IMMEDIATE_ATTEMPTS_MAX: u32 = 3;
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What to do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask again after this long.
    Again {
        /// The wait.
        after: Duration,
        /// False where the failure is not the question's: it does not bring the question nearer to its end.
        counted: bool,
    },
    /// This question gets no answer in this run.
    GiveUp,
    /// No question gets an answer in this run.
    StopRun,
}

/// Decides about `failure`, which was the question's `attempt`-th (from 1) and the `streak`-th in a row
/// (counted or not, from 1).
///
/// Waits double from half a second to a minute and are drawn between half and all of that, so that many
/// questions that failed together do not come back together. What the server asks for is a lower bound.
pub fn decide(failure: &Failure, attempt: u32, streak: u32, fingerprint: &Fingerprint) -> Verdict {
    let after = backoff(streak, fingerprint).max(failure.retry_after.unwrap_or_default());
    match failure.class {
        Class::NeverThisRun => Verdict::StopRun,
        Class::NeverThisQuestion => Verdict::GiveUp,
        Class::RateLimited | Class::Outage => Verdict::Again { after, counted: false },
        Class::AgainNow if streak <= IMMEDIATE_ATTEMPTS_MAX => Verdict::Again { after: Duration::ZERO, counted: false },
        Class::AgainNow | Class::AgainLater if attempt >= ATTEMPTS_MAX => Verdict::GiveUp,
        Class::AgainLater if failure.is_unusable_reply() && attempt >= UNUSABLE_REPLIES_MAX => Verdict::GiveUp,
        Class::AgainNow | Class::AgainLater => Verdict::Again { after, counted: true },
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

    fn verdict(class: Class, attempt: u32, streak: u32) -> Verdict {
        decide(&Failure::new(class, "code", "message"), attempt, streak, &Fingerprint([7; 32]))
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
    fn only_passing_failures_of_the_question_itself_use_up_its_attempts() {
        assert!(matches!(verdict(Class::AgainLater, 1, 1), Verdict::Again { counted: true, .. }));
        assert_eq!(verdict(Class::AgainLater, ATTEMPTS_MAX, 1), Verdict::GiveUp);
        assert!(matches!(verdict(Class::RateLimited, 99, 99), Verdict::Again { counted: false, .. }));
        assert!(matches!(verdict(Class::Outage, 99, 99), Verdict::Again { counted: false, .. }));
        assert_eq!(verdict(Class::AgainNow, 1, 1), Verdict::Again { after: Duration::ZERO, counted: false });
        assert_eq!(verdict(Class::NeverThisQuestion, 1, 1), Verdict::GiveUp);
        assert_eq!(verdict(Class::NeverThisRun, 1, 1), Verdict::StopRun);
    }

    #[test]
    fn a_server_that_names_a_wait_gets_at_least_that() {
        let mut failure = Failure::new(Class::RateLimited, "rate_limit", "slow down");
        failure.retry_after = Some(Duration::from_secs(90));
        let Verdict::Again { after, .. } = decide(&failure, 1, 1, &Fingerprint([1; 32])) else { panic!("not retried") };
        assert_eq!(after, Duration::from_secs(90));
    }
}
