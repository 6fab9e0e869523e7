//! Applies what a person changes about the run.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::WorkerError;
use super::control::{
    Command, Control, ControlError, ModelSnapshot, PauseState, ReplicaCondition, ReplicaSnapshot, RunLimit, RunSnapshot,
};
use super::dispatcher::{Dispatcher, FailedRow};
use super::model_queue::{ModelQueue, Replica, Standing};
use super::stop::{RunStop, StopStage};
use crate::model::{OutageState, PaceLimits};

/// Failed rows that are remembered, to be opened again.
const FAILED_ROWS_MAX: usize = 1 << 20;

impl Dispatcher<'_> {
    /// Applies a command and replies with the state of the run.
    pub(super) fn on_command(&mut self, command: Command) -> Result<(), WorkerError> {
        let Command { control, reply } = command;
        let applied = self.apply(control)?;
        // Whoever asked may have gone.
        let _ = reply.send(applied.map(|()| self.state()));
        Ok(())
    }

    /// Applies a control; the inner error says why it cannot be.
    pub(super) fn apply(&mut self, control: Control) -> Result<Result<(), ControlError>, WorkerError> {
        if self.stopping.is_some() && !matches!(control, Control::Look | Control::Stop(_)) {
            return Ok(Err(ControlError::Stopping));
        }
        match control {
            Control::Look => {}
            Control::Pause => {
                self.pause = PauseState::Paused;
                self.measure_slots();
            }
            Control::Resume => self.resume(),
            Control::Stop(stage) => {
                self.stop_now |= stage == StopStage::Now;
                self.stop(RunStop::Requested);
            }
            Control::Limit(RunLimit::Concurrency(calls)) => {
                self.set_pace(PaceLimits { concurrency: calls, ..self.whole_pace() });
            }
            Control::Limit(RunLimit::RequestsPerMinute(requests)) => {
                self.set_pace(PaceLimits { requests_per_minute: requests, ..self.whole_pace() });
            }
            // A shared cap is set in the database, which grants less or more from then on.
            Control::Limit(RunLimit::Cost(_)) if self.fleet.is_some() => {}
            Control::Limit(RunLimit::Cost(dollars)) => self.budget.set_cost(dollars),
            Control::AddReplica { model, host, replica } => {
                let known: Vec<String> = self.queues.keys().cloned().collect();
                let now = Instant::now();
                let Some(queue) = self.queues.get_mut(&model) else {
                    return Ok(Err(ControlError::UnknownModel { model, known }));
                };
                if !queue.add_replica(&model, &host, replica, now) {
                    return Ok(Err(ControlError::KnownReplica { host, model }));
                }
                self.reassign_waiting(&model)?;
                self.measure_slots();
            }
            Control::Drain { host } => return self.drain(host),
            Control::RetryFailed => {
                self.context.retry_failed.store(true, Ordering::Relaxed);
                self.reopen.extend(std::mem::take(&mut self.failed_rows));
            }
        }
        Ok(Ok(()))
    }

    fn resume(&mut self) {
        if self.is_paused() {
            self.pause = PauseState::Resumed(Instant::now());
        }
        self.measure_slots();
    }

    /// True while nothing is sent.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.pause, PauseState::Paused)
    }

    fn set_pace(&mut self, pace: PaceLimits) {
        if !self.set_whole_pace(pace) {
            self.set_own_pace(pace);
        }
    }

    /// Sets the limits of this worker.
    pub(super) fn set_own_pace(&mut self, pace: PaceLimits) {
        self.pace = pace;
        let now = Instant::now();
        self.queues.values_mut().for_each(|queue| queue.set_limits(pace, now));
        self.measure_slots();
    }

    /// Sends a server nothing more. Of its questions those that wait go elsewhere; those in flight finish.
    fn drain(&mut self, host: String) -> Result<Result<(), ControlError>, WorkerError> {
        let is_named = |replica: &Replica| replica.host == host || replica.label == host;
        let is_last =
            |queue: &ModelQueue| queue.replicas.iter().all(|replica| replica.is_drained() || is_named(replica));
        let models: Vec<String> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.replicas.iter().any(is_named))
            .map(|(model, _)| model.clone())
            .collect();
        if models.is_empty() {
            let mut known: Vec<String> = self.replicas().map(|replica| replica.host.clone()).collect();
            known.sort_unstable();
            known.dedup();
            return Ok(Err(ControlError::UnknownReplica { host, known }));
        }
        if let Some(model) = models.iter().find(|model| self.queues.get(*model).is_some_and(is_last)) {
            return Ok(Err(ControlError::LastReplica { model: model.clone(), host }));
        }
        for model in models {
            let Some(queue) = self.queues.get_mut(&model) else { continue };
            let named: Vec<usize> =
                queue.replicas.iter().enumerate().filter(|(_, one)| is_named(one)).map(|(index, _)| index).collect();
            for index in &named {
                queue.replicas[*index].standing = Standing::Drained;
            }
            self.reassign_waiting(&model)?;
            // What waits for an answer of this server would wait forever.
            named.into_iter().try_for_each(|index| self.resolve_unproven(&model, index))?;
        }
        self.measure_slots();
        Ok(Ok(()))
    }

    /// Remembers the row of a conversation that has failed.
    pub(super) fn remember_failed(&mut self, row: FailedRow) {
        if self.failed_rows.len() < FAILED_ROWS_MAX {
            self.failed_rows.push(row);
        }
    }

    /// Returns how the run is now.
    fn state(&self) -> RunSnapshot {
        let now = Instant::now();
        let in_flight: usize = self.queues.values().map(ModelQueue::in_flight).sum();
        let uncommitted: usize = self.queues.values().map(ModelQueue::uncommitted).sum();
        RunSnapshot {
            is_paused: self.is_paused(),
            stopping: self.stopping.as_ref().map(RunStop::to_string),
            sent: self.sent,
            in_flight: self.calls.len(),
            slots: self.slots,
            uncommitted,
            open: self.chains.len(),
            waiting: self.flights.len().saturating_sub(in_flight + uncommitted),
            failed: self.failed_rows.len(),
            reopening: self.reopen.len(),
            concurrency: self.pace.concurrency,
            requests_per_minute: self.whole_pace().requests_per_minute,
            cost_max: self.budget.cost_max(),
            spent: *self.budget.spent(),
            models: self.queues.iter().map(|(model, queue)| model_state(model, queue, now)).collect(),
        }
    }
}

fn model_state(model: &str, queue: &ModelQueue, now: Instant) -> ModelSnapshot {
    ModelSnapshot {
        model: model.to_owned(),
        in_flight: queue.in_flight(),
        slots: queue.limit(),
        replicas: queue.replicas.iter().map(|replica| replica_state(replica, now)).collect(),
    }
}

fn replica_state(replica: &Replica, now: Instant) -> ReplicaSnapshot {
    let condition = match replica.breaker.gone_since().map(|(_, state)| state) {
        _ if replica.is_drained() => ReplicaCondition::Drained,
        Some(OutageState::Suspected) => ReplicaCondition::Suspected,
        Some(OutageState::Refusing) => ReplicaCondition::Refusing,
        Some(OutageState::Down) => ReplicaCondition::Down,
        None if replica.closed_until.is_some_and(|until| until > now) => ReplicaCondition::Resting,
        None => ReplicaCondition::Up,
    };
    let until = match condition {
        ReplicaCondition::Up | ReplicaCondition::Drained => None,
        ReplicaCondition::Resting => replica.closed_until,
        _ => replica.probe_due(),
    };
    ReplicaSnapshot {
        host: replica.host.clone(),
        condition,
        wait: until.map(|until| until.saturating_duration_since(now)),
        in_flight: replica.in_flight,
        slots: replica.pace.limit(),
        waiting: replica.ready.len(),
        answers: replica.answers,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conversation::FailureCode;
    use crate::model::{Failure, FailureClass, PaceLimits, Simulated};
    use crate::worker::Served;

    #[test]
    fn a_server_is_shown_in_its_worst_condition_with_the_time_until_it_may_change() {
        let now = Instant::now();
        let mut queue =
            ModelQueue::new(Served::by_one("m", std::sync::Arc::new(Simulated)), PaceLimits::default(), now);
        let shown = |replica: &Replica| {
            let state = replica_state(replica, now);
            (state.condition, state.wait.map(|wait| wait.as_secs()))
        };
        let replica = &mut queue.replicas[0];
        replica.answers = 5;
        let state = replica_state(replica, now);
        assert_eq!((state.host.as_str(), state.in_flight, state.waiting, state.answers), ("m", 0, 0, 5));
        assert_eq!(shown(replica), (ReplicaCondition::Up, None));
        replica.closed_until = Some(now);
        assert_eq!(shown(replica), (ReplicaCondition::Up, None), "its pause is over");
        replica.closed_until = Some(now + Duration::from_secs(7));
        assert_eq!(shown(replica), (ReplicaCondition::Resting, Some(7)));
        replica.breaker.suspect(now);
        assert_eq!(shown(replica), (ReplicaCondition::Suspected, Some(0)));
        let failed = |class| Failure::new(class, FailureCode::Http(500), "told to fail");
        replica.breaker.on_failed_probe(&failed(FailureClass::Refused), now);
        assert_eq!(shown(replica), (ReplicaCondition::Refusing, Some(1)));
        replica.breaker.on_failed_probe(&failed(FailureClass::Outage), now);
        assert_eq!(shown(replica), (ReplicaCondition::Down, Some(2)));
        replica.standing = Standing::Drained;
        assert_eq!(shown(replica), (ReplicaCondition::Drained, None));
        let model = model_state("m", &queue, now);
        assert_eq!((model.model.as_str(), model.in_flight, model.slots, model.replicas.len()), ("m", 0, 0, 1));
    }
}
