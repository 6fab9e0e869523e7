use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::openings::Openings;
use super::reserve::{ReserveStep, Shortage, shortage, step, units};
use super::slots::HeldSlots;
use crate::conversation::ConversationKey;
use crate::job::control::Verb;
use crate::job::events::Listener;
use crate::job::{Context, JobError, JobEvent};
use crate::recipe::{Recipe, keys_of};
use crate::store::shared::{Allowance, Caps, Claimed, Held, NANO, SharedStore};
use crate::store::{Prefetch, Reader, StoreError};
use crate::worker::{Admit, Allowed, BudgetNeed, Fleet, FleetShare, RowEnd, RowOrder, RunStop, Seeds};

/// How often a worker looks at the database, at most: a verb of a person is heard within this time.
const LOOK_INTERVAL_MAX: Duration = Duration::from_millis(900);
/// Looks in the time of a lease, where that is more often.
const LOOKS_A_LEASE: u32 = 20;
/// A worker without work looks for some once in so much time for each worker of the run, between these bounds: few workers
/// share what is left at once, and many do not wear out the database.
const IDLE_INTERVAL_EACH: Duration = Duration::from_millis(50);
const IDLE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// How soon ends of slots are told; those within this time are told at once.
const TELL_INTERVAL: Duration = Duration::from_millis(50);
/// Rows whose answers are read at once after a claim.
const PREFETCH_ROWS: usize = 256;
/// Slots that are claimed at once, at most.
const CLAIM_MAX: u32 = 256;

/// The worker of a shared run: claims slots for its dispatcher, renews its lease, asks for budget, and hears what a person
/// says. All of that is done by one thread; the dispatcher never waits for the database.
pub struct SharedFleet {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    store: Arc<SharedStore>,
    openings: Openings,
    seeds: Arc<dyn Seeds>,
    recipe: Arc<dyn Recipe>,
    state: Mutex<FleetState>,
    wake: Condvar,
    changes: watch::Sender<u64>,
    /// What this start had booked when the run began.
    before: Allowance,
    listener: Arc<dyn Listener>,
    /// Takes the verbs, which are applied in their order.
    verbs: UnboundedSender<Verb>,
    look_interval: Duration,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, with its own writer")]
struct FleetState {
    slots: HeldSlots,
    /// The dispatcher has room for more.
    has_demand: bool,
    /// Slots of the next claim.
    claim_count: u32,
    /// When the last claim found nothing.
    found_nothing: Option<Instant>,
    need: BudgetNeed,
    /// The reserve above this is about to be returned, and no longer used here.
    yielding: Option<Allowance>,
    /// When slots were given away last.
    gave: Option<Instant>,
    /// The run of this worker has ended.
    is_over: bool,
    /// The need has changed since it was looked at.
    has_new_need: bool,
    /// When the last request for more budget was refused.
    refused: Option<Instant>,
    taken: u64,
    /// What is held may differ from what is known here.
    is_doubtful: bool,
    /// Every slot of the run is done.
    is_finished: bool,
    is_ending: bool,
    stop: Option<RunStop>,
}

impl SharedFleet {
    /// Begins to work on the run that `store` has joined.
    pub fn begin(
        store: Arc<SharedStore>,
        openings: Openings,
        (recipe, seeds): (Arc<dyn Recipe>, Arc<dyn Seeds>),
        context: &Context,
    ) -> Result<Self, JobError> {
        let taken = store.standing().taken;
        store.know_taken(taken);
        let state = FleetState { claim_count: 1, taken, ..FleetState::default() };
        let (verbs, mut heard) = unbounded_channel();
        let control = context.control.clone();
        tokio::spawn(async move {
            while let Some(verb) = heard.recv().await {
                // What cannot be applied is an event of the run.
                drop(control.apply(&verb).await);
            }
        });
        let look_interval = LOOK_INTERVAL_MAX.min(store.lease() / LOOKS_A_LEASE);
        let inner = Arc::new(Inner {
            before: store.booked(),
            store,
            openings,
            seeds,
            recipe,
            state: Mutex::new(state),
            wake: Condvar::new(),
            changes: watch::channel(0).0,
            listener: Arc::clone(&context.listener),
            verbs,
            look_interval,
        });
        // Of what was said before only what sets a state still holds.
        inner.hear(|verb| matches!(verb, Verb::Pause | Verb::Resume | Verb::Set(_)));
        let heard = Arc::downgrade(&inner);
        inner.store.watch(Box::new(move || {
            if let Some(inner) = heard.upgrade() {
                inner.changed();
            }
        }));
        let worked = Arc::clone(&inner);
        let thread = std::thread::Builder::new().name("fleet".to_owned()).spawn(move || worked.work());
        let thread = thread.map_err(|error| JobError::unexpected(format!("cannot start a thread: {error}")))?;
        Ok(Self { inner, thread: Some(thread) })
    }

    /// Returns this worker's rows as they come.
    pub fn rows(&self) -> RowOrder {
        let inner = Arc::clone(&self.inner);
        Box::new(std::iter::from_fn(move || inner.next_row().map(io::Result::Ok)))
    }

    /// The run of this worker has ended, and nothing more is asked. Its lease is renewed as long as this lives.
    pub fn on_run_end(&self) {
        let mut state = self.inner.state();
        (state.is_over, state.has_demand) = (true, false);
        drop(state);
        // What follows reads the conversations of all workers.
        self.inner.store.forget_states();
    }

    /// Returns what the dispatcher asks.
    pub fn link(&self) -> Arc<dyn Fleet> {
        Arc::clone(&self.inner) as Arc<dyn Fleet>
    }
}

impl Drop for SharedFleet {
    fn drop(&mut self) {
        self.inner.state().is_ending = true;
        self.inner.wake.notify_all();
        self.inner.store.watch(Box::new(|| {}));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Fleet for Inner {
    fn may_ask(&self) -> bool {
        self.store.may_ask()
    }

    fn holds(&self, row: u64) -> bool {
        self.state().slots.holds(row) || !self.store.defences().honours_leases
    }

    fn on_end(&self, row: u64, end: RowEnd) {
        if let Some(done) = self.state().slots.end(row, end) {
            self.store.end_slot(done);
            self.wake.notify_all();
        }
    }

    fn allowance(&self) -> Option<Allowed> {
        let standing = self.store.standing();
        let granted = self.state().yielding.map_or(standing.granted, |keep| keep.min(&standing.granted));
        Some(self.allowed(&granted, &standing.caps))
    }

    fn on_budget(&self, need: BudgetNeed) {
        let mut state = self.state();
        if state.need != need {
            (state.need, state.has_new_need) = (need, true);
            let is_urgent = need.next.is_some();
            drop(state);
            if is_urgent {
                self.wake.notify_all();
            }
        }
    }

    fn share(&self) -> FleetShare {
        let standing = self.store.standing();
        FleetShare { rank: standing.rank, live: standing.live.max(1) }
    }

    fn stop(&self) -> Option<RunStop> {
        self.state().stop.clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Inner {
    /// Returns what of a reserve is this run's.
    fn allowed(&self, granted: &Allowance, caps: &Caps) -> Allowed {
        let left = granted.minus(&self.before);
        Allowed {
            cost: caps.cost_nano.map(|_| left.cost_nano as f64 / NANO),
            requests: caps.requests.map(|_| left.requests),
            output_tokens: caps.output_tokens.map(|_| left.output_tokens),
        }
    }

    fn state(&self) -> MutexGuard<'_, FleetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|number| *number = number.wrapping_add(1));
    }

    fn next_row(&self) -> Option<Admit> {
        let mut state = self.state();
        let next = state.slots.next();
        let (unopened, open) = state.slots.counts();
        // What is opened next is there before it is needed.
        if unopened <= open / 4 && !state.is_finished {
            state.has_demand = true;
            self.wake.notify_all();
        }
        match next {
            Some(row) => Some(Admit::Row(row)),
            None if state.is_finished => None,
            None => Some(Admit::Waiting),
        }
    }

    /// Works until the fleet ends.
    fn work(&self) {
        let mut looked = Instant::now();
        loop {
            let idle_interval = self.idle_interval();
            {
                let state = self.state();
                if state.is_ending {
                    return;
                }
                let is_busy = |state: &mut FleetState| {
                    let wants_claim = state.wants_claim(idle_interval) && self.store.may_ask();
                    let wants = wants_claim || state.wants_budget(self.look_interval);
                    !state.is_ending && !state.is_doubtful && !wants
                };
                let interval = TELL_INTERVAL.min(self.look_interval);
                drop(self.wake.wait_timeout_while(state, interval, is_busy));
            }
            if self.state().is_ending {
                return;
            }
            let result = self.turn(&mut looked);
            match result {
                Ok(()) => {}
                // The commits that wait are tried again by the committer; what is done here comes again.
                Err(StoreError::Away { .. }) => {
                    self.state().is_doubtful = true;
                    std::thread::sleep(self.look_interval / 2);
                }
                Err(error) => {
                    self.state().stop = Some(RunStop::SharedStore(format!("{error}; {}", error.hint())));
                    self.changed();
                    std::thread::sleep(self.look_interval);
                }
            }
        }
    }

    /// Does what is due.
    fn turn(&self, looked: &mut Instant) -> Result<(), StoreError> {
        if self.store.is_renewal_due() {
            self.store.renew()?;
            *looked = Instant::now();
        } else if looked.elapsed() >= self.look_interval || self.state().is_doubtful {
            self.store.look()?;
            *looked = Instant::now();
        }
        self.hear(|_| true);
        let standing = self.store.standing();
        let is_doubtful = {
            let mut state = self.state();
            let has_lost = std::mem::replace(&mut state.taken, standing.taken) != standing.taken;
            std::mem::take(&mut state.is_doubtful) || has_lost
        };
        if is_doubtful && let Err(error) = self.reconcile() {
            self.state().is_doubtful = true;
            return Err(error);
        }
        self.store.know_taken(standing.taken);
        self.budget()?;
        if self.state().wants_claim(self.idle_interval()) && self.store.may_ask() {
            self.claim()?;
        }
        // Whoever has nothing looks for something once in this time.
        let may_give = self.state().gave.is_none_or(|at| at.elapsed() >= self.idle_interval());
        if standing.idle > 0 && may_give {
            self.give_away(standing.idle)?;
        }
        let mut state = self.state();
        if !state.is_finished && standing.undone == 0 && state.slots.is_empty() {
            state.is_finished = true;
            drop(state);
            self.changed();
        }
        Ok(())
    }

    /// Returns how often a worker without work looks for some.
    fn idle_interval(&self) -> Duration {
        let live = self.store.standing().live.max(1);
        (IDLE_INTERVAL_EACH * live).max(IDLE_INTERVAL_MIN).min(self.look_interval)
    }

    /// Takes slots for the dispatcher.
    fn claim(&self) -> Result<(), StoreError> {
        let (count, live) = (self.state().claim_count, self.store.standing().live.max(1));
        let undone = self.store.standing().undone;
        // Towards the end each worker takes a smaller part, so that all of them end together.
        let part = (undone / (2 * u64::from(live))).clamp(1, u64::from(CLAIM_MAX)) as u32;
        let Claimed { slots, undone, lapsed } = self.store.claim(count.min(part)).inspect_err(|_| {
            // It may have been carried out.
            self.state().is_doubtful = true;
        })?;
        for worker in lapsed {
            let text = format!("worker {worker} was not seen for the time of its lease; its conversations are free");
            self.listener.on_event(&JobEvent::Caution(text));
        }
        let mut found = Vec::new();
        for held in slots {
            found.extend(self.add(held)?);
        }
        self.prefetch(&found)?;
        let found = !found.is_empty();
        let mut state = self.state();
        state.has_demand = false;
        state.claim_count = (count * 2).min(CLAIM_MAX);
        state.found_nothing = (!found).then(Instant::now);
        if !found {
            state.has_demand = undone > 0;
            state.claim_count = 1;
            // A slot that the database counts as this worker's and that is not known here would never end.
            state.is_doubtful |= state.slots.is_empty() && undone > 0;
        }
        drop(state);
        self.changed();
        Ok(())
    }

    /// Adds a slot that the database has given to this worker. Returns its rows.
    fn add(&self, held: Held) -> Result<Vec<u64>, StoreError> {
        let rows = self.openings.rows_in(held.range).map_err(|error| StoreError::Refused {
            message: format!("the rows of a slot cannot be read: {error}"),
            hint: "run the same command again".to_owned(),
        })?;
        let numbers = rows.iter().map(|placed| placed.row).collect();
        let done = self.state().slots.add(held, rows);
        if let Some(done) = done {
            self.store.end_slot(done);
        }
        Ok(numbers)
    }

    /// Reads what is stored of the rows that are opened first, all at once.
    fn prefetch(&self, rows: &[u64]) -> Result<(), StoreError> {
        let digests = rows.iter().take(PREFETCH_ROWS).filter_map(|row| self.seeds.digest(*row));
        let keys: Vec<ConversationKey> = digests.flat_map(|digest| keys_of(&*self.recipe, &digest)).collect();
        self.store.prefetch(&keys, Prefetch::Answers)
    }

    /// Takes over what the database says is held.
    fn reconcile(&self) -> Result<(), StoreError> {
        let held = self.store.held()?;
        let unknown = self.state().slots.reconcile(&held);
        for held in &held {
            let part = self.state().slots.missing_part(held);
            if let Some(part) = part {
                let rows = self.openings.rows_in(part).unwrap_or_default();
                self.state().slots.extend(*held, rows);
            }
        }
        for held in unknown {
            self.add(held)?;
        }
        self.changed();
        Ok(())
    }

    /// Gives part of what is held to workers that have nothing.
    fn give_away(&self, idle: u32) -> Result<(), StoreError> {
        let given = self.state().slots.give_away(idle as usize);
        if given.is_empty() {
            return Ok(());
        }
        self.state().gave = Some(Instant::now());
        self.store.give_back(&given).inspect_err(|_| self.state().is_doubtful = true)
    }

    /// Sees to it that the reserve covers the calls in flight.
    fn budget(&self) -> Result<(), StoreError> {
        let standing = self.store.standing();
        let caps = standing.caps;
        let (need, has_work, is_over) = {
            let mut state = self.state();
            // Also where nothing is capped: a need that nobody takes would keep this thread awake.
            state.has_new_need = false;
            (state.need, !state.slots.is_empty(), state.is_over)
        };
        if (caps.cost_nano, caps.requests, caps.output_tokens) == (None, None, None) {
            return Ok(());
        }
        if is_over {
            return self.return_rest(&standing.granted);
        }
        let yielding = self.state().yielding;
        if let Some(keep) = yielding {
            // The dispatcher must know first that it may not use what is returned.
            if need.allowed == Some(self.allowed(&keep.min(&standing.granted), &caps)) {
                self.store.release(&keep.max(&self.before.plus(&units(&need.used))))?;
                self.state().yielding = None;
                self.changed();
            }
            return Ok(());
        }
        if self.state().refused.is_some_and(|at| at.elapsed() < self.look_interval) {
            return Ok(());
        }
        match step(&need, &self.before, &standing.granted, has_work) {
            ReserveStep::Keep => self.state().refused = None,
            ReserveStep::Release { keep } => self.give_up_reserve(keep),
            ReserveStep::Raise { wanted, least } => {
                let granted = self.store.grant(&wanted, &least)?;
                let is_refused = granted.short.is_some() || granted.granted.minus(&standing.granted) != wanted;
                self.state().refused = is_refused.then(Instant::now);
                match shortage(&need, &least, &granted) {
                    Shortage::None | Shortage::Wait { returns: false } => {}
                    Shortage::Wait { returns: true } => self.give_up_reserve(self.before.plus(&units(&need.used))),
                    Shortage::Over(reason) => self.state().stop = Some(RunStop::Budget(reason)),
                }
                self.changed();
            }
        }
        Ok(())
    }

    /// Begins to return what is reserved above `keep`.
    fn give_up_reserve(&self, keep: Allowance) {
        self.state().yielding = Some(keep);
        self.changed();
    }

    /// Returns what a run that has ended has not spent.
    fn return_rest(&self, granted: &Allowance) -> Result<(), StoreError> {
        let booked = self.store.booked();
        if self.store.waiting() > 0 || granted.minus(&booked).is_nothing() {
            return Ok(());
        }
        self.store.release(&booked)
    }

    /// Applies the verbs that a person has sent to all workers.
    fn hear(&self, is_heard: impl Fn(&Verb) -> bool) {
        for verb in self.store.take_controls() {
            if let Ok(verb) = Verb::parse(&verb.text)
                && is_heard(&verb)
            {
                let _ = self.verbs.send(verb);
            }
        }
    }
}

impl FleetState {
    fn wants_claim(&self, interval: Duration) -> bool {
        let may_again = self.found_nothing.is_none_or(|at| at.elapsed() >= interval);
        self.has_demand && !self.is_finished && self.stop.is_none() && may_again
    }

    fn wants_budget(&self, interval: Duration) -> bool {
        let may_again = self.refused.is_none_or(|at| at.elapsed() >= interval);
        self.has_new_need && may_again
    }
}
