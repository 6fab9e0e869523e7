//! A first pass over plain files is remembered, and never believed of other files.

use cohobate::conversation::Dice;
use serde_json::{Value, json};

use crate::support::{Finished, Place, conversation, jsonl};

const COMMAND: [&str; 6] = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"];

fn remembered(place: &Place) -> usize {
    std::fs::read_dir(place.path(".cohobate/rows")).map_or(0, Iterator::count)
}

fn distilled(place: &Place) -> (Finished, Vec<Value>) {
    let finished = place.complete(&COMMAND);
    (finished, place.rows("out.jsonl"))
}

#[test]
fn the_second_run_says_and_writes_the_same_from_what_it_remembers() {
    let place = Place::new();
    let rows = [conversation("kites", 2), json!({"messages": "none"}), conversation("tides", 3)];
    place.write("in.jsonl", format!("{}not json\n", jsonl(&rows)));
    let first = place.run(&COMMAND);
    assert_eq!((first.code, remembered(&place)), (Some(3), 1), "{}", first.stderr);
    let output = place.read("out.jsonl");
    let listed = place.read("out.jsonl.incomplete.jsonl");
    let second = place.run(&COMMAND);
    assert_eq!((second.code, remembered(&place)), (Some(3), 1), "{}", second.stderr);
    assert_eq!((place.read("out.jsonl"), place.read("out.jsonl.incomplete.jsonl")), (output, listed));
    let named = |finished: &Finished| -> Vec<String> {
        finished.stderr.lines().filter(|line| line.starts_with("in.jsonl:")).map(str::to_owned).collect()
    };
    assert_eq!(named(&first).len(), 2, "{}", first.stderr);
    assert_eq!(named(&first), named(&second));
}

#[test]
fn an_edited_file_is_read_again_even_with_its_old_time_and_length() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 1), conversation("tides", 1)]));
    distilled(&place);
    let times = std::fs::metadata(place.path("in.jsonl")).unwrap().modified().unwrap();
    place.write("in.jsonl", jsonl(&[conversation("tides", 1), conversation("kites", 1)]));
    let file = std::fs::File::options().write(true).open(place.path("in.jsonl")).unwrap();
    file.set_modified(times).unwrap();
    let (_, rows) = distilled(&place);
    assert_eq!((&rows[0]["id"], &rows[1]["id"]), (&json!("tides"), &json!("kites")));
}

#[test]
fn other_options_are_another_pass_and_only_a_few_are_kept() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..12).map(|row| conversation(&row.to_string(), 1)).collect::<Vec<_>>()));
    for limit in 1..=12 {
        place.complete(&[&COMMAND[..], &["--limit", &limit.to_string()]].concat());
        assert_eq!(place.rows("out.jsonl").len(), limit);
    }
    assert!(remembered(&place) <= 8, "{} are kept", remembered(&place));
}

#[test]
fn what_is_remembered_may_be_damaged_or_deleted() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&(0..20).map(|row| conversation(&row.to_string(), 2)).collect::<Vec<_>>()));
    let (_, rows) = distilled(&place);
    let directory = std::fs::read_dir(place.path(".cohobate/rows")).unwrap().next().unwrap().unwrap().path();
    for name in ["rows", "order", "found.json"] {
        let path = directory.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(distilled(&place).1, rows, "{name} was scribbled on");
        std::fs::write(&path, &bytes[..middle]).unwrap();
        assert_eq!(distilled(&place).1, rows, "{name} was cut");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(distilled(&place).1, rows, "{name} was deleted");
    }
}

/// Flips single bits at seeded places of everything that is remembered: `COHOBATE_TEST_FLIPS` sets how many (default 60).
#[test]
fn a_flipped_bit_in_what_is_remembered_changes_neither_the_rows_nor_the_exit_code() {
    let flips = std::env::var("COHOBATE_TEST_FLIPS").ok().and_then(|count| count.parse().ok()).unwrap_or(60u32);
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(8u64);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    let mut dice = Dice::new("flips", &seed.to_le_bytes());
    let place = Place::new();
    let mut rows: Vec<Value> = (0..6).map(|row| conversation(&row.to_string(), 2)).collect();
    rows.push(json!({"messages": "none"}));
    rows.push(json!({"messages": [{"role": "assistant", "content": "nothing is asked"}]}));
    place.write("in.jsonl", format!("{}not json\n", jsonl(&rows)));
    let expected = place.run(&COMMAND);
    assert_eq!((expected.code, remembered(&place)), (Some(3), 1), "{}", expected.stderr);
    let (output, listed) = (place.read("out.jsonl"), place.read("out.jsonl.incomplete.jsonl"));
    let directory = std::fs::read_dir(place.path(".cohobate/rows")).unwrap().next().unwrap().unwrap().path();
    let names = ["rows", "order", "found.json"];
    let lengths = names.map(|name| std::fs::metadata(directory.join(name)).unwrap().len() as usize);
    for _ in 0..flips {
        // Half of the flips hit what is small and says most.
        let name = if dice.below(2) == 0 { 2 } else { dice.below(3) };
        let (at, bit) = (dice.below(lengths[name]), dice.below(8));
        let path = directory.join(names[name]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
        let finished = place.run(&COMMAND);
        assert_eq!(finished.code, expected.code, "{} byte {at} bit {bit}: {}", names[name], finished.stderr);
        assert_eq!(place.read("out.jsonl"), output, "{} byte {at} bit {bit}", names[name]);
        assert_eq!(place.read("out.jsonl.incomplete.jsonl"), listed, "{} byte {at} bit {bit}", names[name]);
    }
}
