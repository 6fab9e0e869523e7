//! A damage generator, and what the rules see of what it does to good answers.
//!
//! Good texts in twelve languages are damaged in named ways at three strengths. The tests hold what the gate catches.
//! `tables` prints the whole: wrong rejections by rule and language, and the caught share of every kind, before and after
//! (version 1 and 2 of the rules). With `COHOBATE_TEXTS=DIR` it reads `DIR/*-LANGUAGE.jsonl`, rows with a user message and
//! an answer, in place of the small texts of the project.

mod kinds;
mod phrases;
mod tables;
mod texts;

use cohobate::quality::{Candidate, Gate, RulesVersion, Strictness};

use kinds::{Damaged, KINDS, Kind};
use texts::{Draw, Text, good_texts};

/// The weakest damage has strength 0, the strongest 2.
const STRENGTHS: usize = 3;

fn gate(version: RulesVersion) -> Gate {
    Gate::of_version(version, Strictness::Standard, "").unwrap()
}

/// Returns the rule that rejects a text; of a kind that is only flagged, the flag.
fn found(gate: &Gate, kind: &Kind, damaged: &Damaged) -> Option<&'static str> {
    let mut candidate = Candidate::new(&damaged.user, &damaged.answer);
    candidate.earlier = damaged.earlier.iter().map(String::as_str).collect();
    let verdict = gate.judge(&candidate);
    verdict.rejected_by.or_else(|| verdict.flags.into_iter().find(|flag| kind.flags.contains(flag)))
}

/// Damages a text, reproducibly.
fn damaged(kind: &Kind, text: &Text, texts: &[Text], strength: usize, number: usize) -> Option<Damaged> {
    let mut draw = Draw::new(number as u64 * 31 + strength as u64);
    (kind.damage)(text, texts, strength, &mut draw)
}

/// Shares that the rules of today reach with the texts of the project, by kind: of 12 languages, 12 texts each.
#[test]
fn damaged_answers_are_caught_in_twelve_languages() {
    let texts = good_texts();
    let gate = gate(RulesVersion::NEWEST);
    let mut faults = Vec::new();
    for kind in KINDS {
        for (strength, least) in kind.least.iter().enumerate() {
            let (mut caught, mut count) = (0, 0);
            for (number, text) in texts.iter().enumerate() {
                let Some(damaged) = damaged(kind, text, &texts, strength, number) else { continue };
                count += 1;
                caught += usize::from(found(&gate, kind, &damaged).is_some());
            }
            if caught * 100 < count * usize::from(*least) {
                faults.push(format!("{} at strength {strength}: {caught} of {count}, not {least} %", kind.name));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_undamaged_texts_pass() {
    let gate = gate(RulesVersion::NEWEST);
    for text in good_texts() {
        let verdict = gate.judge(&Candidate::new(&text.user, &text.answer));
        assert_eq!(verdict.rejected_by, None, "{}: {}", text.language, text.answer);
    }
}
