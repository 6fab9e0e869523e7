use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::conversation::ending;
use crate::quality::phrases::automaton;
use crate::quality::text::{MadeOf, Phrases, changing_scripts, has_many_scripts, jumble, rare_letters};

/// Ends in garbage: a long run of one sign, words of signs and digits, a jumble of many signs or of letters of many scripts, scripts
/// that change from word to word, or letters that no language puts together. Only the last part of an answer is looked at. Fenced code does not count.
pub struct GarbageEnd;

/// Bytes at the end that are looked at.
const TAIL_BYTES: usize = 160;
/// Equal signs in a row.
const RUN_MIN: usize = 24;
/// Signs in a row, and how many different ones. The rule of a table has four.
const MIXED_MIN: usize = 16;
const MIXED_DIFFERENT_MIN: usize = 7;
/// Kinds of signs that stand together in no sentence and no formula.
const HARD_DIFFERENT_MIN: usize = 4;
/// Words in a row that no text has.
const ODD_WORDS_MIN: usize = 3;

/// Words with which a user asks for what looks like garbage.
static ASKED_FOR: Phrases = Phrases::new(|| automaton(&["encode", "notation"]));

impl Rule for GarbageEnd {
    fn name(&self) -> &'static str {
        "garbage_end"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let prose = candidate.prose();
        // A password has signs, but not letters of many scripts.
        let is_asked_for = || ASKED_FOR.occur_in(candidate.user) && !has_many_scripts(last_part(prose).1);
        garbage_in(prose).is_some() && !is_asked_for() && garbage_in(candidate.user).is_none()
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let answer = candidate.answer;
        garbage_in(answer).map(|from| from..answer.trim_end().len()).into_iter().collect()
    }
}

/// Returns where garbage at the end of a text begins.
fn garbage_in(text: &str) -> Option<usize> {
    let (said, tail) = last_part(text);
    let from = said.len() - tail.len();
    let found = equal_signs(said).or_else(|| mixed_signs(tail).or_else(|| odd_words(tail)).map(|at| from + at));
    let made_of = MadeOf::of(tail);
    let found = found.or_else(|| jumble(tail, made_of).map(|at| from + at));
    let found = found.or_else(|| changing_scripts(tail, made_of).map(|at| from + at));
    found.or_else(|| rare_letters(tail).map(|at| from + at))
}

/// Returns a text without white space at its end, and the part of it that is looked at.
fn last_part(text: &str) -> (&str, &str) {
    let said = text.trim_end();
    (said, ending(said, TAIL_BYTES))
}

/// Returns where a run of one sign begins that a text ends with. Lines and gaps to be filled in do not count.
fn equal_signs(said: &str) -> Option<usize> {
    let last = said.chars().next_back().filter(|last| !last.is_alphanumeric() && !"-=_*~#|─━.…`+".contains(*last))?;
    let run = said.chars().rev().take_while(|sign| *sign == last).count();
    (run >= RUN_MIN).then(|| said.len() - run * last.len_utf8())
}

/// Returns where a run of many different signs begins that a text ends with.
fn mixed_signs(tail: &str) -> Option<usize> {
    let run = tail.bytes().rev().take_while(u8::is_ascii_punctuation).count();
    if run < MIXED_MIN {
        return None;
    }
    let signs = &tail.as_bytes()[tail.len() - run..];
    let different = (b'!'..=b'~').filter(|sign| signs.contains(sign)).count();
    (different >= MIXED_DIFFERENT_MIN).then(|| tail.len() - run)
}

/// Returns where the words begin that a text ends with and no text has: letters, digits and signs in turn.
fn odd_words(tail: &str) -> Option<usize> {
    // They have letters and signs of ASCII alone.
    if !tail.as_bytes().last().is_some_and(u8::is_ascii) {
        return None;
    }
    let last_line = tail.rsplit('\n').next().unwrap_or_default();
    let words: Vec<&str> = last_line.split_whitespace().rev().take_while(|word| is_odd(word)).collect();
    let is_formula = |word: &&str| {
        let inner = word.bytes().filter(u8::is_ascii_alphanumeric).count();
        word.starts_with(['=', '{']) || word.contains('(') && inner * 2 > word.len()
    };
    let is_enough = words.len() >= ODD_WORDS_MIN || words.iter().any(|word| word.len() >= RUN_MIN);
    let has_hard = |word: &&str| {
        let is_pattern = word.starts_with(['^', '/', '\\', '$', '`', '"', '\'', '<']);
        !is_pattern
            && b"@#$%^&*!~?|\\{}".iter().filter(|sign| word.as_bytes().contains(sign)).count() >= HARD_DIFFERENT_MIN
    };
    let is_enough = is_enough && (words.iter().any(has_hard) || !words.iter().any(is_formula));
    let first = words.last().filter(|_| is_enough)?;
    Some(first.as_ptr() as usize - tail.as_ptr() as usize)
}

fn is_odd(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',', '!', '?', ')', ':', ';']);
    let is_short = word.len() < RUN_MIN;
    // Most words have small letters alone, or after a capital.
    if word.len() < 5 || word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase()) || !word.is_ascii() {
        return false;
    }
    // The names of hosts and files have dots.
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~+:".contains(&byte);
    let is_address = word.contains("://")
        || word.contains('.') && word.bytes().all(is_part)
        || is_short && word.starts_with(['#', '/', '\\', '$', '<', '`', '[', '(']);
    if is_address {
        return false;
    }
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        b'-' | b'\'' | b'.' | b'/' | b'_' | b',' | b':' | b'+' | b'=' | b'*' | b'~' => 3,
        _ => 4,
    };
    let bytes = word.as_bytes();
    let changes = bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let signs = bytes.iter().filter(|byte| kind(**byte) == 4).count();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    // A formula has its signs between single letters and numbers; garbage has them in any place.
    let is_mixed = signs >= 2 && letters >= 2
        || signs >= 1 && letters >= 2 && changes >= 4
        || changes >= 5 && signs + letters >= 4;
    let is_dense = !is_short && letters > 0 && signs * 3 >= bytes.len();
    is_dense || changes * 2 >= bytes.len() && is_mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns look like garbage to who did not ask for one.
    #[test]
    fn a_pattern_is_no_garbage_where_one_is_asked_for() {
        let answers = [
            r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
            r"Use this one: ^(19|20)\d\d[- /.](0[1-9]|1[012])[- /.](0[1-9]|[12][0-9]|3[01])$",
        ];
        let asked = [
            "Give a regex for it",
            "Ein regulärer Ausdruck dafür?",
            "Una expresión regular, por favor",
            "Une expression régulière ?",
            "Un'espressione regolare?",
            "Uma expressão regular",
            "Нужно регулярное выражение",
            "写一个正则表达式",
            "正規表現を書いて",
            "정규식을 써 줘",
            "اكتب تعبير نمطي",
            "एक रेगुलर एक्सप्रेशन लिखो",
        ];
        for answer in answers {
            assert!(GarbageEnd.hits(&Candidate::new("Tell me about harbors", answer), 0.0), "{answer}");
            for user in asked {
                assert!(!GarbageEnd.hits(&Candidate::new(user, answer), 0.0), "{user}");
            }
        }
    }

    const GOOD: [&str; 12] = [
        "The harbor lies in the north of the city, and most of the ships that come here carry timber and grain.",
        "Der Hafen liegt im Norden der Stadt, und die meisten Schiffe, die hierher kommen, bringen Holz und Getreide.",
        "Le port est situé au nord de la ville, et la plupart des navires qui viennent ici transportent du bois.",
        "El puerto está en el norte de la ciudad, y la mayoría de los barcos que vienen aquí llevan madera.",
        "Il porto si trova a nord della città, e la maggior parte delle navi che arrivano qui trasporta legname.",
        "O porto fica no norte da cidade, e a maioria dos navios que chegam aqui leva madeira e cereais.",
        "Гавань расположена на севере города, и большинство кораблей привозят сюда лес и зерно.",
        "港口位于城市的北部，大多数来这里的船只运送木材和粮食。",
        "港は町の北にあり、ここに来る船のほとんどは木材と穀物を運びます。",
        "항구는 도시의 북쪽에 있고, 이곳에 오는 배들은 대부분 목재를 나릅니다.",
        "يقع الميناء في شمال المدينة، ومعظم السفن التي تأتي إلى هنا تحمل الخشب.",
        "बंदरगाह शहर के उत्तर में है, और यहाँ आने वाले अधिकांश जहाज़ लकड़ी लाते हैं।",
    ];

    fn hits(answer: &str) -> bool {
        GarbageEnd.hits(&Candidate::new("Why?", answer), 0.0)
    }

    #[test]
    fn garbage_at_the_end_is_caught_in_twelve_languages_and_good_text_is_not() {
        for good in GOOD {
            assert!(!hits(good), "{good}");
            for garbage in [
                "x7$kQ2! pL#9vv@ zR4%tt& mW8^qq",
                "qzxvkj wpqlfzx vjkqzxw bqxjvz kwqxzpv jqx",
                "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
                "бли 的东 और مرح 한국 ваша ใน",
                "@@##$$%%^^&&**(())aa1!b2@c3#d4$",
            ] {
                assert!(hits(&format!("{good} {garbage}")), "{good} {garbage}");
            }
        }
        assert!(hits(&format!("{} щъжфыцх йцщзъхэ ждщшгнъ фыщвпъ ъэжщц", GOOD[6])));
    }

    #[test]
    fn other_ends_are_let_pass() {
        for answer in [
            "Name: ______________________________",
            "So:\n\n------------------------------",
            "Chapter 1 ..............................",
            "In Russian it is привет, in Chinese 你好, in Arabic مرحبا, in Korean 안녕.",
            "한국의 漢字 문화와 日本의 문화",
            "It is 3x^2+2x-1=0.",
            "Rename it to harbor-0.9.12~rc99-2+b1.tar.gz.",
            "The zone of this network is 0.a.1.3.8.c.b.0.1.0.0.2.ip6.example.",
            "Der Name ist quay_2.4.1-3~bpo12+1_amd64.deb",
            "See https://example.com/a?b=c3D4e5F6g7H8i9",
            "Use `a1b2c3!@#$`.",
            "WLAN, HTTP, XML, SQL and KDE",
            "Szczebrzeszyn i chrząszcz brzmi w trzcinie",
            "The model X-7B-v0.2 beats GPT-4o and Llama-3.1-8B",
            "Thanks!!! 🎉🎉🎉🎉🎉",
        ] {
            assert!(!hits(answer), "{answer}");
        }
    }

    #[test]
    fn what_was_asked_for_is_let_pass_in_eight_languages() {
        let garbage = "Here: x7$kQ2! pL#9vv@ zR4%tt& mW8^qq";
        assert!(hits(garbage));
        for user in [
            "Make four passwords.",
            "Vier Passwörter bitte.",
            "Un mot de passe.",
            "Una contraseña.",
            "Uma senha.",
            "Придумай пароль.",
            "生成密码",
            "パスワードを作って",
            "암호를 만들어",
            "كلمة المرور",
            "पासवर्ड बनाओ",
            "Una chiave casuale.",
        ] {
            assert!(!GarbageEnd.hits(&Candidate::new(user, garbage), 0.0), "{user}");
        }
    }

    #[test]
    fn its_place_is_the_end() {
        let answer = format!("{} {}", GOOD[0], "?".repeat(30));
        let places = GarbageEnd.places(&Candidate::new("Why?", &answer));
        assert_eq!((places.len(), places[0].clone()), (1, answer.len() - 30..answer.len()));
    }
}
