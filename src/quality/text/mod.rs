//! What rules share: words, fences, scripts, phrases.

mod fences;
mod phrases;
mod script;
mod words;

pub use fences::{fence_count, outside_fences};
pub use phrases::Phrases;
pub use script::{Letters, Script};
pub use words::{Spread, Words};
