//! The rules for orphans against labelled messages. The texts are not part of the project: `COHOBATE_ORPHANS` names a folder with
//! `triples.jsonl`, whose rows have `id`, `messages` (the old dialogue up to the message in question) and `answers` (the new ones).
//! The labels and the texts' hashes are in `fixtures/orphans/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cohobate::quality::{FollowUp, OrphanLevel, RulesVersion, orphan_level};
use cohobate::statistics::wilson;
use serde_json::Value;

#[derive(Clone, Copy, Default)]
struct Counts {
    messages: u64,
    orphans: u64,
    hits: u64,
    right: u64,
}

/// A level by which a message counts as found.
type Finds = fn(&FollowUp<'_>) -> bool;

const RULES: [(&str, Finds); 3] = [
    ("strong", |seen| orphan_level(RulesVersion::Second, seen) == Some(OrphanLevel::Strong)),
    ("strong or weak", |seen| orphan_level(RulesVersion::Second, seen).is_some()),
    ("version 1", |seen| orphan_level(RulesVersion::First, seen).is_some()),
];

#[test]
fn strong_orphans_are_found_as_documented() {
    let Some(triples) = triples() else { return };
    for set in ["development", "held_out"] {
        let mut counts: BTreeMap<(&str, String), Counts> = BTreeMap::new();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/orphans").join(set).with_extension("tsv");
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [id, language, hash, label] = fields[..] else { panic!("{line}") };
            let (said, answers) = triples.get(id).unwrap_or_else(|| panic!("{id} is missing"));
            let texts: Vec<&str> = said.iter().chain(answers).map(String::as_str).collect();
            let found = blake3::hash(texts.join("\0").as_bytes()).to_hex();
            assert_eq!(&found[..hash.len()], hash, "{id}");
            let (user, before) = said.split_last().unwrap();
            let every_other = |from: usize| before[from..].iter().step_by(2).map(String::as_str).collect();
            let follow_up = FollowUp {
                user,
                users: every_other(0),
                heard: Vec::new(),
                replaced: every_other(1),
                answers: answers.iter().map(String::as_str).collect(),
            };
            for (rule, finds) in RULES {
                for language in [language, "all"] {
                    let count = counts.entry((rule, language.to_owned())).or_default();
                    let (is_orphan, is_found) = (label == "orphan", finds(&follow_up));
                    count.messages += 1;
                    count.orphans += u64::from(is_orphan);
                    count.hits += u64::from(is_found);
                    count.right += u64::from(is_found && is_orphan);
                }
            }
        }
        for ((rule, language), Counts { messages, orphans, hits, right }) in &counts {
            println!(
                "{set}, {language}, {rule}: {}; precision {}; recall {}",
                share(*orphans, *messages),
                share(*right, *hits),
                share(*right, *orphans)
            );
        }
        let all = counts[&("strong", "all".to_owned())];
        assert!(all.right * 10 >= all.hits * 7 && all.right * 2 >= all.orphans, "{set}");
    }
}

fn share(hits: u64, total: u64) -> String {
    let interval = wilson(hits, total)
        .map_or(String::new(), |interval| format!(" ({:.0} to {:.0} %)", 100.0 * interval.low, 100.0 * interval.high));
    format!("{hits} of {total}{interval}")
}

/// The old dialogue up to a message, and the new answers.
type Triple = (Vec<String>, Vec<String>);

/// The texts by id.
fn triples() -> Option<BTreeMap<String, Triple>> {
    let Some(folder) = std::env::var_os("COHOBATE_ORPHANS").map(PathBuf::from) else {
        println!("skipped: COHOBATE_ORPHANS does not name a folder with the texts");
        return None;
    };
    let texts =
        |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let read = std::fs::read_to_string(folder.join("triples.jsonl")).unwrap();
    let rows = read.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    Some(
        rows.map(|row| (row["id"].as_str().unwrap().to_owned(), (texts(&row["messages"]), texts(&row["answers"]))))
            .collect(),
    )
}
