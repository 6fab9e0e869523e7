//! Opening a store and telling the person what was found.

use std::path::Path;
use std::sync::Arc;

use super::error::CliError;
use super::options::Options;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::report::words;
use crate::store::{DiskStore, Opened, Reader, Run, Snapshot, Spending, State, StoreError, Stored};

/// Opens the store for a run.
pub fn open(options: &Options) -> Result<DiskStore, CliError> {
    let path = options.store_path();
    let mut shown = 0;
    let mut progress = |done: u64, total: u64| {
        let percent = done * 100 / total.max(1);
        if percent >= shown + 10 {
            shown = percent;
            options.say(&format!("reading the journal of {}: {percent} %", path.display()));
        }
    };
    let (store, opened) = DiskStore::open(&path, &mut progress)?;
    tell(options, &path, &opened);
    Ok(store)
}

/// Opens the store for reading: with its index where it is free, from the journal alone where another process
/// holds it or the disk is read-only.
pub fn open_reader(options: &Options) -> Result<Arc<dyn Reader>, CliError> {
    let path = options.store_path();
    if !path.join("journal").is_dir() {
        return Err(StoreError::Missing { path }.into());
    }
    match DiskStore::open(&path, &mut |_, _| {}) {
        Ok((store, opened)) => {
            tell(options, &path, &opened);
            Ok(Arc::new(ReadStore(Some(store))))
        }
        Err(error @ (StoreError::Locked { .. } | StoreError::Io { .. })) => {
            options.say(&format!("{error}; reading what is committed so far"));
            Ok(Arc::new(Snapshot::read(&path)?))
        }
        Err(error) => Err(error.into()),
    }
}

/// A store that is only read, and closed in order when nobody reads it any more.
struct ReadStore(Option<DiskStore>);

impl ReadStore {
    fn inner(&self) -> &DiskStore {
        self.0.as_ref().expect("the store is there until it is dropped")
    }
}

impl Drop for ReadStore {
    fn drop(&mut self) {
        // An index that is not closed in order is checked or built anew by the next open.
        let _ = self.0.take().map(DiskStore::close);
    }
}

impl Reader for ReadStore {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        self.inner().answer(fingerprint)
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<State>, StoreError> {
        self.inner().state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, State)) -> Result<(), StoreError> {
        self.inner().for_each_state(visit)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.inner().runs()
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        self.inner().spending()
    }
}

fn tell(options: &Options, path: &Path, opened: &Opened) {
    if let Some(reason) = &opened.rebuilt {
        options.say(&format!("the index of {} was built anew from the journal: {reason}", path.display()));
    }
    if let Some(cut) = &opened.cut {
        let length = words::counted(cut.bytes.end - cut.bytes.start, "byte");
        options.say(&format!("{}: {length} of an unfinished write were cut off at the end", cut.path.display()));
    }
    for damage in &opened.damages {
        options.say(&format!(
            "{}: bytes {} to {} are damaged; what stood there is asked again",
            damage.path.display(),
            damage.bytes.start,
            damage.bytes.end
        ));
    }
}
