//! Decides whether and when to retry. Pure: failure and earlier attempts in, decision out.

use std::time::Duration;

use super::failure::{Failure, FailureClass};
use crate::conversation::{Dice, FailureCode, Fingerprint};

/// Attempts of a question before its conversation fails in this run. With the waits below that is at most five
/// minutes of a server that returns only errors, four on average.
pub const ATTEMPTS_MAX: u32 = 12;
/// The same for complete but unusable replies: each of them may have been billed.
const UNUSABLE_REPLIES_MAX: u32 = 4;
/// How often a closed connection is retried without a wait.
const IMMEDIATE_ATTEMPTS_MAX: u32 = 3;
/// How often a question is sent, over all runs, whose calls were probably paid for and brought no answer.
pub const PAID_ATTEMPTS_MAX: u32 = 4;
/// How often a question is refused before the refusal counts as the question's own.
const REFUSALS_MAX: u32 = 2;
/// How often a question is refused for something that is not its fault, while the server answers others, before its
/// conversation fails in this run.
const INNOCENT_MAX: u32 = 12;
/// How often the connection is closed on a question, while the server answers others, before its conversation fails in
/// this run.
const CLOSED_MAX: u32 = 12;
/// How often the flex tier is asked for a question while it has no room. These calls cost nothing.
pub const FLEX_ATTEMPTS_MAX: u32 = 4;
/// Longest wait after a closed connection: nothing was generated, and the server answers others.
const CLOSED_WAIT_MAX: Duration = Duration::from_secs(4);
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
    /// Retry after a wait, once the same server has answered something else: until then nothing shows whether the
    /// question or the server is at fault. [`after_proof`] decides then.
    Prove {
        /// The least wait.
        after: Duration,
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
    /// Calls, over all runs, that were probably paid for and brought no answer while the server answered others.
    pub paid: u32,
    /// Refusals while the server answered others.
    pub refused: u32,
    /// Connections that were closed while the server answered others.
    pub closed: u32,
    /// Calls for which the flex tier had no room.
    pub flex_full: u32,
}

impl Tries {
    /// Makes the next call for which the flex tier has no room the last one of the question.
    pub fn stop_waiting_for_flex(&mut self) {
        self.flex_full = self.flex_full.max(FLEX_ATTEMPTS_MAX - 1);
    }

    /// True if the flex tier had no room for the question as often as it is asked. The standard tier follows.
    pub fn avoids_flex(&self) -> bool {
        self.flex_full >= FLEX_ATTEMPTS_MAX
    }

    /// Adds the current failure.
    pub fn add(&mut self, failure: &Failure, counted: bool) {
        // Nothing went wrong that waiting could heal.
        self.streak += u32::from(failure.class != FailureClass::Learned);
        self.counted += u32::from(counted);
        self.flex_full += u32::from(failure.code == FailureCode::FlexFull);
        self.unusable += u32::from(counted && failure.is_unusable_reply());
    }
}

/// Decides how to handle `failure`, given the question's earlier failures.
///
/// Waits double from half a second to a minute. Jitter between half and the full wait keeps questions that failed
/// together from returning together. The server's requested wait is a lower bound.
pub fn decide(failure: &Failure, tries: Tries, fingerprint: &Fingerprint) -> RetryDecision {
    let (attempt, streak) = (tries.counted + 1, tries.streak + 1);
    let named = match failure.class {
        FailureClass::RateLimited => failure.retry_after.unwrap_or_default(),
        // A single broken or refused call says little about the server: an hour would hold this question alone.
        _ => failure.retry_after.unwrap_or_default().min(WAIT_MAX),
    };
    let after = backoff(streak, fingerprint).max(named);
    match failure.class {
        FailureClass::Fatal => RetryDecision::StopRun,
        FailureClass::Permanent => RetryDecision::GiveUp,
        // The standard tier follows, which has room.
        FailureClass::RateLimited
            if failure.code == FailureCode::FlexFull && tries.flex_full + 1 >= FLEX_ATTEMPTS_MAX =>
        {
            RetryDecision::Retry { after: Duration::ZERO, counted: false }
        }
        FailureClass::RateLimited | FailureClass::Outage => RetryDecision::Retry { after, counted: false },
        FailureClass::Learned => RetryDecision::Retry { after: Duration::ZERO, counted: false },
        // Later, every second one is: a server that closes every second connection answers one of the two, and otherwise the
        // probe between them would always be the one that is answered.
        FailureClass::RetryNow if streak <= IMMEDIATE_ATTEMPTS_MAX || streak.is_multiple_of(2) => {
            RetryDecision::Retry { after: Duration::ZERO, counted: false }
        }
        FailureClass::RetryNow => RetryDecision::Prove { after: after.min(CLOSED_WAIT_MAX) },
        FailureClass::Refused => RetryDecision::Prove { after },
        FailureClass::Transient if failure.is_probably_paid() => RetryDecision::Prove { after },
        FailureClass::Transient if attempt >= ATTEMPTS_MAX => RetryDecision::GiveUp,
        FailureClass::Transient if failure.is_unusable_reply() && tries.unusable + 1 >= UNUSABLE_REPLIES_MAX => {
            RetryDecision::GiveUp
        }
        FailureClass::Transient => RetryDecision::Retry { after, counted: true },
    }
}

/// What follows once the server has answered something else since a question failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The question is sent again.
    Resend,
    /// The question fails; `permanent` if it is at fault and would fail again.
    GiveUp {
        /// True if the failure is recorded.
        permanent: bool,
    },
}

/// Counts a failure whose server has answered something else since. `is_much_longer` is true for a prompt much longer
/// than any that the server has answered: its refusal needs no second try.
pub fn after_proof(failure: &Failure, tries: &mut Tries, is_much_longer: bool) -> Proven {
    let (count, max, permanent) = match failure.class {
        FailureClass::Refused if !failure.may_blame_question() => (&mut tries.refused, INNOCENT_MAX, false),
        FailureClass::Refused => (&mut tries.refused, if is_much_longer { 1 } else { REFUSALS_MAX }, true),
        FailureClass::RetryNow => (&mut tries.closed, CLOSED_MAX, false),
        _ => (&mut tries.paid, PAID_ATTEMPTS_MAX, true),
    };
    *count += 1;
    if *count >= max { Proven::GiveUp { permanent } } else { Proven::Resend }
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

    fn decision(class: FailureClass, attempt: u32, streak: u32) -> RetryDecision {
        let tries = Tries { counted: attempt - 1, streak: streak - 1, ..Tries::default() };
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
        let RetryDecision::Prove { after } = decision(FailureClass::RetryNow, 1, 9) else { panic!("not in doubt") };
        assert!(after <= CLOSED_WAIT_MAX, "{after:?}");
        let again = RetryDecision::Retry { after: Duration::ZERO, counted: false };
        assert_eq!(decision(FailureClass::RetryNow, 1, 10), again, "no wait in step with the server");
        assert!(matches!(decision(FailureClass::Refused, 1, 1), RetryDecision::Prove { .. }));
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
    fn a_call_that_was_probably_paid_for_is_repeated_a_few_times_only() {
        let gave_up = Failure::new(FailureClass::Transient, FailureCode::Http(504), "gateway timeout");
        assert!(matches!(decide(&gave_up, Tries::default(), &Fingerprint([3; 32])), RetryDecision::Prove { .. }));
        let mut tries = Tries::default();
        let ends: Vec<Proven> = (0..4).map(|_| after_proof(&gave_up, &mut tries, false)).collect();
        assert_eq!(ends[..3], [Proven::Resend; 3]);
        assert_eq!(ends[3], Proven::GiveUp { permanent: true });
    }

    #[test]
    fn a_refusal_is_the_questions_own_at_the_second_time_or_if_its_prompt_is_much_longer() {
        let refused = Failure::new(FailureClass::Refused, FailureCode::Http(400), "no");
        let mut tries = Tries::default();
        assert_eq!(after_proof(&refused, &mut tries, false), Proven::Resend);
        assert_eq!(after_proof(&refused, &mut tries, false), Proven::GiveUp { permanent: true });
        assert_eq!(after_proof(&refused, &mut Tries::default(), true), Proven::GiveUp { permanent: true });
        let page = Failure::new(FailureClass::Refused, FailureCode::Html, "a web page");
        let mut tries = Tries::default();
        let ends: Vec<Proven> = (0..INNOCENT_MAX).map(|_| after_proof(&page, &mut tries, true)).collect();
        assert!(ends[..11].iter().all(|end| *end == Proven::Resend) && ends[11] == Proven::GiveUp { permanent: false });
    }

    #[test]
    fn a_full_flex_tier_is_asked_a_few_times_and_uses_up_no_attempt() {
        let full = Failure::new(FailureClass::RateLimited, FailureCode::FlexFull, "no room");
        let mut tries = Tries::default();
        for _ in 0..FLEX_ATTEMPTS_MAX {
            assert!(!tries.avoids_flex());
            assert!(matches!(decide(&full, tries, &Fingerprint([3; 32])), RetryDecision::Retry { counted: false, .. }));
            tries.add(&full, false);
        }
        assert!(tries.avoids_flex() && tries.counted == 0);
        let mut short = Tries::default();
        short.stop_waiting_for_flex();
        assert!(!short.avoids_flex());
        let at_once = RetryDecision::Retry { after: Duration::ZERO, counted: false };
        assert_eq!(decide(&full, short, &Fingerprint([3; 32])), at_once, "the standard tier needs no wait");
        short.add(&full, false);
        assert!(short.avoids_flex());
    }

    #[test]
    fn a_server_that_names_a_wait_gets_at_least_that() {
        let mut failure = Failure::new(FailureClass::RateLimited, FailureCode::RateLimit, "slow down");
        failure.retry_after = Some(Duration::from_secs(90));
        let RetryDecision::Retry { after, .. } = decide(&failure, Tries::default(), &Fingerprint([1; 32])) else {
            panic!("not retried")
        };
        assert_eq!(after, Duration::from_secs(90));
        failure.class = FailureClass::Transient;
        let broken = decide(&failure, Tries::default(), &Fingerprint([1; 32]));
        assert_eq!(broken, RetryDecision::Retry { after: WAIT_MAX, counted: true });
    }
}
