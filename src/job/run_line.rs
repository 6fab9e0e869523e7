use std::time::Duration;

use crate::report::words;
use crate::worker::{Event, Wait, WaitCause};

/// A pause from which on it is shown unasked.
const LONG_WAIT: Duration = Duration::from_secs(30);
/// The same while nothing is in flight.
const IDLE_WAIT: Duration = Duration::from_secs(5);

/// A line for people about an event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLine {
    /// The text.
    pub text: String,
    /// It concerns a single call or a change of concurrency; shown on request only.
    pub is_detail: bool,
}

/// Returns the line for an event of a run that deserves one.
pub fn run_line(event: &Event) -> Option<RunLine> {
    let text = match event {
        Event::Parked { model, message, next_try } => {
            let wait = words::duration(*next_try);
            format!("{model} does not answer ({message}); nothing is lost, next try in {wait}")
        }
        Event::Pace { model, change } => {
            format!("{model}: {} calls at a time, were {}: {}", change.to, change.from, change.reason)
        }
        Event::Adjusted { model, adjustment } => format!("{model}: {adjustment}"),
        Event::Rested { model, wait } => {
            format!("{model}: a limit of the server is used up, next call in {}", words::duration(*wait))
        }
        Event::Waiting(Some(wait)) => wait_line(wait),
        Event::Drained { model, reason } => format!("{model} gets no new calls for a minute: {reason}"),
        Event::Rejected { model, message } => format!("{model} gets no calls, because it cannot be used: {message}"),
        Event::Recovered { model } => format!("{model} answers again"),
        Event::Stopping { reason, in_flight } => {
            let calls = words::counted(*in_flight as u64, "call");
            format!("stopping ({reason}); waiting for {calls} in flight, Ctrl-C stops at once")
        }
        Event::Failed { code, message, again_after, .. } => {
            let retry = |wait: Duration| format!("retry in {}", words::duration(wait));
            let next = again_after.map_or("given up".to_owned(), retry);
            format!("call failed ({code}): {message}; {next}")
        }
        _ => return None,
    };
    let is_detail = match event {
        Event::Pace { .. } | Event::Failed { .. } => true,
        // A run that seems to hang has to say why.
        Event::Rested { wait, .. } => *wait < LONG_WAIT,
        // A server that is down, or asks for a long pause, was reported as that.
        Event::Waiting(Some(Wait { cause: WaitCause::Outage, .. })) => true,
        Event::Waiting(Some(Wait { cause: WaitCause::RateLimit, time, .. })) => {
            !time.is_some_and(|time| (IDLE_WAIT..LONG_WAIT).contains(&time))
        }
        Event::Waiting(Some(Wait { time, .. })) => time.is_none_or(|time| time < IDLE_WAIT),
        _ => false,
    };
    Some(RunLine { text, is_detail })
}

/// Says what nothing is sent for, and until when.
fn wait_line(Wait { model, cause, time }: &Wait) -> String {
    let reason = match cause {
        WaitCause::Outage => format!("{model} does not answer"),
        WaitCause::RateLimit => format!("a limit of {model}'s server is used up"),
        WaitCause::Pace => format!("--rpm or --tpm is used up for {model}"),
        WaitCause::Retry => format!("calls to {model} failed"),
    };
    let Some(time) = time else { return format!("waiting: {reason}; trying now") };
    let at = jiff::Zoned::now().checked_add(jiff::SignedDuration::try_from(*time).unwrap_or_default());
    let at = at.map_or(String::new(), |at| format!(" at {}", at.strftime("%H:%M:%S")));
    format!("waiting: {reason}; next try{at}, in {}", words::duration(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_sends_nothing_says_for_what_and_until_when() {
        let line = |cause, seconds| {
            let time = Some(Duration::from_secs(seconds));
            run_line(&Event::Waiting(Some(Wait { model: "m".to_owned(), cause, time }))).unwrap()
        };
        let shown = line(WaitCause::Pace, 45);
        assert!(!shown.is_detail && shown.text.starts_with("waiting: --rpm or --tpm is used up for m; next try at "));
        assert!(shown.text.ends_with(", in 45 s"), "{shown:?}");
        assert!(!line(WaitCause::Retry, 20).is_detail && line(WaitCause::Retry, 2).is_detail);
        assert!(!line(WaitCause::RateLimit, 20).is_detail && line(WaitCause::RateLimit, 60).is_detail);
    }

    #[test]
    fn a_long_pause_is_shown_unasked() {
        for (wait, is_detail) in [(1, true), (3_600, false)] {
            let wait = Duration::from_secs(wait);
            let line = run_line(&Event::Rested { model: "m".to_owned(), wait });
            assert_eq!(line.map(|line| line.is_detail), Some(is_detail));
        }
    }
}
