//! The database as a store that others are merged into.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio_postgres::types::Type;

use super::super::failure::Failure;
use super::super::frames::{self, KEYS_MAX, NO_END};
use super::super::session::{Access, Session, Transactions};
use super::super::values::{bytes, worker};
use super::keep::{self, Changes, Prices};
use super::origins;
use super::source::{for_each_state, payers, used_in};
use crate::conversation::{ConversationKey, Digest, Fingerprint};
use crate::store::entry::{ConversationState, Entry, LostCalls, Spending};
use crate::store::error::StoreError;
use crate::store::merge::{Ahead, MergeTarget, UsedAnswer};
use crate::store::origins::KeptRunId;
use crate::store::shared::MERGED_HOST;
use crate::store::start::{FrameId, StartId};

/// The database while stores are merged into it.
pub struct DatabaseTarget<'a> {
    transactions: &'a Transactions,
    prices: Arc<Prices>,
    known: RefCell<Known>,
}

/// What was looked up ahead, and has not changed since.
#[derive(Default)]
struct Known {
    used: HashMap<Fingerprint, Option<UsedAnswer>>,
    unused: HashMap<Fingerprint, BTreeSet<FrameId>>,
    states: HashMap<ConversationKey, Option<ConversationState>>,
    /// All questions whose answers were replaced, once they were asked for.
    unsettled: Option<HashSet<Fingerprint>>,
}

impl<'a> DatabaseTarget<'a> {
    /// Takes the database, unless somebody is at work. What was merged before is booked at the prices that are known now.
    pub fn open(transactions: &'a Transactions, prices: &Prices) -> Result<Self, StoreError> {
        let prices = Arc::new(prices.clone());
        let known = Arc::clone(&prices);
        let at_work = transactions.run(Access::Write, move |session| {
            let prices = Arc::clone(&known);
            async move { begin(&session, &prices).await }
        })?;
        refuse(at_work)?;
        Ok(Self { transactions, prices, known: RefCell::default() })
    }

    /// Looks questions up: the used answers, and those that are not used.
    fn look_up(&self, questions: &[Fingerprint], is_used_asked: bool) -> Result<(), StoreError> {
        let mut known = self.known.borrow_mut();
        known.used.clear();
        known.unused.clear();
        for part in questions.chunks(KEYS_MAX) {
            let asked: Arc<[Fingerprint]> = part.into();
            let (used, unused) = self.transactions.run(Access::Read, move |session| {
                let asked = Arc::clone(&asked);
                async move {
                    let used = if is_used_asked { used(&session, &asked).await? } else { Vec::new() };
                    Ok((used, unused(&session, &asked).await?))
                }
            })?;
            if is_used_asked {
                known.used.extend(part.iter().map(|question| (*question, None)));
                known.used.extend(used);
            }
            known.unused.extend(part.iter().map(|question| (*question, BTreeSet::new())));
            for (question, frame) in unused {
                known.unused.entry(question).or_default().insert(frame);
            }
        }
        Ok(())
    }

    fn look_states_up(&self, keys: &[ConversationKey]) -> Result<(), StoreError> {
        let mut known = self.known.borrow_mut();
        known.states.clear();
        for part in keys.chunks(KEYS_MAX) {
            let asked: Arc<[ConversationKey]> = part.into();
            let states = self.transactions.run(Access::Read, move |session| {
                let asked = Arc::clone(&asked);
                async move { frames::states(&session, &asked, NO_END).await }
            })?;
            known.states.extend(part.iter().map(|key| (*key, None)));
            known.states.extend(states.into_iter().map(|(key, state)| (key, Some(state))));
        }
        Ok(())
    }

    fn exists(&self, table: &'static str) -> Result<bool, StoreError> {
        Ok(self.transactions.run(Access::Read, move |session| async move {
            let row = session.row(&format!("SELECT EXISTS (SELECT FROM {table})"), &[]).await?;
            Ok(row.is_some_and(|row| row.get(0)))
        })?)
    }
}

fn refuse(at_work: Option<String>) -> Result<(), StoreError> {
    at_work.map_or(Ok(()), |worker| Err(StoreError::AtWork { worker }))
}

/// Returns who is at work, or books what was merged before.
async fn begin(session: &Session, prices: &Prices) -> Result<Option<String>, Failure> {
    if let Some(worker) = keep::lock(session).await? {
        return Ok(Some(worker));
    }
    if !prices.is_empty() {
        let sql = "SELECT id FROM cohobate_worker WHERE host = $1 AND process = 0";
        let merged = session.rows(sql, &[(&MERGED_HOST, Type::TEXT)]).await?;
        let merged: Result<BTreeSet<StartId>, Failure> =
            merged.iter().map(|row| Ok(StartId(worker(row, 0)?.0))).collect();
        let merged = merged?;
        for (start, spending) in origins::spending(session).await? {
            if merged.contains(&start) {
                keep::book(session, start, &spending, prices).await?;
            }
        }
    }
    Ok(None)
}

async fn used(session: &Session, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Option<UsedAnswer>)>, Failure> {
    let questions: Vec<&[u8]> = questions.iter().map(|question| &question.0[..]).collect();
    let sql = "SELECT question, worker, paid_run, frame FROM cohobate_answer WHERE question = ANY($1)";
    let rows = session.rows(sql, &[(&questions, Type::BYTEA_ARRAY)]).await?;
    rows.iter().map(used_in).collect()
}

async fn unused(session: &Session, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, FrameId)>, Failure> {
    let questions: Vec<&[u8]> = questions.iter().map(|question| &question.0[..]).collect();
    let sql = "SELECT question, record, start FROM cohobate_kept WHERE question = ANY($1)";
    let rows = session.rows(sql, &[(&questions, Type::BYTEA_ARRAY)]).await?;
    let frame = |row: &tokio_postgres::Row| {
        let frame = FrameId { record: Digest(bytes(row.get(1))?), start: StartId(worker(row, 2)?.0) };
        Ok((Fingerprint(bytes(row.get(0))?), frame))
    };
    rows.iter().map(frame).collect()
}

async fn unsettled(session: &Session) -> Result<HashSet<Fingerprint>, Failure> {
    let rows = session.rows("SELECT question FROM cohobate_unsettled", &[]).await?;
    rows.iter().map(|row| Ok(Fingerprint(bytes(row.get(0))?))).collect()
}

impl MergeTarget for DatabaseTarget<'_> {
    fn spending(&self) -> Result<BTreeMap<StartId, Spending>, StoreError> {
        Ok(self.transactions.run(Access::Read, |session| async move { origins::spending(&session).await })?)
    }

    fn run_ids(&self) -> Result<BTreeSet<KeptRunId>, StoreError> {
        let kept = self.transactions.run(Access::Read, |session| async move { origins::kept_runs(&session).await })?;
        Ok(payers(self.transactions, NO_END)?.into_iter().chain(kept.into_keys()).collect())
    }

    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError> {
        if let Some(known) = self.known.borrow().used.get(fingerprint) {
            return Ok(*known);
        }
        let question = *fingerprint;
        let found =
            self.transactions.run(Access::Read, move |session| async move { used(&session, &[question]).await })?;
        Ok(found.into_iter().find_map(|(_, used)| used))
    }

    fn unused(&self, fingerprint: &Fingerprint) -> Result<BTreeSet<FrameId>, StoreError> {
        if let Some(known) = self.known.borrow().unused.get(fingerprint) {
            return Ok(known.clone());
        }
        let question = *fingerprint;
        let found =
            self.transactions.run(Access::Read, move |session| async move { unused(&session, &[question]).await })?;
        Ok(found.into_iter().map(|(_, frame)| frame).collect())
    }

    fn has_unused(&self) -> Result<bool, StoreError> {
        self.exists("cohobate_kept")
    }

    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
        if let Some(known) = &self.known.borrow().unsettled {
            return Ok(known.contains(fingerprint));
        }
        let found = self.transactions.run(Access::Read, |session| async move { unsettled(&session).await })?;
        let is_unsettled = found.contains(fingerprint);
        self.known.borrow_mut().unsettled = Some(found);
        Ok(is_unsettled)
    }

    fn has_unsettled(&self) -> Result<bool, StoreError> {
        self.exists("cohobate_unsettled")
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        let question = *fingerprint;
        Ok(self.transactions.run(Access::Read, move |session| async move { frames::lost(&session, question).await })?)
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        if let Some(known) = self.known.borrow().states.get(key) {
            return Ok(known.clone());
        }
        let key = *key;
        let states = self
            .transactions
            .run(Access::Read, move |session| async move { frames::states(&session, &[key], NO_END).await })?;
        Ok(states.into_iter().next().map(|(_, state)| state))
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        Ok(for_each_state(self.transactions, NO_END, visit)?)
    }

    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        entries.iter().try_for_each(Entry::check_size)?;
        let changes = Arc::new(Changes::of(entries));
        {
            let mut known = self.known.borrow_mut();
            for answer in &changes.answers {
                known.used.remove(&answer.fingerprint);
                known.unused.remove(&answer.fingerprint);
            }
            changes.states.iter().for_each(|(key, _)| drop(known.states.remove(key)));
            known.unsettled = None;
        }
        let prices = Arc::clone(&self.prices);
        let at_work = self.transactions.run(Access::Write, move |session| {
            let (changes, prices) = (Arc::clone(&changes), Arc::clone(&prices));
            async move { keep::keep(&session, &changes, &prices).await }
        })?;
        refuse(at_work)
    }

    fn look_ahead(&self, ahead: Ahead<'_>) -> Result<(), StoreError> {
        match ahead {
            Ahead::Answers(questions) => self.look_up(questions, true),
            Ahead::Unused(questions) => self.look_up(questions, false),
            Ahead::States(keys) => self.look_states_up(keys),
        }
    }
}
