//! Datasets of the Hugging Face Hub as input: `hf://datasets/OWNER/NAME[@REVISION][#CONFIG/SPLIT]`.
//!
//! A reference ([`HubReference`]) is resolved to a commit and the list of its files (`revision`). Those that are read are
//! downloaded (`download`) into the cache that the Hub's own clients use (`cache`), so that a file is downloaded once for
//! all of them. `client` sends every request: it knows when to try again, and who gets the token. Nothing is uploaded.

mod cache;
mod client;
mod download;
mod error;
mod reference;
mod revision;
mod settings;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cache::Cache;
use client::Client;

pub use error::{HubError, HubErrorKind};
pub use reference::{HubReference, ParseReferenceError};
pub use revision::{HubFile, HubRevision};
pub use settings::HubSettings;

/// The Hub, as one job sees it: what was resolved once stays the same commit.
#[derive(Debug, Default)]
pub struct Hub {
    settings: HubSettings,
    resolved: Mutex<HashMap<String, Arc<HubRevision>>>,
}

/// How a download is followed, and ended early.
pub struct Follow<'a> {
    /// False once nobody waits for the result any more.
    pub may_go_on: &'a (dyn Fn() -> bool + Sync),
    /// Called with the bytes that have arrived so far, those of earlier runs included.
    pub on_bytes: &'a (dyn Fn(u64) + Sync),
}

impl Hub {
    /// The Hub at an endpoint, with a token and a cache.
    pub fn new(settings: HubSettings) -> Self {
        Self { settings, resolved: Mutex::default() }
    }

    /// Returns the commit of a reference and its files. The same reference is resolved once.
    pub fn revision(&self, reference: &HubReference, follow: &Follow<'_>) -> Result<Arc<HubRevision>, HubError> {
        let name = reference.at_revision();
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = resolved.get(&name) {
            return Ok(Arc::clone(known));
        }
        let cache = Cache::of(&self.settings, reference)?;
        let found = client::run(async {
            let client = Client::new(&self.settings, reference, follow)?;
            revision::resolve(&client, &cache, reference).await
        })?;
        let found = Arc::new(found);
        resolved.insert(name, Arc::clone(&found));
        Ok(found)
    }

    /// Downloads files of a commit, as far as they are not in the cache, and returns their paths there.
    pub fn fetch(
        &self,
        reference: &HubReference,
        revision: &HubRevision,
        files: &[&HubFile],
        follow: &Follow<'_>,
    ) -> Result<Vec<PathBuf>, HubError> {
        let cache = Cache::of(&self.settings, reference)?;
        client::run(async {
            let client = Client::new(&self.settings, reference, follow)?;
            let (mut paths, mut before) = (Vec::new(), 0);
            for file in files {
                let on_bytes = |bytes: u64| (follow.on_bytes)(before + bytes);
                paths.push(download::file(&client, &cache, revision, file, &on_bytes).await?);
                before += file.bytes;
                (follow.on_bytes)(before);
            }
            Ok(paths)
        })
    }

    /// Returns the directory in the cache that holds the files of a commit under their own names.
    pub fn directory(&self, reference: &HubReference, revision: &HubRevision) -> Result<PathBuf, HubError> {
        Ok(Cache::of(&self.settings, reference)?.snapshot(&revision.commit))
    }
}
