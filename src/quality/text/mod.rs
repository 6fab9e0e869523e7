//! Text functions that the rules share: words, code fences, scripts, phrases, template tokens.

mod fences;
mod marks;
mod phrases;
mod script;
mod words;

pub use fences::{fence_count, outside_fences};
pub use marks::template_marks;
pub use phrases::Phrases;
pub use script::{Letters, Script};
#[cfg(test)]
pub use words::different_words;
pub use words::{GramSet, Spread, Words};
