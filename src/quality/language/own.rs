use super::certain::{LETTERS_MIN, SCRIPT_SHARE_MIN, certain_language, has_own_words, is_covered, likely_others};
use super::plain_prose;
use crate::quality::text::{Letters, Script};

/// Bytes of each part of a text that are used to detect its language. More cost time and change nothing.
pub const SAMPLE_BYTES: usize = 600;
/// The share of the letters of a message's script in a text that is in another one: names and terms.
const OWN_SHARE_MAX: f64 = 0.3;
/// Letters of a Latin script in a message of another script, or of another script in one of Latin letters, from which on it is
/// undecidable: a term, a name, a pasted text.
const OPEN_LATIN_LETTERS: usize = 12;
const OPEN_LETTERS: usize = 2;
/// The same for Latin letters where the language of the message is certain.
const OPEN_LATIN_LETTERS_CERTAIN: usize = 40;

/// The user's message, as far as its language goes.
#[derive(Clone)]
pub struct Own {
    text: String,
    /// Its letters.
    pub letters: Letters,
    /// Its language, where that is certain.
    pub language: Option<&'static str>,
    /// Languages in Latin letters in which it likely is not, where its own is not certain.
    others: Vec<&'static str>,
    /// Its language is that of the beginning of the answer.
    pub is_taken: bool,
}

impl Own {
    /// Looks at a message.
    pub fn of(user: &str) -> Self {
        let text = plain_prose(user, SAMPLE_BYTES, false);
        let language = certain_language(&text);
        let others = if language.is_none() { likely_others(&text) } else { Vec::new() };
        Self { letters: Letters::of(user), language, others, is_taken: false, text }
    }

    /// Returns the message, taken for one in this language.
    pub fn taken_for(&self, language: &'static str) -> Self {
        Self { language: Some(language), is_taken: true, ..self.clone() }
    }

    /// True for a message in Latin letters whose language is not certain.
    pub fn is_short_in_latin(&self) -> bool {
        let letters = self.letters.total();
        self.language.is_none() && letters >= LETTERS_MIN / 2 && self.letters.share(Script::Latin) >= SCRIPT_SHARE_MIN
    }

    /// False where the message excludes no text in this language, one in Latin letters.
    pub fn may_exclude_latin(&self, found: &str) -> bool {
        self.letters.dominant() != Script::Latin || self.is_not_in(found)
    }

    /// True where the message, in letters of the script of this language, is in another one.
    fn is_not_in(&self, found: &str) -> bool {
        match self.language {
            Some(own) => found != own && !is_covered(found, &[own]),
            None => self.others.contains(&found),
        }
    }

    /// False where the message is too short to tell its language from another one in Latin letters, and the answer has no
    /// others.
    pub fn can_exclude(&self, answer: &str) -> bool {
        self.language.is_some()
            || self.letters.dominant() != Script::Latin
            || !is_in_latin_letters(answer)
            || has_own_words(&self.text)
    }

    /// True where a text, in this language as far as that is certain, is certainly not in the user's.
    pub fn excludes(&self, text: &str, found: Option<&str>) -> bool {
        let said = Letters::of(text);
        if said.total() < LETTERS_MIN {
            return false;
        }
        let (in_script, script) = (said.dominant(), self.letters.dominant());
        match (found, self.language) {
            (Some(found), own) if in_script == script && (own.is_some() || script == Script::Latin) => {
                self.is_not_in(found)
            }
            // Japanese of few kana looks like Chinese.
            (Some("zh"), Some("ja")) => said.count(Script::Kana) == 0 && self.letters.count(Script::Kana) > 1,
            (Some("ja"), Some("zh")) => self.letters.count(Script::Kana) == 0,
            _ => {
                let are_kin = matches!((in_script, script), (Script::Han, Script::Kana) | (Script::Kana, Script::Han));
                let has_sentences = in_script != Script::Latin || found.is_some();
                in_script != script && !are_kin && has_sentences && self.is_another_script(&said)
            }
        }
    }

    /// True where the user writes in a single script and the text hardly uses it.
    pub fn is_another_script(&self, said: &Letters) -> bool {
        let (in_script, script) = (said.dominant(), self.letters.dominant());
        let open_letters = match (in_script, self.language) {
            (Script::Latin, Some(_)) => OPEN_LATIN_LETTERS_CERTAIN,
            (Script::Latin, None) => OPEN_LATIN_LETTERS,
            _ => OPEN_LETTERS,
        };
        let is_certain = self.letters.share(script) >= SCRIPT_SHARE_MIN
            && (script != Script::Latin || self.letters.total() >= LETTERS_MIN || has_own_words(&self.text));
        is_certain && self.letters.count(in_script) < open_letters && said.share(script) <= OWN_SHARE_MAX
    }
}

/// True where a text has fewer letters of other scripts than tell its language.
fn is_in_latin_letters(text: &str) -> bool {
    let letters = Letters::of(text);
    letters.total() - letters.count(Script::Latin) < LETTERS_MIN
}
