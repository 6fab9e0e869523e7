//! The rules, in order of cost.

mod control_chars;
mod cut_off;
mod dup_10gram;
mod dup_lines;
mod echo;
mod empty;
mod encoded;
mod endless_list;
mod fence_open;
mod finish_length;
mod garbage_end;
mod identity;
mod language;
mod length;
mod loop_char;
mod loop_token;
mod mojibake;
mod no_terminal;
mod pii;
mod refusal;
mod superseded;
mod template_leak;

use std::ops::Range;

use super::action::Action;
use super::candidate::Candidate;
pub(super) use superseded::FIRST_RULES;
pub use superseded::says_again;

/// A check for one kind of fault in an answer.
pub trait Rule: Send + Sync {
    /// Returns the name in options and reports.
    fn name(&self) -> &'static str;

    /// Returns the actions of the standard and of the strict preset.
    fn actions(&self) -> (Action, Action);

    /// Returns the default threshold, if the rule has one.
    fn threshold(&self) -> Option<f64> {
        None
    }

    /// True where the answer has this fault. `threshold` is the default or the configured one.
    fn hits(&self, candidate: &Candidate<'_>, threshold: f64) -> bool;

    /// Returns the number that is held against the threshold, to be shown and to choose a threshold by. `None` for a rule without
    /// one, and for an answer that the rule does not measure: it is too short, or the user asked for what the rule looks for. A
    /// rule may also find what no number says.
    fn value(&self, candidate: &Candidate<'_>) -> Option<f64> {
        let _ = candidate;
        None
    }

    /// Returns where in the answer the fault is, in bytes, to be shown. None where it is about the answer as a whole.
    fn places(&self, candidate: &Candidate<'_>) -> Vec<Range<usize>> {
        let _ = candidate;
        Vec::new()
    }
}

/// Returns where a text ends: its last few words, for rules about what is missing after them.
fn end_of(text: &str) -> Range<usize> {
    const CHARACTERS: usize = 24;
    let text = text.trim_end();
    text.char_indices().rev().nth(CHARACTERS).map_or(0, |(at, _)| at)..text.len()
}

/// Every rule, cheapest first.
pub const RULES: &[&dyn Rule] = &[
    &empty::Empty,
    &length::Length,
    &refusal::RefusalRule,
    &no_terminal::NoTerminal,
    &control_chars::ControlChars,
    &mojibake::Mojibake,
    &garbage_end::GarbageEnd,
    &encoded::Encoded,
    &template_leak::TemplateLeak,
    &dup_lines::DupLines,
    &identity::Identity,
    &language::Language,
    &pii::Pii,
    &endless_list::EndlessList,
    &loop_token::LoopToken,
    &dup_10gram::Dup10Gram,
    &echo::Echo,
    &loop_char::LoopChar,
    // What the token limit cut comes last: an answer that has another fault too is not worth a higher limit.
    &finish_length::FinishLength,
    &fence_open::FenceOpen,
    &cut_off::CutOff,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of answers that rules look at closely.
    const PIECES: &[&str] = &[
        "**",
        "```",
        "\n",
        "1. ",
        "- ",
        "（",
        "“",
        "«",
        "…",
        "。",
        "用户：",
        "User: ",
        "<|",
        "</s>",
        "Ã¤",
        "РџСЂ",
        "\u{fffd}",
        "\u{200b}",
        "क्षमा करें, मैं",
        "I can't help",
        "作为一个 AI",
        "ß",
        "🙂",
        "@#$%^&*",
        "aB3dE5",
        ":",
        " ",
        "\u{301}",
        "を",
    ];

    /// Rules that find nothing but what their value says.
    const BY_VALUE: &[&str] = &["length", "mojibake", "encoded", "dup_lines", "endless_list"];

    proptest::proptest! {
        #[test]
        fn a_value_says_what_a_rule_does_at_any_threshold(
            parts in proptest::collection::vec((proptest::sample::select(PIECES), "[a-z ,.\n]{0,40}", 1usize..30), 0..8),
            user in "\\PC{0,40}",
            times in 1usize..4,
        ) {
            let text: String = parts.iter().map(|(piece, other, times)| piece.repeat(*times) + other).collect();
            let text = text.repeat(times);
            for rule in RULES {
                let mut candidate = Candidate::new(&user, &text);
                candidate.earlier = vec!["So.", "It is.", "Why not?", "No.", "Yes.", &parts[..].first().map_or("", |part| &part.1)];
                let value = rule.value(&candidate);
                proptest::prop_assert!(value.is_none() || rule.threshold().is_some());
                if let Some(value) = value.filter(|value| *value > 0.0) {
                    proptest::prop_assert!(rule.hits(&candidate, value * 0.99), "{} {value} of {text:?}", rule.name());
                }
                if BY_VALUE.contains(&rule.name()) {
                    let above = value.unwrap_or_default() * 1.01 + 0.01;
                    proptest::prop_assert!(!rule.hits(&candidate, above), "{} {value:?} of {text:?}", rule.name());
                }
            }
        }

        #[test]
        fn no_rule_panics_and_every_place_is_in_the_answer(
            parts in proptest::collection::vec((proptest::sample::select(PIECES), "\\PC{0,12}", 1usize..30), 0..12),
            user in "\\PC{0,40}",
        ) {
            let text: String = parts.iter().map(|(piece, other, times)| piece.repeat(*times) + other).collect();
            for version in [RULES, FIRST_RULES] {
                for rule in version {
                    let mut candidate = Candidate::new(&user, &text);
                    candidate.earlier = vec![&text, &user];
                    rule.hits(&candidate, rule.threshold().unwrap_or_default());
                    for place in rule.places(&candidate) {
                        proptest::prop_assert!(text.get(place.clone()).is_some(), "{}: {place:?} of {text:?}", rule.name());
                    }
                }
            }
        }
    }
}
