//! The password file of libpq: `host:port:database:user:password`, `*` for any, `\` before `:` and `\`.

use std::fs;
use std::path::{Path, PathBuf};

use super::Secret;

/// The result of looking for a password.
#[derive(Debug)]
pub enum Found {
    /// The first line that fits has it.
    Password(Secret),
    /// No line fits, or there is no file.
    Nothing,
    /// The file is not used: others may read it, or it is no file.
    Ignored(PathBuf),
}

/// Reads the password of a server from a file.
pub fn find(path: &Path, server: [&str; 4]) -> Found {
    let Ok(metadata) = fs::metadata(path) else { return Found::Nothing };
    if !metadata.is_file() || is_open_to_others(&metadata) {
        return Found::Ignored(path.to_owned());
    }
    let Ok(text) = fs::read(path) else { return Found::Ignored(path.to_owned()) };
    match password_in(&String::from_utf8_lossy(&text), server) {
        Some(password) => Found::Password(Secret(password)),
        None => Found::Nothing,
    }
}

/// True if the group or others may read or write a file, as libpq checks it.
#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

/// Returns the password of the first line that fits host, port, database and user.
fn password_in(text: &str, server: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for wanted in server {
            let (field, behind) = field(rest)?;
            if field != "*" && unescaped(field) != wanted {
                return None;
            }
            rest = behind;
        }
        Some(unescaped(rest)).filter(|password| !password.is_empty())
    })
}

/// Splits off what stands before the next `:` that is not escaped.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b':' if !is_escaped => return Some((&text[..at], &text[at + 1..])),
            _ => is_escaped = byte == b'\\' && !is_escaped,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# h:5432:db:me:no\nh:5433:db:me:one\nh:*:d\\:b:me:a\\:b\\\\c\n*:*:*:you:two\nh:5432:db:me:three:3\n";

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let cases = [
            (["h", "5433", "db", "me"], Some("one")),
            (["h", "1", "d:b", "me"], Some("a:b\\c")),
            (["x", "1", "y", "you"], Some("two")),
            (["h", "5432", "db", "me"], Some("three:3")),
            (["h", "5432", "db", "nobody"], None),
        ];
        for (server, expected) in cases {
            assert_eq!(password_in(TEXT, server).as_deref(), expected, "{server:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pgpass");
        let server = ["x", "1", "y", "you"];
        assert!(matches!(find(&path, server), Found::Nothing));
        fs::write(&path, TEXT).expect("written");
        for (mode, is_used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let found = find(&path, server);
            assert_eq!(matches!(found, Found::Password(_)), is_used, "{mode:o}");
            assert_eq!(matches!(found, Found::Ignored(_)), !is_used, "{mode:o}");
        }
    }
}
