use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::conversation::{beginning, ending};
use crate::quality::language::{
    GLANCE_BYTES, Own, SAMPLE_BYTES, certain_language, certain_language_of, glance, glance_at, has_some_sentences,
    is_covered, may_be_other, named_languages, outweighs, plain_prose, word_change,
};
use crate::quality::text::{Letters, Script};

/// Answers in a different language than wanted, and answers that switch to one half-way.
///
/// Wanted is the user's own language, a language that the user or the system message asks for, and that of the answer before.
/// What is certain about a text is decided by its script, by whichlang, and by common words; the rest is not judged. Nor is a
/// request to translate that names no language.
pub struct Language;

/// Bytes of a second look.
const SECOND_GLANCE_BYTES: usize = 280;
/// About as many words as a glance has bytes for.
const GLANCE_WORDS: usize = 24;
/// The last one of N parts of an answer is looked at on its own.
const PARTS: &[usize] = &[2, 3, 4, 6, 9];
/// The first one of N parts of an answer's beginning is looked at on its own where it is in no single language.
const BEGINNINGS: &[usize] = &[2, 3];

impl Rule for Language {
    fn name(&self) -> &'static str {
        "language"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Reject, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let (prose, user) = (candidate.prose(), candidate.user);
        let words = &candidate.prose_words().ids;
        let first = glance_at(prose, beginning, &words[..words.len().min(GLANCE_WORDS)]);
        let last = glance_at(prose, ending, &words[words.len().saturating_sub(GLANCE_WORDS)..]);
        if first.0 == last.0 && !may_be_other(beginning(user, SECOND_GLANCE_BYTES), first.0) {
            return false;
        }
        let asked = glance(beginning(user, GLANCE_BYTES));
        let asked_again =
            || if user.len() > GLANCE_BYTES { glance(beginning(user, SECOND_GLANCE_BYTES)) } else { asked };
        // A glance settles most answers, and where words do not settle it, a second one most of the others.
        let differs = |(found, is_settled): (&str, bool), part: fn(&str, usize) -> &str| {
            found != asked && (is_settled || glance(part(prose, SECOND_GLANCE_BYTES)) != asked_again())
        };
        (differs(first, beginning) || differs(last, ending)) && foreign_part(candidate).is_some()
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let answer = candidate.answer;
        let from = foreign_part(candidate).map(|part| match part {
            Part::Whole => 0,
            Part::Tail => answer.len() - ending(answer, answer.len() / 2).len(),
        });
        from.map(|from| from..answer.len()).into_iter().collect()
    }
}

/// The part of an answer that is in another language.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Tail,
}

/// A part of an answer that is in another language than the user's, and that language, as far as it is certain.
struct Foreign {
    language: Option<&'static str>,
    part: Part,
}

fn foreign_part(candidate: &Candidate<'_>) -> Option<Part> {
    let own = Own::of(candidate.user);
    if own.letters.total() == 0 {
        return None;
    }
    let head = plain_prose(candidate.answer, SAMPLE_BYTES, false);
    let first = certain_language(&head);
    let can_exclude = own.can_exclude(candidate.answer);
    let Foreign { language: found, part } = if can_exclude && own.excludes(&head, first) {
        Foreign { language: first, part: Part::Whole }
    } else {
        // Where a message is too short to be certain of its language, it is in that in which the answer begins.
        let begins = || {
            first.or_else(|| BEGINNINGS.iter().find_map(|part| certain_language(beginning(&head, head.len() / part))))
        };
        let taken = if own.is_short_in_latin() { begins() } else { None };
        let taken = taken.map(|language| own.taken_for(language));
        if taken.is_none() && !can_exclude {
            return None;
        }
        foreign_tail(candidate, &head, first, taken.as_ref().unwrap_or(&own))?
    };
    // The expensive checks come last.
    let mut wanted: Vec<&str> = own.language.into_iter().collect();
    for text in [Some(candidate.user), candidate.system].into_iter().flatten() {
        let named = named_languages(text);
        if named.is_translation && named.wanted.is_empty() {
            return None;
        }
        wanted.extend(named.wanted);
    }
    wanted.extend(before(candidate));
    match found {
        Some(found) => (!is_covered(found, &wanted)).then_some(part),
        // Another script, of a text whose language is not certain: only the user's own language was wanted.
        None => (wanted.iter().all(|wanted| own.language == Some(wanted))).then_some(part),
    }
}

/// Returns the end of an answer where it is in another language than its beginning and than the user's message.
fn foreign_tail(candidate: &Candidate<'_>, head: &str, first: Option<&str>, own: &Own) -> Option<Foreign> {
    let all = plain_prose(candidate.answer, 8 * SAMPLE_BYTES, true);
    let characters = all.chars().count();
    let part =
        |part: &usize| all.char_indices().nth(characters - characters / part).map_or(all.len(), |(from, _)| from);
    let change = script_change(&all, own.letters.dominant());
    let known = PARTS.iter().map(part).chain(change).find_map(|from| {
        let tail = ending(&all[from..], SAMPLE_BYTES);
        let language = certain_language_of(tail, |language| own.may_exclude_latin(language))?;
        let is_switch = || certain_language(beginning(head, from)).is_none_or(|first| first != language);
        let is_other = own.excludes(tail, Some(language)) && is_switch();
        (is_other && (!own.is_taken || outweighs(tail, language, own.language?))).then_some(language)
    });
    // Sentences in Latin letters are in another language than one in other letters, whichever it is.
    let in_latin = || {
        let tail = ending(&all[change.unwrap_or_default()..], SAMPLE_BYTES);
        own.letters.dominant() != Script::Latin && has_some_sentences(tail) && own.is_another_script(&Letters::of(tail))
    };
    let by_words = || {
        let (from, language) = word_change(&all, own.language.or(first)?)?;
        own.excludes(&all[from..], Some(language)).then_some(language)
    };
    let language = known.or_else(by_words);
    (language.is_some() || in_latin()).then_some(Foreign { language, part: Part::Tail })
}

/// Returns where the last letter of a script ends; of the Latin one, where the first letter of another script is.
fn script_change(text: &str, script: Script) -> Option<usize> {
    let is_other = |letter: char| letter > '\u{36f}' && letter.is_alphabetic();
    if script == Script::Latin {
        return text.find(is_other);
    }
    text.rfind(is_other).map(|at| at + text[at..].chars().next().map_or(0, char::len_utf8))
}

/// Returns the language of the answer before: the question was settled there.
fn before(candidate: &Candidate<'_>) -> Option<&'static str> {
    candidate.earlier.last().and_then(|before| certain_language(&plain_prose(before, SAMPLE_BYTES, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str =
        "The harbor lies in the north of the city, and most of the ships that come here carry timber and grain.";
    const GERMAN: &str =
        "Der Hafen liegt im Norden der Stadt, und die meisten Schiffe, die hierher kommen, bringen Holz und Getreide.";
    const CHINESE: &str = "港口位于城市的北部，大多数来这里的船只运送木材和粮食，每天都有很多。";
    const JAPANESE: &str = "港は町の北にあり、ここに来る船のほとんどは木材と穀物を運びます。毎日たくさん来ます。";

    fn hits(user: &str, answer: &str) -> bool {
        Language.hits(&Candidate::new(user, answer), 0.0)
    }

    #[test]
    fn another_language_is_caught() {
        for (user, answer) in [
            ("港口在哪里？有什么船？", ENGLISH),
            ("Where is the harbor of this city?", CHINESE),
            (ENGLISH, CHINESE),
            (ENGLISH, GERMAN),
            (GERMAN, ENGLISH),
            ("港口在哪里？这里有什么船，它们都运送什么东西？", JAPANESE),
            ("港はどこにありますか。どんな船が来て、何を運びますか。教えてください。", CHINESE),
        ] {
            assert!(hits(user, answer), "{user} / {answer}");
        }
    }

    #[test]
    fn a_language_that_is_a_topic_changes_nothing_and_one_that_is_asked_for_is_the_only_other_one() {
        let topic =
            "Tell me how the French fleet used the harbor of this city, and what its ships carried away from here.";
        assert!(hits(topic, GERMAN) && !hits(topic, ENGLISH));
        let polish =
            "Please polish this paragraph: the harbor lies in the north, and the ships that come here carry timber.";
        assert!(hits(polish, GERMAN));
        let request =
            "Schreibe bitte auf Englisch einen Absatz über den Hafen der Stadt und über die Schiffe, die dort anlegen.";
        assert!(!hits(request, ENGLISH) && !hits(request, GERMAN) && hits(request, CHINESE));
        let mut candidate = Candidate::new(topic, GERMAN);
        candidate.system = Some("The user speaks German and lives in Berlin.");
        assert!(Language.hits(&candidate, 0.0));
        candidate.system = Some("Always answer in German.");
        assert!(!Language.hits(&candidate, 0.0));
    }

    #[test]
    fn a_switch_half_way_is_found_and_its_place_is_the_end() {
        let answer = format!("{ENGLISH} {ENGLISH}\n\n{GERMAN} {GERMAN}");
        assert!(hits(ENGLISH, &answer) && hits(ENGLISH, &format!("{ENGLISH}\n\n{CHINESE}")));
        let candidate = Candidate::new(ENGLISH, &answer);
        assert!(Language.places(&candidate)[0].start >= answer.len() / 2);
        // What is quoted is not said.
        assert!(!hits(ENGLISH, &format!("{ENGLISH} {ENGLISH}\n\n> {GERMAN}")));
        assert!(!hits(ENGLISH, &format!("{ENGLISH} The sign reads: \"{GERMAN}\"")));
    }

    #[test]
    fn the_end_of_an_answer_to_a_short_request_is_to_be_in_the_language_of_its_beginning() {
        const SPANISH: &str = "El puerto está en el norte de la ciudad, y la mayoría de los barcos que vienen aquí llevan \
                               madera y grano para las islas.";
        const PORTUGUESE: &str = "O porto fica no norte da cidade, e a maioria dos navios que vêm aqui não traz madeira, \
                                  mas sim os cereais das ilhas.";
        const FRENCH: &str = "Le port est situé au nord de la ville, et la plupart des navires qui viennent ici \
                              transportent du bois et des céréales.";
        const ITALIAN: &str = "Il porto si trova a nord della città, e la maggior parte delle navi che vengono qui \
                               trasporta legname e grano per le isole.";
        let all = [SPANISH, PORTUGUESE, FRENCH, ITALIAN, GERMAN, ENGLISH];
        for (at, first) in all.iter().enumerate() {
            let twice = format!("{first} {first}");
            assert!(!hits("Port Rivarola 1820", &twice), "{twice}");
            for (_, other) in all.iter().enumerate().filter(|(other, _)| *other != at) {
                let answer = format!("{first} {first} {other} {other}");
                assert!(hits("Port Rivarola 1820", &answer), "{answer}");
            }
        }
        assert!(!hits("Port Rivarola 1820", &format!("{FRENCH}\n\n> {GERMAN} {GERMAN}")), "a quotation");
        assert!(!hits("Port: Deutsch", &format!("{ENGLISH} {ENGLISH} {GERMAN} {GERMAN}")), "a language that is named");
    }

    #[test]
    fn a_short_request_that_asks_tells_its_language_and_a_title_does_not() {
        for (user, answer) in [
            ("Explique-moi : PORT", ENGLISH),
            ("Explica, por favor: Rivarola", GERMAN),
            ("Spiegami per favore: Porto", ENGLISH),
            ("Explique, por favor: Porto", GERMAN),
            ("Bitte erkläre: Hafen", ENGLISH),
            ("Please explain: Rivarola", GERMAN),
        ] {
            assert!(hits(user, answer), "{user}");
        }
        for title in ["La Casa de Papel", "Der Mann im Mond", "Le Petit Prince", "O Auto da Barca"] {
            assert!(!hits(title, ENGLISH), "{title}");
        }
    }

    #[test]
    fn names_and_terms_do_not_hide_that_an_answer_is_in_another_script() {
        let answer = "通过 Debian 的 debootstrap 和 apt 可以安装系统，请先新建一个目录，然后再运行这个命令就可以了。";
        for user in
            ["Where is the harbor of this city?", "Wo liegt der Hafen dieser Stadt?", "Où est le port de la ville ?"]
        {
            assert!(hits(user, answer), "{user}");
        }
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
        candidate.earlier = vec![ENGLISH];
        assert!(!Language.hits(&candidate, 0.0), "it was so before");
    }
}
