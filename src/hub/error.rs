use std::io;

/// Why a dataset of the Hub cannot be read: what happened, to what, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HubError {
    /// What kind of failure it is.
    pub kind: HubErrorKind,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HubErrorKind {
    /// The Hub refuses the request, or the reference is wrong.
    Refused,
    /// The Hub cannot be reached, or somebody asked to stop: the same call works later.
    Unavailable,
    /// The cache cannot be written.
    Cache,
}

impl HubError {
    /// Makes an error about a reference, or a refusal.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: HubErrorKind::Refused, message: message.into(), hint: hint.into() }
    }

    /// Makes an error about a Hub that does not answer as it should.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        let hint = "run the same command again when the Hub can be reached; what is downloaded is kept";
        Self { kind: HubErrorKind::Unavailable, message: message.into(), hint: hint.to_owned() }
    }

    /// Makes an error about the cache.
    pub(super) fn cache(path: &std::path::Path, error: &io::Error) -> Self {
        Self {
            kind: HubErrorKind::Cache,
            message: format!("cannot write to {}: {error}", path.display()),
            hint: "free some space, or name another directory with HF_HUB_CACHE".to_owned(),
        }
    }
}
