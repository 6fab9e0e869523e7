//! Text functions that the rules share: words, code fences, scripts, phrases, template tokens.

mod compressed;
mod fences;
mod marks;
mod phrases;
mod script;
mod word_places;
mod words;

pub use compressed::compressed_size;
pub use fences::{fence_count, outside_fences};
pub use marks::template_marks;
pub use phrases::Phrases;
pub use script::{Letters, Script};
pub use word_places::{common_places, looped_places, repeated_places};
#[cfg(test)]
pub use words::different_words;
pub use words::{GramSet, Spread, Words};
