use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::reading::Found;
use crate::conversation::{Digest, Settings};
use crate::dataset::{Input, RowIndex, SourceFile};
use crate::files::{checksum_of, name_of};

/// Changed whenever the files below, or what is made of a row, change.
const VERSION: u32 = 8;
/// First passes that a store remembers; the oldest go.
const REMEMBERED_MAX: usize = 8;
const FILES: [&str; 2] = ["rows", "order"];

/// Where a first pass over certain files, read in a certain way, is remembered.
///
/// A directory `rows/NAME` in the store: `rows` and `order` as they were written, `found.json` with the rest and the
/// checksums of the two, below a line with a hash of NAME and all that follows. NAME is a hash of all that decides what a
/// first pass finds; the files count by their path, length, times and inode.
pub struct Memory {
    directory: PathBuf,
    name: String,
    sources: Vec<SourceFile>,
}

/// A first pass that was remembered.
pub struct KnownPass {
    pub index: RowIndex,
    pub order: PathBuf,
    pub found: Found,
    pub directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct RememberedRecord {
    found: Found,
    checksums: [u32; 2],
}

impl Memory {
    /// Returns the place for `sources` read in this way; nothing where one of them cannot be read twice.
    pub fn of(store: &Path, sources: &[Input], how: Settings) -> Option<Self> {
        let mut name = how.with("version", VERSION);
        for source in sources {
            let path = source.plain_path()?.canonicalize().ok()?;
            let stamp = source.file().stamp();
            name = name.with(&name_of(path), format!("{stamp:?} {}", source.name));
        }
        let name = name.digest().to_string()[..32].to_owned();
        let sources = sources.iter().map(|source| source.file().clone()).collect();
        Some(Self { directory: store.join("rows").join(&name), name, sources })
    }

    /// Returns what is remembered, if it is whole.
    pub fn recall(&self, sources: &[Input]) -> Option<KnownPass> {
        let text = fs::read_to_string(self.directory.join("found.json")).ok()?;
        let (checksum, text) = text.split_once('\n')?;
        if checksum != self.checksum(text) {
            return None;
        }
        let record: RememberedRecord = serde_json::from_str(text).ok()?;
        if checksums(&self.directory)? != record.checksums {
            return None;
        }
        let index = RowIndex::open(&self.directory.join("rows"), sources).ok()?;
        let is_whole = index.row_count() == record.found.rows;
        let (order, directory) = (self.directory.join("order"), self.directory.clone());
        is_whole.then_some(KnownPass { index, order, found: record.found, directory })
    }

    /// Moves what a first pass has written in `from` here. Returns where it is then; nothing where that did not go.
    pub fn keep(&self, from: &Path, found: &Found) -> Option<PathBuf> {
        if !self.sources.iter().all(SourceFile::is_unchanged) {
            return None;
        }
        let parent = self.directory.parent()?;
        fs::create_dir_all(parent).ok()?;
        forget_oldest(parent);
        let record = RememberedRecord { found: found.clone(), checksums: checksums(from)? };
        let text = serde_json::to_string(&record).ok()?;
        let text = format!("{}\n{text}", self.checksum(&text));
        let partial = parent.join(format!("partial-{}", std::process::id()));
        let moved = fs::create_dir_all(&partial)
            .and_then(|()| fs::write(partial.join("found.json"), &text))
            .and_then(|()| FILES.iter().try_for_each(|name| fs::hard_link(from.join(name), partial.join(name))))
            .and_then(|()| {
                let _ = fs::remove_dir_all(&self.directory);
                fs::rename(&partial, &self.directory)
            });
        if moved.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        moved.ok().map(|()| self.directory.clone())
    }

    /// Returns the hash of what is remembered under this name.
    fn checksum(&self, text: &str) -> String {
        Digest::of_text("cohobate first pass 1", &format!("{}\n{text}", self.name)).to_string()
    }
}

fn forget_oldest(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let age = |entry: &fs::DirEntry| entry.metadata().and_then(|metadata| metadata.modified());
    let mut remembered: Vec<(SystemTime, PathBuf)> =
        entries.filter_map(|entry| Some((age(&entry).ok()?, entry.path()))).collect();
    remembered.sort();
    let surplus = (remembered.len() + 1).saturating_sub(REMEMBERED_MAX);
    for (_, path) in remembered.into_iter().take(surplus) {
        let _ = fs::remove_dir_all(path);
    }
}

fn checksums(directory: &Path) -> Option<[u32; 2]> {
    let checksum = |name: &str| Some(checksum_of(&directory.join(name)).ok()?.finalize());
    Some([checksum(FILES[0])?, checksum(FILES[1])?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{InputForm, RawRow, RowIndexBuilder, RowState};

    #[test]
    fn a_flip_of_any_bit_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (input, spool) = (directory.path().join("in.jsonl"), directory.path().join("spool"));
        fs::create_dir(&spool).unwrap();
        fs::write(&input, "{\"a\":1}\n").unwrap();
        let source = Input::open(input.to_str().unwrap(), &spool, 0, InputForm::default()).unwrap();
        let mut builder = RowIndexBuilder::new(&spool).unwrap();
        builder.add_source(&source);
        builder.push(&RawRow { bytes: b"{\"a\":1}", line: 1, offset: 0 }, RowState::Invalid).unwrap();
        builder.finish().unwrap();
        fs::write(spool.join("order"), 0u64.to_le_bytes()).unwrap();
        let sources = [source];
        let memory = Memory::of(directory.path(), &sources, Settings::default()).unwrap();
        let found = Found { rows: 1, invalid: 1, ..Found::default() };
        let kept = memory.keep(&spool, &found).unwrap();
        assert!(memory.recall(&sources).is_some());
        for name in ["rows", "order", "found.json"] {
            let path = kept.join(name);
            let whole = fs::read(&path).unwrap();
            for bit in 0..8 * whole.len() {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, &flipped).unwrap();
                assert!(memory.recall(&sources).is_none(), "{name}, bit {bit}");
            }
            fs::write(&path, &whole).unwrap();
        }
        let other = Memory::of(directory.path(), &sources, Settings::default().with("limit", 1)).unwrap();
        fs::rename(&kept, &other.directory).unwrap();
        assert!(other.recall(&sources).is_none(), "what was found with other settings");
    }
}
