use std::ops::Range;

use super::{Action, Candidate, Rule};
use crate::conversation::{beginning, ending};
use crate::quality::language::{
    GLANCE_BYTES, LETTERS_MIN, SCRIPT_SHARE_MIN, certain_language, certain_language_of, glance, glance_at,
    has_own_words, has_some_sentences, is_covered, likely_others, may_be_other, named_languages, plain_prose,
    word_change,
};
use crate::quality::text::{Letters, Script};

/// Answers in a different language than wanted, and answers that switch to one half-way.
///
/// Wanted is the user's own language, a language that the user or the system message asks for, and that of the answer before.
/// What is certain about a text is decided by its script, by whichlang, and by common words; the rest is not judged. Nor is a
/// request to translate that names no language.
pub struct Language;

/// Bytes of each part of a text that are used to detect its language. More cost time and change nothing.
const SAMPLE_BYTES: usize = 600;
const SECOND_GLANCE_BYTES: usize = 280;
/// About as many words as a glance has bytes for.
const GLANCE_WORDS: usize = 24;
/// The last one of N parts of an answer is looked at on its own.
const PARTS: &[usize] = &[2, 3, 4, 6, 9];
/// Letters of a Latin script in a message of another script, or of another script in one of Latin letters, from which on it is
/// undecidable: a term, a name, a pasted text.
const OPEN_LATIN_LETTERS: usize = 12;
const OPEN_LETTERS: usize = 2;
/// The same for Latin letters where the language of the message is certain.
const OPEN_LATIN_LETTERS_CERTAIN: usize = 40;

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
    if own.letters.total() == 0 || !own.can_exclude(candidate.answer) {
        return None;
    }
    let head = plain_prose(candidate.answer, SAMPLE_BYTES, false);
    let first = certain_language(&head);
    let Foreign { language: found, part } = if own.excludes(&head, first) {
        Foreign { language: first, part: Part::Whole }
    } else {
        foreign_tail(candidate, &head, first, &own)?
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
        (own.excludes(tail, Some(language)) && is_switch()).then_some(language)
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

/// The user's message.
struct Own {
    text: String,
    letters: Letters,
    language: Option<&'static str>,
    /// Languages in Latin letters in which it likely is not, where its own is not certain.
    others: Vec<&'static str>,
}

impl Own {
    fn of(user: &str) -> Self {
        let text = plain_prose(user, SAMPLE_BYTES, false);
        let language = certain_language(&text);
        let others = if language.is_none() { likely_others(&text) } else { Vec::new() };
        Self { letters: Letters::of(user), language, others, text }
    }

    /// False where the message excludes no text in this language, one in Latin letters.
    fn may_exclude_latin(&self, found: &str) -> bool {
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
    fn can_exclude(&self, answer: &str) -> bool {
        self.language.is_some()
            || self.letters.dominant() != Script::Latin
            || !is_in_latin_letters(answer)
            || has_own_words(&self.text)
    }

    /// True where a text, in this language as far as that is certain, is certainly not in the user's.
    fn excludes(&self, text: &str, found: Option<&str>) -> bool {
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
    fn is_another_script(&self, said: &Letters) -> bool {
        let (in_script, script) = (said.dominant(), self.letters.dominant());
        let open_letters = match (in_script, self.language) {
            (Script::Latin, Some(_)) => OPEN_LATIN_LETTERS_CERTAIN,
            (Script::Latin, None) => OPEN_LATIN_LETTERS,
            _ => OPEN_LETTERS,
        };
        let is_certain = self.letters.share(script) >= SCRIPT_SHARE_MIN
            && (script != Script::Latin || self.letters.total() >= LETTERS_MIN || has_own_words(&self.text));
        is_certain && self.letters.count(in_script) < open_letters && said.share(script) < 0.2
    }
}

/// True where a text has fewer letters of other scripts than tell its language.
fn is_in_latin_letters(text: &str) -> bool {
    let letters = Letters::of(text);
    letters.total() - letters.count(Script::Latin) < LETTERS_MIN
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
