//! Opening a store, and reporting what was found.

use std::path::Path;
use std::sync::Arc;

use super::{Context, JobError, JobEvent};
use crate::files;
use crate::store::shared::SharedReader;
use crate::store::{self, Damage, DiskStore, OnLoss, Opened, Reader, Snapshot, SnapshotFindings};

/// Opens the store for a run.
pub fn open(path: &Path, context: &Context) -> Result<DiskStore, JobError> {
    let is_new = !exists(path);
    let (store, opened) = DiskStore::open(path, &mut progress(path, context))?;
    if is_new {
        begin_edition(path);
    }
    report(&opened, path, context);
    Ok(store)
}

/// Records that a store is new.
pub fn begin_edition(path: &Path) {
    // Without the file rows are read twice in the first pass, and nothing else differs.
    let _ = files::replace_file(&path.join(EDITION), b"2\n");
}

/// Opens the store for reading what is committed. Keeps no run from starting and writes nothing to journal or index; what is
/// damaged or lost is reported and left as it is.
pub fn open_reader(path: &Path, on_loss: OnLoss, context: &Context) -> Result<Arc<dyn Reader>, JobError> {
    if let Some(access) = &context.shared {
        return Ok(Arc::new(SharedReader::new(Arc::clone(&access.database))));
    }
    let snapshot = Snapshot::open(path, on_loss, &mut progress(path, context))?;
    let SnapshotFindings { without_index, damages, losses } = snapshot.findings();
    if let Some(reason) = without_index {
        context.report(JobEvent::ReadingJournalOnly { reason: reason.clone() });
    }
    report_damages(damages, context);
    for loss in losses {
        context.report(JobEvent::Caution(format!("reading without what is lost: {loss}")));
    }
    Ok(Arc::new(snapshot))
}

/// Reports how much of the journal is read, in steps of ten percent.
pub(super) fn progress(store: &Path, context: &Context) -> impl FnMut(u64, u64) {
    let mut reported = 0;
    move |done, total| {
        let percent = done * 100 / total.max(1);
        if percent >= reported + 10 {
            reported = percent;
            context.report(JobEvent::JournalRead { store: store.to_owned(), percent });
        }
    }
}

/// The file of a store that names the version of reading that it was begun with.
const EDITION: &str = "edition";

/// True where the store may hold answers for rows as version 0.1.0 read them.
pub fn predates_edition(path: &Path) -> bool {
    exists(path) && !path.join(EDITION).exists()
}

/// Notes that the store may hold answers for rows as version 0.1.0 read them.
pub(super) fn forget_edition(path: &Path) {
    // With the file, a caution is missing before the first call.
    let _ = std::fs::remove_file(path.join(EDITION));
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
    report_damages(&opened.damages, context);
}

pub(super) fn report_damages(damages: &[Damage], context: &Context) {
    for damage in damages {
        context.report(JobEvent::SegmentDamaged { segment: damage.path.clone(), bytes: damage.bytes.clone() });
    }
}
