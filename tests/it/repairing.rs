//! A repair that is killed, or cut off from power, at any step: the next run buys the damaged answers alone.

use std::fs;
use std::io;
use std::path::Path;

use cohobate::conversation::Dice;
use cohobate::store::{Appendable, Disk, DiskStore, Medium, repair, repair_with, verify};

use crate::losses::{frames, known, segments, several_segments};
use crate::power_cut::Forgetful;
use crate::support::copy_directory;

/// Damages an answer in the first segment, and one in the third.
fn damaged_store(directory: &Path) {
    several_segments(directory);
    for (segment, frame) in [(0, 1), (2, 0)] {
        let path = &segments(directory)[segment];
        let (mut bytes, frames) = (fs::read(path).unwrap(), frames(path));
        bytes[frames[frame] + 30] ^= 0x10;
        fs::write(path, bytes).unwrap();
    }
}

const KEPT: u32 = 58;

fn assert_whole(directory: &Path, what: &str) {
    let (store, _) = DiskStore::open(directory, &mut |_, _| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(known(&store), KEPT, "{what}");
    store.close().unwrap();
    // Repairing once more ends what was interrupted.
    repair(directory).unwrap();
    let (store, _) = DiskStore::open(directory, &mut |_, _| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(known(&store), KEPT, "{what}, repaired again");
    store.close().unwrap();
    let found = verify(directory).unwrap();
    assert_eq!((found.damages, found.losses, found.disagreements), (vec![], vec![], vec![]), "{what}");
}

#[test]
fn a_repair_may_die_at_any_step() {
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11u64);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    let mut dice = Dice::new("repair", &seed.to_le_bytes());
    let original = tempfile::tempdir().unwrap();
    damaged_store(original.path());
    let steps = {
        let place = tempfile::tempdir().unwrap();
        copy_directory(original.path(), place.path());
        let disk = Forgetful::with(place.path());
        assert_eq!(repair_with(place.path(), &disk).unwrap().len(), 2);
        assert_whole(place.path(), "not interrupted");
        disk.steps()
    };
    assert!(steps > 10, "{steps}");
    for step in 0..steps {
        let place = tempfile::tempdir().unwrap();
        copy_directory(original.path(), place.path());
        let disk = Forgetful::with(place.path());
        disk.fail_at(step);
        repair_with(place.path(), &disk).unwrap_err();
        // A power cut, with every fate of what was not synced; and a kill, after which all of it is there.
        for cut in 0..4 {
            let after = tempfile::tempdir().unwrap();
            disk.moment().write(place.path(), after.path(), &mut dice);
            assert_whole(after.path(), &format!("power cut {cut} before step {step} (seed {seed})"));
        }
        assert_whole(place.path(), &format!("killed before step {step}"));
    }
    println!("{steps} steps, each killed once and cut off four times");
}

/// A file system without hard links, such as FAT.
struct WithoutLinks;

impl Medium for WithoutLinks {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        Disk.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        Disk.open(path)
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        Disk.create_directory(path)
    }
    fn link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Disk.sync_directory(path)
    }
}

#[test]
fn where_there_are_no_links_the_damaged_segments_are_copied() {
    let place = tempfile::tempdir().unwrap();
    damaged_store(place.path());
    let damaged = [0, 2].map(|segment| segments(place.path())[segment].clone());
    let before = damaged.each_ref().map(|path| fs::read(path).unwrap());
    // What an interrupted copy left is no copy.
    fs::write(damaged[0].with_extension("journal.copy"), "half").unwrap();
    assert_eq!(repair_with(place.path(), &WithoutLinks).unwrap().len(), 2);
    let aside = damaged.each_ref().map(|path| fs::read(path.with_extension("journal.damaged")).unwrap());
    assert!(aside == before, "the copies hold every byte of the damaged segments");
    let names = fs::read_dir(place.path().join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<_> = names.filter(|name| name.extension().is_some_and(|ending| ending == "copy")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_whole(place.path(), "repaired without links");
}

#[test]
fn a_second_repair_keeps_what_the_first_one_kept() {
    let place = tempfile::tempdir().unwrap();
    damaged_store(place.path());
    repair(place.path()).unwrap();
    let aside = place.path().join("journal/00000001.journal.damaged");
    let first = fs::read(&aside).unwrap();
    let path = &segments(place.path())[0];
    let (mut bytes, frames) = (fs::read(path).unwrap(), frames(path));
    bytes[frames[2] + 30] ^= 0x10;
    fs::write(path, bytes).unwrap();
    repair(place.path()).unwrap();
    assert_eq!(fs::read(&aside).unwrap(), first);
    assert!(place.path().join("journal/00000001.journal.damaged.2").exists());
    let (store, _) = DiskStore::open(place.path(), &mut |_, _| {}).unwrap();
    assert_eq!(known(&store), KEPT - 1);
}

#[test]
fn what_a_repair_of_version_0_1_0_left_is_finished_or_refused() {
    let place = tempfile::tempdir().unwrap();
    damaged_store(place.path());
    let path = &segments(place.path())[0];
    let (aside, partial) = (path.with_extension("journal.damaged"), path.with_extension("journal.partial"));
    // Killed between its two renames.
    fs::rename(path, &aside).unwrap();
    fs::write(&partial, "whole or not").unwrap();
    let (store, _) = DiskStore::open(place.path(), &mut |_, _| {}).unwrap();
    assert_eq!(known(&store), KEPT);
    store.close().unwrap();
    // And somebody deleted the damaged one.
    fs::remove_file(path).unwrap();
    fs::remove_file(&aside).unwrap();
    let error = DiskStore::open(place.path(), &mut |_, _| {}).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("may be a part of it only"), "{error}");
}
