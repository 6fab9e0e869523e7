//! Values of options that are one of a few words.

use std::fmt;
use std::str::FromStr;

use cohobate::job::{ParseShardError, Shard};
use serde::{Deserialize, Serialize};

/// Where the counts of a run are served unless another address is named.
pub const METRICS_ADDRESS: &str = "127.0.0.1:9464";
/// The help of that option: a pattern of a URL is no link.
pub const METRICS_HELP: &str = "Serve the counts of the run for Prometheus at http://ADDR/metrics, \
    without a password [default: not served; without ADDR 127.0.0.1:9464]";

/// Which of several answers is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The one with the highest score, the first of equal ones.
    Best,
}

/// What is judged at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each answer.
    #[default]
    Turn,
    /// The conversation as a whole.
    Dialogue,
    /// Both.
    Both,
}

/// Which gate an answer passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateProfile {
    /// None.
    Off,
    /// What is certainly broken is rejected.
    Standard,
    /// Refusals and the like are too.
    Strict,
}

/// What becomes of a message that refers to a replaced answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanRule {
    /// It stays, marked.
    Keep,
    /// The conversation ends before it.
    Truncate,
    /// The teacher rewrites it.
    Rewrite,
}

/// A number of calls in flight, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(pub Option<usize>);

impl FromStr for Concurrency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<usize>() {
            _ if text == "auto" => Ok(Self(None)),
            Ok(count @ 1..) => Ok(Self(Some(count))),
            _ => Err("write a number of at least 1, or auto"),
        }
    }
}

impl Serialize for Concurrency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(count) => serializer.serialize_u64(count as u64),
            None => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A shard as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// This one.
    One(Shard),
    /// The one that the cluster's variables name, of this many where that is said.
    Auto(Option<u32>),
}

impl FromStr for ShardChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HINT: &str = "write I/N, such as 3/16, counted from 1; auto, in a Slurm array; or auto/N";
        match text.strip_prefix("auto") {
            Some("") => Ok(Self::Auto(None)),
            Some(rest) => {
                let count = rest.strip_prefix('/').and_then(|count| count.parse().ok()).ok_or(HINT)?;
                Shard::new(1, count).map(|_| Self::Auto(Some(count))).map_err(|_| HINT)
            }
            None => text.parse().map(Self::One).map_err(|_: ParseShardError| HINT),
        }
    }
}

impl fmt::Display for ShardChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(shard) => shard.fmt(f),
            Self::Auto(None) => f.write_str("auto"),
            Self::Auto(Some(count)) => write!(f, "auto/{count}"),
        }
    }
}

impl Serialize for ShardChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ShardChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a rule by the name that the configuration file gives it, so that the two agree.
pub fn named<Rule: serde::de::DeserializeOwned>(text: &str) -> Result<Rule, String> {
    Rule::deserialize(serde::de::value::StrDeserializer::new(text)).map_err(|error: serde::de::value::Error| {
        error.to_string().replace("unknown variant", "there is no").replace("expected", "write")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_as_it_is_read() {
        for text in ["3/16", "auto", "auto/16"] {
            assert_eq!(text.parse::<ShardChoice>().unwrap().to_string(), text);
        }
        for text in ["auto/", "auto/0", "auto16", "automatic", "17/16", ""] {
            assert!(text.parse::<ShardChoice>().is_err(), "{text}");
        }
    }
}
