//! Reads datasets and produces [`Seed`](crate::conversation::Seed)s.
//!
//! A container ([`Input`]) is split into rows, the format of each row is recognised by its columns (`format/`), and its
//! messages are normalised into turns (`normalise.rs`). Rows are streamed; only the current one is in memory. The first
//! pass writes a [`RowIndex`] to disk with the position of each row, so that any row can be read again by its number.
//! A new format is one file in `format/` and one line in its list.

mod array;
mod census;
mod container;
mod draft;
mod duplicate;
mod fault;
mod foreign;
mod format;
mod index;
mod input;
mod json;
mod judgments;
mod layout;
mod line;
mod lines;
mod media;
mod meta;
mod normalise;
mod not_utf8;
mod notes;
mod places;
mod preference;
mod python_literal;
mod read;
mod role;
mod row;
mod rules;
mod source_file;
mod source_row;
mod system_column;
mod threads;
mod unread;
mod votes;
mod whole_file;

pub use census::{Census, Histogram, NotRead};
pub use container::{ParseEncodingError, TextEncoding};
pub use duplicate::{Duplicates, SeenConversations, plain_text};
pub use format::{
    FORMATS, InputFormat, MappedFormat, Mask, ON_REQUEST, ParseMappingError, SourceContent, SourceMessage,
    input_format_named,
};
pub use index::{RowIndex, RowIndexBuilder, RowIndexError, RowState};
pub use input::{Input, InputError, InputForm};
pub use judgments::{Judgment, read_judgment};
pub use layout::{
    DirectoryNote, InputFiles, RemoteFiles, common_license, describes_layout, input_files, possible_files,
};
pub use notes::{Notes, Skip};
pub use read::{ChosenFormat, Edition, Origin, Reading, RowReader};
pub use row::{Problem, RawRow, RowSource};
pub use rules::{DoubleUser, EmptyUser, Fill, Greeting, Media, MiddleSystem, Placeholders, Rules, SystemColumn, Tools};
pub use source_file::{FileChange, SourceFile, SourceReader, Stamp, is_lost};
pub use source_row::SourceRow;
pub use threads::Threads;
pub use unread::Unread;
pub use votes::read_vote;
