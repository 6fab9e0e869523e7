use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::path::parent_of;
use super::private::{create_in, follow_mode};

/// Creates a directory and its missing ancestors. The directory itself is for its owner alone (0700) where `is_private`;
/// one that exists keeps its mode. Nothing is synced: see [`sync_ancestors`].
pub fn create_directories(path: &Path, is_private: bool) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(parent_of(path))?;
    let mut builder = DirBuilder::new();
    if is_private {
        builder.mode(0o700);
    }
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Ok(()) if !is_private => follow_mode(path),
        other => other,
    }
}

/// Makes the name of a directory durable, and the names of all directories above it. What lies above `needed` levels may
/// be another user's and fail.
pub fn sync_ancestors(
    path: &Path,
    needed: usize,
    mut sync: impl FnMut(&Path) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let absolute = fs::canonicalize(path).map_err(|error| (path.to_owned(), error))?;
    for (level, ancestor) in absolute.ancestors().enumerate() {
        match sync(ancestor) {
            Err(error) if level <= needed => return Err((ancestor.to_owned(), error)),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a small file: after a crash it holds the old bytes or the new ones.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create_in(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_directory(parent_of(path))
}
