use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A setting of a server that a refusal revealed.
#[derive(Clone, Debug, PartialEq)]
pub enum Adjustment {
    /// A setting that the dialect names: the server needs it.
    Use(&'static str),
    /// The server does not support this top-level field of the request.
    Drop(String),
    /// The server accepts no more than this in a field.
    Cap {
        /// The field: `temperature` or `max_tokens`.
        field: &'static str,
        /// The largest value that is accepted.
        value: f64,
    },
}

/// What to say when it is learned.
impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Use(setting) => write!(f, "the server needs {setting}"),
            Self::Drop(field) => write!(f, "{field} is not sent: the server does not support it"),
            Self::Cap { field, value } => {
                write!(f, "further attempts send at most {value} as {field}: the server accepts no more")
            }
        }
    }
}

/// How often a cap of one field is learned: the limit that the server names, then the value that the user asked for.
const CAPS_MAX: u32 = 2;

/// The settings learned from a server's refusals. Each is learned once, and each request with less than that is retried
/// without being charged, so the retries of a question are bounded by what there is to learn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    uses: BTreeSet<&'static str>,
    dropped: BTreeSet<String>,
    caps: BTreeMap<&'static str, (f64, u32)>,
}

impl Learned {
    /// Nothing.
    pub const NOTHING: &Self = &Self { uses: BTreeSet::new(), dropped: BTreeSet::new(), caps: BTreeMap::new() };

    /// True if the server needs this setting of the dialect.
    pub fn uses(&self, setting: &str) -> bool {
        self.uses.contains(setting)
    }

    /// True if the server does not support this field.
    pub fn drops(&self, field: &str) -> bool {
        self.dropped.contains(field)
    }

    /// Returns the largest value of a field that the server accepts, if it is known.
    pub fn cap(&self, field: &str) -> Option<f64> {
        self.caps.get(field).map(|(value, _)| *value)
    }

    /// True if a request that knew `self` could not have known `adjustment`.
    pub fn lacks(&self, adjustment: &Adjustment) -> bool {
        match adjustment {
            Adjustment::Use(setting) => !self.uses.contains(setting),
            Adjustment::Drop(field) => !self.dropped.contains(field),
            Adjustment::Cap { field, value } => {
                self.caps.get(field).is_none_or(|(cap, times)| value < cap && *times < CAPS_MAX)
            }
        }
    }

    /// Adds an adjustment; false if it was known.
    pub fn add(&mut self, adjustment: &Adjustment) -> bool {
        if !self.lacks(adjustment) {
            return false;
        }
        match adjustment {
            Adjustment::Use(setting) => self.uses.insert(setting),
            Adjustment::Drop(field) => self.dropped.insert(field.clone()),
            Adjustment::Cap { field, value } => {
                let times = self.caps.get(field).map_or(0, |(_, times)| *times);
                self.caps.insert(field, (*value, times + 1)).is_none()
            }
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_learned_once_and_a_cap_twice() {
        let mut learned = Learned::default();
        let cap = |value| Adjustment::Cap { field: "temperature", value };
        for one in [Adjustment::Use("x"), Adjustment::Drop("seed".to_owned()), cap(1.0), cap(0.9)] {
            assert!(learned.lacks(&one) && learned.add(&one), "{one}");
            assert!(!learned.lacks(&one) && !learned.add(&one), "{one}");
        }
        assert!(!learned.lacks(&cap(0.8)), "a server that always asks for less is not believed forever");
        assert!(learned.uses("x") && learned.drops("seed") && learned.cap("temperature") == Some(0.9));
    }
}
