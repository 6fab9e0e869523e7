//! The database as a store that is merged, and as one that others are merged into.
//!
//! | of a merge | in the database |
//! |---|---|
//! | a start | a worker; one of another store has a row of its own, on the host `merged`, so that caps count it |
//! | an answer that is used | `cohobate_answer`, in the run's number here; `paid_run` is the run's number in the store of its start |
//! | an answer that is not used | `cohobate_kept` |
//! | a run of another store | `cohobate_run` without slots, and `cohobate_kept_run` |
//! | a conversation's state | `cohobate_state`; what workers add later comes on top of it |
//!
//! Nobody may be at work where others are merged into: an answer that is replaced may be in the memory of a worker. Each commit of a
//! merge locks the workers' table, looks whether anybody is, and draws its number under the lock, so that a commit that came before
//! has a smaller number.

mod keep;
mod origins;
mod source;
mod target;

use std::collections::BTreeMap;

use self::source::DatabaseSource;
use self::target::DatabaseTarget;
use super::PostgresDatabase;
use super::failure::Failure;
use super::session::{Access, Session};
use crate::conversation::Price;
use crate::store::error::StoreError;
use crate::store::merge::{MergeSource, MergeStore, MergeTarget};

impl MergeStore for PostgresDatabase {
    fn identity(&self) -> Result<String, StoreError> {
        Ok(self.transactions.run(Access::Read, |session| async move { identity(&session).await })?)
    }

    fn source(&self) -> Result<Box<dyn MergeSource + '_>, StoreError> {
        Ok(Box::new(DatabaseSource::open(&self.transactions)?))
    }

    fn target(&self, prices: &BTreeMap<String, Price>) -> Result<Box<dyn MergeTarget + '_>, StoreError> {
        Ok(Box::new(DatabaseTarget::open(&self.transactions, prices)?))
    }
}

/// Returns the table of versions as the server knows it, and when it was made.
async fn identity(session: &Session) -> Result<String, Failure> {
    let sql = "SELECT concat_ws(' ', d.oid, 'cohobate_schema'::regclass::oid, (SELECT min(made) FROM cohobate_schema)) \
         FROM pg_database d WHERE d.datname = current_database()";
    Ok(session.row(sql, &[]).await?.map_or_else(String::new, |row| row.get(0)))
}
