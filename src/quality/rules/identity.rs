use std::ops::Range;
use std::sync::LazyLock;

use super::{Action, Candidate, Rule};
use crate::conversation::beginning;
use crate::quality::phrases::{Sorted, automaton, beginnings, listed};
use crate::quality::text::Phrases;

/// Speaks of itself as a model, by name, by maker or in general. The student would learn to say so.
pub struct Identity;

const SECTIONS: &[&str] = &["self", "am", "made"];
const SELF: usize = 0;
const AM: usize = 1;
const HINT_BYTES: usize = 9;
/// Bytes after "I am" in which the kind of a thing stands, in languages that put much between the two.
const GAP_BYTES_MAX: usize = 60;

/// The beginnings of these: few answers have one.
static HINTS: Phrases = Phrases::new(|| beginnings(SECTIONS, HINT_BYTES));
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
        HINTS.occur_in(candidate.answer) && introductions(candidate.answer).next().is_some()
    }

    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        introductions(candidate.answer).collect()
    }
}

/// Finds where a text speaks of itself as a model.
fn introductions(text: &str) -> impl Iterator<Item = Range<usize>> {
    SPEAKING.find(text).filter_map(|found| {
        let (place, after) = (found.place.clone(), &text[found.place.end..]);
        let begins_word = !text[..place.start].ends_with(|before: char| before.is_ascii_alphanumeric());
        let rest = match found.section {
            SELF => Some(0),
            AM => name_at(after, &NAMES).or_else(|| kind_in(after)),
            _ => name_at(after, &MAKERS),
        };
        rest.filter(|_| begins_word).map(|rest| place.start..place.end + rest)
    })
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
        assert!(!hits("I am Claude Monet.") && !hits("I'm building an AI assistant for my school."));
        let answer = "Hello! I am ChatGPT.";
        let places = Identity.places(&Candidate::new("Hi", answer));
        assert_eq!((places.len(), &answer[places[0].clone()]), (1, "I am ChatGPT"));
    }
}
