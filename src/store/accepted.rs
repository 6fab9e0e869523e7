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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_left_out_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let segment = |number| FoundSegment { number, length: 100, header: None, checksum: None };
        let losses =
            |segments: &[FoundSegment], durable| Accepted::read(directory.path()).losses_among(segments, durable);
        let (start, behind) = (Position::default(), Position { segment: 5, offset: 101 });
        let segments = [segment(2), segment(5)];
        let (first, second) = (Loss::Missing { first: 1, last: 1 }, Loss::Missing { first: 3, last: 4 });
        assert_eq!(losses(&segments, start), [first, second]);
        Accepted::read(directory.path()).add([first], directory.path()).unwrap();
        assert_eq!(losses(&segments, start), [second]);
        Accepted::read(directory.path()).add([second], directory.path()).unwrap();
        assert_eq!(losses(&segments, start), [], "the first one is still accepted");
        assert_eq!(losses(&segments, behind), [Loss::Behind { segment: 5, offset: 101 }]);
        let text = fs::read_to_string(directory.path().join("accepted-losses")).unwrap();
        assert_eq!(text, "segment 1 is missing\nsegments 3 to 4 are missing");
    }
}
