//! Opening a store, and reporting what was found.

use std::path::Path;
use std::sync::Arc;

use super::{Context, JobError, JobEvent};
use crate::conversation::{ConversationKey, Fingerprint};
use crate::files;
use crate::store::{
    self, ConversationState, DiskStore, LostCalls, Opened, Reader, Run, Snapshot, Spending, StoreError, Stored,
};

/// Opens the store for a run.
pub fn open(path: &Path, context: &Context) -> Result<DiskStore, JobError> {
    let mut reported = 0;
    let mut progress = |done: u64, total: u64| {
        let percent = done * 100 / total.max(1);
        if percent >= reported + 10 {
            reported = percent;
            context.report(JobEvent::JournalRead { store: path.to_owned(), percent });
        }
    };
    let is_new = !exists(path);
    let (store, opened) = DiskStore::open(path, &mut progress)?;
    if is_new {
        // Without the file rows are read twice in the first pass, and nothing else differs.
        let _ = files::replace_file(&path.join(EDITION), b"2\n");
    }
    report(&opened, path, context);
    Ok(store)
}

/// Opens the store for reading: with its index where no other process holds it, from the journal alone where one does
/// or the disk is read-only.
pub fn open_reader(path: &Path, context: &Context) -> Result<Arc<dyn Reader>, JobError> {
    if !exists(path) {
        return Err(StoreError::Missing { path: path.to_owned() }.into());
    }
    match DiskStore::open(path, &mut |_, _| {}) {
        Ok((store, opened)) => {
            report(&opened, path, context);
            Ok(Arc::new(ReadStore(Some(store))))
        }
        Err(error @ (StoreError::Locked { .. } | StoreError::Io { .. })) => {
            context.report(JobEvent::ReadingJournalOnly { reason: error.to_string() });
            Ok(Arc::new(Snapshot::read(path)?))
        }
        Err(error) => Err(error.into()),
    }
}

/// The file of a store that names the version of reading that it was begun with.
const EDITION: &str = "edition";

/// True where the store may hold answers for rows as version 0.1.0 read them.
pub fn predates_edition(path: &Path) -> bool {
    exists(path) && !path.join(EDITION).exists()
}

/// True where there is a store.
pub fn exists(path: &Path) -> bool {
    path.join("journal").is_dir()
}

/// Accepts everything that the store has lost, so that it opens again, and says what that is.
pub fn accept_losses(path: &Path, context: &Context) -> Result<(), JobError> {
    for loss in store::accept_losses(path)? {
        context.report(JobEvent::Caution(format!("accepted as lost: {loss}")));
    }
    Ok(())
}

fn report(opened: &Opened, store: &Path, context: &Context) {
    if let Some(caution) = &opened.caution {
        context.report(JobEvent::Caution(caution.clone()));
    }
    if let Some(reason) = &opened.rebuilt {
        context.report(JobEvent::IndexRebuilt { store: store.to_owned(), reason: reason.clone() });
    }
    if let Some(cut) = &opened.cut {
        let bytes = cut.bytes.end - cut.bytes.start;
        context.report(JobEvent::TailCut { segment: cut.path.clone(), bytes });
    }
    for damage in &opened.damages {
        context.report(JobEvent::SegmentDamaged { segment: damage.path.clone(), bytes: damage.bytes.clone() });
    }
}

/// A store that is only read, and closed cleanly when its last reader goes.
struct ReadStore(Option<DiskStore>);

impl ReadStore {
    fn inner(&self) -> &DiskStore {
        self.0.as_ref().expect("the store is there until it is dropped")
    }
}

impl Drop for ReadStore {
    fn drop(&mut self) {
        // An index that was not closed cleanly is checked or rebuilt by the next open.
        let _ = self.0.take().map(DiskStore::close);
    }
}

impl Reader for ReadStore {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        self.inner().answer(fingerprint)
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        self.inner().state(key)
    }

    fn for_each_state(&self, visit: &mut dyn FnMut(ConversationKey, ConversationState)) -> Result<(), StoreError> {
        self.inner().for_each_state(visit)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.inner().runs()
    }

    fn lost(&self, fingerprint: &Fingerprint) -> Result<LostCalls, StoreError> {
        self.inner().lost(fingerprint)
    }

    fn spending(&self) -> Result<Spending, StoreError> {
        self.inner().spending()
    }
}
