//! A disk of any size that becomes full: the run stops with its reason, and with space again the same command finishes.

use super::lab::Lab;
use super::questions::{Before, departures};
use super::recorder::{Event, read_log};
use super::{Findings, Table, for_each_case, keep};
use crate::support::finish;

/// From no room at all to as much as a run writes.
const SIZES: usize = 33;

#[test]
fn a_disk_of_thirty_three_sizes_becomes_full_and_nothing_is_lost() {
    let Some(lab) = Lab::new() else { return };
    let log = lab.place.path("undisturbed.log");
    let directory = lab.place.path("undisturbed");
    std::fs::create_dir(&directory).unwrap();
    finish(lab.recorder.record_fast(&mut lab.command(&directory, &lab.distill(&[])), &log));
    let written = |event: &Event| if let Event::Write { bytes, .. } = event { bytes.len() } else { 0 };
    let total: usize = read_log(&log).iter().map(written).sum();
    let found = for_each_case(SIZES, |size| fill(&lab, size, (total * size / (SIZES - 1)) as u64));
    let mut table = Table::default();
    table.row("full disk: distill, store and output", found);
    table.finish();
}

fn fill(lab: &Lab, size: usize, bytes: u64) -> Findings {
    let (name, line) = (format!("disk-{size}"), lab.distill(&[]));
    let (root, log) = (lab.place.path(&name), lab.place.path(&format!("{name}.first.log")));
    std::fs::create_dir(&root).unwrap();
    let finished = finish(lab.recorder.fill_up(&mut lab.command(&root, &line), &log, bytes));
    let events = read_log(&log);
    let before = Before::event(&events, &departures(&events), events.len(), "out.jsonl");
    let mut found = lab.resume(&root, &line, &before);
    let stderr = &finished.stderr;
    // An index or a memory of the input that has no room is no reason to stop.
    let says_why = stderr.contains("No space left on device") && stderr.contains("hint: ");
    let is_in_order = finished.code == Some(0) || finished.code == Some(4) && says_why;
    found.wrong_if(!is_in_order || stderr.contains("panicked"), || format!("exit code {:?}: {stderr}", finished.code));
    found.tried = 1;
    if !found.is_clean() {
        let kept = keep(&root, &name);
        found.notes.iter_mut().for_each(|note| {
            *note =
                format!("{note}\n  after a disk with room for {bytes} bytes, {:?}, {}", finished.code, kept.display());
        });
    }
    found
}
