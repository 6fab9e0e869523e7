use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::{Action, Candidate, Rule, end_of};
use crate::quality::language::{certain_language, plain_prose};
use crate::quality::phrases::listed;
use crate::quality::text::{LastLine, fence_count, is_item, is_joining};

/// Certainly breaks off, whatever the server says of it: in half a character, after a comma, in a bracket, a quotation or an
/// emphasis that is open, after a word that ends no sentence, at an item of a list without its text, in the middle of code.
/// What may be an end is left to `no_terminal`.
pub struct CutOff;

/// Words of a line that is a sentence. Shorter ones are greetings ("Best regards,") and headings.
const WORDS_MIN: usize = 6;
/// Bytes at the end in which the language is detected.
const SAMPLE_BYTES: usize = 600;

/// Words that no sentence ends with, each with the languages in which that is so.
static OPEN_WORDS: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut words: HashMap<&str, Vec<usize>> = HashMap::new();
    listed("open").for_each(|(language, word)| words.entry(word).or_default().push(language));
    words
});

impl Rule for CutOff {
    fn name(&self) -> &'static str {
        "cut_off"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        breaks_off(candidate.answer) && !continues_user(candidate)
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        if breaks_off(candidate.answer) { vec![end_of(candidate.answer)] } else { Vec::new() }
    }
}

/// True where the user's message breaks off too: the answer is a part of a text.
fn continues_user(candidate: &Candidate<'_>) -> bool {
    candidate.user.trim_end().ends_with(is_joining)
}

fn breaks_off(answer: &str) -> bool {
    let said = answer.trim_end();
    if said.ends_with('\u{fffd}') || ends_in_code(said) {
        return true;
    }
    if said.ends_with(['.', '!', '?', '。', '！', '？', '।', '؟', '…', '>', '|', '}', '~', ';', '`'])
        && !said.ends_with("..")
    {
        return ends_at_marker(said);
    }
    if ends_at_marker(said) {
        return true;
    }
    let Some(line) = LastLine::of(said) else { return false };
    let is_item_in_emphasis = is_item(line.text.trim_start()) && !line.is_ended() && is_in_emphasis(line.text);
    if is_item_in_emphasis || line.word_count() < WORDS_MIN {
        return is_item_in_emphasis;
    }
    let text = line.text.trim_end_matches(['*', '_']);
    let is_open = !line.is_ended();
    (is_open
        && (text.ends_with(is_joining) && !is_verse(said, &line)
            || has_open_bracket(text)
            || has_open_quotation(text)
            || is_in_emphasis(line.text)))
        || ends_in_word_part(text)
        || is_open && ends_in_polite_part(text)
        || ends_in_open_word(said, text)
}

/// True where the last two lines are as short as those of a poem, which may end with a comma.
fn is_verse(said: &str, line: &LastLine<'_>) -> bool {
    const CHARACTERS_MAX: usize = 64;
    let before = said[..line.start].trim_end_matches(['\n', '\r']);
    let is_adjacent = line.start - before.len() <= 2;
    let before = before.rsplit('\n').next().unwrap_or_default();
    let is_short = |line: &str| line.chars().count() <= CHARACTERS_MAX;
    is_adjacent && !before.trim().is_empty() && is_short(before) && is_short(line.text)
}

/// True where the last line is the marker of an item and no more, and items come before it.
fn ends_at_marker(said: &str) -> bool {
    const CHARACTERS_MAX: usize = 8;
    const ITEMS_MIN: usize = 2;
    let start = memchr::memrchr(b'\n', said.as_bytes()).map_or(0, |at| at + 1);
    let line = said[start..].trim();
    let rest = line.trim_start_matches(|next: char| next.is_ascii_digit() || ".)、．-*+•・[_ ".contains(next));
    // `***` and `---` are rules, `42.` and `-` answers.
    let is_marker = line.len() <= CHARACTERS_MAX
        && rest.is_empty()
        && is_item(line)
        && !line.starts_with("**")
        && !line.starts_with("--");
    if !is_marker {
        return false;
    }
    let number = |line: &str| {
        line.bytes().take_while(u8::is_ascii_digit).fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let items: Vec<&str> = said[..start].lines().map(str::trim).filter(|line| is_item(line)).collect();
    let counts_on = |wanted: u32| items.iter().rev().any(|item| number(item) == wanted);
    items.len() >= ITEMS_MIN
        && match number(line) {
            0 => items.iter().filter(|item| item.starts_with(line.chars().next().unwrap_or('-'))).count() >= ITEMS_MIN,
            number => number > 1 && counts_on(number - 1),
        }
}

/// True where a fence is open and its code is not complete: brackets are open, or the last line ends in the middle of an expression.
fn ends_in_code(said: &str) -> bool {
    if fence_count(said).is_multiple_of(2) {
        return false;
    }
    let Some(at) = said.rfind("```") else { return false };
    let (fence, code) = said[at..].split_once('\n').unwrap_or((&said[at..], ""));
    // An answer that continues another one may begin with the end of its code.
    if fence.trim() == "```" && code.trim_end().ends_with(['.', '!', '?', '。', ':']) {
        return false;
    }
    let count = |brackets: &[u8]| code.bytes().filter(|byte| brackets.contains(byte)).count();
    count(b"({[") > count(b")}]") || code.trim_end().ends_with([',', '=', '+', '(', '{', '[', '.', '&', '|', '\\'])
}

fn has_open_bracket(text: &str) -> bool {
    [('(', ')'), ('（', '）'), ('[', ']'), ('「', '」'), ('《', '》'), ('『', '』')].iter().any(|(open, close)| {
        let at = text.rfind(*open);
        // `:(` is a face.
        at.is_some_and(|at| !text[at..].contains(*close) && !text[..at].ends_with([':', ';', '-', '=']))
    })
}

fn has_open_quotation(text: &str) -> bool {
    [('“', &['”', '“'][..]), ('«', &['»']), ('„', &['“', '”', '"'])].iter().any(|(open, closes)| {
        let at = text.rfind(*open);
        at.is_some_and(|at| {
            let before = text[..at].chars().filter(|mark| *mark == '„').count();
            // The mark that opens in English closes in German.
            let is_closing = *open == '“' && before > 0;
            !is_closing && !text[at + open.len_utf8()..].contains(*closes)
        })
    })
}

/// True where bold text begins in a line and does not end.
fn is_in_emphasis(text: &str) -> bool {
    let count = text.matches("**").count();
    count % 2 == 1 && !text.ends_with("**") && !text.contains("***")
}

/// True for a text that ends with a hyphen after a letter.
fn ends_in_word_part(text: &str) -> bool {
    let before = text.strip_suffix('-').unwrap_or_default();
    before.ends_with(char::is_lowercase) && !before.trim_start().starts_with('-')
}

/// True for a text that ends before the last syllable of a Korean polite form: `합니` of `합니다`.
fn ends_in_polite_part(text: &str) -> bool {
    /// The place of the final consonant of these forms among the 28 with which a syllable may end.
    const FINAL: u32 = 17;
    let before = text.strip_suffix('니').and_then(|before| before.chars().next_back());
    before.is_some_and(|last| matches!(last, '가'..='힣') && (u32::from(last) - u32::from('가')) % 28 == FINAL)
}

fn ends_in_open_word(said: &str, text: &str) -> bool {
    let last =
        text.rsplit(|letter: char| letter.is_whitespace() || matches!(letter, '\'' | '’')).next().unwrap_or_default();
    // Where words are not apart, and for the Korean particle, the last letters are looked at.
    let is_part = |letter: char| matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '를');
    let words: Vec<&Vec<usize>> = if last.ends_with(is_part) {
        OPEN_WORDS
            .iter()
            .filter(|(word, _)| word.ends_with(is_part) && last.ends_with(**word))
            .map(|(_, of)| of)
            .collect()
    } else {
        OPEN_WORDS.get(last).into_iter().collect()
    };
    if words.is_empty() {
        return false;
    }
    let language = certain_language(&plain_prose(said, SAMPLE_BYTES, true)).and_then(number_of);
    language.is_some_and(|language| words.iter().any(|of| of.contains(&language)))
}

/// Returns the number of a language in the lists of phrases.
fn number_of(code: &str) -> Option<usize> {
    crate::quality::phrases::CODES.iter().position(|known| *known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(answer: &str) -> bool {
        CutOff.hits(&Candidate::new("Why is that so?", answer), 0.0)
    }

    #[test]
    fn what_breaks_off_for_certain_is_caught() {
        for answer in [
            "The harbor lies in the north of the city, and most of the ships that come here carry timber, because the",
            "The harbor lies in the north of the city, and most of the ships,",
            "The harbor lies in the north of the city (in the old part near the",
            "He said to the people on the quay: “The ships come in the summer and",
            "There are three things to know about it:\n\n1. **The harbor**: It is deep.\n2. **The ships are",
            "Do this first:\n\n1. Open it.\n2. Close it.\n3.",
            "Do this first:\n\n- Open it.\n- Close it.\n-",
            "So it is, as you see here:\n```rust\nfn main() {\n    let a =",
            "The harbor lies in the north of the city, and the ships are inter-",
            "港口位于城市的北部，大多数来这里的船只运送木材，",
            "港口位于城市的北部，大多数来这里的船只运送木材和粮食（特别是夏天的",
            "港は町の北にあり、ここに来る船のほとんどは木材と穀物を運びます。そして、",
            "港は町の北にあります。ここに来る船のほとんどは木材と穀物を運んでくれま",
            "항구는 도시의 북쪽에 있습니다. 이곳에 오는 배들은 대부분 여름에 목재와 곡물을 나릅니",
            "Der Hafen liegt im Norden der Stadt, und die meisten Schiffe, die hierher kommen, bringen Holz und Getreide für die",
            "Le port est situé au nord de la ville, et la plupart des navires qui viennent ici transportent du bois et des",
            "El puerto está en el norte de la ciudad, y la mayoría de los barcos que vienen aquí llevan madera para el",
            "Гавань расположена на севере города, и большинство кораблей привозят сюда лес и зерно из",
            "It is \u{fffd}",
        ] {
            assert!(hits(answer), "{answer}");
        }
    }

    #[test]
    fn what_may_be_an_end_is_let_pass() {
        for answer in [
            "The harbor lies in the north of the city.",
            "Dear Anna,\n\nthe harbor lies in the north.\n\nBest regards,",
            "The harbor lies in the north of the city (in the old part).",
            "I am sad that you cannot come to us :(",
            "Three things:\n\n1. The harbor\n2. The ships\n3. The quay",
            "It is so:\n```\nfn main() {}\n```",
            "The answer to the question is 42.",
            "---",
            "42",
            "Yes",
            "- one\n- two\n- three",
            "He said „Die Schiffe kommen im Sommer hierher“",
            "港口位于城市的北部",
            "Für die zwanzig Seiten der Broschüre über den Hafen geben Sie bitte 20,1,2,19 ein",
            "港は町の北にあり、ここに来る船のほとんどは昔のまま",
            "항구는 도시의 북쪽에 있습니다. 이곳에 오는 배들을 본 사람은 우리 어머니",
            "The first two lines are these.\n\nThe ships that lie along the quay,\nAnd the gulls that cry to the open sea,",
            "For more see the page of the harbor at https://example.com/the",
            "The sentence ends with the word of the list that you gave me: the list has an A",
        ] {
            assert!(!hits(answer), "{answer}");
        }
    }

    #[test]
    fn what_ends_without_a_mark_on_purpose_is_let_pass_in_twelve_languages() {
        let good = [
            // The end of a letter.
            "Liebe Anna,\n\nder Hafen liegt im Norden der Stadt.\n\nMit freundlichen Grüßen,",
            "Chère Anna,\n\nle port est au nord de la ville.\n\nBien cordialement,",
            "Querida Ana:\n\nel puerto está en el norte de la ciudad.\n\nUn abrazo,",
            "Cara Anna,\n\nil porto è a nord della città.\n\nCordiali saluti,",
            "Cara Ana,\n\no porto fica no norte da cidade.\n\nCom os melhores cumprimentos,",
            "Дорогая Анна,\n\nгавань находится на севере города.\n\nС уважением,",
            "亲爱的安娜：\n\n港口位于城市的北部。\n\n此致，",
            "アンナ様\n\n港は町の北にあります。\n\n敬具、",
            "안나에게,\n\n항구는 도시의 북쪽에 있습니다.\n\n안녕히 계세요,",
            "عزيزتي آنا،\n\nالميناء في شمال المدينة.\n\nمع أطيب التحيات،",
            "प्रिय अन्ना,\n\nबंदरगाह शहर के उत्तर में है।\n\nसादर,",
            // Lines of a poem.
            "Die Schiffe liegen still am Kai,\nund Möwen rufen übers Meer,",
            "Les navires dorment le long du quai,\nles mouettes crient au-dessus de la mer,",
            "Los barcos duermen junto al muelle,\ny las gaviotas gritan sobre el mar,",
            "Le navi dormono lungo il molo,\ne i gabbiani gridano sopra il mare,",
            "Os navios dormem junto ao cais,\ne as gaivotas gritam sobre o mar,",
            "Корабли стоят у старой стены,\nи чайки кричат над тёмной водой,",
            "船静静地停在古老的码头边，\n海鸥在海面上不停地叫着，",
            "船は古い波止場に静かに眠り、\nカモメは海の上で鳴き続け、",
            "배들은 오래된 부두에 잠들어 있고,\n갈매기들은 바다 위에서 울고 있고,",
            // A short answer, and a list of names.
            "Im Norden der Stadt",
            "Au nord de la ville",
            "En el norte",
            "城市的北部",
            "町の北",
            "도시의 북쪽",
            "في شمال المدينة",
            "शहर के उत्तर में",
            "1. Der Hafen\n2. Die Schiffe\n3. Der Kai",
            "1. 港口\n2. 船只\n3. 码头",
        ];
        for answer in good {
            assert!(!hits(answer), "{answer}");
        }
        // A message that breaks off is continued, and so may the answer be.
        for (user, answer) in [
            (
                "Continue: The ships lie along the quay,",
                "and the gulls cry over the open sea in the evening when the wind turns,",
            ),
            (
                "Schreib weiter: Die Schiffe liegen am Kai,",
                "und die Möwen schreien am Abend über dem offenen Meer, wenn der Wind dreht,",
            ),
            (
                "Continue : les navires sont le long du quai,",
                "et les mouettes crient le soir au-dessus de la mer quand le vent tourne,",
            ),
            (
                "Continúa: los barcos están junto al muelle,",
                "y las gaviotas gritan por la tarde sobre el mar cuando cambia el viento,",
            ),
            (
                "Continua: le navi sono lungo il molo,",
                "e i gabbiani gridano la sera sopra il mare quando il vento gira,",
            ),
            ("Продолжи: корабли стоят у причала,", "и чайки кричат вечером над открытым морем, когда меняется ветер,"),
            ("续写：船停在码头边，", "海鸥在傍晚的海面上鸣叫，风向渐渐地改变，渔民们也慢慢地回到岸上，"),
            ("続けて：船は波止場に並び、", "カモメは夕方の海の上で鳴き、風の向きが変わると漁師たちも岸に戻り、"),
            ("이어서 써 줘: 배들은 부두에 있고,", "갈매기들은 저녁에 바람이 바뀔 때 넓은 바다 위에서 울고,"),
            ("أكمل: السفن على طول الرصيف،", "والنوارس تصيح في المساء فوق البحر المفتوح عندما تتغير الريح،"),
        ] {
            assert!(hits(answer), "{answer}");
            assert!(!CutOff.hits(&Candidate::new(user, answer), 0.0), "{user}");
        }
    }

    #[test]
    fn the_end_is_shown() {
        let answer = "The harbor lies in the north of the city, and most of the ships,";
        let places = CutOff.places(&Candidate::new("Why?", answer));
        assert_eq!(places[0].end, answer.len());
        assert!(CutOff.places(&Candidate::new("Why?", "Yes.")).is_empty());
    }
}
