use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The version of the lines that this program writes. A reader skips events and fields that it does not know.
pub const VERSION: u32 = 1;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The version of the format.
    pub v: u32,
    /// When it happened.
    pub time: LogTime,
    /// The run's number: one for each command, not fewer than the store's own number of its first run.
    pub run: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: LogEvent,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogEvent {
    /// A command has opened the store.
    Begin(Box<LogBegin>),
    /// An input was read.
    Input(LogInput),
    /// The first call may be sent from now on. A command may ask several times, one after the other.
    Asking {
        /// The number in the store's own list of runs.
        store_run: u32,
        /// Conversations to be asked about.
        conversations: u64,
        /// Answers that they take.
        turns: u64,
    },
    /// How far the run has come.
    Progress(LogProgress),
    /// A call failed.
    FailedCall {
        /// The model.
        model: String,
        /// The server's address, without what may be secret; none for a model of the program.
        address: Option<String>,
        /// What kind of failure.
        code: String,
        /// What the server said, shortened.
        message: String,
        /// The wait before the retry; none if there is no retry.
        retry_after_ms: Option<u64>,
    },
    /// A server is down.
    OutageBegin {
        /// The server's name in messages.
        model: String,
        /// Its address.
        address: Option<String>,
        /// The last failure.
        message: String,
    },
    /// A server answers again.
    OutageEnd {
        /// The server's name in messages.
        model: String,
    },
    /// The limit on calls in flight changed.
    Concurrency {
        /// The server's name in messages.
        model: String,
        /// The old limit.
        from: u64,
        /// The new one.
        to: u64,
        /// Why.
        reason: String,
    },
    /// Somebody steered the run.
    Control {
        /// What was asked for, such as `pause`.
        verb: String,
        /// Its values, such as `concurrency=4`.
        detail: String,
        /// What came of it.
        outcome: String,
    },
    /// Something that the user should know.
    Caution {
        /// The words.
        text: String,
    },
    /// Events that were left out because the log could not be written as fast, or at all.
    Dropped {
        /// How many.
        count: u64,
    },
    /// The command ended.
    End(LogEnd),
}

/// How a run began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogBegin {
    /// The version of the program.
    pub version: String,
    /// The command, such as `distill`; empty for a call of the library.
    pub command: String,
    /// The options that were set, on the command line or in the configuration file, by name. Nothing secret.
    pub options: BTreeMap<String, Value>,
    /// Options whose value is not whole here: a part was masked, or it was too long.
    pub altered: Vec<String>,
    /// The working directory, to which the paths of options refer.
    pub directory: String,
    /// The models that are asked.
    pub models: Vec<LogModel>,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
}

/// A model of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogModel {
    /// Its name.
    pub name: String,
    /// The addresses of its servers, without what may be secret.
    pub addresses: Vec<String>,
}

/// An input of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogInput {
    /// Its name in messages.
    pub name: String,
    /// Where it is; none for standard input and rows of the calling program.
    pub path: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Length, times and inode. While they stay the same, the hash does.
    pub stamp: Option<String>,
    /// The BLAKE3 hash of its bytes; none where the run ended before it was known.
    pub blake3: Option<String>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogProgress {
    /// Answers to be had, over all that was asked so far.
    pub turns: u64,
    /// Those that are there, from earlier runs too.
    pub done: u64,
    /// Answers that this run paid for.
    pub answers: u64,
    /// Calls that were sent.
    pub calls: u64,
    /// Calls that failed.
    pub failed_calls: u64,
    /// Dollars, where prices are known.
    #[serde(deserialize_with = "number")]
    pub cost: f64,
    /// Answers that were paid for in a second, over the last minute of active time; 0 where it is unknown.
    #[serde(deserialize_with = "number")]
    pub answers_per_s: f64,
}

/// Reads a number below a tag. There serde keeps a number of any precision as a map, which `f64` does not read.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(serde_json::Number::deserialize(deserializer)?.as_f64().unwrap_or_default())
}

impl LogProgress {
    /// Returns how much is done, from 0 to 1; none where there is nothing to do.
    pub fn share(&self) -> Option<f64> {
        (self.turns > 0).then(|| (self.done as f64 / self.turns as f64).min(1.0))
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEnd {
    /// In which way.
    pub how: EndKind,
    /// Why, in words.
    pub reason: String,
    /// The exit code; none for a run that was killed, and for a call of the library.
    pub exit_code: Option<u8>,
    /// How far it came.
    pub progress: LogProgress,
}

/// The ways in which a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// All is asked.
    Finished,
    /// It stopped early; the same command resumes it.
    Stopped,
    /// An error ended it.
    Failed,
    /// It wrote no end. The next run wrote this one.
    Killed,
}

impl fmt::Display for EndKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Killed => "killed",
        })
    }
}

/// A point in time, written as `2026-11-27T07:44:35.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogTime(jiff::Timestamp);

impl LogTime {
    /// Returns the current time.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Returns the milliseconds since 1970.
    pub fn milliseconds(&self) -> i64 {
        self.0.as_millisecond()
    }
}

impl fmt::Display for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl FromStr for LogTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for LogTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
