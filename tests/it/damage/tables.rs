use std::collections::BTreeMap;
use std::fmt::Write as _;

use cohobate::quality::{Candidate, RulesVersion};

use super::kinds::KINDS;
use super::texts::{LANGUAGES, Text, texts_for_tables};
use super::{STRENGTHS, damaged, found, gate};

/// Good texts of a language that are judged, those of them that may be damaged, and those that are: not every text has the part that
/// a kind of damage needs.
const GOOD_MAX: usize = 100_000;
const KEPT_MAX: usize = 400;
const DAMAGED_MAX: usize = 100;

/// Prints the tables. With `COHOBATE_TEXTS_REJECTED=FILE` it also writes the good texts that are rejected.
#[test]
#[ignore = "a tool: it takes minutes, and asserts nothing"]
fn tables() {
    let texts = texts_for_tables(GOOD_MAX);
    for version in [RulesVersion::First, RulesVersion::Second] {
        println!("\n## Rules {version}\n");
        wrong_rejections(&texts, version);
        let kept = some_that_pass(&texts, version);
        caught_shares(&kept, version);
    }
}

fn wrong_rejections(texts: &[Text], version: RulesVersion) {
    let gate = gate(version);
    println!(
        "| language | texts | rejected | of 1,000 | upper bound (95 %) | by rule | flags |\n|---|---|---|---|---|---|---|"
    );
    let mut listed = String::new();
    for language in LANGUAGES {
        let (mut count, mut rules, mut flags) = (0_u32, BTreeMap::<&str, u32>::new(), BTreeMap::<&str, u32>::new());
        for text in texts.iter().filter(|text| text.language == language) {
            let verdict = gate.judge(&Candidate::new(&text.user, &text.answer));
            count += 1;
            verdict.flags.iter().for_each(|flag| *flags.entry(flag).or_default() += 1);
            if let Some(rule) = verdict.rejected_by {
                *rules.entry(rule).or_default() += 1;
                writeln!(listed, "=== {language} {rule}\nUSER: {}\nANSWER: {}", text.user, text.answer).unwrap();
            }
        }
        let rejected: u32 = rules.values().sum();
        let (share, upper) = (f64::from(rejected) / f64::from(count), upper_bound(rejected, count));
        println!(
            "| {language} | {count} | {rejected} | {:.2} | {:.2} | {rules:?} | {flags:?} |",
            share * 1e3,
            upper * 1e3
        );
    }
    if let Some(path) = std::env::var_os("COHOBATE_TEXTS_REJECTED").filter(|_| version == RulesVersion::NEWEST) {
        std::fs::write(path, listed).unwrap();
    }
}

/// The upper end of Wilson's interval, 95 %.
fn upper_bound(hits: u32, count: u32) -> f64 {
    let (share, count, deviate) = (f64::from(hits) / f64::from(count), f64::from(count), 1.96_f64);
    let squared = deviate * deviate;
    let root = (share * (1.0 - share) / count + squared / (4.0 * count * count)).sqrt();
    (share + squared / (2.0 * count) + deviate * root) / (1.0 + squared / count)
}

/// Texts of each language that pass undamaged, from all of its sources in turn.
fn some_that_pass(texts: &[Text], version: RulesVersion) -> Vec<Text> {
    let gate = gate(version);
    let passes = |text: &&Text| gate.judge(&Candidate::new(&text.user, &text.answer)).rejected_by.is_none();
    let of = |language: &'static str| texts.iter().filter(move |text| text.language == language).filter(passes);
    let spread = |language: &&'static str| {
        let all: Vec<&Text> = of(language).collect();
        let step = all.len().div_ceil(KEPT_MAX).max(1);
        // The first hundred are from all parts too.
        let parts = (0..4).flat_map(|part| (part * step..all.len()).step_by(4 * step));
        parts.map(|at| all[at].clone()).collect::<Vec<Text>>()
    };
    LANGUAGES.iter().flat_map(spread).collect()
}

fn caught_shares(texts: &[Text], version: RulesVersion) {
    let gate = gate(version);
    println!("\nCaught, in percent, at strength 1 / 2 / 3:\n\n| damage | {} | rules |", LANGUAGES.join(" | "));
    println!("|---|{}---|", "---|".repeat(LANGUAGES.len()));
    for kind in KINDS {
        let mut rules = BTreeMap::<&str, u32>::new();
        print!("| {} |", kind.name);
        for language in LANGUAGES {
            let mut shares = Vec::new();
            for strength in 0..STRENGTHS {
                let (mut caught, mut count) = (0_usize, 0_usize);
                for (number, text) in texts.iter().enumerate().filter(|(_, text)| text.language == language) {
                    if count == DAMAGED_MAX {
                        break;
                    }
                    let Some(damaged) = damaged(kind, text, texts, strength, number) else { continue };
                    count += 1;
                    if let Some(rule) = found(&gate, kind, &damaged) {
                        *rules.entry(rule).or_default() += 1;
                        caught += 1;
                    }
                }
                let of = if count < DAMAGED_MAX { format!(" of {count}") } else { String::new() };
                let share = (caught * 100).checked_div(count);
                shares.push(share.map_or_else(|| "-".to_owned(), |share| format!("{share}{of}")));
            }
            print!(" {} |", shares.join("/"));
        }
        println!(" {rules:?} |");
    }
}
