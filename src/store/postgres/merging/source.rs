//! The database as a store that is merged into another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_postgres::types::Type;

use super::super::failure::Failure;
use super::super::frames::{self, KeptKey, Order};
use super::super::session::{Access, Session, Transactions};
use super::super::values::{bytes, run, worker};
use super::origins;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, Entry, LostCalls, Run, Spending};
use crate::store::error::StoreError;
use crate::store::identity::frame_of;
use crate::store::merge::{MergeSource, PaidAnswer, UsedAnswer};
use crate::store::origins::KeptRunId;
use crate::store::place::Damage;
use crate::store::shared::{DatabaseError, WorkerId, entry_of};
use crate::store::start::StartId;

/// The database up to a commit. Workers may be at work meanwhile.
pub struct DatabaseSource<'a> {
    transactions: &'a Transactions,
    /// The last commit that is read.
    end: i64,
    has_unsettled: bool,
}

impl<'a> DatabaseSource<'a> {
    /// Takes the database as it is now.
    pub fn open(transactions: &'a Transactions) -> Result<Self, StoreError> {
        let (end, has_unsettled) =
            transactions.run(Access::Write, |session| async move { last_commit(&session).await })?;
        Ok(Self { transactions, end, has_unsettled })
    }

    /// Refuses what another merge has changed since this one began: pages that were read do not fit together any more.
    fn check(&self) -> Result<(), StoreError> {
        let end = self.end;
        let is_changed = self.transactions.run(Access::Read, move |session| async move {
            let sql = "SELECT EXISTS (SELECT FROM cohobate_kept WHERE batch > $1) \
                 OR EXISTS (SELECT FROM cohobate_state WHERE batch > $1)";
            Ok(session.row(sql, &[(&end, Type::INT8)]).await?.is_some_and(|row| row.get(0)))
        })?;
        if is_changed {
            let reason = "another merge wrote into the database that is merged".to_owned();
            return Err(DatabaseError::Away(reason).into());
        }
        Ok(())
    }
}

/// Returns the number of the last commit, and whether a merge into this database has not ended. The lock waits for commits that are
/// under way: none of them has a smaller number and comes later.
async fn last_commit(session: &Session) -> Result<(i64, bool), Failure> {
    session.batch("LOCK TABLE cohobate_worker IN SHARE MODE").await?;
    let last = |table: &str| format!("coalesce((SELECT max(batch) FROM {table}), 0)");
    let tables = ["cohobate_answer", "cohobate_note", "cohobate_kept", "cohobate_state"].map(last).join(", ");
    let sql = format!("SELECT greatest({tables}), EXISTS (SELECT FROM cohobate_unsettled)");
    Ok(session.row(&sql, &[]).await?.map_or((0, false), |row| (row.get(0), row.get(1))))
}

/// Returns the runs that have paid for answers, each with its start, up to a commit.
pub fn payers(transactions: &Transactions, end: i64) -> Result<BTreeSet<KeptRunId>, DatabaseError> {
    let mut all =
        transactions.run(Access::Read, move |session| async move { origins::payers_of_kept(&session, end).await })?;
    let commits =
        transactions.run(Access::Read, move |session| async move { origins::commits(&session, end).await })?;
    let Some((mut first, last)) = commits else { return Ok(all) };
    while first <= last {
        let (found, next) = transactions
            .run(Access::Read, move |session| async move { origins::payers(&session, first, end).await })?;
        all.extend(found);
        first = next;
    }
    Ok(all)
}

/// Returns an answer as its start has paid for it. `paid_run` is the run's number there, if that is another store.
fn paid(frame: &[u8], start: WorkerId, paid_run: Option<i32>, is_used: bool) -> Option<PaidAnswer> {
    let mut entry = entry_of(frame)?;
    if let (Entry::Answered { run: number, .. }, Some(paid_run)) = (&mut entry, paid_run) {
        *number = run(paid_run);
    }
    Some(PaidAnswer { frame: frame_of(&entry, StartId(start.0))?, entry, is_used })
}

/// Returns the answer that is used for a question, of its row: question, worker, paid run, frame.
pub fn used_in(row: &tokio_postgres::Row) -> Result<(Fingerprint, Option<UsedAnswer>), Failure> {
    let paid = paid(row.get(3), worker(row, 1)?, row.get(2), true);
    let used = paid.and_then(|paid| match &paid.entry {
        Entry::Answered { answer, .. } => Some(UsedAnswer::of(paid.frame, answer)),
        _ => None,
    });
    Ok((Fingerprint(bytes(row.get(0))?), used))
}

/// What is read at once.
type Page<K> = Vec<(K, Fingerprint, u64, Option<PaidAnswer>)>;

async fn used_page(session: &Session, after: Order, end: i64) -> Result<Page<Order>, Failure> {
    let sql = "SELECT batch, place, question, worker, paid_run, frame FROM (SELECT *, \
         sum(octet_length(frame)) OVER (ORDER BY batch, place) - octet_length(frame) AS bytes_before \
         FROM (SELECT * FROM cohobate_answer WHERE (batch, place) > ($1, $2) AND batch <= $3 \
         ORDER BY batch, place LIMIT $4) f) p WHERE bytes_before < $5 ORDER BY batch, place";
    let (rows_max, bytes_max) = (frames::PAGE_ROWS_MAX, frames::PAGE_BYTES_MAX);
    let rows = session
        .rows(
            sql,
            &[
                (&after.0, Type::INT8),
                (&after.1, Type::INT4),
                (&end, Type::INT8),
                (&rows_max, Type::INT8),
                (&bytes_max, Type::INT8),
            ],
        )
        .await?;
    let read = |row: &tokio_postgres::Row| {
        let frame: &[u8] = row.get(5);
        let paid = paid(frame, worker(row, 3)?, row.get(4), true);
        Ok(((row.get(0), row.get(1)), Fingerprint(bytes(row.get(2))?), frame.len() as u64, paid))
    };
    rows.iter().map(read).collect()
}

async fn kept_page(session: &Session, after: &KeptKey, end: i64) -> Result<Page<KeptKey>, Failure> {
    let mut values = frames::kept_values(after);
    values.push((&end, Type::INT8));
    let rows = session.rows(&frames::kept_sql("batch <= $6"), &values).await?;
    let read = |row: &tokio_postgres::Row| {
        let frame: &[u8] = row.get(5);
        let paid = paid(frame, worker(row, 2)?, row.get(3), false);
        let key = [row.get(0), row.get(1), row.get(2)];
        Ok((key, Fingerprint(bytes(row.get(0))?), frame.len() as u64, paid))
    };
    rows.iter().map(read).collect()
}

/// Passes on what was read; names what cannot be.
fn visit_page<K>(
    page: Page<K>,
    damages: &mut Vec<Damage>,
    visit: &mut dyn FnMut(PaidAnswer) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for (_, question, length, paid) in page {
        match paid {
            Some(paid) => visit(paid)?,
            None => damages.push(Damage { path: PathBuf::from(format!("the answer to {question}")), bytes: 0..length }),
        }
    }
    Ok(())
}

impl MergeSource for DatabaseSource<'_> {
    fn spending(&self) -> Result<BTreeMap<StartId, Spending>, StoreError> {
        Ok(self.transactions.run(Access::Read, |session| async move { origins::spending(&session).await })?)
    }

    fn runs(&self) -> Result<Vec<(StartId, Run)>, StoreError> {
        let read =
            |session: Session| async move { Ok((origins::runs(&session).await?, origins::kept_runs(&session).await?)) };
        let (runs, kept) = self.transactions.run(Access::Read, read)?;
        let own = payers(self.transactions, self.end)?.into_iter().map(|(start, number)| ((start, number), number));
        let of = |((start, number), here): (KeptRunId, u32)| Some((start, Run { number, ..runs.get(&here)?.clone() }));
        Ok(own.chain(kept).filter_map(of).collect())
    }

    fn for_each_answer(
        &self,
        visit: &mut dyn FnMut(PaidAnswer) -> Result<(), StoreError>,
    ) -> Result<Vec<Damage>, StoreError> {
        let (mut damages, end) = (Vec::new(), self.end);
        let mut after = (i64::MIN, i32::MIN);
        loop {
            let read = move |session: Session| async move { used_page(&session, after, end).await };
            let page = self.transactions.run(Access::Read, read)?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            visit_page(page, &mut damages, visit)?;
        }
        let mut after: Arc<KeptKey> = Arc::default();
        loop {
            let from = Arc::clone(&after);
            let read = move |session: Session| {
                let from = Arc::clone(&from);
                async move { kept_page(&session, &from, end).await }
            };
            let page = self.transactions.run(Access::Read, read)?;
            let Some((last, ..)) = page.last() else { return Ok(damages) };
            after = Arc::new(last.clone());
            visit_page(page, &mut damages, visit)?;
        }
    }

    fn used(&self, fingerprint: &Fingerprint) -> Result<Option<UsedAnswer>, StoreError> {
        let question = *fingerprint;
        Ok(self.transactions.run(Access::Read, move |session| async move {
            let sql = "SELECT question, worker, paid_run, frame FROM cohobate_answer WHERE question = $1";
            let row = session.row(sql, &[(&&question.0[..], Type::BYTEA)]).await?;
            Ok(row.map(|row| used_in(&row)).transpose()?.and_then(|(_, used)| used))
        })?)
    }

    fn is_unsettled(&self, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
        if !self.has_unsettled {
            return Ok(false);
        }
        let question = *fingerprint;
        Ok(self.transactions.run(Access::Read, move |session| async move {
            let sql = "SELECT FROM cohobate_unsettled WHERE question = $1";
            Ok(session.row(sql, &[(&&question.0[..], Type::BYTEA)]).await?.is_some())
        })?)
    }

    fn for_each_lost(&self, visit: &mut dyn FnMut(Fingerprint, LostCalls)) -> Result<(), StoreError> {
        let mut after: Arc<Vec<u8>> = Arc::default();
        loop {
            let from = Arc::clone(&after);
            let read = move |session: Session| {
                let from = from.to_vec();
                async move { frames::lost_page(&session, from).await }
            };
            let page = self.transactions.run(Access::Read, read)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Arc::new(last.clone());
            for (_, frame) in page {
                if let Some(Entry::Lost { fingerprint, lost }) = entry_of(&frame) {
                    visit(fingerprint, lost);
                }
            }
        }
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.check()?;
        for_each_state(self.transactions, self.end, visit)?;
        self.check()
    }
}

/// Calls `visit` with every conversation's state as of a commit.
pub fn for_each_state(
    transactions: &Transactions,
    end: i64,
    visit: &mut dyn FnMut(ConversationKey, ConversationState),
) -> Result<(), DatabaseError> {
    let mut after: Arc<[u8]> = Arc::new([]);
    loop {
        let from = Arc::clone(&after);
        let read = move |session: Session| {
            let from = Arc::clone(&from);
            async move {
                let keys = frames::keys(&session, &from).await?;
                let states = frames::states(&session, &keys, end).await?;
                Ok((keys.last().copied(), states))
            }
        };
        let (last, states) = transactions.run(Access::Read, read)?;
        let Some(last) = last else { return Ok(()) };
        after = last.0.into();
        for (key, state) in states {
            visit(key, state);
        }
    }
}
