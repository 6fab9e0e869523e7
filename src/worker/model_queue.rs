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
    /// No question is sent before every server has shown that it gives token ids.
    pub(super) is_on_token_trial: bool,
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
            is_on_token_trial: false,
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
        self.begin_token_trial(question, now);
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
        if self.holds_for_token_trial() {
            return SendGate::Shut;
        }
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
            self.set_target(question);
        }
    }

    /// Returns the target of probes.
    pub(super) fn target(&self) -> Option<&Target> {
        self.target.as_deref()
    }

    /// Takes the target of probes from a question.
    pub(super) fn set_target(&mut self, question: &Question) {
        self.target = Some(Arc::clone(&question.target));
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
    use crate::conversation::FailureCode;
    use crate::model::{FailureClass, Simulated};

    #[test]
    fn a_flex_tier_counts_as_short_after_half_a_minute_without_room() {
        let mut replica = Replica::new(Arc::new(Simulated), "m".to_owned(), "m".to_owned(), PaceLimits::default());
        let start = Instant::now();
        assert!(!replica.on_flex_full(start) && !replica.on_flex_full(start + FLEX_FULL_MAX / 2));
        assert!(replica.on_flex_full(start + FLEX_FULL_MAX));
        replica.flex_full_since = None;
        assert!(!replica.on_flex_full(start + FLEX_FULL_MAX * 2), "an answer of the tier starts the time over");
    }

    fn question() -> Question {
        let sampling = Sampling { max_tokens: Some(900), seed: Some(7), temperature: Some(0.5), ..Sampling::default() };
        Question {
            slot: Slot::main(3),
            target: Target::new("m", "openai", sampling),
            sample: 2,
            messages: vec![Message::new(Role::User, "a long question")].into(),
        }
    }

    fn queue_of(count: usize, limits: PaceLimits, own: Option<usize>, now: Instant) -> ModelQueue {
        let hosts: Vec<String> = (0..count).map(|number| format!("gpu{number}")).collect();
        let served = Served {
            replicas: hosts.iter().map(|_| Arc::new(Simulated) as Arc<dyn Model>).collect(),
            labels: hosts.clone(),
            hosts,
            concurrency: own,
            ..Served::by_one("m", Arc::new(Simulated))
        };
        ModelQueue::new(served, limits, now)
    }

    fn fixed(calls: usize) -> PaceLimits {
        PaceLimits { concurrency: Some(calls), ..PaceLimits::default() }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const FIRST: Fingerprint = Fingerprint([1; 32]);

    #[test]
    fn a_model_is_at_work_while_it_has_questions_calls_or_answers_on_their_way_to_the_disk() {
        let now = Instant::now();
        let mut queue = queue_of(2, fixed(2), None, now);
        let counts =
            |queue: &ModelQueue| (queue.has_ready(), queue.in_flight(), queue.uncommitted(), queue.is_at_work());
        assert_eq!(counts(&queue), (false, 0, 0, false));
        queue.enqueue(1, FIRST, &question(), 10, None, now);
        assert_eq!(counts(&queue), (true, 0, 0, true));
        assert_eq!(queue.take_ready(), [FIRST]);
        assert_eq!(counts(&queue), (false, 0, 0, false));
        queue.on_sent(1, &question(), 10, now);
        queue.on_sent(0, &question(), 10, now);
        assert_eq!((counts(&queue), queue.replicas[1].in_flight), ((false, 2, 0, true), 1));
        assert_eq!(queue.on_answer(1, SECOND, 5, now), None);
        queue.on_failure(0, now);
        assert_eq!((counts(&queue), queue.replicas[1].in_flight), ((false, 0, 1, true), 0));
        assert!(queue.turnover.may_exceed(now), "it has answered");
        queue.on_committed();
        assert_eq!(counts(&queue), (false, 0, 0, false));
    }

    #[test]
    fn a_question_goes_to_a_server_that_can_take_it() {
        let now = Instant::now();
        let at = |queue: &ModelQueue| {
            let has_ready = |replica: &Replica| !replica.ready.is_empty();
            queue.replicas.iter().map(has_ready).collect::<Vec<_>>()
        };
        let spoil: [fn(&mut Replica, Instant); 3] = [
            |replica, _| replica.standing = Standing::Drained,
            |replica, now| replica.breaker.suspect(now),
            |replica, now| replica.closed_until = Some(now + 3 * SECOND),
        ];
        for spoil in spoil {
            for spoilt in 0..2 {
                let mut queue = queue_of(2, fixed(2), None, now);
                spoil(&mut queue.replicas[spoilt], now);
                assert!(queue.has_other_usable(spoilt, now) && !queue.has_other_usable(1 - spoilt, now));
                queue.enqueue(1, FIRST, &question(), 10, None, now);
                assert_eq!(at(&queue), [spoilt == 1, spoilt == 0]);
            }
        }
        for avoided in 0..2 {
            let mut queue = queue_of(2, fixed(2), None, now);
            queue.enqueue(1, FIRST, &question(), 10, Some(avoided), now);
            assert_eq!(at(&queue), [avoided == 1, avoided == 0]);
        }
    }

    #[test]
    fn a_call_waits_for_what_holds_its_server() {
        let now = Instant::now();
        let mut queue = queue_of(2, fixed(2), None, now);
        queue.on_sent(0, &question(), 10, now);
        assert_eq!(queue.gate(0, 10, now), SendGate::Open);
        queue.on_sent(0, &question(), 10, now);
        assert_eq!((queue.gate(0, 10, now), queue.gate(1, 10, now)), (SendGate::Shut, SendGate::Open));
        queue.replicas[1].close_for(SECOND, now);
        let until = now + SECOND;
        assert_eq!((queue.gate(1, 10, now), queue.gate(1, 10, until)), (SendGate::Until(until), SendGate::Open));
        queue.replicas[1].breaker.suspect(now);
        assert_eq!(queue.gate(1, 10, until), SendGate::Shut);
        queue.replicas[1].breaker.on_answer();
        queue.replicas[1].standing = Standing::Drained;
        assert_eq!(queue.gate(1, 10, until), SendGate::Shut);
        let mut slow = queue_of(1, PaceLimits { requests_per_minute: Some(6), ..fixed(9) }, None, now);
        assert_eq!(slow.gate(0, 10, now), SendGate::Open);
        slow.on_sent(0, &question(), 10, now);
        let SendGate::Until(at) = slow.gate(0, 10, now) else { panic!("one call in ten seconds") };
        assert!(at > now + 9 * SECOND && at < now + 11 * SECOND, "{:?}", at - now);
        slow.set_limits(PaceLimits { requests_per_minute: Some(60), ..fixed(9) }, now);
        let SendGate::Until(at) = slow.gate(0, 10, now) else { panic!("calls of the last second still count") };
        assert!(at < now + 2 * SECOND, "{:?}", at - now);
        assert_eq!(slow.gate(0, 10, now + 2 * SECOND), SendGate::Open);
    }

    #[test]
    fn a_model_has_room_below_its_limit_and_a_margin_for_the_disk() {
        assert_eq!([0, 4, 16, 17, 20, 100, usize::MAX].map(with_margin), [4, 8, 20, 21, 25, 125, usize::MAX]);
        let now = Instant::now();
        let mut queue = queue_of(1, fixed(8), None, now);
        for calls in 0..8 {
            assert!(queue.has_room(), "{calls}");
            queue.on_sent(0, &question(), 10, now);
        }
        assert!(!queue.has_room());
        for answers in 1..=12 {
            queue.on_answer(0, SECOND, 5, now);
            // Eight calls are in flight or on their way to the disk, and one more with each answer.
            assert_eq!(queue.has_room(), queue.uncommitted() + queue.in_flight() < 12, "{answers}");
            queue.on_sent(0, &question(), 10, now);
        }
    }

    #[test]
    fn a_model_has_the_limits_of_its_servers_below_its_own_and_the_runs() {
        let now = Instant::now();
        let limit = |count, limits, own| queue_of(count, limits, own, now).limit();
        assert_eq!((limit(3, fixed(4), None), limit(1, fixed(4), None)), (4, 4));
        assert_eq!((limit(3, fixed(8), Some(3)), limit(1, fixed(8), Some(20)), limit(1, fixed(8), Some(0))), (3, 8, 1));
        let capped = PaceLimits { calls_max: Some(6), ..PaceLimits::default() };
        let (one, three) = (limit(1, PaceLimits::default(), None), limit(3, PaceLimits::default(), None));
        assert_eq!((three, limit(3, capped, None), limit(1, capped, Some(5))), (3 * one, 6, 5));
        let mut queue = queue_of(3, PaceLimits::default(), None, now);
        queue.replicas[1].standing = Standing::Drained;
        assert_eq!(queue.limit(), 2 * one);
        queue.set_limits(fixed(1), now);
        assert_eq!(queue.limit(), 1);
    }

    #[test]
    fn a_server_is_added_once_and_tried_before_it_gets_questions() {
        let now = Instant::now();
        let mut queue = ModelQueue::new(Served::by_one("m", Arc::new(Simulated)), fixed(2), now);
        let add = |queue: &mut ModelQueue, host| queue.add_replica("m", host, Arc::new(Simulated), now);
        let shown = |queue: &ModelQueue| {
            let shown = |replica: &Replica| (replica.label.clone(), replica.standing, replica.breaker.is_open());
            queue.replicas.iter().map(shown).collect::<Vec<_>>()
        };
        queue.replicas[0].host = "gpu0".to_owned();
        assert!(add(&mut queue, "gpu1") && !add(&mut queue, "gpu1") && !add(&mut queue, "gpu0"));
        let member = |label: &str| (label.to_owned(), Standing::Member, false);
        assert_eq!(shown(&queue), [member("m at gpu0"), member("m at gpu1")]);
        assert!(queue.probe(false).is_none(), "no question has shown what to ask");
        queue.on_sent(0, &question(), 10, now);
        queue.replicas[1].standing = Standing::Drained;
        assert!(add(&mut queue, "gpu1") && !add(&mut queue, "gpu1"));
        assert_eq!(shown(&queue), [member("m at gpu0"), ("m at gpu1".to_owned(), Standing::OnTrial, true)]);
        // A label that says more than the model's name stays.
        let mut named = queue_of(1, fixed(2), None, now);
        assert!(add(&mut named, "gpu1"));
        assert_eq!(shown(&named), [member("gpu0"), member("m at gpu1")]);
        let mut local = ModelQueue::new(Served::by_one("m", Arc::new(Simulated)), fixed(2), now);
        assert!(add(&mut local, "gpu1"));
        assert_eq!(shown(&local), [member("m"), member("m at gpu1")]);
    }

    #[test]
    fn a_probe_is_one_word_and_asks_for_one_token_unless_it_is_sent_in_full() {
        let now = Instant::now();
        let mut queue = queue_of(1, fixed(2), None, now);
        queue.on_sent(0, &question(), 10, now);
        let other = Question { target: Target::new("later", "openai", Sampling::default()), ..question() };
        queue.on_sent(0, &other, 10, now);
        for (in_full, max_tokens) in [(false, Some(1)), (true, Some(900))] {
            let probe = queue.probe(in_full).unwrap();
            let sampling = Sampling { max_tokens, seed: None, temperature: Some(0.5), ..Sampling::default() };
            assert_eq!((probe.target.model(), probe.target.sampling()), ("m", &sampling));
            assert_eq!((probe.slot, probe.sample, probe.messages.len()), (Slot::main(0), 0, 1));
            assert_eq!(probe.messages[0].content(), "Hi");
        }
        let replica = &mut queue.replicas[0];
        assert_eq!(replica.probe_due(), None);
        replica.breaker.suspect(now);
        assert_eq!(replica.probe_due(), Some(now));
        replica.is_probing = true;
        assert_eq!(replica.probe_due(), None);
        (replica.is_probing, replica.standing) = (false, Standing::Drained);
        assert_eq!(replica.probe_due(), None);
    }

    #[test]
    fn a_model_is_gone_once_none_of_its_servers_answers() {
        let now = Instant::now();
        let mut queue = queue_of(3, fixed(2), None, now);
        queue.replicas[2].standing = Standing::Drained;
        queue.replicas[1].breaker.suspect(now);
        assert_eq!(queue.gone_since(), None);
        queue.replicas[0].breaker.suspect(now + SECOND);
        assert_eq!(queue.gone_since(), Some((now + SECOND, OutageState::Suspected)), "the last one");
        assert!(queue.suspect_all(now + SECOND));
        let refused = Failure::new(FailureClass::Refused, FailureCode::Http(400), "no");
        queue.replicas[0].breaker.on_failed_probe(&refused, now);
        assert!(queue.suspect_all(now), "the other one may answer");
        queue.replicas[1].breaker.on_failed_probe(&refused, now);
        assert!(!queue.suspect_all(now) && !queue.replicas[2].breaker.is_open());
        assert_eq!(queue.gone_since(), Some((now + SECOND, OutageState::Refusing)));
    }

    #[test]
    fn a_server_is_suspected_where_nothing_else_will_bring_the_proof_that_questions_wait_for() {
        let now = Instant::now();
        let suspected = |change: fn(&mut Replica)| {
            let mut replica = Replica::new(Arc::new(Simulated), "m".to_owned(), "m".to_owned(), PaceLimits::default());
            replica.unproven.push(FIRST);
            change(&mut replica);
            replica.suspect_if_idle(now);
            replica.breaker.is_open()
        };
        assert!(suspected(|_| {}));
        assert!(!suspected(|replica| replica.unproven.clear()) && !suspected(|replica| replica.in_flight = 1));
        assert!(!suspected(|replica| replica.standing = Standing::Drained));
        assert!(!suspected(|replica| replica.ready.extend([(1, FIRST)])));
    }

    #[test]
    fn a_pause_is_news_where_it_ends_later_than_any_before_it() {
        let now = Instant::now();
        let mut replica = Replica::new(Arc::new(Simulated), "m".to_owned(), "m".to_owned(), PaceLimits::default());
        assert!(!replica.is_closed(now) && replica.close_for(CLOSED_MIN, now));
        assert!(!replica.is_closed(now), "questions wait so long");
        assert!(!replica.close_for(CLOSED_MIN + NEWS_MIN, now) && replica.is_closed(now));
        assert!(!replica.close_for(SECOND, now));
        assert_eq!(replica.closed_until, Some(now + CLOSED_MIN + NEWS_MIN), "a shorter pause does not end it");
        assert!(replica.close_for(CLOSED_MIN + 2 * NEWS_MIN + Duration::from_millis(1), now));
    }

    #[test]
    fn what_waits_for_something_other_than_a_slot_is_found_when_the_run_stops() {
        let now = Instant::now();
        let mut queue = queue_of(2, fixed(2), None, now);
        queue.replicas[1].unproven.push(FIRST);
        let refused = Failure::new(FailureClass::Refused, FailureCode::Http(400), "no");
        queue.acceptance.hold(Fingerprint([2; 32]), refused, 10);
        assert!(!queue.is_tried_by_probe());
        queue.has_answered_before = true;
        assert!(queue.is_tried_by_probe());
        assert_eq!(queue.take_waiting(), [FIRST, Fingerprint([2; 32])]);
        assert!(queue.take_waiting().is_empty() && !queue.is_tried_by_probe());
    }
}
