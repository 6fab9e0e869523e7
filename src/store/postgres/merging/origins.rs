//! Starts and runs, and what starts have spent.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::super::failure::Failure;
use super::super::publish::COUNTERS;
use super::super::runs::record_in;
use super::super::session::{Session, Values};
use super::super::values::{run, worker};
use super::super::workers::spent_in;
use crate::store::entry::{Run, Spending};
use crate::store::origins::KeptRunId;
use crate::store::start::StartId;

/// Commits whose answers are looked at in one query.
const COMMITS_MAX: i64 = 1_000;

/// Returns what each start has spent.
pub async fn spending(session: &Session) -> Result<BTreeMap<StartId, Spending>, Failure> {
    let columns = COUNTERS.join(", ");
    let rows = session.rows(&format!("SELECT model, {columns}, worker FROM cohobate_spend"), &[]).await?;
    let mut all = BTreeMap::<StartId, Spending>::new();
    for row in &rows {
        let start = StartId(worker(row, COUNTERS.len() + 1)?.0);
        all.entry(start).or_default().insert(row.get(0), spent_in(row));
    }
    Ok(all)
}

/// The runs of other stores, with their numbers here.
pub type KeptRuns = BTreeMap<KeptRunId, u32>;

/// Returns the runs of other stores, with their numbers here.
pub async fn kept_runs(session: &Session) -> Result<KeptRuns, Failure> {
    let rows = session.rows("SELECT start, number, run FROM cohobate_kept_run", &[]).await?;
    rows.iter().map(|row| Ok(((StartId(worker(row, 0)?.0), run(row.get(1))), run(row.get(2))))).collect()
}

/// Returns the first and the last number of a commit with answers, at most `end`.
pub async fn commits(session: &Session, end: i64) -> Result<Option<(i64, i64)>, Failure> {
    let sql = "SELECT min(batch), max(batch) FROM cohobate_answer WHERE batch <= $1";
    let row = session.row(sql, &[(&end, Type::INT8)]).await?;
    Ok(row.and_then(|row| row.get::<_, Option<i64>>(0).zip(row.get(1))))
}

/// Returns the workers and runs of this database that have paid in some commits from `first` on, and the first commit after those.
pub async fn payers(session: &Session, first: i64, end: i64) -> Result<(BTreeSet<KeptRunId>, i64), Failure> {
    let after = first.saturating_add(COMMITS_MAX);
    let sql = "SELECT DISTINCT worker, run FROM cohobate_answer \
         WHERE batch >= $1 AND batch < $2 AND batch <= $3 AND paid_run IS NULL";
    let values: Values<'_> = &[(&first, Type::INT8), (&after, Type::INT8), (&end, Type::INT8)];
    let rows = session.rows(sql, values).await?;
    let ids: Result<_, Failure> = rows.iter().map(|row| Ok((StartId(worker(row, 0)?.0), run(row.get(1))))).collect();
    Ok((ids?, after))
}

/// Returns the workers and runs of this database that have paid for answers which are not used any more.
pub async fn payers_of_kept(session: &Session, end: i64) -> Result<BTreeSet<KeptRunId>, Failure> {
    let sql = "SELECT DISTINCT start, run FROM cohobate_kept WHERE paid_run IS NULL AND batch <= $1";
    let rows = session.rows(sql, &[(&end, Type::INT8)]).await?;
    rows.iter().map(|row| Ok((StartId(worker(row, 0)?.0), run(row.get(1))))).collect()
}

/// Returns the runs by their numbers here.
pub async fn runs(session: &Session) -> Result<BTreeMap<u32, Run>, Failure> {
    let rows = session.rows("SELECT number, record FROM cohobate_run", &[]).await?;
    rows.iter().map(|row| Ok((run(row.get(0)), Run { answers: 0, ..record_in(row, 1)? }))).collect()
}
