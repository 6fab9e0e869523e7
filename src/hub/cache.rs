//! The cache directory, laid out as the Hub's own clients lay it out: `blobs/` holds each content once, by its hash,
//! `snapshots/COMMIT/` the files of a commit as links to them, `refs/` which commit a branch was at.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::HubError;
use super::reference::HubReference;
use super::settings::HubSettings;
use crate::files::{parent_of, replace_file};

/// A list of files in the cache that is larger is not read.
const TREE_BYTES_MAX: u64 = 256 << 20;

/// The part of the cache that belongs to one dataset.
pub struct Cache {
    root: PathBuf,
    locks: PathBuf,
}

impl Cache {
    /// Returns the cache of a dataset. Nothing is created yet.
    pub fn of(settings: &HubSettings, reference: &HubReference) -> Result<Self, HubError> {
        let Some(directory) = &settings.cache else {
            let hint = "set HF_HUB_CACHE or HOME to a directory";
            return Err(HubError::refused(format!("there is no directory to keep {reference} in"), hint));
        };
        let name = format!("datasets--{}--{}", reference.owner, reference.name);
        Ok(Self { root: directory.join(&name), locks: directory.join(".locks").join(name) })
    }

    /// Returns where a content is, or will be.
    pub fn blob(&self, hash: &str) -> PathBuf {
        self.root.join("blobs").join(hash)
    }

    /// Returns where an incomplete content is. Other clients have names of their own for theirs.
    pub fn incomplete(&self, hash: &str) -> PathBuf {
        self.root.join("blobs").join(format!("{hash}.cohobate.incomplete"))
    }

    /// Returns the file that is locked while a content is downloaded.
    pub fn lock(&self, hash: &str) -> PathBuf {
        self.locks.join(format!("{hash}.lock"))
    }

    /// Returns the directory with the files of a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// Puts a content under its name in a commit. A file system without links gets a copy.
    pub fn link(&self, commit: &str, file: &str, hash: &str) -> Result<PathBuf, HubError> {
        let path = self.snapshot(commit).join(file);
        let fault = |error: io::Error| HubError::cache(&path, &error);
        fs::create_dir_all(parent_of(&path)).map_err(fault)?;
        let up = "../".repeat(2 + file.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{hash}"));
        if fs::read_link(&path).is_ok_and(|now| now == target) {
            return Ok(path);
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            _ => {}
        }
        if symlink(&target, &path).is_err() && fs::read_link(&path).ok().as_ref() != Some(&target) {
            fs::copy(self.blob(hash), &path).map_err(fault)?;
        }
        Ok(path)
    }

    /// Returns the commit that a branch or tag was at when it was last resolved.
    pub fn commit_of(&self, revision: &str) -> Option<String> {
        let commit = fs::read_to_string(self.root.join("refs").join(revision)).ok()?.trim().to_owned();
        is_commit(&commit).then_some(commit)
    }

    /// Notes the commit of a branch or tag.
    pub fn note_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        write(&self.root.join("refs").join(revision), commit.as_bytes())
    }

    /// Returns the list of the files of a commit, as the Hub's own client keeps it.
    pub fn tree(&self, commit: &str) -> Option<Value> {
        let path = self.tree_path(commit);
        let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= TREE_BYTES_MAX);
        is_small.then(|| fs::read(&path).ok()).flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// Keeps the list of the files of a commit, which never changes.
    pub fn keep_tree(&self, commit: &str, tree: &Value) -> Result<(), HubError> {
        write(&self.tree_path(commit), tree.to_string().as_bytes())
    }

    fn tree_path(&self, commit: &str) -> PathBuf {
        self.root.join("trees").join(format!("{commit}.json"))
    }
}

/// True for the name of a commit: 40 hexadecimal digits.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hash(text)
}

/// True for the hash of a content, which is the name of a file here.
pub fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let fault = |error: io::Error| HubError::cache(path, &error);
    fs::create_dir_all(parent_of(path)).map_err(fault)?;
    replace_file(path, bytes).map_err(fault)
}
