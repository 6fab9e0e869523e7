use std::sync::Arc;
use std::time::Duration;

use crate::store::shared::{Database, Defences, WorkerId};

/// The database of a shared store, and who this worker is.
#[derive(Clone)]
pub struct SharedAccess {
    /// The database.
    pub database: Arc<dyn Database>,
    /// Its address, without a password.
    pub shown: String,
    /// The name of this host.
    pub host: String,
    /// The run to join or begin; without a name the run with the same settings and rows.
    pub run: Option<String>,
    /// Makes the id of a start: random bytes.
    pub new_id: fn() -> WorkerId,
    /// How long a lease lasts: [`LEASE`](crate::store::shared::LEASE) outside of tests.
    pub lease: Duration,
    /// All of them, outside of tests.
    #[doc(hidden)]
    pub defences: Defences,
}

impl std::fmt::Debug for SharedAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedAccess").field("shown", &self.shown).field("run", &self.run).finish_non_exhaustive()
    }
}
