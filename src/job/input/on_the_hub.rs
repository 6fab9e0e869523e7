//! Inputs that begin with `hf://`: which files they are, and where they are once they are downloaded.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::dataset::{RemoteFiles, describes_layout};
use crate::files::name_of;
use crate::hub::{Follow, HubError, HubFile, HubReference, HubRevision, ParseReferenceError};
use crate::job::events::Phase;
use crate::job::settings::ReadSettings;
use crate::job::{Context, JobError, JobEvent};
use crate::worker::StopStage;

/// How often the bytes are reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// A file that describes a dataset is not larger.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 20;

/// A file of a dataset of the Hub, which is on this machine now.
pub struct Downloaded {
    /// Where it is.
    pub path: String,
    /// What it is called: its repository, its commit, and its path there.
    pub shown: String,
}

/// Downloads the files that an input names, as far as the cache has them not. Reports what of the dataset is not read.
pub fn download(name: &str, read: &ReadSettings, context: &Context) -> Result<Vec<Downloaded>, JobError> {
    let reference: HubReference = name.parse().map_err(|error: ParseReferenceError| {
        JobError::usage(format!("cannot read {name}: {error}"), HubReference::FORM)
    })?;
    let may_go_on = || *context.stop.borrow() == StopStage::Go;
    let quiet = Follow { may_go_on: &may_go_on, on_bytes: &|_| {} };
    let revision = read.hub.revision(&reference, &quiet)?;
    let files = match &reference.path {
        Some(path) => below(&reference, &revision, path)?,
        None => described(name, &reference, &revision, read, &quiet, context)?,
    };
    let total = files.iter().map(|file| file.bytes).sum();
    let shown_at = Mutex::new(None::<Instant>);
    let on_bytes = |bytes: u64| {
        let Ok(mut shown_at) = shown_at.lock() else { return };
        if shown_at.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL) {
            *shown_at = Some(Instant::now());
            let name = format!("downloading {}", reference.repository());
            context.report(JobEvent::Phase(Phase { name, done: bytes, total: Some(total), unit: "byte" }));
        }
    };
    let paths = read.hub.fetch(&reference, &revision, &files, &Follow { may_go_on: &may_go_on, on_bytes: &on_bytes });
    if shown_at.into_inner().is_ok_and(|at| at.is_some()) {
        context.report(JobEvent::PhaseEnded);
    }
    let named = paths?.into_iter().zip(files);
    let named = named
        .map(|(path, file)| Downloaded { path: name_of(path), shown: reference.shown(&revision.commit, &file.path) });
    Ok(named.collect())
}

/// Returns the files that the dataset's own description chooses.
fn described<'a>(
    name: &str,
    reference: &HubReference,
    revision: &'a HubRevision,
    read: &ReadSettings,
    follow: &Follow<'_>,
    context: &Context,
) -> Result<Vec<&'a HubFile>, JobError> {
    let is_description = |file: &&HubFile| describes_layout(&file.path) && file.bytes <= DESCRIPTION_BYTES_MAX;
    let descriptions: Vec<&HubFile> = revision.files.iter().filter(is_description).collect();
    read.hub.fetch(reference, revision, &descriptions, follow)?;
    let directory = read.hub.directory(reference, revision)?;
    let files: Vec<String> = revision.files.iter().map(|file| file.path.clone()).collect();
    let split = reference.split.as_deref().or(read.split.as_deref());
    let remote = RemoteFiles { name, directory: &directory, files: &files, config: reference.config.as_deref(), split };
    let chosen = remote.chosen().map_err(|mut error| {
        if error.reason.contains("configuration") {
            let plain = HubReference { config: None, split: None, ..reference.clone() };
            error.hint = format!("name one of them, as {plain}#CONFIG");
        }
        error
    })?;
    chosen.note.into_iter().for_each(|note| context.report(JobEvent::DirectoryRead(note)));
    let file = |path: &String| revision.files.binary_search_by(|file| file.path.cmp(path)).ok();
    Ok(chosen.files.iter().filter_map(file).map(|at| &revision.files[at]).collect())
}

/// Returns the file of that name, or all files below that folder.
fn below<'a>(reference: &HubReference, revision: &'a HubRevision, path: &str) -> Result<Vec<&'a HubFile>, HubError> {
    let start = format!("{path}/");
    let is_meant = |file: &&HubFile| file.path == path || file.path.starts_with(&start);
    let files: Vec<&HubFile> = revision.files.iter().filter(is_meant).collect();
    if files.is_empty() {
        let message = format!("{} has no file {path} at {}", reference.repository(), reference.revision_or_main());
        return Err(HubError::refused(message, "look at the dataset's files on the Hub"));
    }
    Ok(files)
}
