use std::ops::Range;
use std::sync::LazyLock;

use super::{Action, Candidate, Rule};
use crate::conversation::beginning;
use crate::quality::phrases::{Beginnings, Found, Sorted, automaton, listed};
use crate::quality::text::Phrases;

/// Speaks of itself as a model, by name, by maker or in general. The student would learn to say so.
pub struct Identity;

const SECTIONS: &[&str] = &["self", "am", "made"];
const SELF: usize = 0;
const AM: usize = 1;
/// Bytes after "I am" in which the kind of a thing stands, in languages that put much between the two.
const GAP_BYTES_MAX: usize = 60;

static BEGINNINGS: LazyLock<Beginnings> = LazyLock::new(|| Beginnings::of(SECTIONS));
static SPEAKING: LazyLock<Sorted> = LazyLock::new(|| Sorted::of(SECTIONS));
static KINDS: Phrases = Phrases::new(|| automaton(&["model"]));
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| listed("name").map(|(_, name)| name).collect());
static MAKERS: LazyLock<Vec<&str>> = LazyLock::new(|| listed("maker").map(|(_, name)| name).collect());

impl Rule for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn actions(&self) -> (Action, Action) {
        (Action::Flag, Action::Reject)
    }

    fn hits(&self, candidate: &Candidate<'_>, _: f64) -> bool {
        let answer = candidate.answer;
        BEGINNINGS.find_map(answer, |at| introductions_at(answer, at).next()).is_some()
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        BEGINNINGS.find_map(candidate.answer, |at| -> Option<()> {
            places.extend(introductions_at(candidate.answer, at));
            None
        });
        places.sort_by_key(|place: &Range<usize>| (place.start, place.end));
        places
    }
}

/// Finds what speaks of itself as a model, at a place in a text.
fn introductions_at(text: &str, at: usize) -> impl Iterator<Item = Range<usize>> {
    let phrases = begins_word(text.as_bytes(), at).then(|| SPEAKING.find_at(text, at));
    phrases.into_iter().flatten().filter_map(|Found { place, section, .. }| {
        let after = &text[place.end..];
        let rest = match section {
            SELF => Some(0),
            AM => name_at(after, &NAMES).or_else(|| kind_in(after)),
            _ => name_at(after, &MAKERS),
        };
        rest.map(|rest| place.start..place.end + rest)
    })
}

/// True where no letter of the same alphabet, Latin or Cyrillic, is before this place. Other languages join words.
fn begins_word(bytes: &[u8], at: usize) -> bool {
    let is_cyrillic = |at: usize| matches!(bytes[at], 0xd0 | 0xd1);
    let is_in_latin = at >= 1 && bytes[at - 1].is_ascii_alphanumeric();
    let is_in_cyrillic = at >= 2 && is_cyrillic(at - 2) && is_cyrillic(at);
    !is_in_latin && !is_in_cyrillic
}

/// Returns where the name ends that a text begins with. A name with a surname is a person's.
fn name_at(text: &str, names: &[&str]) -> Option<usize> {
    let rest = text.trim_start_matches([' ', '*', '_', '"', '“', '「']);
    let begins = |name: &&&str| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let name = names.iter().find(begins)?;
    let mut next = rest[name.len()..].chars();
    let (first, second) = (next.next(), next.next());
    let is_whole = !first.is_some_and(|first| first.is_ascii_alphabetic() && name.is_ascii());
    let has_surname = first == Some(' ') && second.is_some_and(|second| second.is_ascii_uppercase());
    (is_whole && !has_surname).then_some(text.len() - rest.len() + name.len())
}

/// Returns where "an AI assistant" ends, shortly after "I am".
fn kind_in(after: &str) -> Option<usize> {
    let near = beginning(after, GAP_BYTES_MAX);
    let near = near.split_inclusive(['.', '!', '?', '。', '！', '？', '।', '\n']).next()?;
    let found = KINDS.places_in(near).into_iter().next()?;
    let gap = &near[..found.start];
    // `I'm building an AI assistant` is no introduction. Languages of other letters order their words differently.
    let is_adverb = !gap.trim().contains(' ') && !gap.trim().ends_with("ing");
    let is_close = is_adverb || gap.contains(',') || !gap.is_ascii() || gap.contains("{{");
    is_close.then_some(found.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_its_own_is_caught_and_speaking_of_models_is_not() {
        let hits = |answer: &str| Identity.hits(&Candidate::new("Who are you?", answer), 0.0);
        assert!(
            hits("As an AI language model, I have no opinion.")
                && hits("我是ChatGPT。")
                && hits("我是 ChatGPT。")
                && hits("I'm Claude, made by Anthropic.")
                && hits("I’m Nora, an AI assistant.")
        );
        assert!(!hits("OpenAI released GPT-4 in 2023.") && !hits("人工智能正在改变世界。"));
        assert!(hits("Да, я ChatGPT.") && !hits("Компания OpenAI выпустила модель, а Россия ChatGPT закрыла."));
        assert!(!hits("I am Claude Monet.") && !hits("I'm building an AI assistant for my school."));
        let answer = "Hello! I am ChatGPT.";
        let places = Identity.places(&Candidate::new("Hi", answer));
        assert_eq!((places.len(), &answer[places[0].clone()]), (1, "I am ChatGPT"));
    }
}
