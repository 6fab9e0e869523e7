use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::acceptance::Acceptance;
use super::budget::Amount;
use super::share::Turnover;
use crate::conversation::{Fingerprint, Message, Question, Role, Sampling, Slot, Target};
use crate::model::{
    Breaker, CallResult, Failure, Fitness, Model, OutageState, Pace, PaceLimits, Rate, Router, Routing, SpeedMonitor,
};

/// After this time without room in the flex tier, questions no longer wait for it: each asks once.
const FLEX_FULL_MAX: Duration = Duration::from_secs(30);
/// A replica that is paused for longer than this loses its questions to the others.
const CLOSED_MIN: Duration = Duration::from_secs(2);
/// A pause that ends at most this much later than one that is known is not reported again.
const NEWS_MIN: Duration = Duration::from_secs(1);

/// A model of a run: one server, or several replicas.
#[derive(Clone)]
pub struct Served {
    /// The replicas; at least one.
    pub replicas: Vec<Arc<dyn Model>>,
    /// How conversations are routed to the replicas.
    pub routing: Routing,
    /// The replicas' names in messages.
    pub labels: Vec<String>,
    /// The replicas' hosts; the model's name for a model of this process.
    pub hosts: Vec<String>,
    /// The model's own number of calls in flight, over all replicas. Default: that of the run.
    pub concurrency: Option<usize>,
}

impl Served {
    /// Makes a model with one server, called `name`.
    pub fn by_one(name: impl Into<String>, model: Arc<dyn Model>) -> Self {
        let name = name.into();
        Self {
            replicas: vec![model],
            routing: Routing::default(),
            hosts: vec![name.clone()],
            labels: vec![name],
            concurrency: None,
        }
    }
}

/// The replicas of one model, with a queue for each.
pub struct ModelQueue {
    pub replicas: Vec<Replica>,
    limits: PaceLimits,
    /// The model's own number of calls in flight.
    own: Option<usize>,
    rate: Rate,
    router: Router,
    speed: SpeedMonitor,
    /// Answers on their way to the disk.
    uncommitted: usize,
    /// What the model's share of the run's slots depends on.
    pub turnover: Turnover,
    /// The target of probes, taken from the first question.
    target: Option<Arc<Target>>,
    /// Whether the server accepts this run's requests.
    pub acceptance: Acceptance,
    /// The store has answers of the model from earlier runs.
    pub has_answered_before: bool,
}

/// One server with its pace, its state and its queue.
pub struct Replica {
    pub model: Arc<dyn Model>,
    pub label: String,
    /// Its host, by which people name it; the model's name for a model of this process.
    pub host: String,
    /// Whether it is to get calls.
    pub standing: Standing,
    pub pace: Pace,
    pub breaker: Breaker,
    pub in_flight: usize,
    /// The server asked for no calls before this time.
    pub closed_until: Option<Instant>,
    /// A probe is in flight.
    pub is_probing: bool,
    /// The server refused a probe in other words than the questions: probes are sent in full.
    pub probes_in_full: bool,
    /// Questions that may be sent now, ordered by session.
    pub ready: BTreeSet<(u64, Fingerprint)>,
    /// Answers so far, those to probes included.
    pub answers: u64,
    /// The time since which the flex tier has had no room and given no answer.
    pub flex_full_since: Option<Instant>,
    /// Failed questions that wait until the server has answered something else.
    pub unproven: Vec<Fingerprint>,
    /// The refusal that a probe is to confirm.
    pub refusal: Option<Failure>,
}

/// What a person has decided about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to the run.
    Member,
    /// It was added during the run and has not answered yet.
    OnTrial,
    /// It gets nothing more.
    Drained,
}

/// Whether a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendGate {
    /// It may.
    Open,
    /// Not before this time.
    Until(Instant),
    /// Not until a call ends or a probe is answered.
    Shut,
}

/// Returns a number of slots with a margin, so that a slot never waits for a commit, a parse or a replay.
pub fn with_margin(slots: usize) -> usize {
    slots.saturating_add((slots / 4).max(4))
}

impl ModelQueue {
    pub fn new(served: Served, limits: PaceLimits, now: Instant) -> Self {
        let Served { replicas, routing, labels, hosts, concurrency: own } = served;
        let limits = within(limits, own);
        let count = replicas.len();
        let names = labels.into_iter().zip(hosts);
        let replicas =
            replicas.into_iter().zip(names).map(|(model, (label, host))| Replica::new(model, label, host, limits));
        Self {
            replicas: replicas.collect(),
            limits,
            own,
            rate: Rate::new(&limits, now),
            router: Router::new(count, routing),
            speed: SpeedMonitor::new(count),
            uncommitted: 0,
            turnover: Turnover::default(),
            target: None,
            acceptance: Acceptance::default(),
            has_answered_before: false,
        }
    }

    /// Returns the limit on calls in flight, over all replicas.
    pub fn limit(&self) -> usize {
        let ceiling = self.limits.concurrency.or(self.limits.calls_max).unwrap_or(usize::MAX);
        let at_work = self.replicas.iter().filter(|replica| !replica.is_drained());
        at_work.map(|replica| replica.pace.limit()).sum::<usize>().min(ceiling)
    }

    /// Replaces the run's limits.
    pub fn set_limits(&mut self, limits: PaceLimits, now: Instant) {
        let limits = within(limits, self.own);
        if limits.requests_per_minute != self.limits.requests_per_minute {
            self.rate.set_requests(limits.requests_per_minute, now);
        }
        self.limits = limits;
        self.replicas.iter_mut().for_each(|replica| replica.pace.set_limits(limits));
    }

    /// Adds a server, or takes one back that was drained. Returns false where it is at work already. Where a question shows
    /// what to ask, a probe finds out first whether the server answers.
    pub fn add_replica(&mut self, name: &str, host: &str, model: Arc<dyn Model>, now: Instant) -> bool {
        let has_target = self.target.is_some();
        match self.replicas.iter_mut().find(|replica| replica.host == host) {
            Some(known) if !known.is_drained() => return false,
            Some(known) => (known.model, known.standing) = (model, Standing::Member),
            None => {
                for replica in self.replicas.iter_mut().filter(|replica| replica.label == name && replica.host != name)
                {
                    replica.label = format!("{name} at {}", replica.host);
                }
                let label = format!("{name} at {host}");
                self.replicas.push(Replica::new(model, label, host.to_owned(), self.limits));
                self.router.add();
                self.speed.add();
            }
        }
        if let Some(replica) = self.replicas.iter_mut().find(|replica| replica.host == host).filter(|_| has_target) {
            replica.standing = Standing::OnTrial;
            replica.breaker.suspect(now);
        }
        true
    }

    /// Returns the number of answers that are not on disk yet.
    pub fn uncommitted(&self) -> usize {
        self.uncommitted
    }

    /// True if the model has questions that may be sent.
    pub fn has_ready(&self) -> bool {
        self.replicas.iter().any(|replica| !replica.ready.is_empty())
    }

    /// True if the model has questions that may be sent, or calls that are not over.
    pub fn is_at_work(&self) -> bool {
        self.uncommitted > 0 || self.in_flight() > 0 || self.has_ready()
    }

    /// Returns the number of calls in flight, over all replicas.
    pub fn in_flight(&self) -> usize {
        self.replicas.iter().map(|replica| replica.in_flight).sum()
    }

    /// Chooses a replica for a question of `session` and queues it there. `avoid` is the replica that has just failed
    /// it.
    pub fn enqueue(
        &mut self,
        session: u64,
        fingerprint: Fingerprint,
        question: &Question,
        tokens: u64,
        avoid: Option<usize>,
        now: Instant,
    ) {
        let prefix = question.messages.first().map_or(0, |first| first.digest().prefix());
        let (replicas, speed) = (&self.replicas, &self.speed);
        let replica = self.router.route(session, prefix, tokens, |index, conversations| {
            let replica = &replicas[index];
            if replica.is_drained() {
                Fitness::Drained
            } else if replica.breaker.is_open() {
                Fitness::Gone
            } else if avoid == Some(index) || replica.is_closed(now) || !speed.is_usable(index, conversations, now) {
                Fitness::Poor
            } else {
                Fitness::Good
            }
        });
        self.replicas[replica].ready.insert((session, fingerprint));
    }

    /// True if another replica is up and not paused.
    pub fn has_other_usable(&self, replica: usize, now: Instant) -> bool {
        let mut others = self.replicas.iter().enumerate().filter(|(other, _)| *other != replica);
        others.any(|(_, other)| !other.is_drained() && !other.breaker.is_open() && !other.is_closed(now))
    }

    /// True if a probe decides whose fault the refusals before the first answer are.
    pub fn is_tried_by_probe(&self) -> bool {
        self.has_answered_before && self.acceptance.is_doubted() && self.acceptance.is_about_one()
    }

    /// Has every replica probed that is not known to be down. Returns false once all of them refuse their probes.
    pub fn suspect_all(&mut self, now: Instant) -> bool {
        self.at_work_mut().for_each(|replica| replica.breaker.suspect(now));
        let mut states = self.at_work_mut().filter_map(|replica| replica.breaker.gone_since());
        states.any(|(_, state)| state != OutageState::Refusing)
    }

    /// Returns the servers that were not drained; there is always one.
    fn at_work_mut(&mut self) -> impl Iterator<Item = &mut Replica> {
        self.replicas.iter_mut().filter(|replica| !replica.is_drained())
    }

    /// Empties the queues and returns their questions.
    pub fn take_ready(&mut self) -> Vec<Fingerprint> {
        self.replicas.iter_mut().flat_map(Replica::evacuate).collect()
    }

    /// Returns every question that waits for something other than a free slot, because the run is stopping.
    pub fn take_waiting(&mut self) -> Vec<Fingerprint> {
        let unproven = self.replicas.iter_mut().flat_map(|replica| std::mem::take(&mut replica.unproven));
        unproven.chain(self.acceptance.take_held()).collect()
    }

    /// Records that a session is over.
    pub fn leave(&mut self, session: u64) {
        self.router.leave(session);
    }

    /// True if the model's own limits allow one more call. A slow disk limits a model whatever room the others leave.
    pub fn has_room(&self) -> bool {
        let (limit, calls) = (self.limit(), self.in_flight());
        calls < limit && calls + self.uncommitted < with_margin(limit)
    }

    /// Decides whether a call of `tokens` tokens may be sent to `replica` now, if the model has room.
    pub fn gate(&mut self, replica: usize, tokens: u64, now: Instant) -> SendGate {
        let replica = &self.replicas[replica];
        if replica.is_drained() || replica.breaker.is_open() || replica.in_flight >= replica.pace.limit() {
            return SendGate::Shut;
        }
        if let Some(until) = replica.closed_until.filter(|until| *until > now) {
            return SendGate::Until(until);
        }
        match self.rate.ready_at(tokens, now) {
            at if at > now => SendGate::Until(at),
            _ => SendGate::Open,
        }
    }

    /// Records a call that is sent.
    pub fn on_sent(&mut self, replica: usize, question: &Question, tokens: u64, now: Instant) {
        self.replicas[replica].in_flight += 1;
        self.rate.on_sent(tokens);
        self.speed.on_sent(replica, now);
        if self.target.is_none() {
            self.target = Some(Arc::clone(&question.target));
        }
    }

    /// Records an answer. Returns a replica that turns out to be slow, and the reason.
    pub fn on_answer(
        &mut self,
        replica: usize,
        latency: Duration,
        tokens: u64,
        now: Instant,
    ) -> Option<(usize, &'static str)> {
        self.replicas[replica].in_flight -= 1;
        self.uncommitted += 1;
        self.turnover.on_answer(latency, now);
        let in_flight = self.replicas[replica].in_flight;
        self.speed.on_answer(replica, latency, tokens, in_flight, now)
    }

    /// Records that an answer is on disk.
    pub fn on_committed(&mut self) {
        self.uncommitted -= 1;
    }

    /// Records a call that failed.
    pub fn on_failure(&mut self, replica: usize, now: Instant) {
        self.replicas[replica].in_flight -= 1;
        self.speed.on_call_end(replica, self.replicas[replica].in_flight, now);
    }

    /// Returns the time since which no replica answers, and in which way the last one does not.
    pub fn gone_since(&self) -> Option<(Instant, OutageState)> {
        let at_work = self.replicas.iter().filter(|replica| !replica.is_drained());
        let since = at_work.map(|replica| replica.breaker.gone_since());
        since.collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|(since, _)| *since)
    }

    /// Returns the cheapest possible question: one word in, one token out. A health route proves less. In full, the answer
    /// may be as long as any: some servers refuse so short a limit.
    pub fn probe(&self, in_full: bool) -> Option<Question> {
        let target = self.target.as_ref()?;
        let max_tokens = if in_full { target.sampling().max_tokens } else { Some(1) };
        let sampling = Sampling { max_tokens, seed: None, ..target.sampling().clone() };
        Some(Question {
            slot: Slot::main(0),
            target: target.with_sampling(sampling),
            sample: 0,
            messages: vec![Message::new(Role::User, "Hi")].into(),
        })
    }
}

impl Replica {
    /// True if it gets nothing more.
    pub fn is_drained(&self) -> bool {
        self.standing == Standing::Drained
    }

    fn new(model: Arc<dyn Model>, label: String, host: String, limits: PaceLimits) -> Self {
        Self {
            model,
            label,
            host,
            standing: Standing::Member,
            pace: Pace::new(limits),
            breaker: Breaker::default(),
            in_flight: 0,
            closed_until: None,
            is_probing: false,
            probes_in_full: false,
            ready: BTreeSet::new(),
            answers: 0,
            flex_full_since: None,
            unproven: Vec::new(),
            refusal: None,
        }
    }

    /// Sends the server no calls for `wait`. Returns true if that is news: calls that were in flight together are all told.
    pub fn close_for(&mut self, wait: Duration, now: Instant) -> bool {
        let until = now + wait;
        let is_news = self.closed_until.is_none_or(|known| until > known + NEWS_MIN);
        self.closed_until = self.closed_until.max(Some(until));
        is_news
    }

    /// Records a call for which the flex tier had no room. True if it has had none for long.
    pub fn on_flex_full(&mut self, now: Instant) -> bool {
        now - *self.flex_full_since.get_or_insert(now) >= FLEX_FULL_MAX
    }

    /// True if the server is paused for longer than questions wait for it.
    pub fn is_closed(&self, now: Instant) -> bool {
        self.closed_until.is_some_and(|until| until > now + CLOSED_MIN)
    }

    /// Returns the time of the next probe, if one is due.
    pub fn probe_due(&self) -> Option<Instant> {
        self.breaker.next_probe().filter(|_| !self.is_probing && !self.is_drained())
    }

    /// Suspects the server where questions wait for a proof and nothing else will bring one.
    pub fn suspect_if_idle(&mut self, now: Instant) {
        if !self.is_drained() && !self.unproven.is_empty() && self.in_flight == 0 && self.ready.is_empty() {
            self.breaker.suspect(now);
        }
    }

    /// Empties the queue and returns its questions, to be sent elsewhere.
    pub fn evacuate(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.ready).into_iter().map(|(_, fingerprint)| fingerprint).collect()
    }
}

/// Returns the limits of a model. The run's number is a ceiling for each model, too.
fn within(limits: PaceLimits, own: Option<usize>) -> PaceLimits {
    let ceiling = limits.concurrency.or(limits.calls_max).unwrap_or(usize::MAX);
    let own = own.map(|own| own.clamp(1, ceiling.max(1)));
    PaceLimits { concurrency: own.or(limits.concurrency), ..limits }
}

/// The purpose of a call.
#[derive(Clone, Debug)]
pub enum CallPurpose {
    /// A session's question.
    Question(Fingerprint),
    /// A check whether the server answers again, and the most that it can cost.
    Probe(Amount),
}

/// The result of a call.
pub struct CallEnd {
    pub purpose: CallPurpose,
    /// The model's name.
    pub model: String,
    /// The replica's index.
    pub replica: usize,
    pub reply: CallResult,
    pub sent_at: Instant,
    pub latency: Duration,
    /// The request's slot in the ledger.
    pub slot: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Simulated;

    #[test]
    fn a_flex_tier_counts_as_short_after_half_a_minute_without_room() {
        let mut replica = Replica::new(Arc::new(Simulated), "m".to_owned(), "m".to_owned(), PaceLimits::default());
        let start = Instant::now();
        assert!(!replica.on_flex_full(start) && !replica.on_flex_full(start + FLEX_FULL_MAX / 2));
        assert!(replica.on_flex_full(start + FLEX_FULL_MAX));
        replica.flex_full_since = None;
        assert!(!replica.on_flex_full(start + FLEX_FULL_MAX * 2), "an answer of the tier starts the time over");
    }
}
