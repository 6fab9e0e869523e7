use std::collections::HashMap;
use std::sync::LazyLock;

use super::asking::ASKING_WORDS;
use super::words::COMMON_WORDS;
use crate::conversation::halves;
use crate::quality::text::{Letters, Script};

/// Letters that identify the language of a text in a script of several languages; a Chinese character counts as three.
pub const LETTERS_MIN: usize = 24;
/// The same for a message with words of its own language; where it has fewer than the letters above, one more of them, or one that
/// asks.
const ASKING_LETTERS_MIN: usize = 12;
/// The same in Latin letters.
pub(super) const LATIN_LETTERS_MIN: usize = 80;
/// The share of the dominant script in a text of one language.
pub const SCRIPT_SHARE_MIN: f64 = 0.7;
/// One word in this many is a common word.
const COMMON_WORDS_PER: usize = 8;
/// The same in Turkish, which has endings in their place.
const COMMON_WORDS_PER_TURKISH: usize = 14;

/// Common words of its own language that tell a short text from one in another.
pub(super) const OWN_WORDS_MIN: usize = 2;

/// Characters that Chinese sentences have and Japanese ones do not.
const CHINESE: &str = "的了是我你他们这那吗呢吧很也都还没说给让从把为什么們這嗎還說給讓從為麼個个来來";

/// Languages that cannot be told apart with certainty, or that whichlang takes for one another. Each is accepted for the other
/// where one of the two is not known to the detector.
const KIN: &[&[&str]] = &[
    &["sv", "da", "nb"],
    &["ru", "uk", "bg", "sr"],
    &["ar", "fa", "ur"],
    &["hi", "mr", "ne"],
    &["es", "pt", "ca", "it", "ro", "la"],
    &["en", "la"],
    &["de", "nl"],
    &["vi", "id", "ms"],
];
/// Languages that [`certain_language`] tells from all others.
const KNOWN: &[&str] = &[
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "tr", "vi", "zh", "ja", "ko", "ru", "uk", "hi", "th", "he", "el",
    "ar",
];

/// True where a text in `found` is what one of `wanted` asks for.
pub fn is_covered(found: &str, wanted: &[&str]) -> bool {
    let is_kin = |one: &str, other: &str| KIN.iter().any(|kin| kin.contains(&one) && kin.contains(&other));
    wanted.iter().any(|wanted| {
        *wanted == found || (is_kin(wanted, found) && !(KNOWN.contains(wanted) && KNOWN.contains(&found)))
    })
}

/// Returns the language of a text, where it is certain: the text is long enough, in one script, has sentences, and both of its
/// halves agree.
pub fn certain_language(text: &str) -> Option<&'static str> {
    certain_language_of(text, |_| true)
}

/// Returns the same, but of the languages in Latin letters only those that are looked for: a text in another one costs less.
pub fn certain_language_of(text: &str, is_sought: impl Fn(&str) -> bool) -> Option<&'static str> {
    let letters = Letters::of(text);
    let script = letters.dominant();
    if letters.total() < LETTERS_MIN || letters.share(script) < SCRIPT_SHARE_MIN {
        return None;
    }
    match script {
        Script::Latin => certain_latin(text, &letters, is_sought),
        Script::Han => text.chars().any(|character| CHINESE.contains(character)).then_some("zh"),
        Script::Cyrillic => cyrillic(text),
        Script::Arabic => Some(arabic(text)),
        other => language_of_script(other),
    }
}

/// True where a text in Latin letters has sentences of some language.
pub fn has_some_sentences(text: &str) -> bool {
    const LETTERS_MIN: usize = 48;
    const WORDS_MIN: usize = 8;
    let letters = Letters::of(text);
    let has_words = || Sentences::of(text).is_some_and(|sentences| sentences.words >= WORDS_MIN);
    // Most words of a title begin with a capital.
    let is_title = || {
        let words = text.split_whitespace().filter(|word| word.starts_with(char::is_alphabetic));
        let (small, capital): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with(char::is_lowercase));
        small.len() < capital.len()
    };
    letters.count(Script::Latin) >= LETTERS_MIN
        && letters.share(Script::Latin) >= SCRIPT_SHARE_MIN
        && has_words()
        && !is_title()
}

/// True where [`likely_others`] may name a language.
pub fn has_own_words(text: &str) -> bool {
    let letters = Letters::of(text);
    if letters.dominant() != Script::Latin || letters.total() < ASKING_LETTERS_MIN {
        return false;
    }
    let words = words_of_languages(text, &LANGUAGES_OF_ASKING);
    (0..COMMON_WORDS.len()).any(|at| words.iter().filter(|word| **word >> at & 1 == 1).count() >= OWN_WORDS_MIN)
}

/// Returns the languages in Latin letters in which a short text likely is not, although it is too short to be certain of its own:
/// it does not look like that language, and has common words of another one and hardly any of that.
pub fn likely_others(text: &str) -> Vec<&'static str> {
    let letters = Letters::of(text);
    if letters.dominant() != Script::Latin || letters.total() < ASKING_LETTERS_MIN {
        return Vec::new();
    }
    let may_be_title = letters.total() < LETTERS_MIN;
    let looks = two_letters(whichlang::detect_language(text));
    // Words of both languages tell nothing.
    let is_only = |word: &&u16, this: u16, that: u16| **word & this != 0 && **word & that == 0;
    let words = words_of_languages(text, &LANGUAGES_OF_ASKING);
    let common = common_words(text);
    // Few words may be a title, which has articles in its own language, unless one of them asks.
    let asks = |own: u16| words.iter().zip(&common).any(|(word, common)| word & own != 0 && common & own == 0);
    let is_likely = |found: &str| {
        let other = mask_of(found);
        let mut languages = COMMON_WORDS.iter().filter(|(own, _)| *own != found && !is_covered(found, &[own]));
        languages.any(|(own, _)| {
            let own = mask_of(own);
            let owns = words.iter().filter(|word| is_only(word, own, other)).count();
            let others = words.iter().filter(|word| is_only(word, other, own)).count();
            let owns_min = if may_be_title && !asks(own) { OWN_WORDS_MIN + 1 } else { OWN_WORDS_MIN };
            owns >= owns_min && others * 3 <= owns
        })
    };
    let languages = COMMON_WORDS.iter().map(|(language, _)| *language);
    languages.filter(|found| looks != *found && !is_covered(found, &[looks]) && is_likely(found)).collect()
}

/// True where a text has clearly more of the common words that one language in Latin letters has and another one has not than the
/// reverse; also where one of them has no common words.
pub fn outweighs(text: &str, language: &str, other: &str) -> bool {
    let (Some(this), Some(that)) = (place_of(language), place_of(other)) else { return true };
    let words = common_words(text);
    let only = |this: usize, that: usize| words.iter().filter(|word| **word >> this & 1 > **word >> that & 1).count();
    let (own, others) = (only(this, that), only(that, this));
    own >= OWN_WORDS_MIN && others * 3 <= own
}

/// Returns the language, or the largest one, that is written in a script; `None` for Latin letters.
pub(super) fn language_of_script(script: Script) -> Option<&'static str> {
    Some(match script {
        Script::Latin => return None,
        Script::Han => "zh",
        Script::Kana => "ja",
        Script::Hangul => "ko",
        Script::Cyrillic => "ru",
        Script::Arabic => "ar",
        Script::Devanagari => "hi",
        Script::Thai => "th",
        Script::Hebrew => "he",
        Script::Greek => "el",
    })
}

fn certain_latin(text: &str, letters: &Letters, is_sought: impl Fn(&str) -> bool) -> Option<&'static str> {
    if letters.count(Script::Latin) < LATIN_LETTERS_MIN {
        return None;
    }
    // Counting words costs less than detecting a language, and settles many texts that have none.
    let sentences = Sentences::of(text)?;
    COMMON_WORDS.iter().find(|(language, _)| sentences.may_be_in(language) && is_sought(language))?;
    let language = two_letters(whichlang::detect_language(text));
    let is_steady = || halves(text).into_iter().all(|half| two_letters(whichlang::detect_language(half)) == language);
    (sentences.may_be_in(language) && is_sought(language) && is_steady()).then_some(language)
}

/// How many of the words of a text are common ones of each language.
struct Sentences {
    words: usize,
    common: [usize; COMMON_WORDS.len()],
}

impl Sentences {
    /// Counts; `None` where at least one character in twelve is a symbol that is rare in sentences, or no language has enough
    /// words.
    fn of(text: &str) -> Option<Self> {
        let is_odd = |byte: &u8| b"<>{}[]()=;/\\|_#*+@$%^&~`".contains(byte);
        if text.bytes().filter(|byte| is_odd(byte)).count() * 12 >= text.len() {
            return None;
        }
        let words = common_words(text);
        let of = |at: usize| words.iter().filter(|word| **word >> at & 1 == 1).count();
        let sentences = Self { words: words.len(), common: std::array::from_fn(of) };
        COMMON_WORDS.iter().any(|(language, _)| sentences.may_be_in(language)).then_some(sentences)
    }

    /// True where enough of the words are common ones of a language, no fewer than those of any other language.
    fn may_be_in(&self, language: &str) -> bool {
        let found = place_of(language).map_or(0, |at| self.common[at]);
        let per = if language == "tr" { COMMON_WORDS_PER_TURKISH } else { COMMON_WORDS_PER };
        found > 0 && found * per >= self.words && self.common.iter().all(|other| *other <= found)
    }
}

/// Returns for each word of a text the languages whose common word it is, a bit for each.
fn common_words(text: &str) -> Vec<u16> {
    words_of_languages(text, &LANGUAGES_OF_WORD)
}

/// The same with where the words begin.
pub(super) fn common_words_at(text: &str) -> Vec<(usize, u16)> {
    let words = text.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty());
    let place = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let languages = |word: &str| LANGUAGES_OF_WORD.get(word.to_lowercase().as_str()).copied().unwrap_or_default();
    words.map(|word| (place(word), languages(word))).filter(|(_, languages)| *languages != 0).collect()
}

/// The same of the words of a table.
fn words_of_languages(text: &str, table: &HashMap<&str, u16>) -> Vec<u16> {
    const BYTES_MAX: usize = 12;
    let mut small = String::new();
    let words = text.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty());
    let languages = words.map(|word| {
        if word.len() > BYTES_MAX {
            return 0;
        }
        small.clear();
        small.extend(word.chars().flat_map(char::to_lowercase));
        table.get(small.as_str()).copied().unwrap_or_default()
    });
    languages.collect()
}

/// Returns the bit of a language.
fn mask_of(language: &str) -> u16 {
    place_of(language).map_or(0, |at| 1 << at)
}

fn place_of(language: &str) -> Option<usize> {
    COMMON_WORDS.iter().position(|(other, _)| *other == language)
}

static LANGUAGES_OF_WORD: LazyLock<HashMap<&'static str, u16>> = LazyLock::new(|| languages_of(&[]));
/// The same with the words with which people ask.
static LANGUAGES_OF_ASKING: LazyLock<HashMap<&'static str, u16>> = LazyLock::new(|| languages_of(&ASKING_WORDS));

fn languages_of(more: &[Vec<&'static str>]) -> HashMap<&'static str, u16> {
    let mut languages = HashMap::new();
    for (at, (_, words)) in COMMON_WORDS.iter().enumerate() {
        for word in words.iter().chain(more.get(at).into_iter().flatten()) {
            *languages.entry(*word).or_default() |= 1 << at;
        }
    }
    languages
}

/// Tells Russian, Ukrainian, Bulgarian and Serbian by letters that only one of them has.
fn cyrillic(text: &str) -> Option<&'static str> {
    let has = |letters: &str| text.chars().any(|character| letters.contains(character));
    match (has("ыэёЫЭЁ"), has("іїєґІЇЄҐ"), has("јњљћђџЈЊЉЋЂЏ")) {
        (true, false, false) => Some("ru"),
        (false, true, false) => Some("uk"),
        (false, false, true) => Some("sr"),
        (false, false, false) => Some(if has("ъЪ") { "bg" } else { "ru" }),
        _ => None,
    }
}

fn arabic(text: &str) -> &'static str {
    let has = |letters: &str| text.chars().any(|character| letters.contains(character));
    match (has("ٹڈڑے"), has("پچژگ")) {
        (true, _) => "ur",
        (false, true) => "fa",
        (false, false) => "ar",
    }
}

pub(super) fn two_letters(language: whichlang::Lang) -> &'static str {
    use whichlang::Lang;
    match language {
        Lang::Ara => "ar",
        Lang::Cmn => "zh",
        Lang::Deu => "de",
        Lang::Eng => "en",
        Lang::Fra => "fr",
        Lang::Hin => "hi",
        Lang::Ita => "it",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Nld => "nl",
        Lang::Por => "pt",
        Lang::Rus => "ru",
        Lang::Spa => "es",
        Lang::Swe => "sv",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_named_where_it_is_certain() {
        for (text, language) in [
            (
                "The harbor lies in the north of the city, and most of the ships that come here carry timber and grain.",
                "en",
            ),
            (
                "Der Hafen liegt im Norden der Stadt, und die meisten Schiffe, die hierher kommen, bringen Holz und Getreide.",
                "de",
            ),
            ("港口位于城市的北部，大多数来这里的船只运送木材和粮食。", "zh"),
            ("港は町の北にあり、ここに来る船のほとんどは木材と穀物を運びます。", "ja"),
            ("항구는 도시의 북쪽에 있고, 이곳에 오는 배들은 대부분 목재를 나릅니다.", "ko"),
            ("Гавань расположена на севере города, и большинство кораблей привозят сюда лес и зерно.", "ru"),
            ("Гавань розташована на півночі міста, і більшість кораблів привозять сюди ліс та зерно.", "uk"),
        ] {
            assert_eq!(certain_language(text), Some(language), "{text}");
        }
    }

    #[test]
    fn what_is_short_or_mixed_or_no_sentence_is_not_certain() {
        let names = "Jane Austen: Pride and Prejudice, Emma, Mansfield Park, Persuasion, Lady Susan, Northanger Abbey, Sanditon";
        let polish =
            "Port leży na północy miasta, a większość statków, które tu przypływają, przywozi drewno i zboże z wysp.";
        let mixed = "The harbor lies in the north of the city. Der Hafen liegt im Norden, und die Schiffe bringen Holz und Korn.";
        for text in ["The harbor of the city", names, polish, mixed, "港口、船、木材、粮食、北部、城市、商船、货物", ""]
        {
            assert_eq!(certain_language(text), None, "{text}");
        }
    }

    #[test]
    fn kin_languages_count_where_one_of_them_is_not_known() {
        assert!(is_covered("sv", &["da"]) && is_covered("es", &["ca"]) && is_covered("de", &["en", "de"]));
        assert!(!is_covered("es", &["pt"]) && !is_covered("de", &["fr"]) && !is_covered("en", &[]));
    }
}
