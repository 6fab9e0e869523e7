//! Damaged segments that a repair keeps beside the new ones: `*.damaged`, then `*.damaged.2`.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::medium::Medium;
use super::segment::{names_in, number_of, read_range, segment_path};

/// Bytes that are copied at a time.
const COPY_BYTES: u64 = 4 << 20;
/// Damaged files of one segment that are kept.
const ASIDE_MAX: u32 = 1_000;

/// Gives the damaged segment its second name. One that an interrupted repair gave it already stays; one of an earlier
/// repair is never overwritten.
pub fn keep_aside(path: &Path, medium: &dyn Medium) -> Result<(), StoreError> {
    let inode = |path: &Path| fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    let own = inode(path).map_err(StoreError::io("read", path))?;
    for copy in 1..ASIDE_MAX {
        let aside = damaged_name(path, copy);
        match inode(&aside) {
            Ok(found) if found == own => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return link_or_copy(path, &aside, medium),
            Err(error) => return Err(StoreError::io("read", &aside)(error)),
        }
    }
    Err(StoreError::io("keep a copy of", path)(io::Error::other("there are too many *.damaged files; move them away")))
}

/// Links a file, or copies it where the file system has no links.
fn link_or_copy(from: &Path, to: &Path, medium: &dyn Medium) -> Result<(), StoreError> {
    match medium.link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(StoreError::io("create", to)(error)),
        Err(_) => {
            let length = fs::metadata(from).map_err(StoreError::io("read", from))?.len();
            // Under another name first: half a copy must not be taken for the whole.
            let partial = to.with_extension("copy");
            let _ = medium.remove(&partial);
            write_parts(from, &partial, &[], std::slice::from_ref(&(0..length)), medium)?;
            medium.rename(&partial, to).map_err(StoreError::io("create", to))
        }
    }
}

/// Writes `head` and parts of a file to a new one, and syncs it.
pub fn write_parts(
    from: &Path,
    to: &Path,
    head: &[u8],
    parts: &[Range<u64>],
    medium: &dyn Medium,
) -> Result<(), StoreError> {
    let mut file = medium.create(to).map_err(StoreError::io("create", to))?;
    file.append(head).map_err(StoreError::io("write", to))?;
    for part in parts {
        let mut start = part.start;
        while start < part.end {
            let end = part.end.min(start + COPY_BYTES);
            file.append(&read_range(from, &(start..end))?).map_err(StoreError::io("write", to))?;
            start = end;
        }
    }
    file.sync().map_err(StoreError::io("sync", to))
}

/// Returns the name under which a damaged segment is kept: `*.damaged`, then `*.damaged.2`.
fn damaged_name(segment: &Path, copy: u32) -> PathBuf {
    segment.with_extension(if copy == 1 { "journal.damaged".to_owned() } else { format!("journal.damaged.{copy}") })
}

/// Finishes what a crash left of a repair by version 0.1.0, which renamed a damaged segment away before the new one took
/// its place. A segment whose new file alone is there is refused: nothing says that the file is whole.
pub fn finish_interrupted(directory: &Path, medium: &dyn Medium) -> Result<(), StoreError> {
    let names = names_in(directory)?;
    for name in &names {
        let Some((stem, _)) = name.split_once(".journal.") else { continue };
        let Some(number) = number_of(stem, "") else { continue };
        let path = segment_path(directory, number);
        if path.exists() {
            continue;
        }
        let aside = (2..ASIDE_MAX).map(|copy| damaged_name(&path, copy)).take_while(|path| path.exists()).last();
        match aside.or_else(|| Some(damaged_name(&path, 1)).filter(|path| path.exists())) {
            Some(aside) => link_or_copy(&aside, &path, medium)?,
            None => return Err(StoreError::HalfRepaired { path: directory.join(name), segment: path }),
        }
        medium.sync_directory(directory).map_err(StoreError::io("sync", directory))?;
    }
    Ok(())
}
