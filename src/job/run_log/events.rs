use std::collections::{BTreeSet, HashMap};

use super::line::LogEvent;
use super::writer::RunLog;
use crate::report::Tally;
use crate::worker::Event;

/// Writes the events of a run that a person may ask for later.
pub struct LoggedEvents<'a> {
    log: &'a RunLog,
    /// The servers' addresses by their names in messages.
    addresses: &'a HashMap<String, String>,
    /// Servers that are down.
    down: BTreeSet<String>,
}

impl<'a> LoggedEvents<'a> {
    pub fn new(log: &'a RunLog, addresses: &'a HashMap<String, String>) -> Self {
        Self { log, addresses, down: BTreeSet::new() }
    }

    /// Takes an event; `tally` has counted it.
    pub fn on_event(&mut self, event: &Event, tally: &Tally) {
        let address = |model: &String| self.addresses.get(model).cloned();
        match event {
            Event::Reused | Event::NotStored(_) | Event::Shared | Event::Answered { .. } | Event::Sent => {
                self.log.progressed(tally);
            }
            Event::Failed { model, code, message, again_after, .. } => {
                self.log.progressed(tally);
                self.log.record(LogEvent::FailedCall {
                    model: model.clone(),
                    address: address(model),
                    code: code.to_string(),
                    message: message.clone(),
                    retry_after_ms: again_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
                });
            }
            // Every failed probe says so again.
            Event::Parked { model, message, .. } if self.down.insert(model.clone()) => {
                let (model, address, message) = (model.clone(), address(model), message.clone());
                self.log.record(LogEvent::OutageBegin { model, address, message });
            }
            Event::Recovered { model } if self.down.remove(model) => {
                self.log.record(LogEvent::OutageEnd { model: model.clone() });
            }
            Event::Pace { model, change } => {
                let (from, to) = (change.from as u64, change.to as u64);
                let (model, reason) = (model.clone(), change.reason.to_string());
                self.log.record(LogEvent::Concurrency { model, from, to, reason });
            }
            Event::Drained { model, reason } => {
                let text = format!("{model} gets no new calls for a minute: {reason}");
                self.log.record(LogEvent::Caution { text });
            }
            Event::Stopping { reason, in_flight } => {
                let text = format!("stopping with {in_flight} calls in flight: {reason}");
                self.log.record(LogEvent::Caution { text });
            }
            Event::Rejected { model, message } => {
                self.log.record(LogEvent::Caution { text: format!("{model} cannot be used: {message}") });
            }
            Event::Opened
            | Event::Reopened { .. }
            | Event::Slots(_)
            | Event::Waiting(_)
            | Event::Closed(_)
            | Event::Rested { .. }
            | Event::Adjusted { .. }
            | Event::Parked { .. }
            | Event::Recovered { .. }
            | Event::Measured(_) => {}
        }
    }
}
