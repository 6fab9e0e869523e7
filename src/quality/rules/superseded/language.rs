use super::{REJECTS, Superseded};
use crate::conversation::{beginning, halves};
use crate::quality::rules::Candidate;
use crate::quality::text::{Letters, Phrases, Script};

/// Letters that identify a text's script; a Chinese character counts as three.
const LETTERS_MIN: usize = 24;
/// Letters that identify the language of a Latin text.
const LATIN_LETTERS_MIN: usize = 80;
/// Bytes of a text that are used to detect its language. More cost time and change nothing.
const SAMPLE_BYTES: usize = 600;
const GLANCE_BYTES: usize = 200;

/// Words with which a user may ask for another language.
static NAMED: Phrases = Phrases::new(|| {
    Phrases::automaton(&[
        "translat",
        "language",
        "english",
        "chinese",
        "mandarin",
        "cantonese",
        "french",
        "german",
        "spanish",
        "italian",
        "japanese",
        "korean",
        "russian",
        "portuguese",
        "arabic",
        "hindi",
        "dutch",
        "turkish",
        "vietnamese",
        "thai",
        "latin",
        "greek",
        "hebrew",
        "swedish",
        "polish",
        "indonesian",
        "翻译",
        "译成",
        "译为",
        "语言",
        "英文",
        "英语",
        "中文",
        "汉语",
        "日文",
        "日语",
        "韩文",
        "韩语",
        "法语",
        "法文",
        "德语",
        "德文",
        "俄语",
        "俄文",
        "西班牙",
        "葡萄牙语",
        "阿拉伯语",
        "拉丁",
        "单词",
        "traduc",
        "tradui",
        "übersetz",
        "auf deutsch",
        "en français",
        "en español",
        "in italiano",
        "перевед",
        "翻訳",
        "英訳",
        "和訳",
        "번역",
    ])
});

/// Answers in a different language than the user's.
///
/// Scripts are compared first: the user writes in one script and the answer hardly uses it. Long texts in Latin letters
/// are distinguished by whichlang, which errs on one in a thousand of them. The rule does not decide where the user names
/// a language or asks for a translation, writes in two scripts, or where the previous answer is in the same language.
pub const LANGUAGE: Superseded = Superseded {
    name: "language",
    actions: REJECTS,
    threshold: None,
    hits: |candidate, _| is_another_language(candidate),
    places: |_| Vec::new(),
};

fn is_another_language(candidate: &Candidate<'_>) -> bool {
    let prose = language_sample(candidate.prose());
    let (said, asked) = (Letters::of(prose), Letters::of(candidate.user));
    if said.total() < LETTERS_MIN || asked.total() == 0 {
        return false;
    }
    let (in_script, script) = (said.dominant(), asked.dominant());
    let differs = if in_script == script {
        in_script == Script::Latin && differs_in_latin(prose, candidate.user, &said, &asked)
    } else {
        is_another_script(&said, &asked) && (in_script != Script::Latin || has_sentences(prose))
    };
    // The expensive checks come last.
    differs && !names_a_language(candidate) && !is_as_before(prose, in_script, candidate)
}

/// True where the user writes in a single script and the answer hardly uses it.
fn is_another_script(said: &Letters, asked: &Letters) -> bool {
    let (in_script, script) = (said.dominant(), asked.dominant());
    // A few letters of the answer's script in the question (a term, a name, a pasted text) make it undecidable.
    let open_letters = if in_script == Script::Latin { 12 } else { 2 };
    // Japanese questions may consist of Chinese characters only, and Chinese ones may contain a kana.
    let are_kin = matches!((in_script, script), (Script::Han, Script::Kana) | (Script::Kana, Script::Han));
    let is_certain = asked.share(script) >= 0.7 && (script != Script::Latin || asked.total() >= LETTERS_MIN);
    is_certain && asked.count(in_script) < open_letters && said.share(script) < 0.2 && !are_kin
}

fn differs_in_latin(prose: &str, user: &str, said: &Letters, asked: &Letters) -> bool {
    let is_long = |letters: &Letters| letters.count(Script::Latin) >= LATIN_LETTERS_MIN;
    is_long(said)
        && is_long(asked)
        // A short sample settles most cases. A longer one is read only where the short one differs.
        && detect_language(prose, GLANCE_BYTES) != detect_language(user, GLANCE_BYTES)
        && detect_language(prose, SAMPLE_BYTES) != detect_language(user, SAMPLE_BYTES)
        // Code, lists, names and formulas look like any language, so sentences are required, and both halves must agree.
        && has_sentences(prose)
        && has_sentences(language_sample(user))
        && is_steady(prose)
        && is_steady(language_sample(user))
}

/// The most common words of languages in Latin letters. Sentences contain them; lists of names and code do not.
const SMALL_WORDS: &[&str] = &[
    "the", "of", "and", "to", "a", "is", "that", "it", "you", "this", "are", "be", "with", "for", "not", "der", "die",
    "das", "und", "ist", "nicht", "ein", "eine", "zu", "den", "mit", "von", "le", "la", "les", "des", "et", "est",
    "un", "une", "que", "qui", "pas", "el", "los", "las", "en", "es", "por", "con", "una", "para", "o", "e", "os",
    "do", "da", "em", "um", "uma", "il", "di", "che", "non", "per", "sono", "de", "het", "een", "van", "niet", "op",
    "och", "att", "som", "det", "ett", "bir", "ve", "bu", "yang", "dan", "w", "z", "na", "nie", "się", "là", "và",
    "của",
];

/// True where a text in Latin letters has sentences: fewer than one character in twelve is a digit or a symbol that is
/// rare in sentences, and at least one word in eight is a common small word.
fn has_sentences(text: &str) -> bool {
    let is_odd = |byte: &u8| byte.is_ascii_digit() || b"<>{}[]()=;/\\|_#*+@$%^&~`".contains(byte);
    if text.bytes().filter(|byte| is_odd(byte)).count() * 12 >= text.len() {
        return false;
    }
    let words = || text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let is_small = |word: &&str| word.len() <= 5 && SMALL_WORDS.iter().any(|small| word.eq_ignore_ascii_case(small));
    words().filter(is_small).count() * 8 >= words().count()
}

/// True where both halves of a text are in the same language.
fn is_steady(text: &str) -> bool {
    let [first, second] = halves(text);
    whichlang::detect_language(first) == whichlang::detect_language(second)
}

fn names_a_language(candidate: &Candidate<'_>) -> bool {
    NAMED.occur_in(candidate.user) || candidate.system.is_some_and(|system| NAMED.occur_in(system))
}

/// True where the previous answer is in the same language; the question was settled there.
fn is_as_before(prose: &str, script: Script, candidate: &Candidate<'_>) -> bool {
    candidate.earlier.last().is_some_and(|previous| {
        let previous = language_sample(previous);
        let letters = Letters::of(previous);
        letters.total() >= LETTERS_MIN
            && letters.dominant() == script
            && (script != Script::Latin || whichlang::detect_language(previous) == whichlang::detect_language(prose))
    })
}

fn detect_language(text: &str, bytes_max: usize) -> whichlang::Lang {
    whichlang::detect_language(beginning(text, bytes_max))
}

fn language_sample(text: &str) -> &str {
    beginning(text, SAMPLE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::rules::Rule;

    const ENGLISH: &str =
        "The harbor lies in the north of the city, and most of the ships that come here carry timber and grain.";
    const GERMAN: &str =
        "Der Hafen liegt im Norden der Stadt, und die meisten Schiffe, die hierher kommen, bringen Holz und Getreide.";
    const CHINESE: &str = "港口位于城市的北部，大多数来这里的船只运送木材和粮食，每天都有很多。";

    fn hits(user: &str, answer: &str) -> bool {
        LANGUAGE.hits(&Candidate::new(user, answer), 0.0)
    }

    #[test]
    fn another_language_is_caught() {
        assert!(
            hits("港口在哪里？有什么船？", ENGLISH)
                && hits(ENGLISH, CHINESE)
                && hits(ENGLISH, GERMAN)
                && hits(GERMAN, ENGLISH)
        );
        assert!(hits("Where is the harbor of this city?", CHINESE));
    }

    #[test]
    fn where_another_language_may_be_wanted_nothing_is_said() {
        assert!(
            !hits("请翻译：港口在哪里？", ENGLISH)
                && !hits("How do you say that in German? Tell me about the harbor of this city.", GERMAN)
        );
        assert!(!hits("请解释 Kubernetes StatefulSet", ENGLISH) && !hits("OK", CHINESE) && !hits("港口？", "42"));
        assert!(!hits(
            "谁写了《傲慢与偏见》？还有呢？",
            "Jane Austen: Pride and Prejudice, Emma, Mansfield Park, Persuasion, Lady Susan"
        ));
        assert!(!hits(
            "用代码写一个快速排序吧",
            "def sort(a):\n    if len(a) <= 1:\n        return a\n    return sort([x for x in a if x < a[0]])"
        ));
        assert!(!hits("用 Python 写", "```python\nprint('The harbor lies in the north of the city')\n```"));
        let mut candidate = Candidate::new("港口在哪里？", ENGLISH);
        candidate.system = Some("Always answer in English.");
        assert!(!LANGUAGE.hits(&candidate, 0.0));
        candidate.system = None;
        candidate.earlier = vec![ENGLISH];
        assert!(!LANGUAGE.hits(&candidate, 0.0), "it was so before");
    }
}
