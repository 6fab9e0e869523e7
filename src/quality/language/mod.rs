//! The language of texts: which one a text is in, as far as that is certain, and which ones a user asks for.
//!
//! Languages are ISO 639-1 codes. What is not certain is `None`: the rule that uses this rejects answers.

mod asking;
mod certain;
mod change;
mod glance;
mod named;
mod own;
mod prose;
mod words;

pub use certain::{certain_language, certain_language_of, has_some_sentences, is_covered, outweighs};
pub use change::word_change;
pub use glance::{GLANCE_BYTES, glance, glance_at, may_be_other};
pub use named::named_languages;
pub use own::{Own, SAMPLE_BYTES};
pub use prose::plain_prose;
