//! Stores with small segments, so that a short run already has several.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cohobate::store::{Disk, DiskStore, Entry, Reader, Store};

/// Writes what a finished store holds to another one in about `count` segments.
pub fn in_segments(from: &Path, to: &Path, count: u64) {
    let (old, _) = DiskStore::open(from, &mut |_, _| {}).unwrap();
    let entries = entries(&old);
    old.close().unwrap();
    let bytes: u64 = segment_files(from).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let (new, _) = DiskStore::open_with(to, bytes / count, Arc::new(Disk), &mut |_, _| {}).unwrap();
    // One at a time: a segment ends between two commits.
    for entry in entries {
        new.commit(vec![entry]).unwrap();
    }
    new.close().unwrap();
    fs::copy(from.join("edition"), to.join("edition")).unwrap();
    assert_eq!(segment_files(to).len() as u64, count);
}

/// The entries of a store: its runs, then each conversation.
fn entries(store: &DiskStore) -> Vec<Entry> {
    let mut entries: Vec<Entry> = store.runs().unwrap().into_iter().map(Entry::Run).collect();
    let mut states = Vec::new();
    store.for_each_state(&mut |key, state| states.push((key, state))).unwrap();
    for (conversation, state) in states {
        for (slot, fingerprint) in state.history {
            let stored = store.answer(&fingerprint).unwrap().unwrap();
            let (run, model, answer) = (stored.run, stored.answer.model.clone(), stored.answer);
            entries.push(Entry::Answered { run, conversation, slot, fingerprint, model, answer });
        }
        entries.push(Entry::Closed { conversation, status: state.status });
    }
    entries
}

/// The files of a journal's segments, in order.
pub fn segment_files(store: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(store.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "journal")).collect();
    files.sort();
    files
}

/// Flips a byte in the middle of a file.
pub fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(path, bytes).unwrap();
}
