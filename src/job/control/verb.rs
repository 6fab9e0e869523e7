use std::fmt;

use serde_json::{Value, json};

/// What may be asked of a run that is at work. `Display` gives it as it is written after `cohobate ctl`.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Says how the run is.
    Status,
    /// Sends no further call until the run is resumed.
    Pause,
    /// Ends a pause.
    Resume,
    /// Stops the run; `now` does not wait for the calls in flight.
    Stop {
        /// Loses the calls in flight.
        now: bool,
    },
    /// Changes limits.
    Set(SetLimits),
    /// Gives a model one more server: `URL`, or `NAME@URL` where the run asks several models.
    AddReplica {
        /// The server.
        server: String,
    },
    /// Sends a server nothing more.
    Drain {
        /// Its host.
        replica: String,
    },
    /// Opens the conversations again that have failed.
    RetryFailed,
    /// Sends the events of the run as they happen.
    Tail,
}

/// Limits to be changed. `None` leaves one as it is; `Some(None)` removes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SetLimits {
    /// Calls in flight; without a number the servers' limits decide.
    pub concurrency: Option<Option<usize>>,
    /// Requests a minute of each model.
    pub rpm: Option<Option<u32>>,
    /// Dollars, earlier runs of the store included.
    pub max_cost: Option<Option<f64>>,
}

/// A verb cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VerbError(String);

/// The words that remove a limit.
const NO_LIMIT: [&str; 2] = ["none", "auto"];

impl Verb {
    /// Reads a request: one JSON object, such as `{"verb": "set", "concurrency": 4}`.
    pub fn parse(line: &str) -> Result<Self, VerbError> {
        let value: Value =
            serde_json::from_str(line).map_err(|error| VerbError(format!("this is no JSON: {error}")))?;
        let Value::Object(fields) = value else { return Err(VerbError("this is no JSON object".to_owned())) };
        let name = fields.get("verb").and_then(Value::as_str);
        let name = name.ok_or_else(|| VerbError("the field `verb` is missing".to_owned()))?;
        let known: &[&str] = match name {
            "stop" => &["now"],
            "set" => &["concurrency", "rpm", "max-cost"],
            "add-replica" => &["server"],
            "drain" => &["replica"],
            _ => &[],
        };
        if let Some(field) = fields.keys().find(|field| *field != "verb" && !known.contains(&field.as_str())) {
            return Err(VerbError(format!("`{name}` has no field `{field}`")));
        }
        let text = |field: &str| match fields.get(field).and_then(Value::as_str) {
            Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            _ => Err(VerbError(format!("`{name}` needs the field `{field}`, a text"))),
        };
        Ok(match name {
            "status" => Self::Status,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "stop" => match fields.get("now") {
                None => Self::Stop { now: false },
                Some(Value::Bool(now)) => Self::Stop { now: *now },
                Some(_) => return Err(VerbError("the field `now` is neither true nor false".to_owned())),
            },
            "set" => {
                let words = fields.iter().filter(|(field, _)| *field != "verb");
                let words = words.map(|(field, value)| format!("{field}={}", as_word(value)));
                Self::Set(SetLimits::parse(&words.collect::<Vec<_>>())?)
            }
            "add-replica" => Self::AddReplica { server: text("server")? },
            "drain" => Self::Drain { replica: text("replica")? },
            "retry-failed" => Self::RetryFailed,
            "tail" => Self::Tail,
            other => return Err(VerbError(format!("there is no verb `{other}`"))),
        })
    }

    /// Returns the request that [`Verb::parse`] reads.
    pub fn request(&self) -> Value {
        match self {
            Self::Stop { now } => json!({"verb": self.name(), "now": now}),
            Self::Set(limits) => {
                let mut request = json!({"verb": self.name()});
                for (name, value) in limits.words() {
                    request[name] = json!(value);
                }
                request
            }
            Self::AddReplica { server } => json!({"verb": self.name(), "server": server}),
            Self::Drain { replica } => json!({"verb": self.name(), "replica": replica}),
            _ => json!({"verb": self.name()}),
        }
    }

    /// True if it changes something, so that the log of the run has it.
    pub fn is_change(&self) -> bool {
        !matches!(self, Self::Status | Self::Tail)
    }

    /// Returns its values, as they are written after its name.
    pub fn detail(&self) -> String {
        match self {
            Self::Stop { now: true } => "--now".to_owned(),
            Self::Set(limits) => {
                let words = limits.words().into_iter().map(|(name, value)| format!("{name}={value}"));
                words.collect::<Vec<_>>().join(" ")
            }
            Self::AddReplica { server } => server.clone(),
            Self::Drain { replica } => replica.clone(),
            _ => String::new(),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop { .. } => "stop",
            Self::Set(_) => "set",
            Self::AddReplica { .. } => "add-replica",
            Self::Drain { .. } => "drain",
            Self::RetryFailed => "retry-failed",
            Self::Tail => "tail",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            detail if detail.is_empty() => f.write_str(self.name()),
            detail => write!(f, "{} {detail}", self.name()),
        }
    }
}

impl SetLimits {
    /// Reads `concurrency=8`, `rpm=60`, `max-cost=12.5`; `none` removes a limit, and so does `auto` for `concurrency`.
    pub fn parse(words: &[impl AsRef<str>]) -> Result<Self, VerbError> {
        let mut limits = Self::default();
        for word in words.iter().map(AsRef::as_ref) {
            let (name, value) = word.split_once('=').ok_or_else(|| {
                VerbError(format!("`{word}` sets nothing: write concurrency=N, rpm=N or max-cost=DOLLARS"))
            })?;
            let fault = |wanted: &str| VerbError(format!("{name} is `{value}`: write {wanted}, or none"));
            let is_none = NO_LIMIT.contains(&value);
            match name {
                "concurrency" | "rpm" if is_none => {}
                "concurrency" | "rpm" if value.parse::<u32>().is_ok_and(|number| number > 0) => {}
                "concurrency" | "rpm" => return Err(fault("a number from 1 on")),
                "max-cost" if is_none || value.parse::<f64>().is_ok_and(|cost| cost.is_finite() && cost >= 0.0) => {}
                "max-cost" => return Err(fault("an amount of dollars")),
                _ => return Err(VerbError(format!("there is no limit `{name}`: write concurrency, rpm or max-cost"))),
            }
            match name {
                "concurrency" => limits.concurrency = Some(value.parse().ok()),
                "rpm" => limits.rpm = Some(value.parse().ok()),
                _ => limits.max_cost = Some(value.parse().ok()),
            }
        }
        if limits == Self::default() {
            return Err(VerbError("nothing is set: write concurrency=N, rpm=N or max-cost=DOLLARS".to_owned()));
        }
        Ok(limits)
    }

    /// Returns the limits that are changed, as they are written.
    fn words(&self) -> Vec<(&'static str, String)> {
        let word = |value: Option<String>| value.unwrap_or_else(|| NO_LIMIT[0].to_owned());
        let concurrency = self.concurrency.map(|calls| ("concurrency", word(calls.map(|calls| calls.to_string()))));
        let rpm = self.rpm.map(|rpm| ("rpm", word(rpm.map(|rpm| rpm.to_string()))));
        let max_cost = self.max_cost.map(|cost| ("max-cost", word(cost.map(|cost| cost.to_string()))));
        [concurrency, rpm, max_cost].into_iter().flatten().collect()
    }
}

/// Returns a value of a request as a word of a command line.
fn as_word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => NO_LIMIT[0].to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_read_as_it_is_sent() {
        let limits = SetLimits::parse(&["concurrency=8", "rpm=none", "max-cost=12.5"]).unwrap();
        assert_eq!((limits.concurrency, limits.rpm, limits.max_cost), (Some(Some(8)), Some(None), Some(Some(12.5))));
        for verb in [
            Verb::Status,
            Verb::Pause,
            Verb::Resume,
            Verb::Stop { now: false },
            Verb::Stop { now: true },
            Verb::Set(limits),
            Verb::AddReplica { server: "m@http://gpu2:8000".to_owned() },
            Verb::Drain { replica: "gpu2:8000".to_owned() },
            Verb::RetryFailed,
            Verb::Tail,
        ] {
            assert_eq!(Verb::parse(&verb.request().to_string()), Ok(verb));
        }
        assert_eq!(Verb::Set(limits).to_string(), "set concurrency=8 rpm=none max-cost=12.5");
        let numbers = r#"{"verb": "set", "concurrency": 8, "max-cost": 1.5, "rpm": null}"#;
        assert_eq!(Verb::parse(numbers).unwrap().to_string(), "set concurrency=8 rpm=none max-cost=1.5");
    }

    #[test]
    fn what_is_no_verb_is_refused_with_the_reason() {
        for (line, reason) in [
            ("", "this is no JSON"),
            ("[]", "this is no JSON object"),
            ("{}", "`verb` is missing"),
            (r#"{"verb": "fly"}"#, "there is no verb `fly`"),
            (r#"{"verb": "pause", "now": true}"#, "`pause` has no field `now`"),
            (r#"{"verb": "stop", "now": 1}"#, "neither true nor false"),
            (r#"{"verb": "drain"}"#, "`drain` needs the field `replica`"),
            (r#"{"verb": "set"}"#, "nothing is set"),
            (r#"{"verb": "set", "concurrency": 0}"#, "concurrency is `0`"),
            (r#"{"verb": "set", "rpm": -1}"#, "rpm is `-1`"),
            (r#"{"verb": "set", "max-cost": "cheap"}"#, "max-cost is `cheap`"),
            (r#"{"verb": "set", "max-cost": -3}"#, "max-cost is `-3`"),
        ] {
            let error = Verb::parse(line).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
        for word in ["concurrency", "speed=9", "max-cost=inf", "max-cost=nan", "rpm=1.5", "concurrency=99999999999"] {
            assert!(SetLimits::parse(&[word]).is_err(), "{word}");
        }
    }
}
