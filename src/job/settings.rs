use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::shard::Shard;

use crate::dataset::{Duplicates, RowReader, TextEncoding, Threads};
use crate::export::{self, OutputFormat};
use crate::hub::Hub;
use crate::model::PaceLimits;
use crate::worker::Deadline;

/// The directory of a store when none is named.
pub const STORE: &str = ".cohobate";
/// The output of a distillation when none is named.
pub const OUTPUT: &str = "distilled.jsonl";

/// Which rows are read, and how.
#[derive(Debug)]
pub struct InputSettings {
    /// Where the rows come from, in order.
    pub sources: Vec<RowsFrom>,
    /// How they are read.
    pub read: ReadSettings,
}

/// Where rows come from.
pub enum RowsFrom {
    /// A file, a directory, a pattern, a dataset of the Hub (`hf://`), or `-` for standard input. [`name_of`](super::name_of) gives a path that is not UTF-8
    /// a name.
    Named(String),
    /// Rows of the calling program, as JSON objects. They are written to a temporary file once, since a job reads its
    /// input more than once.
    Iterator(Mutex<Box<dyn Iterator<Item = Value> + Send>>),
}

impl InputSettings {
    /// Rows of files, read with the default settings.
    pub fn files(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let sources = names.into_iter().map(|name| RowsFrom::Named(name.into())).collect();
        Self { sources, read: ReadSettings::default() }
    }

    /// Rows of the calling program, read with the default settings. A row is what a line of a JSONL file would be.
    pub fn rows(rows: impl IntoIterator<Item = Value, IntoIter: Send + 'static>) -> Self {
        let rows = RowsFrom::Iterator(Mutex::new(Box::new(rows.into_iter())));
        Self { sources: vec![rows], read: ReadSettings::default() }
    }

    /// Returns the names as people read them.
    pub(super) fn shown(&self) -> String {
        const SHOWN_MAX: usize = 3;
        let names = self.names();
        match names.len() {
            0 => "the input".to_owned(),
            1..=SHOWN_MAX => names.join(", "),
            more => format!("{} and {} more", names[..SHOWN_MAX].join(", "), more - SHOWN_MAX),
        }
    }

    /// True where every source has a name, so that a later run can read the same rows.
    pub fn is_named(&self) -> bool {
        self.sources.iter().all(|source| matches!(source, RowsFrom::Named(_)))
    }

    /// Returns the names of those sources that have one.
    pub fn names(&self) -> Vec<String> {
        let name = |source: &RowsFrom| match source {
            RowsFrom::Named(name) => Some(name.clone()),
            RowsFrom::Iterator(_) => None,
        };
        self.sources.iter().filter_map(name).collect()
    }
}

impl fmt::Debug for RowsFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.debug_tuple("Named").field(name).finish(),
            Self::Iterator(_) => f.write_str("Iterator"),
        }
    }
}

/// How rows are read.
#[derive(Clone, Debug, Default)]
pub struct ReadSettings {
    /// Which format rows have, and how irregular rows are handled. Default: each row's format is recognised.
    pub reader: RowReader,
    /// Which split of a directory is read. Default: `train`, or else the only one whose name begins with `train`.
    pub split: Option<String>,
    /// The encoding of texts that do not begin with a byte order mark. Default: UTF-8.
    pub encoding: Option<TextEncoding>,
    /// Which threads of a tree of messages become conversations. Default: the best one.
    pub threads: Threads,
    /// Read at most this many rows. Default: all.
    pub limit: Option<u64>,
    /// What happens to rows whose users say what an earlier row's say. Default: they are kept.
    pub duplicates: Duplicates,
    /// Ask about the rows of this shard only. Default: about all rows. Jobs that ask nothing refuse it.
    pub shard: Option<Shard>,
    /// The Hub, for inputs that begin with `hf://`. Default: the public one, without a token and without a cache.
    pub hub: Arc<Hub>,
}

/// Where rows are written, and in which format.
#[derive(Clone)]
pub struct OutputSettings {
    /// A file (`.gz` and `.zst` are compressed), a directory of Parquet shards (ends in `/`), or `-` for standard
    /// output. [`name_of`](super::name_of) gives a path that is not UTF-8 a name.
    pub path: String,
    /// The format of the rows. Default: `openai`.
    pub format: &'static dyn OutputFormat,
    /// The licence in the card of a directory of shards. Default: that of the inputs' cards.
    pub license: Option<String>,
}

impl fmt::Debug for OutputSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, format, license } = self;
        f.debug_struct("OutputSettings")
            .field("path", path)
            .field("format", &format.name())
            .field("license", license)
            .finish()
    }
}

impl OutputSettings {
    /// Rows in the default format.
    pub fn to(path: impl Into<String>) -> Self {
        Self { path: path.into(), format: export::FORMATS[0], license: None }
    }
}

/// How fast and how long a run sends calls, and what it may spend. None of it changes an answer.
#[derive(Clone, Debug, Default)]
pub struct RunSettings {
    /// Calls in flight, requests and tokens per minute. Default: what the server takes.
    pub pace: PaceLimits,
    /// Spend at most this many dollars, earlier runs of the store included. Default: no cap.
    pub max_cost: Option<f64>,
    /// Send at most this many requests, earlier runs of the store included. Default: no cap.
    pub max_requests: Option<u64>,
    /// Have models write at most this many tokens, earlier runs of the store included. Default: no cap.
    pub max_output_tokens: Option<u64>,
    /// When to stop. Default: at the end of the work.
    pub deadline: Option<Deadline>,
    /// Stop when a server has not answered for this long. Default: wait indefinitely.
    pub give_up_after: Option<Duration>,
    /// Send questions again that failed permanently in an earlier run. Default: no.
    pub retry_failed: bool,
}
