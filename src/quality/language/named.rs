use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::quality::text::Phrases;

static NAMES: &str = include_str!("names.txt");

/// What a text says about languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Languages that are asked for, by code.
    pub wanted: Vec<&'static str>,
    /// The text speaks of translating.
    pub is_translation: bool,
}

/// Returns which languages a text asks for. A language that is only a topic ("the French Revolution") is not asked for.
pub fn named_languages(text: &str) -> Named {
    let text = text.to_lowercase();
    let is_translation = TRANSLATING.occur_in(&text);
    let is_bare = text.split_whitespace().count() <= BARE_WORDS_MAX;
    let mut named = Named { wanted: Vec::new(), is_translation };
    let mut last_wanted = None;
    for found in FORMS.automaton.find_iter(&text) {
        let form = &FORMS.forms[found.pattern().as_usize()];
        let Some(end) = form.end_in(&text, found.start(), found.end()) else { continue };
        let is_listed = last_wanted.is_some_and(|last: usize| is_list_between(text.get(last..found.start())));
        let is_wanted =
            form.is_noun || is_translation || is_bare || is_listed || is_asked_for(&text, found.start(), end);
        if is_wanted {
            last_wanted = Some(end);
            if !named.wanted.contains(&form.language) {
                named.wanted.push(form.language);
            }
        }
    }
    named
}

/// A text of so few words that names a language asks for it.
const BARE_WORDS_MAX: usize = 3;
/// Words between a preposition and the name, as in `in simple French`.
const WORDS_BETWEEN_MAX: usize = 2;

/// Words before a name that ask for the language.
const BEFORE: &[&str] = &[
    "in", "into", "to", "using", "use", "speak", "write", "auf", "ins", "en", "au", "vers", "al", "em", "ao", "para",
    "naar", "på", "til", "till", "po", "na", "до", "на", "по", "σε", "στα", "în", "dalam", "ke",
];
/// Words that stand between a preposition and a topic.
const ARTICLES: &[&str] = &[
    "the", "a", "an", "this", "der", "die", "das", "den", "dem", "la", "le", "les", "el", "los", "las", "il", "lo",
    "gli", "o", "os", "as", "de",
];
/// Words after a name that make it a language.
const AFTER: &[&str] = &[
    "language",
    "translation",
    "version",
    "please",
    "only",
    "text",
    "sentence",
    "sentences",
    "sprache",
    "язык",
    "языке",
    "языка",
    "мова",
    "мові",
    "мовою",
    "język",
    "języku",
    "nyelven",
    "spåket",
    "bitte",
    "por",
    "s'il",
];

fn is_asked_for(text: &str, start: usize, end: usize) -> bool {
    let next = text[end..].split_whitespace().next().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    if next.is_some_and(|next| AFTER.contains(&next)) {
        return true;
    }
    let before = &text[text[..start].rfind(['.', '!', '?', '\n', ':', ';', '。']).map_or(0, |at| at + 1)..start];
    // `по-русски` is one word.
    if before.ends_with("по-") || before.ends_with("al-") {
        return true;
    }
    let mut words = before.split_whitespace().rev();
    for _ in 0..=WORDS_BETWEEN_MAX {
        let Some(word) = words.next() else { return false };
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if BEFORE.contains(&word) {
            return true;
        }
        // `ins Deutsche` has its article within; `the French Revolution` and `der französische König` are topics.
        if ARTICLES.contains(&word) {
            return false;
        }
    }
    false
}

/// True for what stands between the items of a list: `, `, ` and `, `、`.
fn is_list_between(between: Option<&str>) -> bool {
    const WORDS: &[&str] = &[
        "and", "or", "und", "oder", "et", "ou", "y", "o", "e", "i", "и", "или", "та", "och", "en", "of", "to", "和",
        "与",
    ];
    let Some(between) = between.filter(|between| between.len() <= 12) else { return false };
    let between = between.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '、' | '，' | '/' | '&' | '-'));
    between.is_empty() || WORDS.contains(&between)
}

/// Words that speak of translating, in small letters.
static TRANSLATING: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "translat",
        "übersetz",
        "traduc",
        "tradui",
        "traduz",
        "tradur",
        "vertaal",
        "vertal",
        "översätt",
        "oversæt",
        "oversett",
        "tłumacz",
        "przekład",
        "přelož",
        "prelož",
        "překlad",
        "перевед",
        "перевод",
        "переклад",
        "перекла",
        "превед",
        "prevedi",
        "fordíts",
        "fordít",
        "käännä",
        "çevir",
        "tercüme",
        "dịch",
        "terjemah",
        "μετάφρα",
        "μεταφρά",
        "ترجم",
        "תרגם",
        "תרגמ",
        "अनुवाद",
        "অনুবাদ",
        "แปล",
        "翻译",
        "翻譯",
        "译成",
        "译为",
        "翻訳",
        "訳して",
        "英訳",
        "和訳",
        "번역",
    ])
});

/// The forms of the names.
static FORMS: LazyLock<Forms> = LazyLock::new(Forms::read);

struct Forms {
    automaton: AhoCorasick,
    forms: Vec<Form>,
}

/// A form of a language's name.
struct Form {
    language: &'static str,
    /// Letters may follow.
    is_stem: bool,
    /// It is never an adjective.
    is_noun: bool,
    /// It stands between other letters, as in Chinese, or after a prefix, as in Arabic.
    is_joined: bool,
}

impl Forms {
    fn read() -> Self {
        let (mut texts, mut forms) = (Vec::new(), Vec::new());
        for line in NAMES.lines().filter(|line| !line.starts_with('#')) {
            let Some((language, names)) = line.split_once(' ') else { continue };
            for name in names.split(", ") {
                let (name, is_adverb) = name.strip_prefix('!').map_or((name, false), |name| (name, true));
                let (name, is_stem) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
                let is_alphabet = |c: char| matches!(c, 'a'..='z' | '\u{c0}'..='\u{52f}' | '\u{1e00}'..='\u{1fff}');
                let is_joined = !name.chars().any(is_alphabet);
                forms.push(Form { language, is_stem, is_noun: is_adverb || is_joined, is_joined });
                texts.push(name);
            }
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&texts);
        Self { automaton: automaton.expect("a list of names in this program makes an automaton"), forms }
    }
}

impl Form {
    /// Returns where the word ends whose beginning was found; `None` where it is another word.
    fn end_in(&self, text: &str, start: usize, end: usize) -> Option<usize> {
        if self.is_joined {
            return Some(end);
        }
        if text[..start].chars().next_back().is_some_and(char::is_alphabetic) {
            return None;
        }
        let letters = text[end..].chars().take_while(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '\u{307}'));
        let tail: usize = letters.map(char::len_utf8).sum();
        (tail == 0 || self.is_stem).then_some(end + tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_is_asked_for_is_named() {
        for (text, wanted) in [
            ("Write a poem about the sea in French.", &["fr"][..]),
            ("WRITE A POEM IN UKRAINIAN", &["uk"]),
            ("Schreibe einen Absatz auf Englisch.", &["en"]),
            ("Übersetze das ins Französische", &["fr"]),
            ("Écris un poème en espagnol", &["es"]),
            ("Escribe un poema en alemán", &["de"]),
            ("Scrivi una poesia in giapponese", &["ja"]),
            ("Escreve um poema em italiano", &["it"]),
            ("Напиши стихотворение по-немецки", &["de"]),
            ("Напиши стихотворение на английском языке", &["en"]),
            ("Napisz wiersz po angielsku", &["en"]),
            ("Napiš báseň anglicky", &["en"]),
            ("用法语写一首诗", &["fr"]),
            ("写一首英文诗", &["en"]),
            ("フランス語で詩を書いてください", &["fr"]),
            ("영어로 시를 써 주세요", &["en"]),
            ("اكتب قصيدة بالإنجليزية", &["en"]),
            ("अंग्रेज़ी में कविता लिखो", &["en"]),
            ("İngilizce bir şiir yaz", &["en"]),
            ("Viết một bài thơ bằng tiếng Anh", &["en"]),
            ("Answer in simple, clear German please", &["de"]),
            ("Give the answer in English and French.", &["en", "fr"]),
            ("French, please", &["fr"]),
            ("The reply has to be in the Italian language.", &["it"]),
        ] {
            assert_eq!(named_languages(text).wanted, wanted, "{text}");
        }
    }

    #[test]
    fn a_topic_is_not_asked_for() {
        for text in [
            "Tell me about the French Revolution and what came after it.",
            "Please polish this paragraph for me and keep it short.",
            "The user speaks Spanish and lives in Madrid.",
            "What do German engineers think of the Italian economy?",
            "Расскажи мне, пожалуйста, про французскую революцию и её последствия",
            "Was war die Französische Revolution, und wie endete sie?",
            "Parlez-moi du cinéma italien des années soixante.",
            "He finished the pools and the Danish crown jewels were shown.",
        ] {
            assert_eq!(named_languages(text).wanted, [""; 0], "{text}");
        }
    }
}
