//! What a person may change about a run while it is at work. The dispatcher applies it between two events, so that every
//! reply tells of a run in which it holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::budget::Amount;
use super::stop::StopStage;
use crate::model::Model;

/// Commands that may wait for the dispatcher.
pub const COMMANDS_MAX: usize = 32;

/// A change of a run, or a look at it.
#[derive(Clone)]
pub enum Control {
    /// Changes nothing.
    Look,
    /// Sends no further call, of whatever kind. Calls in flight finish, and deadlines keep running.
    Pause,
    /// Ends a pause.
    Resume,
    /// Stops the run.
    Stop(StopStage),
    /// Sets a limit, or removes it.
    Limit(RunLimit),
    /// Gives a model one more server, or one that was drained back.
    AddReplica {
        /// The model.
        model: String,
        /// The server's host, by which people tell servers apart.
        host: String,
        /// The server.
        replica: Arc<dyn Model>,
    },
    /// Sends a server nothing more; its calls in flight finish.
    Drain {
        /// The server's host.
        host: String,
    },
    /// Opens the conversations again that have failed, and sends questions again that failed permanently.
    RetryFailed,
}

/// A limit that can be changed during a run; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunLimit {
    /// Calls in flight; `None` finds what the servers take.
    Concurrency(Option<usize>),
    /// Requests a minute of each model.
    RequestsPerMinute(Option<u32>),
    /// Dollars, earlier runs of the store included.
    Cost(Option<f64>),
}

/// A control on its way to the dispatcher.
pub struct Command {
    /// What to do.
    pub control: Control,
    /// Gets the state of the run with the control applied.
    pub reply: oneshot::Sender<Result<RunSnapshot, ControlError>>,
}

/// Whether calls may be sent.
#[derive(Clone, Copy, Debug, Default)]
pub enum PauseState {
    /// They may.
    #[default]
    Never,
    /// They may not.
    Paused,
    /// They may again, since this moment.
    Resumed(Instant),
}

/// The controls of a run.
#[derive(Default)]
pub struct Controls {
    /// What was changed before the run began; applied first.
    pub held: Vec<Control>,
    /// What is changed while it is at work.
    pub commands: Option<mpsc::Receiver<Command>>,
}

impl Controls {
    /// Waits for the next command; forever where none can come.
    pub(super) async fn next(&mut self) -> Command {
        if let Some(commands) = &mut self.commands
            && let Some(command) = commands.recv().await
        {
            return command;
        }
        self.commands = None;
        std::future::pending().await
    }
}

/// Why a control is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The run is stopping.
    #[error("the run is stopping")]
    Stopping,
    /// There is no such server.
    #[error("no server of this run is called `{host}`; its servers are {}", known.join(", "))]
    UnknownReplica {
        /// What was asked for.
        host: String,
        /// The servers of the run.
        known: Vec<String>,
    },
    /// A model would have no server left.
    #[error("`{host}` is the last server of `{model}`")]
    LastReplica {
        /// The server.
        host: String,
        /// The model.
        model: String,
    },
    /// The server is there already.
    #[error("`{host}` is a server of `{model}` already")]
    KnownReplica {
        /// The server.
        host: String,
        /// The model.
        model: String,
    },
    /// The run has no such model.
    #[error("the run asks no model called `{model}`; its models are {}", known.join(", "))]
    UnknownModel {
        /// What was asked for.
        model: String,
        /// The models of the run.
        known: Vec<String>,
    },
}

/// How a run is at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSnapshot {
    /// Nothing is sent until it is resumed.
    pub is_paused: bool,
    /// Why the run is stopping, if it is.
    pub stopping: Option<String>,
    /// Calls that were sent so far, probes included.
    pub sent: u64,
    /// Calls in flight, probes included.
    pub in_flight: usize,
    /// Calls that may be in flight.
    pub slots: usize,
    /// Answers that are not on disk yet.
    pub uncommitted: usize,
    /// Open conversations.
    pub open: usize,
    /// Questions that wait for a slot, a retry or a server.
    pub waiting: usize,
    /// Conversations that failed in this run and can be opened again.
    pub failed: usize,
    /// Conversations that are about to be opened again.
    pub reopening: usize,
    /// The number of calls in flight that was asked for.
    pub concurrency: Option<usize>,
    /// The limit on requests a minute.
    pub requests_per_minute: Option<u32>,
    /// The cap on dollars.
    pub cost_max: Option<f64>,
    /// What was spent, earlier runs of the store included.
    pub spent: Amount,
    /// The models, by name.
    pub models: Vec<ModelSnapshot>,
}

/// How a model of a run is at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSnapshot {
    /// The model's name.
    pub model: String,
    /// Calls in flight, without probes.
    pub in_flight: usize,
    /// Calls that may be in flight.
    pub slots: usize,
    /// Its servers.
    pub replicas: Vec<ReplicaSnapshot>,
}

/// How a server is at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSnapshot {
    /// Its host; the model's name for a model of this process.
    pub host: String,
    /// Whether it gets calls.
    pub condition: ReplicaCondition,
    /// The time until it gets a call or a probe again, where it waits for one.
    pub wait: Option<Duration>,
    /// Calls in flight, without probes.
    pub in_flight: usize,
    /// Calls that may be in flight.
    pub slots: usize,
    /// Questions that wait for a slot.
    pub waiting: usize,
    /// Answers so far, those to probes included.
    pub answers: u64,
}

/// Whether a server gets calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaCondition {
    /// It does.
    Up,
    /// It asked for a pause.
    Resting,
    /// A probe finds out whether it answers.
    Suspected,
    /// It refuses everything; it gets probes only.
    Refusing,
    /// It does not answer; it gets probes only.
    Down,
    /// It was drained and gets nothing.
    Drained,
}

impl ReplicaCondition {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Resting => "resting",
            Self::Suspected => "suspected",
            Self::Refusing => "refusing",
            Self::Down => "down",
            Self::Drained => "drained",
        }
    }
}
