//! Power cuts of the real program: what it did to the disk is recorded, and cut off anywhere. By the letter of POSIX,
//! what was not synced may then be gone, there, or there in part. The program runs again on what is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cohobate::conversation::Dice;

use super::disk::{RecordedDisk, Survival};
use super::lab::Lab;
use super::questions::{Before, Departure, departures};
use super::recorder::{Event, read_log};
use super::segments::{damage, in_segments, segment_files};
use super::{Findings, Table, dice, for_each_case, keep, scaled, seed, words};
use crate::support::{copy_directory, files_below, finish};

/// Segments of the store that is repaired, and how many of them are damaged, each in one answer.
const SEGMENTS: u64 = 3;
const DAMAGES: usize = 2;
/// Crash states that are made of one recording.
const STATES_OF_A_RECORDING: usize = 10;

/// What is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AbsoluteStore,
    RelativeStore,
    ResumedRun,
    Repair,
    ExportedFile,
    ExportedDirectory,
}

/// Each kind with its share of two hundred states.
const KINDS: [(Kind, usize, &str); 6] = [
    (Kind::AbsoluteStore, 50, "power cut: distill, absolute store"),
    (Kind::RelativeStore, 40, "power cut: distill, relative store"),
    (Kind::ResumedRun, 30, "power cut: distill, resumed"),
    (Kind::Repair, 40, "power cut: verify --repair, three segments"),
    (Kind::ExportedFile, 20, "power cut: export to a file"),
    (Kind::ExportedDirectory, 20, "power cut: export to a directory"),
];

/// A run that was recorded: the disk before it, and what it did.
struct Recording {
    before: RecordedDisk,
    events: Vec<Event>,
    departures: Vec<Departure>,
}

#[test]
fn a_power_cut_at_any_moment_loses_no_acknowledged_answer() {
    let seed = seed();
    let Some(lab) = Lab::new() else { return };
    make_damaged(&lab);
    make_half(&lab);
    let mut table = Table::default();
    for (kind, share, name) in KINDS {
        let states = share * scaled(200, 500) / 200;
        let recordings: Vec<Recording> = (0..states.div_ceil(STATES_OF_A_RECORDING))
            .map(|number| record(&lab, kind, &format!("{kind:?}-{number}")))
            .collect();
        let found = for_each_case(states, |state| {
            let recording = &recordings[state / STATES_OF_A_RECORDING];
            try_state(&lab, kind, recording, &format!("{kind:?}-state-{state}"), &mut dice("a power cut", seed, state))
        });
        table.row(name, found);
    }
    table.finish();
}

/// A finished store of several segments, some of which are damaged.
fn make_damaged(lab: &Lab) {
    let store = lab.place.path("damaged/.cohobate");
    in_segments(&lab.place.path("finished/.cohobate"), &store, SEGMENTS);
    segment_files(&store).iter().take(DAMAGES).for_each(|path| damage(path));
}

/// A store that a kill left in the middle.
fn make_half(lab: &Lab) {
    let directory = lab.place.path("half");
    fs::create_dir(&directory).unwrap();
    let before = lab.server.requests();
    let mut run = lab.command(&directory, &lab.distill(&[])).stderr(Stdio::null()).spawn().unwrap();
    while lab.server.requests() < before + 12 {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.kill().unwrap();
    run.wait().unwrap();
}

/// The command that is cut off.
fn line_of(lab: &Lab, kind: Kind, root: &Path) -> Vec<String> {
    match kind {
        Kind::AbsoluteStore => lab.distill(&["--store", &root.join("new/deep/store").display().to_string()]),
        Kind::RelativeStore | Kind::ResumedRun => lab.distill(&[]),
        Kind::Repair => words(&["verify", "--repair"]),
        Kind::ExportedFile => export(lab, "out.jsonl", &[]),
        Kind::ExportedDirectory => export(lab, "shards/", &[]),
    }
}

fn export(lab: &Lab, output: &str, more: &[&str]) -> Vec<String> {
    [words(&["export", &lab.input(), "--teacher", &lab.server.model(), "-o", output]), words(more)].concat()
}

fn prepare(lab: &Lab, kind: Kind, root: &Path) {
    fs::create_dir(root).unwrap();
    match kind {
        Kind::AbsoluteStore | Kind::RelativeStore => {}
        Kind::ResumedRun => copy_directory(&lab.place.path("half"), root),
        Kind::Repair => copy_directory(&lab.place.path("damaged"), root),
        Kind::ExportedFile | Kind::ExportedDirectory => {
            copy_directory(&lab.place.path("finished/.cohobate"), &root.join(".cohobate"));
            let output = if kind == Kind::ExportedFile { "out.jsonl" } else { "shards/" };
            lab.complete(root, &export(lab, output, &["--limit", "3"]));
        }
    }
}

/// Runs the command in a directory of its own and checks that the log explains what is there afterwards.
fn record(lab: &Lab, kind: Kind, name: &str) -> Recording {
    let (root, log) = (lab.place.path(name), lab.place.path(&format!("{name}.log")));
    prepare(lab, kind, &root);
    copy_directory(&root, &lab.place.path(&format!("{name}.old")));
    let before = RecordedDisk::of(&root);
    let finished = finish(lab.recorder.record(&mut lab.command(&root, &line_of(lab, kind, &root)), &log));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let events = read_log(&log);
    let replayed = lab.place.path(&format!("{name}.replayed"));
    let mut disk = before.clone();
    for event in &events {
        disk.apply(event);
    }
    disk.cut(&replayed, Survival::EVERYTHING, &mut dice("no choice", 0, 0));
    assert_eq!(contents(&replayed), contents(&root), "{kind:?}: the log does not explain what is on disk");
    let departures = departures(&events);
    Recording { before, events, departures }
}

fn try_state(lab: &Lab, kind: Kind, recording: &Recording, name: &str, dice: &mut Dice) -> Findings {
    let cut_after = moment(&recording.events, dice);
    let survival = Survival::draw(dice);
    let (root, crashed) = (lab.place.path(name), lab.place.path(&format!("{name}-crashed")));
    let mut disk = recording.before.clone();
    recording.events[..cut_after].iter().for_each(|event| disk.apply(event));
    disk.cut(&root, survival, dice);
    copy_directory(&root, &crashed);
    let before = Before::event(&recording.events, &recording.departures, cut_after, "out.jsonl");
    let mut found = match kind {
        Kind::AbsoluteStore | Kind::RelativeStore | Kind::ResumedRun => {
            lab.resume(&root, &line_of(lab, kind, &root), &before)
        }
        Kind::Repair => repair_again(lab, &root),
        Kind::ExportedFile | Kind::ExportedDirectory => export_again(lab, kind, &root, before.has_said_done),
    };
    found.tried = 1;
    if !found.is_clean() {
        let kept = keep(&crashed, name);
        let last: Vec<_> = recording.events[..cut_after].iter().rev().take(3).map(brief).collect();
        let place = format!("{name}: cut after event {cut_after} of {}, {survival:?}", recording.events.len());
        let place = format!("{place}\n  before: {last:?}\n  left: {}", kept.display());
        found.notes.iter_mut().for_each(|note| *note = format!("{note}\n  {place}"));
    }
    let _ = (fs::remove_dir_all(&root), fs::remove_dir_all(&crashed));
    found
}

fn repair_again(lab: &Lab, root: &Path) -> Findings {
    let mut found = Findings::default();
    let repaired = lab.run(root, &line_of(lab, Kind::Repair, root));
    let is_sound = repaired.code == Some(0) && repaired.stdout.contains("the store is sound");
    found.wrong_if(!is_sound, || format!("repair {:?}: {}{}", repaired.code, repaired.stdout, repaired.stderr));
    lab.finish_run(root, &lab.distill(&[]), &mut found, |asked, found| {
        let count = asked.len();
        found.lost(count.saturating_sub(DAMAGES), || format!("{count} answers asked again, {DAMAGES} were damaged"));
    });
    found
}

/// After a cut the old output is there or the new one, whole; a directory perhaps under the name of one set aside. The next export writes the new one.
fn export_again(lab: &Lab, kind: Kind, root: &Path, has_said_done: bool) -> Findings {
    let mut found = Findings::default();
    let name = if kind == Kind::ExportedFile { "out.jsonl" } else { "shards" };
    let of_first = |ending: &str| contents(&lab.place.path(&format!("{kind:?}-0{ending}")).join(name));
    let (old, new, there) = (of_first(".old"), of_first(""), contents(&root.join(name)));
    // A directory cannot replace another one in one step: for a moment the old one has another name.
    let set_aside = there.is_empty() && set_aside(root, name).iter().any(|aside| contents(aside) == old);
    found.wrong_if(there != old && there != new && !set_aside, || {
        let names: Vec<_> = there.iter().map(|(name, _)| name).collect();
        format!("{name} is neither the old nor the new output: {names:?}")
    });
    found.wrong_if(has_said_done && there != new, || format!("{name} was written, and is not there"));
    let again = lab.run(root, &line_of(lab, kind, root));
    found.wrong_if(again.code != Some(0), || format!("exit code {:?}: {}", again.code, again.stderr));
    found.wrong_if(contents(&root.join(name)) != new, || format!("the second {name} differs"));
    found.look_for_key(root);
    found
}

/// The paths beside an output that are named after it.
fn set_aside(root: &Path, name: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let is_aside = |path: &PathBuf| {
        let other = path.file_name().unwrap().to_string_lossy().into_owned();
        other.strip_prefix(name).is_some_and(|ending| ending.starts_with('.'))
    };
    paths.filter(is_aside).collect()
}

/// Draws how many events happen before the power goes. Names change rarely and matter much: half of the cuts come within
/// a few events after such a change, half of these after a rename. Some come at the end of the run, some between a write
/// and the end of its sync, the others anywhere.
fn moment(events: &[Event], dice: &mut Dice) -> usize {
    let numbers = |wanted: &dyn Fn(&Event) -> bool| {
        (0..events.len()).filter(|number| wanted(&events[*number])).collect::<Vec<_>>()
    };
    let soon_after = |numbers: &[usize], dice: &mut Dice| match numbers.len() {
        0 => events.len(),
        count => (numbers[dice.below(count)] + 1 + dice.below(4)).min(events.len()),
    };
    match dice.below(12) {
        0 => events.len(),
        1..=3 => soon_after(&numbers(&|event| matches!(event, Event::Rename { .. })), dice),
        4..=6 => soon_after(&numbers(&Event::changes_names), dice),
        7 | 8 => {
            let begins = numbers(&|event| matches!(event, Event::SyncBegin { .. }));
            begins[dice.below(begins.len())] + 1
        }
        _ => soon_after(&numbers(&Event::is_on_disk), dice),
    }
}

/// Every file below a directory with its content; a file is its own content.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if !path.exists() {
        return Vec::new();
    }
    let files = if path.is_dir() { files_below(path) } else { vec![path.to_owned()] };
    let inside = |file: &PathBuf| file.strip_prefix(path).unwrap().to_owned();
    let mut files: Vec<_> = files.into_iter().map(|file| (inside(&file), fs::read(&file).unwrap())).collect();
    files.sort();
    files
}

/// An event without its bytes.
fn brief(event: &Event) -> String {
    match event {
        Event::Write { inode, offset, bytes } => format!("Write {inode} at {offset}, {} bytes", bytes.len()),
        Event::Send { bytes, .. } => format!("Send {} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}
