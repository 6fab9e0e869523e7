//! Looking at a run and at conversations: what is shown, apart from where it is shown.
//!
//! ```text
//! job::Conversations ──▶ Shown ──▶ show_text              `cohobate show`
//!    input and store       │
//!          │               └─────▶ JSON ──┐
//!          └──▶ ViewIndex ──▶ Listing ────┴──▶ server    the page of `cohobate view`
//!              (derived, on disk)
//! ```

mod diff;
mod finished;
mod index;
mod looked;
mod pairs;
mod places;
mod query;
mod running;
#[cfg(feature = "view")]
mod server;
mod shown;
mod source;
mod terminal;

pub use diff::{Mark, Piece, differences};
pub use index::{Counts, Coverage, Indexing, ItemStatus, Listed, Listing, Names, Record, Summary, ViewIndex, Voice};
pub use looked::{About, Live, Looked, SavedAs};
pub use pairs::{Choice, ListedPair, PairListing, Pairs, Revealed, ShownPair, ShownSide, VOTES};
pub use query::{Bounds, Filter, LIMIT_MAX, Query};
pub use running::{Running, ShownRun};
#[cfg(feature = "view")]
pub use server::{PORT, Server};
pub use shown::{Fate, Shown, ShownAnswer, ShownMessage, ShownOrigin, ShownStatus, ShownTurn, ShownVerdict};
pub use source::ItemSource;
pub use terminal::show_text;
