//! The store that many machines share: a database decides, and each worker has a journal of its own.
//!
//! ```text
//! worker ──entries──▶ outbox (journal, synced) ──batch──▶ database ──acknowledged──▶ worker
//!                     one for each worker                 answers, slots, reserves
//! ```
//!
//! An answer is written to the worker's own journal first, so that a database that is away costs no call: what was in
//! flight lands there and is uploaded on its return, by this process or the next one in the same directory. It is handed on
//! only once the database has it. Of two answers to one question the first one in the database counts, and whoever has the
//! other one adopts it.
//!
//! [`Database`] is what is asked of the database; `store/postgres/` is PostgreSQL, [`MemoryDatabase`] the oracle of tests.

mod cache;
mod clock;
mod database;
mod frames;
mod look_up;
mod memory;
mod outbox;
mod reader;
mod settings;
mod settling;
mod spending;
mod store;
mod verify;

pub use database::{
    Batch, CapName, Caps, Claimed, ControlVerb, Database, DatabaseError, Done, Granted, Held, Joined, JoinedRun,
    MERGED_HOST, NewAnswer, NewNote, NewSlot, OpeningHash, Published, PublishedTo, RunRequest, SeenRun, SeenWorker,
    SlotRange, StoredConversations, WorkerId, WorkerStanding, WorkerStart, Writer,
};
pub use frames::entry_of;
pub use memory::MemoryDatabase;
pub use outbox::Outbox;
pub use reader::SharedReader;
#[doc(hidden)]
pub use settings::Defences;
pub use settings::SharedSettings;
pub use settling::SharedOpened;
pub use spending::{Allowance, Counters, NANO, booked, nano};
pub use store::{LEASE, SharedStore};
pub use verify::verify as verify_shared;
