//! Transactions: sent from any thread, carried out on a runtime of their own, within a bounded time.
//!
//! No state outlives a transaction, and no statement has a name. So a transaction pooler, such as PgBouncer, may stand
//! between: every setting is `SET LOCAL` or the like. The statements of a step are sent together with those before them, so
//! that a transaction of several statements waits for the network only where it needs a result.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use deadpool::managed::{Object, PoolError};
use tokio::runtime::Runtime;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::address::PostgresAddress;
use super::connect::{Connection, Opener, Pool, Pooled, opening_time_max, pool};
use super::failure::Failure;
use super::tls;
use crate::store::shared::DatabaseError;

/// Connections of one process. One commits, the others read.
const CONNECTIONS_MAX: usize = 4;
/// What a statement may take, on the server.
const STATEMENT_SECONDS_MAX: u64 = 30;
/// What a transaction may take, connecting not included.
const OPERATION_SECONDS_MAX: u64 = 60;
/// How often a transaction is tried that others are in the way of.
const TRIES_MAX: u32 = 6;
/// The pause before the second try; it doubles.
const PAUSE_MS: u64 = 10;

/// Whether a transaction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Carries out transactions.
pub struct Transactions {
    runtime: Option<Runtime>,
    pool: Arc<Pool>,
    time_max: Duration,
}

/// A transaction that is open. Clones are the same one.
#[derive(Clone)]
pub struct Session(Arc<Lent>);

/// Values of a statement with their types; types are named, so that the server need not be asked.
pub type Values<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl Transactions {
    /// Prepares connections; opens none.
    pub fn new(address: &PostgresAddress) -> Result<Self, DatabaseError> {
        let refused = |error: super::AddressError| DatabaseError::Refused { message: error.message, hint: error.hint };
        let tls = tls::maker(&address.tls).map_err(refused)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("cohobate-database")
            .enable_all()
            .build()
            .map_err(|error| DatabaseError::Away(format!("no thread for the database can be started: {error}")))?;
        let time_max = opening_time_max(address) + Duration::from_secs(OPERATION_SECONDS_MAX);
        let pool = pool(Opener::new(address.clone(), tls), CONNECTIONS_MAX).map_err(Failure::into_error)?;
        Ok(Self { runtime: Some(runtime), pool, time_max })
    }

    /// Carries out a transaction and waits for it. It is tried again where others are in the way, so `work` may run several
    /// times.
    pub fn run<T, W>(
        &self,
        access: Access,
        work: impl Fn(Session) -> W + Send + Sync + 'static,
    ) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return Err(DatabaseError::Away("it was closed".to_owned())) };
        let (pool, time_max) = (Arc::clone(&self.pool), self.time_max);
        let (sender, receiver) = sync_channel(1);
        runtime.spawn(async move {
            let result = tokio::time::timeout(time_max, tries(&pool, access, work)).await;
            let result = result.unwrap_or_else(|_| Err(Failure::timeout("the transaction", time_max)));
            // Nobody waits any longer: the caller's own bound has passed.
            let _ = sender.send(result);
        });
        match receiver.recv_timeout(time_max + Duration::from_secs(5)) {
            Ok(result) => result.map_err(Failure::into_error),
            Err(RecvTimeoutError::Timeout) => Err(Failure::timeout("the transaction", time_max).into_error()),
            Err(RecvTimeoutError::Disconnected) => {
                Err(DatabaseError::Away("the transaction ended without a result".to_owned()))
            }
        }
    }
}

impl Drop for Transactions {
    fn drop(&mut self) {
        // Waiting for its threads is forbidden where this is dropped within another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn tries<T, W>(pool: &Arc<Pool>, access: Access, work: impl Fn(Session) -> W) -> Result<T, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let mut pause = Duration::from_millis(PAUSE_MS);
    for _ in 1..TRIES_MAX {
        match transaction(pool, access, &work).await {
            Err(Failure::Conflict(_)) => tokio::time::sleep(pause).await,
            result => return result,
        }
        pause *= 2;
    }
    transaction(pool, access, &work).await
}

async fn transaction<T, W>(pool: &Arc<Pool>, access: Access, work: &impl Fn(Session) -> W) -> Result<T, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let pooled = pool.get().await.map_err(|error| match error {
        PoolError::Backend(failure) => failure,
        _ => Failure::Final(DatabaseError::Away("no connection is free".to_owned())),
    })?;
    let session = Session(Arc::new(Lent { pooled: Some(pooled), is_open: AtomicBool::new(true) }));
    let begin = begin(access, &pool.manager().settings());
    let work = async {
        if !session.0.connection().is_proven.swap(true, Ordering::Relaxed) {
            // A pooler that refuses transactions says so, and closes: what is sent beyond that hides what it says.
            session.batch(&begin).await?;
            return work(session.clone()).await;
        }
        let (opened, done) = tokio::join!(biased; session.batch(&begin), work(session.clone()));
        opened?;
        done
    };
    let limit = Duration::from_secs(OPERATION_SECONDS_MAX);
    let result = match tokio::time::timeout(limit, work).await {
        Ok(Ok(result)) => Ok(session.batch("COMMIT").await.map(|()| result)?),
        // A lost connection or a time that has passed: the server ends the transaction by itself.
        Ok(Err(failure)) if failure.is_away() => return Err(failure),
        Ok(Err(failure)) => match session.batch("ROLLBACK").await {
            Ok(()) => Err(failure),
            Err(_) => return Err(failure),
        },
        Err(_) => return Err(Failure::timeout("the transaction", limit)),
    };
    session.0.is_open.store(false, Ordering::Relaxed);
    result
}

/// Returns the statements that begin a transaction.
fn begin(access: Access, settings: &[(String, String)]) -> String {
    let mode = if access == Access::Write { "WRITE" } else { "ONLY" };
    let milliseconds = STATEMENT_SECONDS_MAX * 1000;
    // To start parallel processes takes longer than the look-up of a page.
    let mut sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ {mode}; SET LOCAL statement_timeout = {milliseconds}; \
         SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; SET LOCAL max_parallel_workers_per_gather = 0"
    );
    if access == Access::Write {
        // An answer is handed on once it is committed, whatever the role's setting is.
        sql.push_str("; SET LOCAL synchronous_commit = on");
    }
    for (name, value) in settings {
        let _ = write!(sql, "; SELECT set_config({}, {}, true)", quoted(name), quoted(value));
    }
    sql
}

/// Returns a text as a literal of SQL.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Session {
    /// Runs statements without values or results.
    pub async fn batch(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.0.client().batch_execute(sql).await?)
    }

    /// Returns the rows of a query.
    pub async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        Ok(self.0.client().query_typed(sql, values).await?)
    }

    /// Returns the row of a query that has at most one.
    pub async fn row(&self, sql: &str, values: Values<'_>) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, values).await?.pop())
    }

    /// Changes rows and returns their number.
    pub async fn change(&self, sql: &str, values: Values<'_>) -> Result<u64, Failure> {
        Ok(self.0.client().execute_typed(sql, values).await?)
    }
}

/// A connection that is returned once its transaction has ended, and closed where it has not.
struct Lent {
    pooled: Option<Pooled>,
    is_open: AtomicBool,
}

impl Lent {
    fn connection(&self) -> &Connection {
        self.pooled.as_ref().expect("it is taken when it is dropped")
    }

    fn client(&self) -> &tokio_postgres::Client {
        &self.connection().client
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take().filter(|_| self.is_open.load(Ordering::Relaxed)) {
            Object::take(pooled).abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_a_pooler_refuses_are_set_in_each_transaction() {
        let settings = [("search_path".to_owned(), "a, it's\\".to_owned())];
        let sql = begin(Access::Write, &settings);
        assert!(sql.ends_with("SELECT set_config(E'search_path', E'a, it\\'s\\\\', true)"), "{sql}");
        assert!(sql.contains("READ WRITE") && sql.contains("synchronous_commit"), "{sql}");
        assert!(!begin(Access::Read, &[]).contains("synchronous_commit"));
    }
}
