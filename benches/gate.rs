//! The whole standard gate on one core: MB and turns a second of each version of the rules, by language, each rule alone, and
//! near-duplicates.
//!
//! `cargo bench --bench gate [-- FILE...]` judges the answers of FILE, or of text that is made up here.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::time::Instant;

use cohobate::conversation::Role;
use cohobate::dataset::{Input, InputForm, RowReader};
use cohobate::quality::{Candidate, Gate, NearDuplicates, RULES, RulesVersion, Strictness};

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if files.is_empty() {
        judge("made-up English", &(0..20_000).map(english).collect::<Vec<_>>());
        judge("made-up Chinese", &(0..20_000).map(chinese).collect::<Vec<_>>());
    }
    for file in &files {
        judge(file, &pairs(file));
    }
    near_duplicates();
}

/// Judges user and answer by both versions of the rules, in turn, and by each rule alone.
fn judge(name: &str, pairs: &[(String, String)]) {
    let bytes: usize = pairs.iter().map(|(_, answer)| answer.len()).sum();
    let gates: Vec<Gate> = RulesVersion::ALL.iter().map(|version| of_version(*version, "")).collect();
    let rejected = pairs.iter().filter(|(user, answer)| is_rejected(&gates[0], user, answer)).count();
    println!("{name}: {} answers of {} bytes, {rejected} rejected", pairs.len(), bytes / pairs.len().max(1));
    let seconds = least_seconds(&gates, pairs);
    let first = seconds[seconds.len() - 1];
    for (gate, seconds) in gates.iter().zip(&seconds) {
        let (megabytes, turns) = (bytes as f64 / 1e6 / seconds, pairs.len() as f64 / seconds);
        let ratio = first / seconds;
        println!("  version {}: {megabytes:.0} MB/s, {turns:.0} turns/s, {ratio:.2} of version 1", gate.version());
    }
    for rule in RULES {
        let alone: Vec<Gate> = RulesVersion::ALL.iter().map(|version| alone(*version, rule.name())).collect();
        print!("  {:<16}", rule.name());
        for (gate, seconds) in alone.iter().zip(least_seconds(&alone, pairs)) {
            // A version that lacks the rule judges by none.
            let is_known = gate.rules().next().is_some();
            let speed = is_known.then(|| format!("{:.0} MB/s", bytes as f64 / 1e6 / seconds));
            print!("{:>12}", speed.unwrap_or_default());
        }
        println!();
    }
}

/// Returns for each gate the sum of the least times that its answers took, in rounds of some answers that the gates judge in turn:
/// what else runs on the machine slows all of them. They are more than a processor learns by heart, as it never sees an answer twice
/// in practice.
fn least_seconds(gates: &[Gate], pairs: &[(String, String)]) -> Vec<f64> {
    const ROUNDS: usize = 9;
    const ANSWERS: usize = 64;
    let mut least = vec![0.0; gates.len()];
    for few in pairs.chunks(ANSWERS) {
        let mut seconds = vec![f64::MAX; gates.len()];
        for round in 0..ROUNDS * gates.len() {
            let at = round % gates.len();
            let start = Instant::now();
            let rejected = few.iter().filter(|(user, answer)| is_rejected(&gates[at], user, answer)).count();
            std::hint::black_box(rejected);
            seconds[at] = f64::min(seconds[at], start.elapsed().as_secs_f64());
        }
        least.iter_mut().zip(seconds).for_each(|(sum, seconds)| *sum += seconds);
    }
    least
}

fn is_rejected(gate: &Gate, user: &str, answer: &str) -> bool {
    gate.judge(&Candidate::new(user, answer)).rejected_by.is_some()
}

fn of_version(version: RulesVersion, changes: &str) -> Gate {
    Gate::of_version(version, Strictness::Standard, changes).expect("the rules are known")
}

/// Returns a gate with one rule of a version alone, or with none where the version lacks it.
fn alone(version: RulesVersion, rule: &str) -> Gate {
    let whole = of_version(version, "");
    let others = whole.rules().map(|(name, ..)| name).filter(|name| *name != rule);
    of_version(version, &others.map(|name| format!("{name}=off")).collect::<Vec<_>>().join(","))
}

fn pairs(file: &str) -> Vec<(String, String)> {
    let spool = std::env::temp_dir().join(format!("cohobate-gate-{}", std::process::id()));
    std::fs::create_dir_all(&spool).expect("a directory for what is unpacked");
    let input = Input::open(file, &spool, 0, InputForm::default()).expect("the file can be read");
    let (mut rows, reader, mut pairs) = (input.rows().expect("it is open"), RowReader::default(), Vec::new());
    while let Some(row) = rows.next().expect("it can be read") {
        let record = row.ok().and_then(|row| reader.source(row.bytes).ok()?.into_record(&reader.rules).ok());
        let mut user = String::new();
        for line in record.into_iter().flat_map(|record| record.lines) {
            match line.role() {
                Role::User => line.text().clone_into(&mut user),
                Role::Assistant => pairs.push((user.clone(), line.text().to_owned())),
                Role::System | Role::Tool => {}
            }
        }
    }
    let _ = std::fs::remove_dir_all(spool);
    pairs
}

/// A million sets of user turns, one in ten like an earlier one.
fn near_duplicates() {
    const COUNT: usize = 1_000_000;
    let before = resident_bytes();
    let (start, mut near, mut found) = (Instant::now(), NearDuplicates::new(0.8), 0);
    for number in 0..COUNT {
        let text = english(if number % 10 == 9 { number - 5 } else { number }).0;
        found += usize::from(near.find(&text).is_some());
    }
    println!(
        "near-duplicates: {COUNT} texts, {found} found, {:.1} s, {:.0} bytes a text that is kept",
        start.elapsed().as_secs_f64(),
        (resident_bytes() - before) as f64 / (COUNT - found) as f64
    );
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Numbers that follow from each other, the same on every machine.
fn numbers(seed: usize) -> impl Iterator<Item = usize> {
    let mut state = seed as u64 * 0x9e37_79b9_7f4a_7c15 + 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) as usize
    })
}

fn english(seed: usize) -> (String, String) {
    const SYLLABLES: [&str; 16] =
        ["ri", "ver", "mo", "un", "tain", "en", "gine", "har", "bor", "vi", "olin", "cop", "per", "win", "dow", "plan"];
    let mut numbers = numbers(seed);
    let mut text = |words: usize| {
        let mut text = String::new();
        for word in 0..words {
            for _ in 0..=word % 3 {
                text.push_str(SYLLABLES[numbers.next().unwrap_or(0) % 16]);
            }
            text.push_str(if word % 12 == 11 { ". " } else { " " });
        }
        text
    };
    (text(20), text(240))
}

fn chinese(seed: usize) -> (String, String) {
    let mut numbers = numbers(seed);
    let mut text = |characters: usize| {
        (0..characters)
            .map(|at| {
                if at % 15 == 14 {
                    '。'
                } else {
                    char::from_u32(0x4e00 + (numbers.next().unwrap_or(0) % 3_000) as u32).unwrap_or('一')
                }
            })
            .collect::<String>()
    };
    (text(20), text(500))
}
