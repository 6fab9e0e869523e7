//! Values of options that are one of a few words.

use std::str::FromStr;

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

/// Reads a rule by the name that the configuration file gives it, so that the two agree.
pub fn named<Rule: serde::de::DeserializeOwned>(text: &str) -> Result<Rule, String> {
    Rule::deserialize(serde::de::value::StrDeserializer::new(text)).map_err(|error: serde::de::value::Error| {
        error.to_string().replace("unknown variant", "there is no").replace("expected", "write")
    })
}
