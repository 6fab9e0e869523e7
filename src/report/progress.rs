//! How far a run is: rates, remaining time, and the words for them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rate::Rates;
use super::tally::{Tally, Waiting};
use super::words::{counted, duration, money, number};

/// How far a run is at a moment, and what is left.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// The time since the start of the run.
    pub elapsed: Duration,
    /// How fast it is.
    pub rates: Rates,
    /// The time that the rest takes at this rate; `None` where it is unknown, or nothing is in flight.
    pub left: Option<Duration>,
    /// What the run will have cost at its end, where prices are known and it has answers.
    pub cost_at_end: Option<f64>,
}

impl Course {
    /// Computes where a run that began at `started` is.
    pub fn of(tally: &Tally, started: Instant, now: Instant) -> Self {
        let rates = tally.rates.rates(now);
        let left = tally.totals.turns.saturating_sub(tally.settled()) as f64;
        let is_moving = rates.settled > 0.0 && tally.in_flight() > 0;
        let seconds = is_moving.then(|| Duration::try_from_secs_f64(left / rates.settled).ok());
        let settled = (tally.counted + tally.shared + tally.unused) as f64;
        let is_priced = !tally.prices.is_empty() && settled > 0.0;
        Self {
            elapsed: now.saturating_duration_since(started),
            rates,
            left: seconds.flatten(),
            cost_at_end: is_priced.then(|| tally.cost + tally.cost / settled * left),
        }
    }
}

/// Returns how many answers were reused: `413`, or `at least 413` while they are being counted.
pub fn reused_words(tally: &Tally) -> String {
    let at_least = if tally.stored.is_exact { "" } else { "at least " };
    format!("{at_least}{}", number(tally.reused()))
}

/// Returns what a run waits for, and for how long.
pub fn waiting_words(waiting: &Waiting, now: Instant) -> String {
    let Waiting { reason, until } = waiting;
    match until.map(|until| until.saturating_duration_since(now)) {
        None => format!("waiting: {reason}; trying now"),
        Some(time) => format!("waiting: {reason}; next try in {}", duration(time)),
    }
}

/// Returns how far a run is, as a line for people.
pub fn progress_line(tally: &Tally, started: Instant, now: Instant) -> String {
    let course = Course::of(tally, started, now);
    let (done, total, unit) = (number(tally.done()), number(tally.totals.turns), tally.unit.noun());
    let mut parts = vec![format!("{done}/{total} {unit}s")];
    if tally.reused() > 0 {
        parts.push(format!("{} reused", reused_words(tally)));
    }
    parts.push(format!("{} in flight, {:.1} {unit}s/s", tally.in_flight(), course.rates.counted));
    parts.extend(tally.usage.completion_tokens.map(|tokens| format!("{} tokens out", number(tokens))));
    if !tally.prices.is_empty() {
        parts.push(money(tally.cost));
    }
    if tally.failure_count() > 0 {
        parts.push(counted(tally.failure_count(), "failed call"));
    }
    match &tally.waiting {
        Some(waiting) => parts.push(waiting_words(waiting, now)),
        // Where no call is in flight, the reason matters most.
        None if tally.in_flight() == 0 => {
            parts.extend(tally.last_failure.as_ref().map(|last| format!("last failure: {last}")));
        }
        None => {}
    }
    parts.extend(course.left.map(|left| format!("{} left", duration(left))));
    parts.join(", ")
}

/// Returns the same for machines.
pub fn progress_json(tally: &Tally, started: Instant, now: Instant) -> Value {
    let course = Course::of(tally, started, now);
    let waiting = tally.waiting.as_ref().map(|Waiting { reason, until }| {
        let seconds = until.map(|until| until.saturating_duration_since(now).as_secs_f64());
        json!({"reason": reason, "next_try_s": seconds})
    });
    json!({
        "unit": tally.unit.noun(), "done": tally.done(), "total": tally.totals.turns,
        "reused": tally.reused(), "reused_is_exact": tally.stored.is_exact,
        "shared": tally.shared, "answered": tally.answered,
        "conversations_done": tally.conversations_done(), "conversations": tally.totals.conversations,
        "in_flight": tally.in_flight(), "in_flight_max": tally.slots,
        "per_second": course.rates.counted, "tokens_per_second": course.rates.tokens,
        "prompt_tokens": tally.usage.prompt_tokens, "completion_tokens": tally.usage.completion_tokens,
        "cost": (!tally.prices.is_empty()).then_some(tally.cost), "cost_at_end": course.cost_at_end,
        "failures": tally.failures, "rejected": tally.rejected, "waiting": waiting,
        "elapsed_s": course.elapsed.as_secs_f64(), "eta_s": course.left.map(|left| left.as_secs_f64()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tally::{StoredSum, Totals};
    use super::*;

    /// A resumed run: 1,000 of 3,000 turns stored, 100 more answered at one a second.
    fn resumed() -> (Tally, Instant) {
        let started = Instant::now();
        let mut tally = Tally { totals: Totals { conversations: 500, turns: 3_000 }, ..Tally::default() };
        tally.rates = super::super::RateWindow::starting(started);
        tally.stored = StoredSum { answers: 1_000, unused: 0, conversations: 180, is_exact: true };
        for second in 1..=100 {
            let arrived = super::super::Arrivals { counted: 1, settled: 1, tokens: 20 };
            tally.rates.push(started + Duration::from_secs(second), arrived);
        }
        (tally.counted, tally.answered, tally.sent) = (100, 110, 120);
        (tally.returned, tally.closed) = (112, 20);
        (tally, started)
    }

    #[test]
    fn a_resumed_run_starts_from_what_is_stored() {
        let (tally, started) = resumed();
        let now = started + Duration::from_secs(100);
        let line = progress_line(&tally, started, now);
        assert_eq!(line, "1,100/3,000 turns, 1,000 reused, 8 in flight, 1.0 turns/s, 31 min 40 s left");
        let json = progress_json(&tally, started, now);
        assert_eq!(
            (&json["done"], &json["reused"], &json["conversations_done"]),
            (&1_100.into(), &1_000.into(), &200.into())
        );
        assert!((json["eta_s"].as_f64().unwrap() - 1_900.0).abs() < 20.0, "{json}");
    }

    #[test]
    fn a_count_that_is_not_finished_is_a_lower_bound_and_never_exceeds_the_total() {
        let (mut tally, started) = resumed();
        tally.stored.is_exact = false;
        assert!(progress_line(&tally, started, started).contains("at least 1,000 reused"));
        // A damaged answer was counted as stored, and is asked again.
        (tally.stored.answers, tally.taken, tally.not_stored) = (2_999, 4, 1);
        assert_eq!((tally.reused(), tally.done()), (3_000, 3_000));
    }

    #[test]
    fn what_conversations_do_without_is_not_left_to_do() {
        let (mut tally, started) = resumed();
        (tally.unused, tally.stored.unused) = (900, 900);
        let course = Course::of(&tally, started, started + Duration::from_secs(100));
        assert_eq!((tally.settled(), tally.done()), (2_900, 1_100));
        assert!(course.left.is_some_and(|left| left < Duration::from_secs(110)), "{course:?}");
    }
}
