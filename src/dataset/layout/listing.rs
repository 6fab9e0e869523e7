//! The files below a directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::saved;
use crate::files::name_of;

/// Endings of files with rows, optionally followed by one for compression.
pub const ENDINGS: [&str; 8] = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather"];
const PACKINGS: [&str; 4] = [".gz", ".zst", ".bz2", ".xz"];
/// Endings of archives and compressed files that are not read.
const UNREADABLE: [&str; 12] =
    [".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".7z", ".rar", ".lz4", ".br", ".lzma"];
/// JSON files of a dataset directory that do not contain rows.
const NO_ROWS: [&str; 6] =
    ["config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "metadata.json"];
/// A directory that is nested deeper is an error.
const DEPTH_MAX: usize = 64;
/// A directory with more entries is an error.
const ENTRIES_MAX: usize = 1_000_000;

/// The files below a directory, by their paths inside it, sorted.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Files that appear to contain rows. A symbolic link to nothing is one too.
    pub files: Vec<String>,
    /// All other files but archives.
    pub others: Vec<String>,
    /// Archives, which are not read.
    pub unreadable: Vec<String>,
}

impl Listing {
    /// Lists a directory and those below it, without hidden ones unless they are wanted. Symbolic links are followed; a
    /// directory inside itself is entered once.
    pub fn of(directory: &Path, with_hidden: bool) -> Result<Self, String> {
        let mut walk = Walk { listing: Self::default(), entries: 0, above: Vec::new(), with_hidden };
        walk.enter(directory, "")?;
        let Self { files, others, unreadable } = &mut walk.listing;
        files.sort();
        others.sort();
        unreadable.sort();
        Ok(walk.listing)
    }

    /// Lists the files below a folder among files that are given by their paths.
    pub fn named(files: &[String], folder: &str, with_hidden: bool) -> Self {
        let mut listing = Self::default();
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for inside in files.iter().filter_map(|file| file.strip_prefix(&start)) {
            let is_hidden = inside.split('/').any(|part| part.starts_with('.'));
            if with_hidden || !is_hidden {
                listing.add(inside.rsplit('/').next().unwrap_or(inside), inside.to_owned());
            }
        }
        listing
    }

    fn add(&mut self, name: &str, inside: String) {
        let lower = name.to_lowercase();
        if holds_rows(&lower) {
            self.files.push(inside);
        } else if UNREADABLE.iter().any(|ending| lower.ends_with(ending)) {
            self.unreadable.push(inside);
        } else {
            self.others.push(inside);
        }
    }

    /// Puts a directory before each file's name.
    pub fn below(mut self, base: &str) -> Self {
        if !base.is_empty() {
            self.unreadable.iter_mut().for_each(|file| *file = format!("{base}/{file}"));
        }
        self
    }
}

struct Walk {
    listing: Listing,
    entries: usize,
    /// Device and inode of the directories that lead here.
    above: Vec<(u64, u64)>,
    with_hidden: bool,
}

impl Walk {
    fn enter(&mut self, directory: &Path, inside: &str) -> Result<(), String> {
        let unreadable = |error: std::io::Error| format!("cannot list {}: {error}", directory.display());
        let metadata = fs::metadata(directory).map_err(unreadable)?;
        let identity = (metadata.dev(), metadata.ino());
        if self.above.contains(&identity) {
            return Ok(());
        }
        if self.above.len() >= DEPTH_MAX {
            return Err(format!("{} is more than {DEPTH_MAX} levels deep", directory.display()));
        }
        let saved = saved::files_named_by_state(directory);
        self.above.push(identity);
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(format!("there are more than {ENTRIES_MAX} files in it"));
            }
            let (name, path) = (entry.file_name(), entry.path());
            let name = name_of(name);
            if name.starts_with('.') && !self.with_hidden {
                continue;
            }
            let inside = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
            if path.is_dir() {
                self.enter(&path, &inside)?;
            } else if saved.as_ref().is_none_or(|saved| !is_arrow(&name) || saved.contains(&name)) {
                self.listing.add(&name, inside);
            }
        }
        self.above.pop();
        Ok(())
    }
}

fn is_arrow(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("arrow"))
}

/// True for the name of a file with rows, in lower case.
fn holds_rows(name: &str) -> bool {
    let stem = PACKINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    // Written by `map` and `filter` of `datasets` beside what they read.
    let is_cache = stem.starts_with("cache-") && is_arrow(stem);
    !is_cache && !NO_ROWS.contains(&stem) && ENDINGS.iter().any(|ending| stem.ends_with(ending))
}
