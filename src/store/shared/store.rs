use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cache::LookupCache;
use super::clock::BootTime;
use super::database::{
    Batch, Claimed, ControlVerb, Database, DatabaseError, Done, Granted, Held, Joined, JoinedRun, OpeningHash,
    Published, RunRequest, WorkerId, WorkerStanding, WorkerStart, Writer,
};
use super::frames::{add_to, entry_of, frame_of, note_of, stored_of};
use super::look_up::LookUp;
use super::outbox::Outbox;
use super::settings::{Defences, SharedSettings};
use super::settling::{SharedOpened, settle_earlier};
use super::spending::{Allowance, Counters};
use crate::conversation::{Answer, ConversationKey, Fingerprint, Price};
use crate::store::entry::{ConversationState, Entry, LostCalls, Run, Spending, Stored};
use crate::store::error::StoreError;
use crate::store::ledger::Unsettled;
use crate::store::{Prefetch, Reader, Staged, Store};

/// How long a worker's lease lasts by the database's clock.
pub const LEASE: Duration = Duration::from_secs(60);
/// The share of the lease, in percent, after which the worker itself asks nothing more.
const OWN_LEASE_PERCENT: u32 = 80;
/// The first and the longest wait before a database that is away is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How long an operation before or after a run waits for a database that is away. A run itself waits as long as it lasts.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// Questions whose lost calls are remembered. What is forgotten may be asked a few times more than it should.
const LOST_MAX: usize = 1 << 16;
/// Notes that are in no journal have numbers from here on; those of the journal are numbered by their places.
const NOTES_OF_MEMORY: u64 = 1 << 62;

/// The store of a worker that shares a database with others.
///
/// A commit is first written to the outbox and synced ([`Store::stage`]), then sent to the database ([`Store::publish`]).
/// While the database is away, publishing waits and nothing new may be asked.
pub struct SharedStore {
    database: Arc<dyn Database>,
    outbox: Outbox,
    start: WorkerStart,
    lease: Duration,
    prices: BTreeMap<String, Price>,
    cache: Mutex<LookupCache>,
    /// Answers of other workers that were stored before this worker's, by question, until they are taken.
    winners: Mutex<HashMap<Fingerprint, Arc<Answer>>>,
    progress: Mutex<Progress>,
    /// Notified when something of `progress` has changed.
    news: Condvar,
    /// Lost calls that this process has committed or read.
    lost: Mutex<HashMap<Fingerprint, LostCalls>>,
    is_away: AtomicBool,
    is_stopping: AtomicBool,
    /// A run is at work.
    is_running: AtomicBool,
    defences: Defences,
    run: AtomicU64,
    /// Entries that are in the outbox and not in the database.
    waiting: AtomicU64,
    /// Called when something has changed that the run should look at.
    on_change: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

/// What changes with each commit.
#[derive(Default)]
struct Progress {
    counters: Counters,
    /// Notes that are in no journal so far.
    notes: u64,
    /// Links of conversations to answers of other workers, for the next commit.
    links: Vec<Entry>,
    done: Vec<Done>,
    standing: WorkerStanding,
    /// What of `standing.taken` the run has taken note of. While it lags, this worker may hold less than it believes.
    taken_known: u64,
    /// Changes with each reply about the reserve: what was sent before such a reply tells nothing about the reserve.
    grants: u64,
    /// The worker's own end of its lease.
    deadline: BootTime,
    renewed: BootTime,
    controls: Vec<ControlVerb>,
    last_control: u64,
}

impl SharedStore {
    /// Takes a directory, uploads what an earlier start has left in it, and starts the worker. `name_of` finds the model of a
    /// request that was in flight.
    pub fn open(
        database: Arc<dyn Database>,
        settings: SharedSettings,
        name_of: &dyn Fn(&Unsettled) -> String,
    ) -> Result<(Self, SharedOpened), StoreError> {
        let SharedSettings { base, start, prices, lease, defences } = settings;
        let (mut outbox, caution) = Outbox::take(&base, &start.host)?;
        let mut opened = SharedOpened { caution, ..SharedOpened::default() };
        settle_earlier(&*database, &outbox, &start, (&prices, lease), name_of, &mut opened)?;
        outbox.begin(start.id)?;
        let before = BootTime::now();
        database.join(&start, lease)?;
        let store = Self {
            database,
            outbox,
            start,
            lease,
            prices,
            cache: Mutex::default(),
            winners: Mutex::default(),
            progress: Mutex::default(),
            news: Condvar::new(),
            lost: Mutex::default(),
            is_away: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
            defences,
            run: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            on_change: Mutex::default(),
        };
        store.extend_lease(before);
        Ok((store, opened))
    }

    /// Returns the worker's own directory.
    pub fn directory(&self) -> &Path {
        self.outbox.directory()
    }

    /// Returns the start of this worker.
    pub fn worker(&self) -> WorkerId {
        self.start.id
    }

    /// Calls `on_change` whenever the worker's standing, its lease or the connection has changed.
    pub fn watch(&self, on_change: Box<dyn Fn() + Send + Sync>) {
        *self.on_change.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_change);
    }

    /// Begins a run or joins it. From now on commits belong to it.
    pub fn join_run(&self, request: &RunRequest<'_>) -> Result<Joined, StoreError> {
        // An earlier run of this process has ended its commits.
        self.is_stopping.store(false, Ordering::Release);
        let joined = self.ask(|| self.database.run(self.start.id, request))?;
        if let Joined::Run(JoinedRun { run, controls, .. }) = &joined {
            self.winners().clear();
            let mut progress = self.progress();
            // Slots of an earlier run are nothing to this one.
            progress.done.clear();
            self.run.store(u64::from(run.number), Ordering::Release);
            progress.last_control = controls.last().map_or(0, |verb| verb.number);
            progress.controls.clone_from(controls);
            drop(progress);
            self.is_running.store(true, Ordering::Release);
            self.insist(|| self.renew())?;
            self.know_taken(self.standing().taken);
        }
        Ok(joined)
    }

    /// True while this worker certainly has the right to ask.
    pub fn may_ask(&self) -> bool {
        if self.is_away.load(Ordering::Acquire) {
            return false;
        }
        let progress = self.progress();
        let holds = BootTime::now() < progress.deadline && progress.standing.taken == progress.taken_known;
        holds || !self.defences.honours_leases
    }

    /// The run has taken note of what others have taken from this worker.
    pub fn know_taken(&self, taken: u64) {
        if std::mem::replace(&mut self.progress().taken_known, taken) != taken {
            // Whoever was told before that it may not ask looks again.
            self.changed();
        }
    }

    /// Returns how long a lease lasts.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Returns which defences hold.
    pub fn defences(&self) -> Defences {
        self.defences
    }

    /// Entries that are in the outbox alone.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Returns how the worker stood with the last reply of the database.
    pub fn standing(&self) -> WorkerStanding {
        self.progress().standing.clone()
    }

    /// Returns what this start has booked, in the units of caps.
    pub fn booked(&self) -> Allowance {
        self.progress().counters.booked(&self.prices)
    }

    /// Returns the control verbs that have arrived since the last call.
    pub fn take_controls(&self) -> Vec<ControlVerb> {
        std::mem::take(&mut self.progress().controls)
    }

    /// Records that all conversations of a slot have ended; the next commit or renewal says so to the others.
    pub fn end_slot(&self, done: Done) {
        self.progress().done.push(done);
    }

    /// True if the lease is to be renewed, or slots have ended.
    pub fn is_renewal_due(&self) -> bool {
        let progress = self.progress();
        !progress.done.is_empty()
            || !progress.links.is_empty()
            || BootTime::now().since(progress.renewed) >= self.lease / 3
    }

    /// Renews the lease and tells which slots have ended. An error leaves the lease as it is.
    pub fn renew(&self) -> Result<(), StoreError> {
        self.send(Batch::default(), false).map(drop)
    }

    /// Reads how the worker stands.
    pub fn look(&self) -> Result<(), StoreError> {
        let (after, grants) = {
            let progress = self.progress();
            (progress.last_control, progress.grants)
        };
        let standing = self.noting(self.database.look(self.start.id, self.run(), after))?;
        self.take_standing(standing, grants, None);
        Ok(())
    }

    /// Takes up to `count` free slots.
    pub fn claim(&self, count: u32) -> Result<Claimed, StoreError> {
        let claimed = self.noting(self.database.claim(self.start.id, self.run(), count))?;
        if claimed.slots.iter().any(|held| held.epoch > 1) {
            // Another worker has been at work there.
            self.forget_states();
        }
        Ok(claimed)
    }

    /// Forgets the states that are at hand: other workers may have changed them.
    pub fn forget_states(&self) {
        self.cache().forget_states();
    }

    /// Returns the slots that this worker holds.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        self.noting(self.database.held(self.start.id, self.run()))
    }

    /// Frees slots from an opening on.
    pub fn give_back(&self, slots: &[(Held, OpeningHash)]) -> Result<(), StoreError> {
        self.noting(self.database.give_back(self.start.id, self.run(), slots))
    }

    /// Asks for more to spend.
    pub fn grant(&self, wanted: &Allowance, least: &Allowance) -> Result<Granted, StoreError> {
        let granted = self.noting(self.database.grant(self.start.id, self.run(), wanted, least))?;
        self.take_granted(granted.granted);
        Ok(granted)
    }

    /// Returns what is reserved above `keep`.
    pub fn release(&self, keep: &Allowance) -> Result<(), StoreError> {
        let granted = self.noting(self.database.release(self.start.id, keep))?;
        self.take_granted(granted);
        Ok(())
    }

    /// Chooses who writes the output.
    pub fn choose_writer(&self, place: &str) -> Result<Writer, StoreError> {
        self.ask(|| self.database.writer(self.start.id, self.run(), place))
    }

    /// Records that this worker has written the output.
    pub fn has_written(&self) -> Result<(), StoreError> {
        self.ask(|| self.database.written(self.start.id, self.run()))
    }

    /// Ends the worker: what has not been published is published, its slots are free, its reserve is returned. Where the
    /// database is away, the next start in the same directory does it.
    pub fn close(&self) -> Result<(), StoreError> {
        if self.waiting() > 0 {
            return Err(StoreError::Away {
                reason: "the run has ended before the database took everything".to_owned(),
                waiting: self.waiting(),
            });
        }
        self.insist(|| self.renew())?;
        self.ask(|| self.database.leave(self.start.id))
    }

    fn run(&self) -> u32 {
        self.run.load(Ordering::Acquire) as u32
    }

    /// Sends a batch with everything that waits to be told, and where it `is_patient` until the database has taken it. Returns
    /// the questions that others have answered before.
    fn send(&self, batch: Batch, is_patient: bool) -> Result<HashSet<Fingerprint>, StoreError> {
        let (batch, links, after) = {
            let mut progress = self.progress();
            let links = std::mem::take(&mut progress.links);
            let mut batch = Batch { done: std::mem::take(&mut progress.done), ..batch };
            for link in &links {
                progress.notes += 1;
                batch.notes.extend(note_of(link, self.run(), NOTES_OF_MEMORY + progress.notes, frame_of(link)));
            }
            batch.spent = progress.counters.by_model();
            batch.booked = progress.counters.booked(&self.prices);
            (batch, links, progress.last_control)
        };
        let mut wait = RETRY_FIRST;
        loop {
            let (before, grants) = (BootTime::now(), self.progress().grants);
            let sent = self.database.publish(self.start.id, self.run(), &batch, self.lease, after);
            match self.noting(sent) {
                Ok(Published { winners, standing }) => {
                    let lost = self.adopt(&batch, winners)?;
                    self.take_standing(standing, grants, Some(before));
                    return Ok(lost);
                }
                Err(StoreError::Away { .. }) if is_patient && !self.is_stopping.load(Ordering::Acquire) => {
                    self.pause(&mut wait);
                }
                // What was to be told is told with the next batch.
                Err(error) => {
                    let mut progress = self.progress();
                    progress.done.extend(batch.done);
                    progress.links.extend(links);
                    return Err(error);
                }
            }
        }
    }

    /// Remembers the answers of others that count in place of this worker's, and links their conversations to them. Returns
    /// their questions.
    fn adopt(&self, batch: &Batch, winners: Vec<(Fingerprint, Vec<u8>)>) -> Result<HashSet<Fingerprint>, StoreError> {
        let mut lost = HashSet::new();
        for (question, frame) in winners {
            lost.insert(question);
            if !self.defences.adopts_winners {
                continue;
            }
            let stored = stored_of(&frame, &question)?;
            if let Some(lost) = batch.answers.iter().find(|answer| answer.fingerprint == question)
                && let Some(Entry::Answered { slot, conversation, .. }) = entry_of(&lost.frame)
            {
                self.progress().links.push(Entry::Linked { conversation, slot, fingerprint: question });
            }
            self.winners().insert(question, Arc::clone(&stored.answer));
            self.cache().put_answer(question, stored);
        }
        Ok(lost)
    }

    fn extend_lease(&self, before: BootTime) {
        let mut progress = self.progress();
        progress.renewed = before;
        progress.deadline = before.plus(self.lease * OWN_LEASE_PERCENT / 100);
    }

    /// Takes over a reply, and with it the lease that was renewed. What was sent when `grants` replies about the reserve had
    /// come says nothing about the reserve if there was one since.
    fn take_standing(&self, mut standing: WorkerStanding, grants: u64, renewed: Option<BootTime>) {
        let mut progress = self.progress();
        let last = progress.last_control;
        let controls = std::mem::take(&mut standing.controls);
        progress.controls.extend(controls.into_iter().filter(|verb| verb.number > last));
        progress.last_control = progress.controls.last().map_or(last, |verb| verb.number.max(last));
        if progress.grants != grants {
            standing.granted = progress.standing.granted;
        }
        standing.taken = standing.taken.max(progress.standing.taken);
        let mut has_changed = progress.standing != standing || !progress.controls.is_empty();
        progress.standing = standing;
        if let Some(before) = renewed {
            // Whoever was told since that the lease has passed looks again.
            has_changed |= BootTime::now() >= progress.deadline;
            progress.renewed = before;
            progress.deadline = before.plus(self.lease * OWN_LEASE_PERCENT / 100);
        }
        drop(progress);
        if has_changed {
            self.changed();
        }
    }

    fn take_granted(&self, granted: Allowance) {
        let mut progress = self.progress();
        progress.standing.granted = granted;
        progress.grants += 1;
    }

    /// Notes whether the database has replied.
    fn noting<T>(&self, result: Result<T, DatabaseError>) -> Result<T, StoreError> {
        let is_away = matches!(result, Err(DatabaseError::Away(_)));
        if self.is_away.swap(is_away, Ordering::AcqRel) != is_away {
            self.changed();
        }
        result.map_err(|error| match StoreError::from(error) {
            StoreError::Away { reason, .. } => StoreError::Away { reason, waiting: self.waiting() },
            other => other,
        })
    }

    fn changed(&self) {
        self.news.notify_all();
        if let Some(on_change) = &*self.on_change.lock().unwrap_or_else(PoisonError::into_inner) {
            on_change();
        }
    }

    /// Waits before the next attempt, or until the run stops.
    fn pause(&self, wait: &mut Duration) {
        let progress = self.progress();
        let is_going = |_: &mut Progress| !self.is_stopping.load(Ordering::Acquire);
        drop(self.news.wait_timeout_while(progress, *wait, is_going));
        *wait = (*wait * 2).min(RETRY_MAX);
    }

    fn insist<T>(&self, attempt: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (mut wait, began) = (RETRY_FIRST, BootTime::now());
        loop {
            let result = attempt();
            let has_time = self.is_running.load(Ordering::Acquire) || BootTime::now().since(began) < AWAY_MAX;
            match result {
                Err(StoreError::Away { .. }) if has_time && !self.is_stopping.load(Ordering::Acquire) => {
                    self.pause(&mut wait);
                }
                other => return other,
            }
        }
    }

    fn remember_lost(&self, question: Fingerprint, lost: &LostCalls) {
        let mut known = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= LOST_MAX {
            known.clear();
        }
        let kept = known.entry(question).or_default();
        if lost.calls >= kept.calls {
            *kept = lost.clone();
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn winners(&self) -> MutexGuard<'_, HashMap<Fingerprint, Arc<Answer>>> {
        self.winners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SharedStore {
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let staged = self.stage(entries)?;
        self.publish(vec![staged])
    }

    fn stage(&self, entries: Vec<Entry>) -> Result<Staged, StoreError> {
        let frames = self.outbox.append(&entries)?;
        self.waiting.fetch_add(entries.len() as u64, Ordering::AcqRel);
        let pending = entries.into_iter().zip(frames).map(|(entry, (frame, end))| (entry, frame, end));
        Ok(Staged::Pending(pending.collect()))
    }

    fn publish(&self, staged: Vec<Staged>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let (mut count, mut answered) = (0, Vec::new());
        let mut progress = self.progress();
        for group in staged {
            let Staged::Pending(entries) = group else { continue };
            count += entries.len() as u64;
            for (entry, frame, end) in entries {
                batch.position = end;
                progress.counters.add(&entry);
                add_to(&mut batch, &entry, self.run(), frame, end);
                if let Entry::Answered { fingerprint, .. } = &entry {
                    answered.extend(Stored::from_entry(&entry).map(|stored| (*fingerprint, stored)));
                }
            }
        }
        drop(progress);
        batch.lost.iter().for_each(|(question, lost)| self.remember_lost(*question, lost));
        let of_answers = batch.answers.iter().map(|answer| answer.conversation);
        let keys: Vec<ConversationKey> = of_answers.chain(batch.notes.iter().map(|note| note.conversation)).collect();
        let lost = self.send(batch, true)?;
        {
            // Nobody may see an answer before it is certain that it counts.
            let mut cache = self.cache();
            let counts = answered.into_iter().filter(|(question, _)| !lost.contains(question));
            counts.for_each(|(question, stored)| cache.put_answer(question, stored));
            for key in &keys {
                cache.forget_state(key);
            }
        }
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        Ok(())
    }

    fn stop_publishing(&self) {
        self.is_running.store(false, Ordering::Release);
        self.is_stopping.store(true, Ordering::Release);
        self.news.notify_all();
    }

    fn resume_publishing(&self) {
        self.is_stopping.store(false, Ordering::Release);
    }

    fn winner(&self, fingerprint: &Fingerprint) -> Option<Arc<Answer>> {
        self.winners().remove(fingerprint)
    }
}

impl LookUp for SharedStore {
    fn database(&self) -> &dyn Database {
        &*self.database
    }

    fn cache(&self) -> MutexGuard<'_, LookupCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the database until it replies: as long as the run lasts, and for a bounded time before and after it.
    fn ask<T>(&self, question: impl Fn() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
        self.insist(|| self.noting(question()))
    }
}

impl Reader for SharedStore {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        self.look_up_answer(fingerprint)
    }

    fn answer_at_hand(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        Ok(self.cache().answer(fingerprint))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn prefetch(&self, keys: &[ConversationKey], what: Prefetch) -> Result<(), StoreError> {
        self.look_up_ahead(keys, what)
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.look_up_state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        Ok(self.database.for_each_state(visit)?)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.look_up_runs()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        let lost = self.ask(|| self.database.lost(fingerprint))?;
        if lost.calls > 0 {
            self.remember_lost(*fingerprint, &lost);
        }
        self.lost_at_hand(fingerprint)
    }

    fn lost_at_hand(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lost.get(fingerprint).cloned().unwrap_or_default())
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        self.ask(|| self.database.spending())
    }
}
