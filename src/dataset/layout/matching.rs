//! The files that a pattern of the command line matches. The names of files need not be UTF-8.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::files::{name_of, path_of};

/// Directories that `**` enters, one in the other.
const DEPTH_MAX: usize = 64;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Returns the files that match, sorted. A directory that cannot be read matches nothing.
pub fn matching_files(pattern: &str) -> Result<Vec<PathBuf>, String> {
    Pattern::new(pattern).map_err(|error| format!("it is not a valid pattern: {error}"))?;
    let (base, inside) = match pattern.strip_prefix('/') {
        Some(inside) => (Path::new("/"), inside),
        None => (Path::new(""), pattern),
    };
    let parts: Vec<&str> = inside.split('/').filter(|part| !part.is_empty()).collect();
    let mut files = Vec::new();
    add_matching(base, &parts, &mut Vec::new(), &mut files);
    files.sort();
    files.dedup();
    Ok(files)
}

fn add_matching(base: &Path, parts: &[&str], above: &mut Vec<(u64, u64)>, files: &mut Vec<PathBuf>) {
    match parts {
        [] => files.extend(base.is_file().then(|| base.to_owned())),
        ["**", rest @ ..] => {
            // A link may lead back to a directory above it.
            let Some(identity) = identity(base).filter(|identity| !above.contains(identity)) else { return };
            add_matching(base, rest, &mut Vec::new(), files);
            if above.len() >= DEPTH_MAX {
                return;
            }
            above.push(identity);
            for directory in entries(base).filter(|path| path.is_dir()) {
                add_matching(&directory, parts, above, files);
            }
            above.pop();
        }
        [part, rest @ ..] if !part.contains(['*', '?', '[']) => {
            add_matching(&base.join(path_of(part)), rest, &mut Vec::new(), files);
        }
        [part, rest @ ..] => {
            let Ok(pattern) = Pattern::new(part) else { return };
            let matches =
                |path: &PathBuf| path.file_name().is_some_and(|name| pattern.matches_with(&name_of(name), OPTIONS));
            for path in entries(base).filter(matches) {
                add_matching(&path, rest, &mut Vec::new(), files);
            }
        }
    }
}

/// Returns the paths of a directory's entries, which begin as the directory's own.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(here(directory)).into_iter().flatten().flatten();
    entries.map(|entry| directory.join(entry.file_name()))
}

fn identity(directory: &Path) -> Option<(u64, u64)> {
    fs::metadata(here(directory)).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_shell_does_at_any_depth() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "b.json", "x/a.jsonl", "x/y/c.jsonl", "z/.h.jsonl"] {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(place.path(), place.path().join("x/up")).unwrap();
        let found = |pattern: &str| {
            let files = matching_files(&format!("{}/{pattern}", name_of(place.path()))).unwrap();
            let inside = files.iter().map(|file| name_of(file.strip_prefix(place.path()).unwrap()));
            inside.collect::<Vec<_>>()
        };
        assert_eq!(found("*.jsonl"), ["a.jsonl"]);
        assert_eq!(found("?.jso[n]*"), ["a.jsonl", "b.json"]);
        assert_eq!(found("*/*.jsonl"), ["x/a.jsonl", "z/.h.jsonl"]);
        assert_eq!(found("x/**/*.jsonl"), ["x/a.jsonl", "x/up/a.jsonl", "x/up/z/.h.jsonl", "x/y/c.jsonl"]);
        assert!(matching_files("a[").is_err() && found("nothing/*").is_empty());
    }
}
