//! Names of files on the command line. They need not be UTF-8.

use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use cohobate::job::{is_byte_of_name, name_of, path_of};

/// Reads the name of a file or directory.
pub fn file_name() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(name_of)
}

/// Reads a path as the name that [`real_path`] takes back: options are kept as text.
pub fn path_name() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(|path| PathBuf::from(name_of(path)))
}

/// Reads a text, or `@` and the name of a file.
pub fn text_or_file() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().try_map(|given| {
        let text = name_of(given);
        let is_fit = text.starts_with('@') || !text.contains(is_byte_of_name);
        is_fit.then_some(text).ok_or("the text is not UTF-8; write it into a file, and name that as @FILE")
    })
}

/// Returns the path of a name that [`path_name`] has read.
pub fn real_path(name: &Path) -> PathBuf {
    name.to_str().map_or_else(|| name.to_owned(), |name| path_of(name).into_owned())
}
