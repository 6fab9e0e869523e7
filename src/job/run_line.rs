use std::time::Duration;

use crate::report::words;
use crate::worker::Event;

/// A pause from which on it is shown unasked.
const LONG_WAIT: Duration = Duration::from_secs(30);

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
        _ => false,
    };
    Some(RunLine { text, is_detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pause_is_shown_unasked() {
        for (wait, is_detail) in [(1, true), (3_600, false)] {
            let wait = Duration::from_secs(wait);
            let line = run_line(&Event::Rested { model: "m".to_owned(), wait });
            assert_eq!(line.map(|line| line.is_detail), Some(is_detail));
        }
    }
}
