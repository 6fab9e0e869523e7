//! Containers other than JSON. They are unpacked and converted to JSON lines first, with one batch of rows in memory.
//!
//! A file is unpacked (`packing`), put into UTF-8 where it is text (`encoding`), and its rows are written as JSON lines
//! (`separated`, `columnar`). Each step says what is wrong with a file in words of its own.

#[cfg(feature = "parquet")]
mod arrow_sizes;
mod columnar;
mod copying;
#[cfg(test)]
#[cfg(feature = "parquet")]
mod damage_tests;
mod encoding;
mod gzip;
mod packing;
mod records;
mod separated;

use std::fs::File;
use std::path::Path;

use super::fault::Fault;
use super::foreign;
use super::places::RowSink;

pub use encoding::{ParseEncodingError, TextEncoding, marked_encoding, transcode};
pub use packing::Packing;

/// The container format of an uncompressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// JSON lines, or one JSON array.
    Json,
    /// Values separated by this byte, with a header row.
    Separated(u8),
    /// Parquet.
    Parquet,
    /// An Arrow IPC file.
    ArrowFile,
    /// An Arrow IPC stream, as in the cache of `datasets`.
    ArrowStream,
}

/// First bytes of files in none of these formats.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip file"),
    (b"\x89PNG", "a picture"),
    (b"SQLite", "a database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF file"),
];

impl Container {
    /// Recognises a container by its first bytes. Formats without a signature are recognised by the file name.
    pub fn of(head: &[u8], name: &str) -> Result<Self, Fault> {
        if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
            let hint = "unpack or export it; supported are JSON, CSV, Parquet and Arrow files, compressed with gzip, zstd, bzip2 or xz";
            return Err(Fault::new(format!("it is {kind}"), hint));
        }
        let name = name.to_lowercase();
        let mut stem = name.as_str();
        while let Some(unpacked) = Packing::ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
            stem = unpacked;
        }
        let ending = Path::new(stem).extension().and_then(|ending| ending.to_str());
        Ok(match head {
            _ if head.starts_with(b"PAR1") => Self::Parquet,
            _ if head.starts_with(b"ARROW1") => Self::ArrowFile,
            // The continuation marker before the first message (Arrow columnar format, IPC streaming).
            _ if head.starts_with(&[0xff, 0xff, 0xff, 0xff]) => Self::ArrowStream,
            _ if ending == Some("csv") => Self::Separated(b','),
            _ if ending == Some("tsv") => Self::Separated(b'\t'),
            _ => Self::Json,
        })
    }

    /// True for a container that is text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Json | Self::Separated(_))
    }

    /// Writes the rows of the file at `path`, one JSON object each. Does nothing for JSON.
    pub fn write_rows(self, path: &Path, sink: &mut RowSink<'_>) -> Result<(), Fault> {
        let file = File::open(path)?;
        foreign::decode(|| match self {
            Self::Json => Ok(()),
            Self::Separated(separator) => separated::write_rows(file, separator, sink),
            Self::Parquet | Self::ArrowFile | Self::ArrowStream => columnar::write_rows(self, file, sink.numbered()),
        })
    }
}
