//! Reading: real datasets in, [`Seed`](crate::conversation::Seed)s out.
//!
//! A container ([`Input`]) is cut into rows, a row's format is recognised by its shape (`format/`), its messages
//! are normalised into turns (`normalise.rs`). Rows stream; nothing here holds more than one. The first pass leaves
//! an [`RowIndex`] on disk that says where each row stands, so that any row can be read again by its number.
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
pub use duplicate::{Duplicates, SeenConversations, plain_text};
pub use expand::{common_license, input_files};
pub use format::{
    FORMATS, InputFormat, MappedFormat, ON_REQUEST, ParseMappingError, SourceContent, SourceMessage, input_format_named,
};
pub use index::{RowIndex, RowIndexBuilder, RowIndexError, RowState, Stamp};
pub use input::{Input, InputError};
pub use notes::{Notes, Skip};
pub use read::{ChosenFormat, Reading, RowReader, SourceRow};
pub use row::{Problem, RawRow, RowSource};
pub use rules::{DoubleUser, EmptyUser, Fill, Greeting, Media, MiddleSystem, Placeholders, Rules, Tools};
pub use threads::Threads;
pub use votes::read_vote;
