//! Reading: real datasets in, [`Seed`](crate::conversation::Seed)s out.
//!
//! A container ([`Input`]) is cut into rows, a row's format is recognised by its shape (`format/`), its messages
//! are normalised into turns (`normalise.rs`). Rows stream; nothing here holds more than one. The first pass leaves
//! an [`Index`] on disk that says where each row stands, so that any row can be read again by its number.
//! A new format is one file in `format/` and one line in its list.

mod array;
mod census;
mod container;
mod draft;
mod duplicate;
mod expand;
mod format;
mod index;
mod input;
mod lines;
mod normalise;
mod notes;
mod preference;
mod read;
mod role;
mod row;
mod rules;
mod threads;
mod votes;

pub use census::{Census, Histogram};
pub use duplicate::{Duplicates, Seen, plain_text};
pub use expand::{expand, license};
pub use format::{Content, FORMATS, Format, Mapped, ON_REQUEST, ParseMappingError, SourceMessage, named};
pub use index::{Index, IndexBuilder, IndexError, RowState, Stamp};
pub use input::{Input, InputError};
pub use notes::{Notes, Skip};
pub use read::{Reading, RowReader, Shape, SourceRow};
pub use row::{Problem, RawRow, RowSource};
pub use rules::{DoubleUser, EmptyUser, Fill, Greeting, Media, MiddleSystem, Placeholders, Rules, Tools};
pub use threads::Threads;
pub use votes::read_vote;
