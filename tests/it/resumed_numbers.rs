//! The numbers of a resumed run: what earlier runs have stored is counted before it is replayed.

use crate::support::{Place, conversation, files_below, jsonl};

/// Returns the numbers of the line `reused N of M turns`.
fn reused(stderr: &str) -> (String, u64) {
    let line =
        stderr.lines().find(|line| line.trim_start().starts_with("reused")).unwrap_or_else(|| panic!("{stderr}"));
    let (count, total) = line.trim_start().trim_start_matches("reused").trim().split_once(" of ").unwrap();
    (count.to_owned(), total.trim_end_matches(" turns").replace(',', "").parse().unwrap())
}

fn place(rows: usize, turns: usize) -> Place {
    let place = Place::new();
    let rows: Vec<_> = (0..rows).map(|row| conversation(&format!("plant number {row}"), turns)).collect();
    place.write("in.jsonl", jsonl(&rows));
    place
}

const COMMAND: [&str; 8] = ["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--concurrency", "2"];

#[test]
fn a_resumed_run_that_is_stopped_early_says_what_is_stored() {
    let place = place(60, 4);
    let first = place.run(&[&COMMAND[..], &["--max-requests", "150"]].concat());
    assert_eq!((first.code, reused(&first.stderr)), (Some(75), ("0".to_owned(), 240)), "{}", first.stderr);
    // Six calls: only a few conversations are replayed.
    let second = place.run(&[&COMMAND[..], &["--max-requests", "156"]].concat());
    assert_eq!((second.code, reused(&second.stderr)), (Some(75), ("150".to_owned(), 240)), "{}", second.stderr);
    assert!(second.stderr.contains("done       156 of 240 turns"), "{}", second.stderr);
    let third = place.complete(&COMMAND);
    assert_eq!(reused(&third.stderr), ("156".to_owned(), 240), "{}", third.stderr);
    let fourth = place.complete(&COMMAND);
    assert_eq!(reused(&fourth.stderr), ("240".to_owned(), 240), "{}", fourth.stderr);
}

#[test]
fn what_is_reused_never_exceeds_the_turns() {
    // Answers that the gate rejects are stored too, and so are those of equal conversations.
    let place = place(20, 3);
    let rows = place.read("in.jsonl");
    place.write("in.jsonl", [rows.as_str(), rows.as_str()].concat());
    for gate in ["off", "strict"] {
        let command = [&COMMAND[..], &["--gate", gate, "--max-tokens", "12"]].concat();
        place.run(&[&command[..], &["--max-requests", "40"]].concat());
        for _ in 0..2 {
            let finished = place.run(&command);
            let (count, total) = reused(&finished.stderr);
            let count: u64 = count.parse().unwrap();
            assert!(count <= total && total == 120, "{}", finished.stderr);
        }
        let finished = place.run(&command);
        assert!(finished.stderr.contains("new        0 answers"), "{}", finished.stderr);
    }
}

#[test]
fn a_count_of_a_damaged_store_ends_with_the_total_too() {
    let place = place(10, 3);
    place.complete(&COMMAND);
    // Segments are found damaged when the store is opened, answers when they are replayed.
    let path = place.path(".cohobate/journal/00000001.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let finished = place.run(&COMMAND);
    let (count, total) = reused(&finished.stderr);
    assert!(count.parse::<u64>().unwrap() < total && total == 30, "{}", finished.stderr);
    assert!(finished.stderr.contains("done"), "{}", finished.stderr);
    let again = place.complete(&COMMAND);
    assert_eq!(reused(&again.stderr), ("30".to_owned(), 30), "{}", again.stderr);
}

#[test]
fn marks_of_finished_rows_decide_only_the_order() {
    let place = place(20, 3);
    place.complete(&COMMAND);
    std::fs::rename(place.path(".cohobate"), place.path("old")).unwrap();
    let first = place.run(&[&COMMAND[..], &["--max-requests", "1"]].concat());
    assert_eq!(first.code, Some(75), "{}", first.stderr);
    // The new store gets the marks of the old one, which had every answer.
    let marks: Vec<_> = files_below(&place.path("old/rows")).into_iter().filter(|path| is_mark(path)).collect();
    assert_eq!(marks.len(), 1);
    let name = marks[0].strip_prefix(place.path("old")).unwrap();
    std::fs::copy(&marks[0], place.path(".cohobate").join(name)).unwrap();
    let second = place.complete(&COMMAND);
    assert_eq!(reused(&second.stderr), ("1".to_owned(), 60), "{}", second.stderr);
    assert!(second.stderr.contains("new        59 answers"), "{}", second.stderr);
    // Damaged marks are no marks.
    let mark = place.path(".cohobate").join(name);
    std::fs::write(&mark, "cohofin1 and more").unwrap();
    let third = place.complete(&COMMAND);
    assert_eq!(reused(&third.stderr), ("60".to_owned(), 60), "{}", third.stderr);
    assert!(std::fs::read(&mark).unwrap().len() > 40, "they are recorded again");
}

fn is_mark(path: &std::path::Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("finished-"))
}
