use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::database::WorkerStart;
use crate::conversation::Price;

/// What a worker is given to start with.
pub struct SharedSettings {
    /// Where workers of this host keep their directories.
    pub base: PathBuf,
    /// The start: its id is new.
    pub start: WorkerStart,
    /// Prices, for caps on cost.
    pub prices: BTreeMap<String, Price>,
    /// How long a lease lasts: a minute, outside of tests.
    pub lease: Duration,
    /// All of them, outside of tests.
    pub defences: Defences,
}

/// What keeps answers whose history is in no store out of the database. Either of them suffices; tests show that by taking
/// them away.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defences {
    /// A worker whose lease has passed, or whose slots were taken, asks nothing more in them.
    pub honours_leases: bool,
    /// A worker whose answer was not the first one continues with the first one.
    pub adopts_winners: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self { honours_leases: true, adopts_winners: true }
    }
}
