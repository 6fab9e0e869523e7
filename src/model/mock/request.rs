use crate::conversation::{Question, ServiceTier};

/// A client's parsed request.
pub(super) struct Wanted {
    pub question: Question,
    pub stream: bool,
    /// The stream is to end with the token counts; always true of Messages.
    pub include_usage: bool,
    /// The tier that is asked for.
    pub tier: ServiceTier,
    /// The prompt may be cached; Anthropic caches only marked prompts.
    pub caches: bool,
}
