use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::array::Elements;
use super::lines::Lines;
use super::row::RowSource;

const READ_BYTES: usize = 256 << 10;

/// One input as the command line names it.
///
/// A plain file can be read again at any place. A compressed file or standard input cannot: it is written out
/// plain into the spool directory first.
#[derive(Debug)]
pub struct Input {
    /// The name for messages.
    pub name: String,
    /// A plain file with the input's bytes.
    path: PathBuf,
    /// The file was written by this run and goes with it.
    is_spooled: bool,
}

/// An input cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {reason}")]
pub struct InputError {
    /// The input.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What the first bytes of a file say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Containers that are recognised to be refused with a name instead of as bad JSON.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"BZh", "a bzip2 file"),
    (b"PK\x03\x04", "a zip file"),
];

impl Input {
    /// Opens `name`, `-` for standard input. `number` tells spooled inputs apart.
    pub fn open(name: &str, spool: &Path, number: usize) -> Result<Self, InputError> {
        let fault = |reason: String| InputError { name: shown(name), reason };
        let stored = |error: io::Error| fault(error.to_string());
        if name == "-" {
            let path = spool_to(spool, number, &mut io::stdin().lock()).map_err(stored)?;
            return Self::open_spooled(name, path, spool, number).map_err(stored);
        }
        let path = Path::new(name);
        if path.is_dir() {
            return Err(fault("it is a directory; name the files in it".to_owned()));
        }
        if !std::fs::metadata(path).map_err(stored)?.is_file() {
            // A pipe gives its bytes once.
            let path = File::open(path).and_then(|mut pipe| spool_to(spool, number, &mut pipe)).map_err(stored)?;
            return Self::open_spooled(name, path, spool, number).map_err(stored);
        }
        let head = head_of(path).map_err(stored)?;
        if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(fault(format!("it is {kind}; JSONL and JSON arrays, plain, .gz or .zst, can be read")));
        }
        Self::unpack(name, path, &head, spool, number).map_err(stored)
    }

    fn open_spooled(name: &str, path: PathBuf, spool: &Path, number: usize) -> io::Result<Self> {
        match packing(&head_of(&path)?) {
            Packing::Plain => Ok(Self { name: shown(name), path, is_spooled: true }),
            _ => {
                let packed = path.with_extension("packed");
                std::fs::rename(&path, &packed)?;
                let head = head_of(&packed)?;
                let input = Self::unpack(name, &packed, &head, spool, number);
                std::fs::remove_file(&packed)?;
                input
            }
        }
    }

    fn unpack(name: &str, path: &Path, head: &[u8], spool: &Path, number: usize) -> io::Result<Self> {
        let file = || File::open(path).map(|file| BufReader::with_capacity(READ_BYTES, file));
        let path = match packing(head) {
            Packing::Plain => path.to_owned(),
            Packing::Gzip => spool_to(spool, number, &mut flate2::bufread::MultiGzDecoder::new(file()?))?,
            Packing::Zstd => spool_to(spool, number, &mut zstd::stream::read::Decoder::with_buffer(file()?)?)?,
        };
        Ok(Self { name: shown(name), path, is_spooled: packing(head) != Packing::Plain })
    }

    /// Returns the file itself, where it can be read again by a later run.
    pub fn plain_path(&self) -> Option<&Path> {
        (!self.is_spooled).then_some(&self.path)
    }

    /// Returns the plain file that holds the input.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the input's rows: the elements of a JSON array where it begins with `[`, else its lines.
    pub fn rows(&self) -> io::Result<Box<dyn RowSource>> {
        let mut reader = BufReader::with_capacity(READ_BYTES, File::open(&self.path)?);
        let is_array = first_byte(&mut reader)? == Some(b'[');
        let reader = BufReader::with_capacity(READ_BYTES, File::open(&self.path)?);
        Ok(if is_array { Box::new(Elements::new(reader)) } else { Box::new(Lines::new(reader)) })
    }
}

fn shown(name: &str) -> String {
    if name == "-" { "standard input".to_owned() } else { name.to_owned() }
}

fn packing(head: &[u8]) -> Packing {
    if head.starts_with(&[0x1f, 0x8b]) {
        Packing::Gzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Packing::Zstd
    } else {
        Packing::Plain
    }
}

fn head_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(head)
}

/// Returns the first byte that is no white space and no byte order mark.
fn first_byte(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(None);
        }
        let skipped = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
        if let Some(byte) = available.iter().find(|byte| !skipped(byte)) {
            return Ok(Some(*byte));
        }
        let length = available.len();
        reader.consume(length);
    }
}

fn spool_to(spool: &Path, number: usize, reader: &mut dyn Read) -> io::Result<PathBuf> {
    let path = spool.join(format!("input-{number}"));
    let mut file = io::BufWriter::with_capacity(READ_BYTES, File::create(&path)?);
    io::copy(reader, &mut file)?;
    file.flush()?;
    Ok(path)
}
