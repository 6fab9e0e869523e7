use std::collections::HashSet;
use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::quality::phrases::automaton;
use crate::quality::text::{Phrases, Spread, Words, common_places, outside_fences};

/// Repeats the user's message or the previous answer and says nothing else: at least the threshold's share of its runs of words
/// occurs there. A run is eight words, or as many characters of a script without spaces as make eight words.
///
/// An answer with a number of its own calculates. A message is repeated where its first and its last words come again: what an
/// answer takes out of a text, or corrects, or says again because it was asked to, leaves the request out. Only where nobody
/// handed over a text is a part of the message an echo. Code does not count in what an earlier answer had.
pub struct Echo;

const GRAM: usize = 8;
/// Shorter answers ("Yes.", a greeting) may be repeated.
const WORDS_MIN: usize = 20;
/// Words at each end of a message by which it is recognised.
const END_WORDS: usize = 4;
/// The share of the previous answer that comes again. Half of it or less is an extract.
const COVERED_MIN: f64 = 0.5;

/// The share of a message that is an echo, where its ends are left out. Less is an extract.
const PART_MIN: f64 = 0.6;
/// Words of the longest message that hands over no text.
const PART_WORDS_MAX: usize = 80;

/// The share of the previous answer that is said again where the user asks for it in other words and gets nothing new.
const COVERED_WITHOUT_NEWS_MIN: f64 = 0.7;

/// Words with which a user asks for work on the same text, and those with which one asks for it in other words.
static SAME_TEXT: Phrases = Phrases::new(|| automaton(&["same text"]));
static OTHER_WORDS: Phrases = Phrases::new(|| automaton(&["other words"]));
/// Words with which a user asks for the same words again.
static REPEAT: Phrases = Phrases::new(|| automaton(&["repeat"]));

impl Rule for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.8)
    }

    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool {
        // A much shorter text cannot contain that share of the answer.
        let may_repeat_user = candidate.user.len() as f64 >= 0.5 * threshold * candidate.answer.len() as f64;
        if !may_repeat_user && candidate.earlier.is_empty() || candidate.words().len() < WORDS_MIN {
            return false;
        }
        may_repeat_user && repeats_user(candidate, threshold) || repeats_answer(candidate, threshold)
    }

    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let answer = candidate.words();
        if answer.len() < WORDS_MIN {
            return None;
        }
        // What holds for a share that is reached holds for every lower threshold.
        let of_user = shared(answer, &Words::of(candidate.user));
        let of_user = if repeats_user(candidate, of_user) { of_user } else { 0.0 };
        let before = candidate.earlier.last().copied().unwrap_or_default();
        let of_answer = if before.trim() == candidate.answer.trim() {
            1.0
        } else {
            shared(candidate.prose_words(), &Words::of(&outside_fences(before)))
        };
        Some(if repeats_answer(candidate, of_answer) { of_user.max(of_answer) } else { of_user })
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let before = candidate.earlier.last().copied().unwrap_or_default();
        let size = gram_of(candidate.words());
        [candidate.user, before].iter().flat_map(|text| common_places(candidate.answer, size, text)).collect()
    }
}

fn repeats_user(candidate: &Candidate<'_>, threshold: f64) -> bool {
    let (answer, user) = (candidate.words(), candidate.user);
    let asked = Words::of(user);
    let is_said = |phrases: &Phrases| candidate.system.is_some_and(|said| phrases.begin_word_in(said));
    let works_on_text = |is_asked: &dyn Fn(&Phrases) -> bool| is_asked(&SAME_TEXT) || is_asked(&OTHER_WORDS);
    if shared(answer, &asked) < threshold || has_own_number(candidate.answer, user) || is_said(&REPEAT) {
        return false;
    }
    // What was asked for leaves the request out. A message that is nothing but a text may be to be corrected, as the system
    // message says.
    if has_ends(answer, &asked) {
        return !works_on_text(&is_said);
    }
    let asks = |phrases: &Phrases| is_said(phrases) || phrases.begin_word_in(user);
    let hands_over = user.contains([':', '：', '\n', '"', '“', '„', '«', '「', '『', '《', '`']);
    let is_short = asked.len() <= PART_WORDS_MAX;
    is_short && !hands_over && !works_on_text(&asks) && !asks(&REPEAT) && shared(&asked, answer) >= PART_MIN
}

fn repeats_answer(candidate: &Candidate<'_>, threshold: f64) -> bool {
    let Some(before) = candidate.earlier.last() else { return false };
    if REPEAT.occur_in(candidate.user) {
        return false;
    }
    if before.trim() == candidate.answer.trim() {
        return true;
    }
    // Other code between the same words is another answer.
    let prose = candidate.prose_words();
    if prose.len() < WORDS_MIN || (before.len() as f64) < 0.5 * threshold * candidate.prose().len() as f64 {
        return false;
    }
    if SAME_TEXT.begin_word_in(candidate.user) || candidate.prose().len() < candidate.answer.len() {
        return false;
    }
    let said = Words::of(&outside_fences(before));
    let (again, covered) = (shared(prose, &said), shared(&said, prose));
    if OTHER_WORDS.begin_word_in(candidate.user) {
        // An answer that says nothing new has not put it in other words, nor added any.
        return again >= threshold && covered >= COVERED_WITHOUT_NEWS_MIN && has_no_news(prose, &said);
    }
    again >= threshold && covered >= COVERED_MIN && !has_own_number(candidate.answer, before)
}

/// Returns how many words of [`Words`] make eight: a character of Chinese, Japanese or Korean is a word there.
fn gram_of(words: &Words) -> usize {
    let singles = words.lengths.iter().filter(|length| **length == 1).count();
    if singles * 2 > words.len() { GRAM * 3 / 2 } else { GRAM }
}

/// Returns the share of the runs of `words` that occur in `other`.
fn shared(words: &Words, other: &Words) -> f64 {
    let size = gram_of(words);
    let there: HashSet<u64, Spread> = other.grams(size).collect();
    let count = words.len().saturating_sub(size - 1);
    words.grams(size).filter(|gram| there.contains(gram)).count() as f64 / count.max(1) as f64
}

/// True where a text consists of passages of another one, at most two: the only runs that are new are those across the seam.
fn has_no_news(words: &Words, other: &Words) -> bool {
    let size = gram_of(words);
    let there: HashSet<u64, Spread> = other.grams(size).collect();
    let is_new: Vec<bool> = words.grams(size).map(|gram| !there.contains(&gram)).collect();
    is_new.iter().filter(|is_new| **is_new).count() < size && is_new.last() == Some(&false)
}

/// True where the first and the last words of a message stand in an answer.
fn has_ends(answer: &Words, asked: &Words) -> bool {
    let size = END_WORDS.min(asked.len());
    if size == 0 {
        return false;
    }
    let stands = |words: &[u32]| answer.ids.windows(size).any(|window| window == words);
    stands(&asked.ids[..size]) && stands(&asked.ids[asked.len() - size..])
}

/// True where a text has a number that another lacks.
fn has_own_number(text: &str, other: &str) -> bool {
    let known: HashSet<&str> = numbers(other).collect();
    numbers(text).any(|number| !known.contains(number))
}

fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_digit()).filter(|number| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::text::different_words;

    fn hits(user: &str, answer: &str) -> bool {
        Echo.hits(&Candidate::new(user, answer), 0.8)
    }

    const QUESTION: &str = "Which of the harbors in the north of this country has the deepest water, how many ships come to it in \
                            summer, and can you list what they carry?";

    #[test]
    fn saying_again_is_caught_unless_it_was_asked_for() {
        let words = different_words(0..60);
        let mut candidate = Candidate::new("Go on.", &words);
        candidate.earlier = vec![&words];
        assert!(Echo.hits(&candidate, 0.8));
        candidate.user = "Could you translate that?";
        assert!(Echo.hits(&candidate, 0.8), "the same words are no translation");
        for again in [
            "Please repeat that.",
            "Wiederhole das.",
            "再说一遍",
            "もう一度",
            "다시 한번",
            "Répète.",
            "Повтори.",
            "Repítelo.",
        ] {
            candidate.user = again;
            assert!(!Echo.hits(&candidate, 0.8), "{again}");
        }
        let part = different_words(0..30);
        let mut extract = Candidate::new("Only the first half.", &part);
        extract.earlier = vec![&words];
        assert!(!Echo.hits(&extract, 0.8), "an extract");
        assert!(!hits("Yes?", "Yes?"));
    }

    #[test]
    fn an_answer_that_says_nothing_new_is_in_no_other_words() {
        let words = different_words(0..60);
        let (part, more) = (different_words(0..50), format!("{words} {}", different_words(0..10)));
        let hits = |user: &str, answer: &str| {
            let mut candidate = Candidate::new(user, answer);
            candidate.earlier = vec![&words];
            Echo.hits(&candidate, 0.8)
        };
        for other in [
            "How do I change the password?",
            "Bitte erkläre: Sperrbildschirm ändern",
            "Comment modifier une image ?",
            "¿Cómo añado una capa?",
            "Come modifica questo un file?",
            "Como adiciono uma camada?",
            "Как изменить это?",
            "请解释：翻译",
            "フォントを変更するには",
            "글꼴을 변경하려면",
            "كيف أضف صورة؟",
            "छवि कैसे जोड़ें?",
        ] {
            assert!(hits(other, &part), "{other}");
            assert!(hits(other, &more), "{other}");
            assert!(!hits(other, &format!("{words} And here is another one.")), "{other}");
            assert!(!hits(other, &words.replace("w30 ", "tree ")), "{other}");
        }
        for form in [
            "Remove the last line.",
            "Ohne den letzten Satz, bitte.",
            "Sans la dernière phrase.",
            "Sin la última frase.",
            "Senza l'ultima frase.",
            "Sem a última frase.",
            "Без последней фразы.",
            "删掉最后一句。",
            "最後の文を削除して。",
            "마지막 문장을 삭제해 줘.",
            "بدون الجملة الأخيرة",
            "आखिरी वाक्य हटा दो",
        ] {
            assert!(!hits(form, &part), "{form}");
        }
        for within in ["How does greylisting work?", "Bitte erkläre: Postfix", "Technische Information, bitte."] {
            assert!(hits(within, &part), "{within}");
        }
    }

    #[test]
    fn a_bare_echo_of_a_question_is_caught_whatever_its_words() {
        assert!(hits(QUESTION, QUESTION), "`list` asks for no work on this text");
        assert!(hits(QUESTION, &format!("Sure! {QUESTION}")));
        let chinese = "请问这个国家北部的港口中，哪一个水最深，夏天有多少船来，这些船都运什么货物？请列出来。";
        assert!(hits(chinese, chinese));
        let korean = "이 나라 북쪽 항구 중에서 물이 가장 깊은 곳은 어디이고, 여름에 배가 몇 척이나 오며, 무엇을 싣고 오는지 알려 주세요.";
        assert!(hits(korean, korean));
    }

    #[test]
    fn what_takes_words_from_a_request_is_no_echo_in_eight_languages() {
        let text = "The harbor lies in the north of the city, most of the ships carry timber and grain, and in summer there are \
                    many people on the quays who buy fish.";
        for request in [
            "Repeat after me:",
            "Korrigiere bitte:",
            "Corrige ce texte :",
            "Corrige este texto:",
            "Correggi questo testo:",
            "Исправь ошибки:",
            "请纠正：",
            "直してください：",
            "고쳐 줘:",
            "Corrija:",
            "صحح:",
            "इसे सुधारो:",
        ] {
            assert!(!hits(&format!("{request} {text}"), text), "{request}");
            assert!(!hits(&format!("{text}\n\n{request}"), text), "{request}");
        }
        let sum =
            "A shop has 12 boxes with 8 apples in each of them, and it sells 30 apples on the first day of the week.";
        assert!(!hits(&format!("{sum} How many are left?"), &format!("{sum} 12 times 8 is 96, so 66 are left.")));
        let mut corrected = Candidate::new(text, text);
        assert!(Echo.hits(&corrected, 0.8));
        corrected.system = Some("You correct the grammar of each message.");
        assert!(!Echo.hits(&corrected, 0.8), "there was nothing to correct");
        let first = format!("{text} So I test it:\n```\nlet a = 1;\n```");
        let second = format!("{text} So I submit it:\n```\nsubmit(a);\n```");
        let mut agent = Candidate::new("It works.", &second);
        agent.earlier = vec![&first];
        assert!(!Echo.hits(&agent, 0.8), "a test, then what is submitted");
    }
}
