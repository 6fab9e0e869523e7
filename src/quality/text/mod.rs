//! Text functions that the rules share: words, code fences, scripts, phrases, template tokens, turns of speakers, last lines.

mod changing_scripts;
mod compressed;
mod fences;
mod jumble;
mod kinds;
mod last_line;
mod lines;
mod marks;
mod needles;
mod other_speaker;
mod phrases;
mod rare_letters;
mod runs;
mod script;
mod turns;
mod units;
mod word_places;
mod words;

pub use changing_scripts::{MadeOf, changing_scripts};
pub use compressed::compressed_size;
pub use fences::{fence_count, outside_fences};
pub use jumble::{has_many_scripts, jumble};
pub use last_line::{LastLine, ends_sentence, is_item, is_joining, word_count};
pub use lines::lines_of;
pub use marks::template_marks;
pub use needles::Needles;
pub use other_speaker::{is_bare_mark, speaks_for_others};
pub use phrases::Phrases;
pub use rare_letters::rare_letters;
pub use runs::runs;
pub use script::{Letters, Script};
pub use turns::turns_in;
pub use units::Units;
pub use word_places::{common_places, looped_places, repeated_places};
#[cfg(test)]
pub use words::different_words;
pub use words::{GramSet, Spread, Words, hash_of};
