use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::super::fault::Fault;

const READ_BYTES: usize = 64 << 10;
const WRITE_BYTES: usize = 256 << 10;

/// The character encoding of a text file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

/// No encoding has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no encoding is called `{0}`")]
pub struct ParseEncodingError(String);

impl FromStr for TextEncoding {
    type Err = ParseEncodingError;

    /// Reads a label of the WHATWG Encoding Standard, such as `gbk` or `latin1`.
    fn from_str(label: &str) -> Result<Self, ParseEncodingError> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes());
        encoding.map(Self).ok_or_else(|| ParseEncodingError(label.to_owned()))
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl fmt::Debug for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TextEncoding {
    /// True for the encoding in which rows are read without conversion.
    pub fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }
}

/// Returns the encoding that a text file begins to say: UTF-16 with a byte order mark. Fails for other ones that are not
/// read without being named.
pub fn marked_encoding(head: &[u8], chosen: Option<TextEncoding>) -> Result<Option<TextEncoding>, Fault> {
    let unmarked = |name: &str| {
        let reason = format!("it seems to be {name} without a byte order mark");
        Err(Fault::new(reason, format!("read it with --encoding {}", name.to_lowercase())))
    };
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            Err(Fault::new("it is UTF-32, which is not read", "convert it to UTF-8"))
        }
        [0xff, 0xfe, ..] => Ok(Some(TextEncoding(UTF_16LE))),
        [0xfe, 0xff, ..] => Ok(Some(TextEncoding(UTF_16BE))),
        _ if chosen.is_some() => Ok(None),
        [1..=255, 0, 1..=255, 0, ..] => unmarked("UTF-16LE"),
        [0, 1..=255, 0, 1..=255, ..] => unmarked("UTF-16BE"),
        _ => Ok(None),
    }
}

/// Writes the text of a file as UTF-8, without a byte order mark. Malformed input is an error that names the place.
pub fn transcode(encoding: TextEncoding, path: &Path, out: &mut dyn Write) -> Result<(), Fault> {
    transcode_from(encoding, &mut File::open(path)?, out)
}

fn transcode_from(encoding: TextEncoding, file: &mut dyn Read, out: &mut dyn Write) -> Result<(), Fault> {
    // A byte order mark overrides the name.
    let mut decoder = encoding.0.new_decoder();
    let (mut from, mut to) = (vec![0; READ_BYTES], vec![0; WRITE_BYTES]);
    let (mut offset, mut line) = (0, 1);
    loop {
        let length = read_some(file, &mut from)?;
        let mut rest = &from[..length];
        loop {
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, &mut to, length == 0);
            out.write_all(&to[..written])?;
            line += memchr::memchr_iter(b'\n', &to[..written]).count() as u64;
            offset += read as u64;
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => rest = &rest[read..],
                DecoderResult::Malformed(bad, after) => {
                    let at = offset.saturating_sub(u64::from(bad) + u64::from(after));
                    let reason = format!("line {line}: the bytes at offset {at} are not {}", decoder.encoding().name());
                    return Err(Fault::new(
                        reason,
                        "choose another encoding with --encoding NAME, or correct the file",
                    ));
                }
            }
        }
        if length == 0 {
            return Ok(());
        }
    }
}

fn read_some(file: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
