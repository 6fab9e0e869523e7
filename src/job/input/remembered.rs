use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::reading::Found;
use crate::conversation::Settings;
use crate::dataset::{Input, RowIndex, Stamp};

/// Changed whenever the files below, or what is made of a row, change.
const VERSION: u32 = 6;
/// First passes that a store remembers; the oldest go.
const REMEMBERED_MAX: usize = 8;
const FILES: [&str; 2] = ["rows", "order"];

/// Where a first pass over certain files, read in a certain way, is remembered.
///
/// A directory `rows/NAME` in the store: `rows` and `order` as they were written, `found.json` with the rest and the
/// checksums of the two. NAME is a hash of all that decides what a first pass finds; the files count by their path,
/// length, times and inode.
pub struct Memory {
    directory: PathBuf,
    stamps: Vec<(PathBuf, Stamp)>,
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
        let mut stamps = Vec::new();
        for source in sources {
            let path = source.plain_path()?.canonicalize().ok()?;
            let stamp = Stamp::of(&fs::metadata(&path).ok()?);
            name = name.with(&path.to_string_lossy(), format!("{stamp:?} {}", source.name));
            stamps.push((path, stamp));
        }
        let name = name.digest().to_string();
        Some(Self { directory: store.join("rows").join(&name[..32]), stamps })
    }

    /// Returns what is remembered, if it is whole.
    pub fn recall(&self, sources: &[Input]) -> Option<KnownPass> {
        let record: RememberedRecord =
            serde_json::from_slice(&fs::read(self.directory.join("found.json")).ok()?).ok()?;
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
        let is_still = |(path, stamp): &(PathBuf, Stamp)| fs::metadata(path).is_ok_and(|now| Stamp::of(&now) == *stamp);
        if !self.stamps.iter().all(is_still) {
            return None;
        }
        let parent = self.directory.parent()?;
        fs::create_dir_all(parent).ok()?;
        forget_oldest(parent);
        let record = RememberedRecord { found: found.clone(), checksums: checksums(from)? };
        let partial = parent.join(format!("partial-{}", std::process::id()));
        let moved = fs::create_dir_all(&partial)
            .and_then(|()| fs::write(partial.join("found.json"), serde_json::to_vec(&record)?))
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
    const READ_BYTES: usize = 1 << 20;
    let mut buffer = vec![0; READ_BYTES];
    let mut checksum = |name: &str| -> Option<u32> {
        let (mut file, mut hasher) = (File::open(directory.join(name)).ok()?, crc32fast::Hasher::new());
        loop {
            match file.read(&mut buffer).ok()? {
                0 => return Some(hasher.finalize()),
                length => hasher.update(&buffer[..length]),
            }
        }
    };
    Some([checksum(FILES[0])?, checksum(FILES[1])?])
}
