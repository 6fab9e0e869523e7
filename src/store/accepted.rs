//! Losses that the user has accepted: the file `accepted-losses`, a line each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::continuity::{FoundSegment, loss_behind, losses};
use super::error::StoreError;
use super::loss::Loss;
use super::place::Position;
use crate::files;

/// Lines of the file that are read.
const LINES_MAX: usize = 100_000;

/// The accepted losses of one store.
#[derive(Debug, Default)]
pub struct Accepted(BTreeSet<String>);

impl Accepted {
    /// Reads those of the store in `directory`.
    pub fn read(directory: &Path) -> Self {
        let text = fs::read_to_string(path_of(directory)).unwrap_or_default();
        Self(text.lines().take(LINES_MAX).map(str::to_owned).collect())
    }

    /// Returns the losses in a list of segments that are not accepted. Everything up to `durable` was there once.
    pub fn losses_among(&self, segments: &[FoundSegment], durable: Position) -> Vec<Loss> {
        let found = losses(segments).into_iter().chain(loss_behind(durable, segments));
        found.filter(|loss| !self.0.contains(&loss.to_string())).collect()
    }

    /// Adds losses, durably.
    pub fn add(mut self, losses: impl IntoIterator<Item = Loss>, directory: &Path) -> Result<(), StoreError> {
        self.0.extend(losses.into_iter().map(|loss| loss.to_string()));
        let text = self.0.into_iter().collect::<Vec<_>>().join("\n");
        let path = path_of(directory);
        files::replace_file(&path, text.as_bytes()).map_err(StoreError::io("write", &path))
    }
}

fn path_of(directory: &Path) -> PathBuf {
    directory.join("accepted-losses")
}
