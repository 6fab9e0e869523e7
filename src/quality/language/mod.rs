//! The language of texts: which one a text is in, as far as that is certain, and which ones a user asks for.
//!
//! Languages are ISO 639-1 codes. What is not certain is `None`: the rule that uses this rejects answers.

mod asking;
mod certain;
mod change;
mod glance;
mod named;
mod prose;
mod words;

pub use certain::{
    LETTERS_MIN, SCRIPT_SHARE_MIN, certain_language, certain_language_of, has_own_words, has_some_sentences,
    is_covered, likely_others,
};
pub use change::word_change;
pub use glance::{GLANCE_BYTES, glance, glance_at, may_be_other};
pub use named::named_languages;
pub use prose::plain_prose;
