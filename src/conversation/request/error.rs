/// Body fields that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The program decides this field itself.
    #[error("the body field `{field}` cannot be set")]
    Refused {
        /// The field.
        field: String,
        /// What to use instead.
        hint: &'static str,
    },
    /// The field has another type of value.
    #[error("the body field `{field}` is {value}, not {expected}")]
    Value {
        /// The field.
        field: String,
        /// The value, as JSON.
        value: String,
        /// The expected type.
        expected: &'static str,
    },
    /// Two settings say different things.
    #[error("{one} and {other} contradict each other")]
    Contradiction {
        /// One setting.
        one: String,
        /// The other.
        other: String,
    },
}

impl BodyError {
    /// Returns what to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Refused { hint, .. } => (*hint).to_owned(),
            Self::Value { field, expected, .. } => format!("give `{field}` {expected}, or leave it out"),
            Self::Contradiction { .. } => "leave out one of them, or give both the same value".to_owned(),
        }
    }

    pub(super) fn contradiction(one: impl Into<String>, other: impl Into<String>) -> Self {
        Self::Contradiction { one: one.into(), other: other.into() }
    }
}
