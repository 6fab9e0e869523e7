use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Symlinks that are followed one after the other.
const LINKS_MAX: usize = 40;

/// Returns the file or directory that is replaced when `path` is written: where `path` is a symlink, what it leads to, also
/// where that is missing.
pub fn replaced_path(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = parent_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links lead to it"))
}

/// Returns the directory that holds a file: `.` for a bare name.
pub fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
