use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::path::parent_of;

/// The bits of a directory's mode that a file in it takes over: reading and writing.
const FILE_MODE: u32 = 0o666;

/// Creates a file that must not exist, for reading and writing. It may be read and written by those who may its directory.
pub fn create_in(path: &Path) -> io::Result<File> {
    let file = options(path).create_new(true).open(path)?;
    follow_mode(path)?;
    Ok(file)
}

/// Opens a file for reading and writing, and creates it where it is missing, like [`create_in`]. A symlink is refused.
pub fn open_or_create_in(path: &Path) -> io::Result<File> {
    // In a loop, because another process may delete it in between.
    loop {
        match options(path).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match create_in(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}

/// Opens a file for reading and appending, and creates it where it is missing, like [`create_in`]. A symlink is refused.
pub fn append_to(path: &Path) -> io::Result<File> {
    drop(open_or_create_in(path)?);
    OpenOptions::new().read(true).append(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Gives a file or directory that was just created the mode of its directory, whatever the umask: members of a group that
/// share a store can all read and write it.
pub fn follow_mode(path: &Path) -> io::Result<()> {
    let above = fs::metadata(parent_of(path))?.permissions().mode();
    let now = fs::metadata(path)?;
    let wanted = if now.is_dir() { above & 0o7777 } else { above & FILE_MODE };
    if now.permissions().mode() & 0o7777 == wanted || above & 0o1000 != 0 {
        // In a directory such as /tmp everybody owns their files alone: the umask decides.
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(wanted)) {
        // Some file systems have no modes.
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => Ok(()),
        other => other,
    }
}

fn options(path: &Path) -> OpenOptions {
    let mode = fs::metadata(parent_of(path)).map_or(0o600, |above| above.permissions().mode() & FILE_MODE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_follow_their_directory_and_no_symlink() {
        let place = tempfile::tempdir().unwrap();
        for (directory_mode, file_mode) in [(0o700, 0o600), (0o2770, 0o660), (0o755, 0o644)] {
            let directory = place.path().join(format!("{directory_mode:o}"));
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(directory_mode)).unwrap();
            create_in(&directory.join("file")).unwrap();
            assert_eq!(mode(&directory.join("file")), file_mode);
            crate::files::create_directories(&directory.join("inner"), false).unwrap();
            assert_eq!(mode(&directory.join("inner")), directory_mode);
        }
        let victim = place.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, place.path().join("link")).unwrap();
        assert!(open_or_create_in(&place.path().join("link")).is_err());
        assert!(create_in(&place.path().join("link")).is_err());
    }
}
