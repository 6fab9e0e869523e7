use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::array::Elements;
use super::container::Container;
use super::lines::Lines;
use super::row::RowSource;
use super::threads::{Threads, arrange_threads, needs_arranging};

const READ_BYTES: usize = 256 << 10;

/// One input as named by the caller.
///
/// A plain JSON file allows random access. Anything else (standard input, compressed files, tables) is written to the
/// spool directory as JSON first.
#[derive(Debug)]
pub struct Input {
    /// The name for messages.
    pub name: String,
    /// A plain file with the input's bytes.
    path: PathBuf,
    /// The file is a temporary one of this run.
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

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
}

impl Input {
    /// Opens `name`, `-` for standard input. `number` distinguishes spooled inputs; `threads` selects the threads of trees.
    pub fn open(name: &str, spool: &Path, number: usize, threads: Threads) -> Result<Self, InputError> {
        let fault = |reason: String| InputError { name: display_name(name), reason };
        let stored = |error: io::Error| fault(error.to_string());
        let spooled = |kind: &str| spool.join(format!("input-{number}-{kind}"));
        // Standard input and pipes cannot be read twice.
        let mut input = Self { name: display_name(name), path: PathBuf::from(name), is_spooled: false };
        if name == "-" {
            input
                .replace(spooled("stdin"), |_, out| io::copy(&mut io::stdin().lock(), out).map(drop))
                .map_err(stored)?;
        } else if !std::fs::metadata(name).map_err(stored)?.is_file() {
            input
                .replace(spooled("pipe"), |path, out| io::copy(&mut File::open(path)?, out).map(drop))
                .map_err(stored)?;
        }
        let packing = packing_of(&head_of(&input.path).map_err(stored)?);
        if packing != Packing::Plain {
            input.replace(spooled("unpacked"), |path, out| decompress_file(packing, path, out)).map_err(stored)?;
        }
        let container = Container::of(&head_of(&input.path).map_err(stored)?, name).map_err(fault)?;
        if container != Container::Json {
            let lines = |path: &Path, out: &mut dyn Write| container.write_lines(path, out).map_err(io::Error::other);
            input.replace(spooled("rows"), lines).map_err(stored)?;
        }
        let must_arrange = match input.rows().map_err(stored)?.next().map_err(stored)? {
            Some(Ok(first)) => needs_arranging(first.bytes, threads),
            _ => false,
        };
        if must_arrange {
            let rows = input.rows().map_err(stored)?;
            input.replace(spooled("threads"), |path, out| arrange_threads(path, rows, threads, out)).map_err(stored)?;
        }
        Ok(input)
    }

    /// Replaces the current file by a temporary one that `write` produces from it.
    fn replace(
        &mut self,
        path: PathBuf,
        write: impl FnOnce(&Path, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut file = io::BufWriter::with_capacity(READ_BYTES, File::create(&path)?);
        write(&self.path, &mut file)?;
        file.flush()?;
        let old = std::mem::replace(&mut self.path, path);
        if std::mem::replace(&mut self.is_spooled, true) {
            std::fs::remove_file(old)?;
        }
        Ok(())
    }

    /// Returns the original file, where a later run can read it again.
    pub fn plain_path(&self) -> Option<&Path> {
        (!self.is_spooled).then_some(&self.path)
    }

    /// Returns the plain file that holds the input.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the input's rows: the elements of a JSON array where it starts with `[`, else its lines.
    pub fn rows(&self) -> io::Result<Box<dyn RowSource>> {
        let mut reader = BufReader::with_capacity(READ_BYTES, File::open(&self.path)?);
        let is_array = first_byte(&mut reader)? == Some(b'[');
        let reader = BufReader::with_capacity(READ_BYTES, File::open(&self.path)?);
        Ok(if is_array { Box::new(Elements::new(reader)) } else { Box::new(Lines::new(reader)) })
    }
}

fn display_name(name: &str) -> String {
    if name == "-" { "standard input".to_owned() } else { name.to_owned() }
}

fn packing_of(head: &[u8]) -> Packing {
    if head.starts_with(&[0x1f, 0x8b]) {
        Packing::Gzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Packing::Zstd
    } else if head.starts_with(b"BZh") {
        Packing::Bzip2
    } else {
        Packing::Plain
    }
}

fn head_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(head)
}

/// Returns the first byte after white space and a byte order mark.
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

fn decompress_file(packing: Packing, path: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
    let copied = match packing {
        Packing::Plain => io::copy(&mut file, out),
        Packing::Gzip => io::copy(&mut flate2::bufread::MultiGzDecoder::new(file), out),
        Packing::Zstd => io::copy(&mut zstd::stream::read::Decoder::with_buffer(file)?, out),
        Packing::Bzip2 => io::copy(&mut bzip2::bufread::MultiBzDecoder::new(file), out),
    };
    copied.map(drop)
}
