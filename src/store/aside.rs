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

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::medium::Disk;

    fn files(directory: &Path) -> Vec<String> {
        let mut names = names_in(directory).unwrap();
        names.sort();
        names
    }

    #[test]
    fn a_damaged_segment_is_kept_under_the_first_free_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = segment_path(directory.path(), 3);
        for (copy, text) in ["one", "two"].into_iter().enumerate() {
            fs::write(&path, text).unwrap();
            keep_aside(&path, &Disk).unwrap();
            keep_aside(&path, &Disk).unwrap();
            assert_eq!(fs::read_to_string(damaged_name(&path, 1 + copy as u32)).unwrap(), text);
            // A repair replaces it.
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(files(directory.path()), ["00000003.journal.damaged", "00000003.journal.damaged.2"]);
        assert_eq!(fs::read_to_string(damaged_name(&path, 1)).unwrap(), "one");
    }

    #[test]
    fn parts_are_written_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        let bytes: Vec<u8> = (0..COPY_BYTES + 10).map(|at| (at % 251) as u8).collect();
        fs::write(&from, &bytes).unwrap();
        let parts = [2..4, 7..7, 9..COPY_BYTES + 10];
        write_parts(&from, &to, b"head", &parts, &Disk).unwrap();
        assert_eq!(fs::read(&to).unwrap(), [b"head", &bytes[2..4], &bytes[9..]].concat());
        assert!(write_parts(&from, &to, b"", &[], &Disk).is_err(), "nothing is overwritten");
    }

    #[test]
    fn what_an_old_repair_renamed_away_is_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = segment_path(directory.path(), 3);
        fs::write(damaged_name(&path, 1), "older").unwrap();
        fs::write(damaged_name(&path, 2), "newer").unwrap();
        fs::write(directory.path().join("notes.journal.txt"), "no segment").unwrap();
        finish_interrupted(directory.path(), &Disk).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer", "the last one that was renamed");
        fs::write(&path, "whole").unwrap();
        finish_interrupted(directory.path(), &Disk).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole", "what is there stays");
        let other = segment_path(directory.path(), 4);
        fs::write(damaged_name(&other, 1), "alone").unwrap();
        finish_interrupted(directory.path(), &Disk).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "alone");
    }

    #[test]
    fn a_segment_whose_new_file_alone_is_there_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let partial = directory.path().join("00000003.journal.partial");
        fs::write(&partial, "new").unwrap();
        let segment = segment_path(directory.path(), 3);
        match finish_interrupted(directory.path(), &Disk) {
            Err(StoreError::HalfRepaired { path, segment: named }) => assert_eq!((path, named), (partial, segment)),
            other => panic!("{other:?}"),
        }
    }
}
