//! One worker's way to the database, with everything that can go wrong on it; and a teacher that counts its bills.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cohobate::conversation::{Answer, ConversationKey, Dice, FailureCode, Fingerprint, Usage};
use cohobate::model::{Call, CallResult, Failure, FailureClass, Model, PendingCall};
use cohobate::store::shared::{
    Allowance, Batch, Caps, Claimed, Database, DatabaseError, Defences, Granted, Held, Joined, MemoryDatabase,
    OpeningHash, Published, PublishedTo, RunRequest, SeenRun, SeenWorker, SharedOpened, SharedSettings, SharedStore,
    StoredConversations, WorkerId, WorkerStanding, WorkerStart, Writer,
};
use cohobate::store::{ConversationState, LostCalls, Spending, StoreError};
use tokio::sync::watch;

use super::worker::new_id;

/// The host that every worker is on.
pub const HOST: &str = "host";

/// What all workers of a world share: the database, and the teacher's books.
#[derive(Default)]
pub struct Hub {
    pub database: Arc<MemoryDatabase>,
    pub began: Mutex<Option<Instant>>,
    /// The answer to a question is another one each time.
    pub is_sampling: bool,
    pub latency: Duration,
    /// The cap on requests of the run.
    pub cap: Option<u64>,
    /// The first answer comes once so many workers have joined.
    pub waits_for: usize,
    /// Questions that end so are refused for good.
    pub refuses: Mutex<Option<String>>,
    pub bills: AtomicU64,
    pub asked: Mutex<BTreeMap<Fingerprint, u64>>,
    pub broken: Mutex<Vec<String>>,
}

impl Hub {
    pub fn bills(&self) -> u64 {
        self.bills.load(Ordering::SeqCst)
    }

    /// Returns what was found broken at some moment.
    pub fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap().clone()
    }

    fn note(&self, is_kept: bool, what: impl FnOnce() -> String) {
        if !is_kept {
            self.broken.lock().unwrap().push(what());
        }
    }

    /// Moves the database's clock to now.
    pub fn tick(&self) {
        let began = *self.began.lock().unwrap().get_or_insert_with(Instant::now);
        self.database.set_clock(began.elapsed());
    }

    /// Returns what all workers may spend and have spent, in requests.
    pub fn granted(&self) -> u64 {
        let workers = self.database.workers().unwrap();
        workers.iter().map(|worker| worker.granted.requests.max(worker.booked.requests)).sum()
    }

    fn bill(&self, fingerprint: Fingerprint) -> u64 {
        let number = self.bills.fetch_add(1, Ordering::SeqCst) + 1;
        *self.asked.lock().unwrap().entry(fingerprint).or_default() += 1;
        if let Some(cap) = self.cap {
            let granted = self.granted();
            self.note(number <= cap, || format!("bill {number} of {cap}"));
            self.note(granted <= cap, || format!("{granted} granted of {cap}"));
            self.note(number <= granted, || format!("bill {number}, and {granted} are granted"));
        }
        number
    }
}

/// What goes wrong for one start of a worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    pub seed: u64,
    /// Operations of a thousand that fail before they are carried out.
    pub fails_before: usize,
    /// Operations of a thousand that are carried out and whose replies are lost.
    pub fails_after: usize,
    /// Operations of a thousand that begin a time in which the database is away.
    pub outages: usize,
    /// The operation at which the worker dies: before it is carried out, or after.
    pub dies_at: Option<(u64, bool)>,
    /// The call at which the worker dies, when it was paid.
    pub dies_at_call: Option<u64>,
    /// The operation at which the worker freezes, for how long, and whether it is carried out before.
    pub freezes_at: Option<(u64, Duration, bool)>,
    /// The call that the worker freezes with, and for how long.
    pub freezes_at_call: Option<(u64, Duration)>,
}

/// One start of a worker.
pub struct Link {
    pub hub: Arc<Hub>,
    plan: Plan,
    dice: Mutex<Dice>,
    pub operations: AtomicU64,
    /// Operations that were not carried out, or whose replies were lost.
    pub failures: AtomicU64,
    calls: AtomicU64,
    frozen: Mutex<Option<Instant>>,
    away: Mutex<Option<Instant>>,
    is_dead: AtomicBool,
    /// The database is away as long as this is set.
    pub is_cut: AtomicBool,
    pub has_frozen: AtomicBool,
    pub died: watch::Sender<bool>,
}

impl Link {
    pub fn new(hub: &Arc<Hub>, plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            hub: Arc::clone(hub),
            plan,
            dice: Mutex::new(Dice::new("link", &plan.seed.to_le_bytes())),
            operations: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            frozen: Mutex::new(None),
            away: Mutex::new(None),
            is_dead: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            has_frozen: AtomicBool::new(false),
            died: watch::channel(false).0,
        })
    }

    /// Opens the store of a new start below `base`. What was in flight there was for one model.
    pub fn open(
        self: &Arc<Self>,
        base: &Path,
        lease: Duration,
        model: &str,
    ) -> Result<(SharedStore, SharedOpened), StoreError> {
        let start = WorkerStart { id: new_id(), host: HOST.to_owned(), process: 1, version: "1".to_owned() };
        let (prices, defences) = (BTreeMap::new(), Defences::default());
        let settings = SharedSettings { base: base.to_owned(), start, prices, lease, defences };
        SharedStore::open(Arc::clone(self) as Arc<dyn Database>, settings, &|_| model.to_owned())
    }

    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.died.send_replace(true);
    }

    fn freeze(&self, time: Duration) {
        self.has_frozen.store(true, Ordering::SeqCst);
        *self.frozen.lock().unwrap() = Some(Instant::now() + time);
    }

    fn frozen_for(&self) -> Option<Duration> {
        let until = (*self.frozen.lock().unwrap())?;
        until.checked_duration_since(Instant::now())
    }

    /// What touches the database in a dead worker dies with it, without a word.
    fn live(&self) {
        while let Some(time) = self.frozen_for() {
            std::thread::sleep(time);
        }
        if self.is_dead() {
            std::panic::resume_unwind(Box::new("killed"));
        }
    }

    fn carry<T>(
        &self,
        operation: impl FnOnce(&MemoryDatabase) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let away = |why: &str| {
            self.failures.fetch_add(1, Ordering::SeqCst);
            Err(DatabaseError::Away(why.to_owned()))
        };
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        self.live();
        if let Some((at, time, false)) = self.plan.freezes_at.filter(|(at, ..)| *at == number) {
            let _ = at;
            self.freeze(time);
            self.live();
        }
        if self.plan.dies_at == Some((number, false)) {
            self.die();
            self.live();
        }
        let chance = self.dice.lock().unwrap().below(1_000);
        let is_away = self.away.lock().unwrap().is_some_and(|until| Instant::now() < until);
        if is_away || self.is_cut.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
            return away("the database is away");
        }
        let plan = &self.plan;
        if chance < plan.outages {
            *self.away.lock().unwrap() = Some(Instant::now() + Duration::from_millis(60));
            return away("the database goes away");
        }
        if chance < plan.outages + plan.fails_before {
            return away("it was not carried out");
        }
        self.hub.tick();
        let result = operation(&self.hub.database);
        if self.plan.dies_at == Some((number, true)) {
            self.die();
        }
        if let Some((_, time, true)) = self.plan.freezes_at.filter(|(at, ..)| *at == number) {
            self.freeze(time);
        }
        self.live();
        if let Some(cap) = self.hub.cap {
            let granted = self.hub.granted();
            self.hub.note(granted <= cap, || format!("{granted} granted of {cap}"));
        }
        if chance < plan.outages + plan.fails_before + plan.fails_after {
            return away("the reply was lost");
        }
        result
    }
}

/// The teacher, as one start of a worker asks it.
pub struct Asked(pub Arc<Link>);

impl Model for Asked {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        Box::pin(async move {
            let Link { hub, plan, calls, .. } = &*self.0;
            let live = || async {
                while let Some(time) = self.0.frozen_for() {
                    tokio::time::sleep(time).await;
                }
                if self.0.is_dead() {
                    std::future::pending::<()>().await;
                }
            };
            live().await;
            let fingerprint = call.question.fingerprint();
            let own = calls.fetch_add(1, Ordering::SeqCst);
            let number = hub.bill(fingerprint);
            if plan.dies_at_call == Some(own) {
                self.0.die();
            }
            if let Some((_, time)) = plan.freezes_at_call.filter(|(at, _)| *at == own) {
                self.0.freeze(time);
            }
            while hub.database.workers().unwrap().len() < hub.waits_for {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(hub.latency).await;
            live().await;
            let said = call.question.messages.last().map_or("", |message| message.content());
            if hub.refuses.lock().unwrap().as_ref().is_some_and(|end| said.ends_with(end.as_str())) {
                let refused = Failure::new(FailureClass::Permanent, FailureCode::Http(400), "no");
                return CallResult::from(Err(refused));
            }
            let nature = if hub.is_sampling { number } else { 0 };
            let text = format!("Answer {nature} to {}.", &fingerprint.to_string()[..16]);
            let usage = Usage { prompt_tokens: Some(10), completion_tokens: Some(5), ..Usage::default() };
            Ok(Answer { attempts: call.attempt, usage, ..Answer::complete("teacher", text) }).into()
        })
    }
}

impl Database for Link {
    fn join(&self, start: &WorkerStart, lease: Duration) -> Result<(), DatabaseError> {
        self.carry(|database| database.join(start, lease))
    }
    fn published(&self, worker: WorkerId) -> Result<Option<PublishedTo>, DatabaseError> {
        self.carry(|database| database.published(worker))
    }
    fn run(&self, worker: WorkerId, request: &RunRequest<'_>) -> Result<Joined, DatabaseError> {
        self.carry(|database| database.run(worker, request))
    }
    fn claim(&self, worker: WorkerId, run: u32, count: u32) -> Result<Claimed, DatabaseError> {
        self.carry(|database| database.claim(worker, run, count))
    }
    fn held(&self, worker: WorkerId, run: u32) -> Result<Vec<Held>, DatabaseError> {
        self.carry(|database| database.held(worker, run))
    }
    fn publish(
        &self,
        worker: WorkerId,
        run: u32,
        batch: &Batch,
        lease: Duration,
        after_control: u64,
    ) -> Result<Published, DatabaseError> {
        self.carry(|database| database.publish(worker, run, batch, lease, after_control))
    }
    fn look(&self, worker: WorkerId, run: u32, after_control: u64) -> Result<WorkerStanding, DatabaseError> {
        self.carry(|database| database.look(worker, run, after_control))
    }
    fn give_back(&self, worker: WorkerId, run: u32, slots: &[(Held, OpeningHash)]) -> Result<(), DatabaseError> {
        self.carry(|database| database.give_back(worker, run, slots))
    }
    fn grant(
        &self,
        worker: WorkerId,
        run: u32,
        wanted: &Allowance,
        least: &Allowance,
    ) -> Result<Granted, DatabaseError> {
        self.carry(|database| database.grant(worker, run, wanted, least))
    }
    fn release(&self, worker: WorkerId, keep: &Allowance) -> Result<Allowance, DatabaseError> {
        self.carry(|database| database.release(worker, keep))
    }
    fn leave(&self, worker: WorkerId) -> Result<(), DatabaseError> {
        self.carry(|database| database.leave(worker))
    }
    fn writer(&self, worker: WorkerId, run: u32, place: &str) -> Result<Writer, DatabaseError> {
        self.carry(|database| database.writer(worker, run, place))
    }
    fn written(&self, worker: WorkerId, run: u32) -> Result<(), DatabaseError> {
        self.carry(|database| database.written(worker, run))
    }
    fn answers(&self, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Vec<u8>)>, DatabaseError> {
        self.carry(|database| database.answers(questions))
    }
    fn conversations(&self, keys: &[ConversationKey]) -> Result<StoredConversations, DatabaseError> {
        self.carry(|database| database.conversations(keys))
    }
    fn for_each_frame(&self, visit: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), DatabaseError> {
        self.carry(|database| database.for_each_frame(visit))
    }
    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), DatabaseError> {
        self.carry(|database| database.for_each_state(visit))
    }
    fn lost(&self, question: &Fingerprint) -> Result<LostCalls, DatabaseError> {
        self.carry(|database| database.lost(question))
    }
    fn spending(&self) -> Result<Spending, DatabaseError> {
        self.carry(cohobate::store::shared::Database::spending)
    }
    fn runs(&self) -> Result<Vec<SeenRun>, DatabaseError> {
        self.carry(cohobate::store::shared::Database::runs)
    }
    fn workers(&self) -> Result<Vec<SeenWorker>, DatabaseError> {
        self.carry(cohobate::store::shared::Database::workers)
    }
    fn control(&self, run: u32, text: &str, caps: Option<Caps>) -> Result<(), DatabaseError> {
        self.carry(|database| database.control(run, text, caps))
    }
    fn reconcile(&self, unseen_for: Duration) -> Result<Vec<SeenWorker>, DatabaseError> {
        self.carry(|database| database.reconcile(unseen_for))
    }
}
