//! A flipped bit anywhere in a finished store or its output is reported or harmless, and costs at most one answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use cohobate::conversation::Dice;

use super::lab::Lab;
use super::questions::departures;
use super::recorder::read_log;
use super::{Findings, Table, dice, for_each_case, scaled, seed, words};
use crate::support::{Finished, copy_directory, files_below, finish};

static COSTLY: AtomicUsize = AtomicUsize::new(0);
static REPORTED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_flipped_bit_is_reported_or_harmless_and_costs_at_most_its_own_answer() {
    let seed = seed();
    let Some(lab) = Lab::new() else { return };
    let mut table = Table::default();
    for (number, (name, usual, full)) in
        [("journal", 100, 1_000), ("index", 40, 400), ("the other files", 50, 500), ("output", 10, 100)]
            .iter()
            .enumerate()
    {
        let found = for_each_case(scaled(*usual, *full), |case| {
            let mut dice = dice("a bit", seed, number * 100_000 + case);
            flip(&lab, name, &format!("flip-{number}-{case}"), &mut dice)
        });
        table.row(format!("bit flips: {name}"), found);
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!("{} flips cost an answer, {} were reported", count(&COSTLY), count(&REPORTED));
    table.finish();
}

/// The files of a kind that have a bit to flip.
fn files_of(kind: &str, root: &Path) -> Vec<PathBuf> {
    let is_of = |path: &PathBuf| {
        let inside = path.strip_prefix(root).unwrap();
        let part = inside.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
        let place = match part.as_deref() {
            None => "output",
            Some("journal") => "journal",
            Some("index") => "index",
            Some(_) => "the other files",
        };
        place == kind && fs::metadata(path).unwrap().len() > 0
    };
    let mut files: Vec<_> = files_below(root).into_iter().filter(is_of).collect();
    files.sort();
    files
}

fn flip(lab: &Lab, kind: &str, name: &str, dice: &mut Dice) -> Findings {
    let root = lab.place.path(name);
    copy_directory(&lab.place.path("finished"), &root);
    let files = files_of(kind, &root);
    let path = &files[dice.below(files.len())];
    let mut bytes = fs::read(path).unwrap();
    let (at, bit) = (dice.below(bytes.len()), dice.below(8));
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
    let mut found = look(lab, &root);
    found.tried = 1;
    if !found.is_clean() {
        let file = path.strip_prefix(&root).unwrap().display().to_string();
        let place = format!("{name}: bit {bit} of byte {at} of {file}");
        found.notes.iter_mut().for_each(|note| *note = format!("{note}\n  {place}"));
    }
    let _ = fs::remove_dir_all(&root);
    found
}

/// Verifies a store in which a bit is flipped, runs on it, and repairs it.
fn look(lab: &Lab, root: &Path) -> Findings {
    let mut found = Findings::default();
    let line = words(&["verify", &lab.input(), "--teacher", &lab.server.model(), "-o", "out.jsonl"]);
    let output_before = fs::read(root.join("out.jsonl")).unwrap();
    let verified = lab.run(root, &line);
    let (run, asked) = run_counting(lab, root);
    let is_right = fs::read(root.join("out.jsonl")).ok().as_ref() == Some(&lab.output);
    let has_harmed = asked > 0 || output_before != lab.output || run.code != Some(0);
    let is_reported = verified.code != Some(0) || run.code != Some(0) || run.stderr.contains("warning");
    COSTLY.fetch_add(asked, Ordering::Relaxed);
    REPORTED.fetch_add(usize::from(is_reported), Ordering::Relaxed);
    let text =
        || format!("{:?}: {}{}\n{:?}: {}", verified.code, verified.stdout, verified.stderr, run.code, run.stderr);
    found.wrong_if(has_harmed && !is_reported, || format!("not reported: {}", text()));
    found.wrong_if(run.code == Some(0) && !is_right, || format!("a wrong output with exit code 0: {}", text()));
    found.lost(asked.saturating_sub(1), || format!("{asked} answers asked again: {}", text()));
    let ended = [&verified, &run].iter().all(|finished| matches!(finished.code, Some(code) if code != 101));
    found.wrong_if(!ended, || format!("not ended in order: {}", text()));
    // As the hint says, after which there must be nothing left to do.
    let repaired = lab.run(root, &words(&["verify", "--repair"]));
    found.wrong_if(repaired.code != Some(0), || format!("repair: {}{}", repaired.stdout, repaired.stderr));
    let (last, more) = run_counting(lab, root);
    let is_right = last.code == Some(0) && fs::read(root.join("out.jsonl")).ok().as_ref() == Some(&lab.output);
    found.wrong_if(!is_right, || format!("after the repair {:?}: {}\nbefore: {}", last.code, last.stderr, text()));
    found.lost((asked + more).saturating_sub(asked.max(1)), || format!("{more} more asked after a repair: {}", text()));
    found
}

/// Runs the line, and counts what it asked.
fn run_counting(lab: &Lab, root: &Path) -> (Finished, usize) {
    let log = root.with_extension("log");
    let finished = finish(lab.recorder.record_fast(&mut lab.command(root, &lab.distill(&[])), &log));
    let asked = departures(&read_log(&log)).len();
    let _ = fs::remove_file(&log);
    (finished, asked)
}
