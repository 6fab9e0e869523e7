//! Opening a store and telling the person what was found.

use std::path::Path;
use std::sync::Arc;

use super::error::CliError;
use super::options::Options;
use crate::report::words;
use crate::store::{DiskStore, Opened, Reader, Snapshot, StoreError};

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
            Ok(Arc::new(store))
        }
        Err(error @ (StoreError::Locked { .. } | StoreError::Io { .. })) => {
            options.say(&format!("{error}; reading what is committed so far"));
            Ok(Arc::new(Snapshot::read(&path)?))
        }
        Err(error) => Err(error.into()),
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
