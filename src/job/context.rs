use std::sync::Arc;

use tokio::sync::watch;

use super::control::{RunControl, event_line};
use super::events::{JobEvent, Listener};
use super::run_log::{LogEvent, RunLog};
use super::shared::SharedAccess;
use crate::worker::StopStage;

/// What a job is given beside its settings: who listens, and when to stop.
#[derive(Clone)]
pub struct Context {
    /// Receives the events of the job.
    pub listener: Arc<dyn Listener>,
    /// Tells the job to stop. The first stage lets calls in flight finish and commit.
    pub stop: watch::Receiver<StopStage>,
    /// Tells how the job is, and steers it.
    pub control: RunControl,
    /// The log of the run, in its store.
    pub log: RunLog,
    /// The database, where the store is a shared one. The directory of the store is then where this host's workers keep what
    /// is theirs.
    pub shared: Option<SharedAccess>,
}

impl Context {
    /// A context with a listener (a closure will do), and without a way to stop the job early.
    pub fn new(listener: Arc<dyn Listener>) -> Self {
        let (stop, control) = (watch::channel(StopStage::Go).1, RunControl::default());
        Self { listener, stop, control, log: RunLog::default(), shared: None }
    }

    /// Reports an event. What the user should know of the store and of the run is in the run log too.
    pub fn report(&self, event: JobEvent) {
        if let JobEvent::Stored(stored) = &event {
            self.control.set_stored(*stored);
        }
        if event.is_caution() {
            self.log.record(LogEvent::Caution { text: event.to_string() });
        }
        self.control.publish(|| event_line(&event));
        self.listener.on_event(&event);
    }
}

/// No listener, and no way to stop the job early.
impl Default for Context {
    fn default() -> Self {
        Self::new(Arc::new(|_: &JobEvent| {}))
    }
}
