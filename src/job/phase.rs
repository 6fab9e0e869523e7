use std::time::{Duration, Instant};

use super::Context;
use super::events::{JobEvent, Phase};

/// A pass that is over by then is not shown.
const SHOWN_AFTER: Duration = Duration::from_millis(300);
/// How often a pass is reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// Rows between two looks at the clock.
const ROWS_PER_LOOK: u32 = 64;

/// Reports how far a pass over the rows is; its end when it is dropped.
pub struct PhaseMeter<'a> {
    context: &'a Context,
    next: Instant,
    rows: u32,
    is_shown: bool,
}

impl<'a> PhaseMeter<'a> {
    /// A pass that begins now.
    pub fn begin(context: &'a Context) -> Self {
        Self { context, next: Instant::now() + SHOWN_AFTER, rows: 0, is_shown: false }
    }

    /// Records that one more row is done.
    pub fn step(&mut self, phase: impl FnOnce() -> Phase) {
        self.rows += 1;
        if !self.rows.is_multiple_of(ROWS_PER_LOOK) {
            return;
        }
        let now = Instant::now();
        if now >= self.next {
            (self.next, self.is_shown) = (now + REPORT_INTERVAL, true);
            self.context.report(JobEvent::Phase(phase()));
        }
    }
}

impl Drop for PhaseMeter<'_> {
    fn drop(&mut self) {
        if self.is_shown {
            self.context.report(JobEvent::PhaseEnded);
        }
    }
}
