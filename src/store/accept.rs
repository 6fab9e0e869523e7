//! Accepts what a store has lost.

use std::path::Path;

use super::accepted::Accepted;
use super::disk::DiskStore;
use super::error::StoreError;
use super::index_state::{IndexState, StateKind};
use super::journal::Journal;
use super::lock::Lock;
use super::loss::Loss;
use super::place::Position;

/// Accepts everything that is missing in the store in `directory` now, so that it opens again. Returns what that is.
pub fn accept_losses(directory: &Path) -> Result<Vec<Loss>, StoreError> {
    let mut accepted = Vec::new();
    if !directory.join("index.state").exists() && !directory.join("journal").is_dir() {
        return Ok(accepted);
    }
    accept(directory, &changed_segments(directory)?, &mut accepted)?;
    loop {
        match DiskStore::open(directory, &mut |_, _| {}) {
            Ok((store, _)) => return store.close().map(|()| accepted),
            Err(StoreError::Lost { losses, .. }) if losses.iter().any(|loss| !accepted.contains(loss)) => {
                accept(directory, &losses, &mut accepted)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What only the checksums of whole segments show: `verify` reports it, and nothing else stops for it.
fn changed_segments(directory: &Path) -> Result<Vec<Loss>, StoreError> {
    let segments = Journal::open_read_only(&directory.join("journal")).found_segments(true)?;
    let mut losses = Accepted::read(directory).losses_among(&segments, Position::default());
    losses.retain(|loss| matches!(loss, Loss::Changed { .. }));
    Ok(losses)
}

fn accept(directory: &Path, losses: &[Loss], accepted: &mut Vec<Loss>) -> Result<(), StoreError> {
    if losses.is_empty() {
        return Ok(());
    }
    let (_lock, _) = Lock::take(directory)?;
    let (behind, others): (Vec<Loss>, Vec<Loss>) = losses.iter().partition(|loss| matches!(loss, Loss::Behind { .. }));
    if !behind.is_empty() {
        // What was behind the journal's end is accepted by forgetting that it was there.
        IndexState { kind: StateKind::Distrusted, durable: Position::default() }.write(directory)?;
    }
    Accepted::read(directory).add(others, directory)?;
    accepted.extend(losses);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::conversation::Fingerprint;
    use crate::store::Store;
    use crate::store::entry::{Entry, LostCalls};

    #[test]
    fn a_directory_without_a_store_stays_empty() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(accept_losses(directory.path()).unwrap(), []);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_journal_that_is_gone_as_a_whole_is_accepted_once() {
        let directory = tempfile::tempdir().unwrap();
        let open = || DiskStore::open(directory.path(), &mut |_, _| {});
        let (store, _) = open().unwrap();
        store.commit(vec![Entry::Lost { fingerprint: Fingerprint([1; 32]), lost: LostCalls::default() }]).unwrap();
        store.close().unwrap();
        assert_eq!(accept_losses(directory.path()).unwrap(), [], "nothing is lost");
        fs::remove_dir_all(directory.path().join("journal")).unwrap();
        assert!(matches!(open(), Err(StoreError::Lost { .. })));
        assert!(!accept_losses(directory.path()).unwrap().is_empty());
        assert_eq!(accept_losses(directory.path()).unwrap(), []);
        open().unwrap().0.close().unwrap();
    }

    /// Three closed segments, and one that is open.
    fn segments(directory: &Path) -> Vec<std::path::PathBuf> {
        let medium = std::sync::Arc::new(crate::store::Disk);
        let (store, _) = DiskStore::open_with(directory, 100, medium, &mut |_, _| {}).unwrap();
        for number in 1..=4 {
            let lost = LostCalls { calls: 1, reason: "r".repeat(90) };
            store.commit(vec![Entry::Lost { fingerprint: Fingerprint([number; 32]), lost }]).unwrap();
        }
        store.close().unwrap();
        let names = fs::read_dir(directory.join("journal")).unwrap();
        let mut paths: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert_eq!(paths.len(), 4);
        paths
    }

    #[test]
    fn a_changed_segment_and_a_missing_one_are_accepted_together() {
        let directory = tempfile::tempdir().unwrap();
        let paths = segments(directory.path());
        let mut bytes = fs::read(&paths[0]).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&paths[0], bytes).unwrap();
        fs::remove_file(&paths[2]).unwrap();
        let losses = accept_losses(directory.path()).unwrap();
        assert_eq!(losses, [Loss::Changed { segment: 1 }, Loss::Missing { first: 3, last: 3 }]);
        assert_eq!(accept_losses(directory.path()).unwrap(), []);
    }

    #[test]
    fn a_store_without_a_journal_or_without_a_state_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let paths = segments(directory.path());
        fs::remove_file(directory.path().join("index.state")).unwrap();
        fs::remove_file(&paths[1]).unwrap();
        assert_eq!(accept_losses(directory.path()).unwrap(), [Loss::Missing { first: 2, last: 2 }]);
    }
}
