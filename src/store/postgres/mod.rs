//! The database of a shared store: PostgreSQL.
//!
//! | file | what |
//! |---|---|
//! | `address/`, `options.rs` | connection strings, as libpq reads them |
//! | `connect.rs`, `tls.rs`, `binding.rs` | connections to one of several servers |
//! | `session.rs`, `failure.rs` | transactions in a bounded time, and what their errors mean |
//! | `schema/` | the tables |
//! | `publish.rs`, `slots.rs`, `standing.rs`, `undone.rs`, `reserves.rs` | a worker's commits, slots, place and reserve |
//! | `runs.rs`, `workers.rs`, `frames.rs`, `statuses.rs` | runs, starts of workers, and what they have stored |
//! | `merging/` | the database as a source and as a target of merges |

mod address;
mod binding;
mod connect;
mod failure;
mod frames;
mod merging;
mod options;
mod publish;
mod reserves;
mod runs;
mod schema;
mod session;
mod slots;
mod standing;
mod statuses;
mod tls;
mod undone;
mod values;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use address::{AddressError, PostgresAddress, Surroundings};
use runs::Wanted;
pub use schema::Create;
use session::{Access, Transactions};
use undone::Undone;

use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, LostCalls, Spending, Status};
use crate::store::merge::MergeStore;
use crate::store::shared::{
    Allowance, Batch, Caps, Claimed, Database, DatabaseError, Granted, Held, Joined, OpeningHash, Published,
    PublishedTo, RunRequest, SeenRun, SeenWorker, StoredConversations, WorkerId, WorkerStanding, WorkerStart, Writer,
};

/// A store in PostgreSQL.
pub struct PostgresDatabase {
    transactions: Transactions,
    undone: Undone,
}

impl PostgresDatabase {
    /// Connects, and checks that the tables are those of this program.
    pub fn open(address: &PostgresAddress, create: Create) -> Result<Self, DatabaseError> {
        let transactions = Transactions::new(address)?;
        let is_outdated = transactions
            .run(Access::Read, move |session| async move { schema::is_outdated(&session, create).await })?;
        if is_outdated {
            transactions.run(Access::Write, |session| async move { schema::migrate(&session).await })?;
        }
        Ok(Self { transactions, undone: Undone::default() })
    }
}

/// Carries out a transaction. What it uses is copied for each try.
macro_rules! transaction {
    ($self:ident, $access:ident, ($($value:ident),*), |$session:ident| $work:expr) => {
        $self.transactions.run(Access::$access, move |$session| {
            $(let $value = $value.clone();)*
            async move { $work.await }
        })
    };
}

impl PostgresDatabase {
    /// Calls `visit` with every conversation's key, many at a time.
    fn for_each_page(
        &self,
        mut visit: impl FnMut(&[ConversationKey]) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let mut after: Arc<[u8]> = Arc::new([]);
        loop {
            let keys = transaction!(self, Read, (after), |session| frames::keys(&session, &after))?;
            let Some(last) = keys.last() else { return Ok(()) };
            after = last.0.into();
            visit(&keys)?;
        }
    }
}

impl Database for PostgresDatabase {
    fn join(&self, start: &WorkerStart, lease: Duration) -> Result<(), DatabaseError> {
        let start = start.clone();
        transaction!(self, Write, (start), |session| workers::join(&session, &start, lease))
    }

    fn published(&self, worker: WorkerId) -> Result<Option<PublishedTo>, DatabaseError> {
        transaction!(self, Read, (), |session| workers::published(&session, worker))
    }

    fn run(&self, worker: WorkerId, request: &RunRequest<'_>) -> Result<Joined, DatabaseError> {
        let wanted = Arc::new(Wanted {
            name: request.name.map(str::to_owned),
            settings: request.settings.clone(),
            rows: request.rows,
            slots: request.slots.to_vec(),
            caps: request.caps,
            started_ms: request.started_ms,
        });
        transaction!(self, Write, (wanted), |session| runs::run(&session, worker, &wanted))
    }

    fn claim(&self, worker: WorkerId, run: u32, count: u32) -> Result<Claimed, DatabaseError> {
        transaction!(self, Write, (), |session| slots::claim(&session, worker, run, count))
    }

    fn held(&self, worker: WorkerId, run: u32) -> Result<Vec<Held>, DatabaseError> {
        transaction!(self, Read, (), |session| slots::held(&session, worker, run))
    }

    fn publish(
        &self,
        worker: WorkerId,
        run: u32,
        batch: &Batch,
        lease: Duration,
        after_control: u64,
    ) -> Result<Published, DatabaseError> {
        let before = Instant::now();
        let undone = if batch.done.is_empty() { self.undone.known(run, before) } else { None };
        let batch = Arc::new(batch.clone());
        let published = transaction!(self, Write, (batch), |session| publish::publish(
            &session,
            worker,
            run,
            &batch,
            lease,
            after_control,
            undone
        ))?;
        if undone.is_none() {
            self.undone.count(run, before, published.standing.undone);
        }
        Ok(published)
    }

    fn look(&self, worker: WorkerId, run: u32, after_control: u64) -> Result<WorkerStanding, DatabaseError> {
        transaction!(self, Read, (), |session| standing::look(&session, worker, run, after_control))
    }

    fn give_back(&self, worker: WorkerId, run: u32, slots: &[(Held, OpeningHash)]) -> Result<(), DatabaseError> {
        let slots: Arc<[(Held, OpeningHash)]> = slots.into();
        transaction!(self, Write, (slots), |session| slots::give_back(&session, worker, run, &slots))
    }

    fn grant(
        &self,
        worker: WorkerId,
        run: u32,
        wanted: &Allowance,
        least: &Allowance,
    ) -> Result<Granted, DatabaseError> {
        let (wanted, least) = (*wanted, *least);
        transaction!(self, Write, (), |session| reserves::grant(&session, worker, run, wanted, least))
    }

    fn release(&self, worker: WorkerId, keep: &Allowance) -> Result<Allowance, DatabaseError> {
        let keep = *keep;
        transaction!(self, Write, (), |session| reserves::release(&session, worker, keep))
    }

    fn leave(&self, worker: WorkerId) -> Result<(), DatabaseError> {
        transaction!(self, Write, (), |session| workers::leave(&session, worker))
    }

    fn writer(&self, worker: WorkerId, run: u32, place: &str) -> Result<Writer, DatabaseError> {
        let place: Arc<str> = place.into();
        transaction!(self, Write, (place), |session| runs::writer(&session, worker, run, &place))
    }

    fn written(&self, worker: WorkerId, run: u32) -> Result<(), DatabaseError> {
        transaction!(self, Write, (), |session| runs::written(&session, worker, run))
    }

    fn answers(&self, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Vec<u8>)>, DatabaseError> {
        let mut found = Vec::new();
        for part in questions.chunks(frames::KEYS_MAX) {
            let part: Arc<[Fingerprint]> = part.into();
            found.extend(transaction!(self, Read, (part), |session| frames::answers(&session, &part))?);
        }
        Ok(found)
    }

    fn conversations(&self, keys: &[ConversationKey]) -> Result<StoredConversations, DatabaseError> {
        let mut all = StoredConversations::default();
        for part in keys.chunks(frames::KEYS_MAX) {
            let part: Arc<[ConversationKey]> = part.into();
            let stored =
                transaction!(self, Read, (part), |session| { frames::conversations(&session, &part, frames::NO_END) })?;
            all.states.extend(stored.states);
            all.answers.extend(stored.answers);
        }
        Ok(all)
    }

    fn for_each_frame(&self, visit: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), DatabaseError> {
        let mut after = (i64::MIN, i32::MIN);
        loop {
            let page = transaction!(self, Read, (), |session| frames::page(&session, after))?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            if !page.into_iter().all(|(_, frame)| visit(frame)) {
                return Ok(());
            }
        }
        let mut after = Vec::new();
        loop {
            let from = after.clone();
            let page = transaction!(self, Read, (from), |session| frames::lost_page(&session, from))?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            if !page.into_iter().all(|(_, frame)| visit(frame)) {
                return Ok(());
            }
        }
        let mut after = frames::KeptKey::default();
        loop {
            let from = after.clone();
            let page = transaction!(self, Read, (from), |session| frames::kept_page(&session, &from))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            if !page.into_iter().all(|(_, frame)| visit(frame)) {
                return Ok(());
            }
        }
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), DatabaseError> {
        self.for_each_page(|keys| {
            self.states(keys)?.into_iter().for_each(|(key, state)| visit(key, state));
            Ok(())
        })
    }

    fn for_each_status(&self, visit: &mut dyn FnMut(ConversationKey, Status)) -> Result<(), DatabaseError> {
        self.for_each_page(|keys| {
            let keys: Arc<[ConversationKey]> = keys.into();
            let statuses = transaction!(self, Read, (keys), |session| statuses::statuses(&session, &keys))?;
            for (key, status) in statuses {
                visit(key, status);
            }
            Ok(())
        })
    }

    fn lost(&self, question: &Fingerprint) -> Result<LostCalls, DatabaseError> {
        let question = *question;
        transaction!(self, Read, (), |session| frames::lost(&session, question))
    }

    fn spending(&self) -> Result<Spending, DatabaseError> {
        transaction!(self, Read, (), |session| frames::spending(&session))
    }

    fn runs(&self) -> Result<Vec<SeenRun>, DatabaseError> {
        transaction!(self, Read, (), |session| runs::runs(&session))
    }

    fn workers(&self) -> Result<Vec<SeenWorker>, DatabaseError> {
        transaction!(self, Read, (), |session| workers::workers(&session))
    }

    fn control(&self, run: u32, text: &str, caps: Option<Caps>) -> Result<(), DatabaseError> {
        let (text, caps): (Arc<str>, Caps) = (text.into(), caps.unwrap_or_default());
        transaction!(self, Write, (text), |session| runs::control(&session, run, &text, &caps))
    }

    fn reconcile(&self, unseen_for: Duration) -> Result<Vec<SeenWorker>, DatabaseError> {
        transaction!(self, Write, (), |session| reserves::reconcile(&session, unseen_for))
    }

    fn merging(&self) -> Result<&dyn MergeStore, DatabaseError> {
        Ok(self)
    }
}
