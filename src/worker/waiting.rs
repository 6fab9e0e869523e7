//! What a run waits for while it sends nothing.

use tokio::time::Instant;

use super::dispatcher::Dispatcher;
use super::event::Event;
use super::model_queue::{ModelQueue, Replica};
use super::wait::{REPORTED_MIN, TimedWait, Wait, WaitCause};

impl Dispatcher<'_> {
    /// Reports what the next call waits for, where that has changed.
    pub(super) fn report_wait(&mut self) {
        let now = Instant::now();
        let probes = self.replicas().filter(|replica| replica.is_probing).count();
        let is_waiting = self.calls.len() <= probes && self.commits_pending == 0 && self.stopping.is_none();
        // A pause is no wait: nobody knows when it ends.
        let is_waiting = is_waiting && !self.is_paused();
        let wait = if is_waiting && !self.flights.is_empty() { self.next_wait(now) } else { None };
        let wait =
            wait.filter(|wait| wait.until.is_none_or(|until| until >= now + REPORTED_MIN) || self.wait.is_some());
        let is_news = match (&wait, &self.wait) {
            (Some(new), Some(old)) => !new.is_same(old),
            (new, old) => new.is_some() != old.is_some(),
        };
        if is_news {
            let shown = wait.as_ref().map(|TimedWait { model, cause, until }| Wait {
                model: model.clone(),
                cause: *cause,
                time: until.map(|until| until.saturating_duration_since(now)),
            });
            self.observer.on_event(&Event::Waiting(shown));
            self.wait = wait;
        }
    }

    /// Returns what ends first of all that calls wait for.
    fn next_wait(&self, now: Instant) -> Option<TimedWait> {
        let mut waits = Vec::new();
        for (name, queue) in &self.queues {
            let wait = |cause, until| TimedWait { model: name.clone(), cause, until };
            if queue.gone_since().is_some() {
                waits.push(wait(WaitCause::Outage, next_probe(queue)));
            } else if let Some(until) = closed_until(queue, now) {
                waits.push(wait(WaitCause::RateLimit, Some(until)));
            } else if let Some(until) = self.gate_opens.filter(|_| queue.has_ready()) {
                waits.push(wait(WaitCause::Pace, Some(until)));
            }
        }
        if let Some((until, flight)) = self.flights.next_retry() {
            let model = flight.question.target.model().to_owned();
            waits.push(TimedWait { model, cause: WaitCause::Retry, until: Some(until) });
        }
        // A probe that is under way comes first.
        waits.into_iter().min_by_key(|wait| wait.until)
    }
}

/// Returns when a server that is down is probed next; `None` while one is.
fn next_probe(queue: &ModelQueue) -> Option<Instant> {
    if queue.replicas.iter().any(|replica| replica.is_probing) {
        return None;
    }
    queue.replicas.iter().filter_map(Replica::probe_due).min()
}

/// Returns when the first server takes calls again, where questions wait and every one of them has asked for a pause.
fn closed_until(queue: &ModelQueue, now: Instant) -> Option<Instant> {
    let mut closed = queue.replicas.iter().filter(|replica| !replica.ready.is_empty());
    let first = closed.next()?.closed_until.filter(|until| *until > now)?;
    closed.try_fold(first, |first, replica| Some(first.min(replica.closed_until.filter(|until| *until > now)?)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::conversation::Fingerprint;
    use crate::model::{PaceLimits, Simulated};
    use crate::worker::Served;

    #[test]
    fn a_rate_limit_is_waited_for_where_every_server_with_questions_is_paused() {
        let now = Instant::now();
        let at = |second| Some(now + Duration::from_secs(second));
        let mut queue = ModelQueue::new(Served::by_one("m", Arc::new(Simulated)), PaceLimits::default(), now);
        queue.add_replica("m", "gpu1", Arc::new(Simulated), now);
        queue.replicas[1].closed_until = at(3);
        assert_eq!(closed_until(&queue, now), None, "no question waits");
        let waits =
            |queue: &mut ModelQueue, index: usize| queue.replicas[index].ready.extend([(1, Fingerprint([1; 32]))]);
        waits(&mut queue, 1);
        assert_eq!(closed_until(&queue, now), at(3), "the other server has no question");
        waits(&mut queue, 0);
        assert_eq!(closed_until(&queue, now), None, "the other server takes calls");
        queue.replicas[0].closed_until = at(2);
        assert_eq!(closed_until(&queue, now), at(2));
        assert_eq!(closed_until(&queue, now + Duration::from_secs(2)), None, "its pause is over");
        assert_eq!(next_probe(&queue), None);
        queue.replicas[0].breaker.suspect(now + Duration::from_secs(9));
        queue.replicas[1].breaker.suspect(now + Duration::from_secs(8));
        assert_eq!(next_probe(&queue), at(8));
        queue.replicas[0].is_probing = true;
        assert_eq!(next_probe(&queue), None, "one is under way");
    }
}
