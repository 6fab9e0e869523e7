//! Names of files as text.
//!
//! A name is text wherever it is shown, compared or given an ending, but the system allows any bytes in it. A byte that is
//! not UTF-8 is kept as a character of its own in a private range ([`name_of`]) and becomes that byte again when the file is
//! opened ([`path_of`]). Both are inverse to each other: a real character of that range is kept byte by byte too.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The character of byte 0; those of 0x80 to 0xff are used.
const FIRST: u32 = 0x10_f700;

/// Returns the name of a path as text.
pub fn name_of(path: impl AsRef<OsStr>) -> String {
    let path = path.as_ref();
    if let Some(text) = path.to_str().filter(|text| !text.contains(is_byte_of_name)) {
        return text.to_owned();
    }
    let mut name = String::new();
    for chunk in path.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if is_byte_of_name(letter) {
                name.extend(letter.encode_utf8(&mut [0; 4]).bytes().map(letter_of));
            } else {
                name.push(letter);
            }
        }
        name.extend(chunk.invalid().iter().copied().map(letter_of));
    }
    name
}

/// Returns the path of a name.
pub fn path_of(name: &str) -> Cow<'_, Path> {
    if !name.contains(is_byte_of_name) {
        return Cow::Borrowed(Path::new(name));
    }
    let mut bytes = Vec::with_capacity(name.len());
    for letter in name.chars() {
        match byte_of(letter) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Cow::Owned(PathBuf::from(OsString::from_vec(bytes)))
}

/// True for a character that means a byte of a file's name.
pub fn is_byte_of_name(letter: char) -> bool {
    byte_of(letter).is_some()
}

fn byte_of(letter: char) -> Option<u8> {
    u8::try_from(u32::from(letter).checked_sub(FIRST)?).ok().filter(|byte| *byte >= 0x80)
}

fn letter_of(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_the_same_path_again() {
        let range = "\u{10f780}\u{10f7ff}";
        for bytes in
            [b"data/in.jsonl".as_slice(), b"in\xff\x80.jsonl", "é 한".as_bytes(), range.as_bytes(), b"\xe2\x82"]
        {
            let path = OsStr::from_bytes(bytes);
            let name = name_of(path);
            assert_eq!(path_of(&name).as_os_str(), path, "{name:?}");
            assert_eq!(name == String::from_utf8_lossy(bytes), !name.contains(is_byte_of_name), "{name:?}");
        }
    }
}
