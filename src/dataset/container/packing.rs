use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::copying::copy;
use super::gzip;

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// None.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

const READ_BYTES: usize = 256 << 10;
/// The most memory that unpacking an xz file may take, in KiB. `xz -9` takes 64 MiB.
const XZ_MEMORY_KIB_MAX: u32 = 1 << 20;

impl Packing {
    /// Endings of compressed files.
    pub const ENDINGS: [&str; 4] = [".gz", ".zst", ".bz2", ".xz"];

    /// Recognises a compression by the first bytes of a file.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a frame to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// Writes what a file holds, all parts of it.
    pub fn unpack(self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        let file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
        self.unpack_from(file, out)
    }

    fn unpack_from(self, mut file: impl BufRead, out: &mut dyn Write) -> io::Result<()> {
        let explained = |error: io::Error| explain(self, error);
        match self {
            Self::Plain => copy(&mut file, out, explained),
            Self::Gzip => gzip::unpack(file, out),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(explained)?;
                copy(&mut decoder, out, explained)
            }
            Self::Bzip2 => copy(&mut bzip2::bufread::MultiBzDecoder::new(file), out, explained),
            Self::Xz => copy(&mut lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB_MAX), out, explained),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }
}

fn explain(packing: Packing, error: io::Error) -> io::Error {
    let name = packing.name();
    match error.kind() {
        _ if packing == Packing::Plain || error.raw_os_error().is_some() => error,
        io::ErrorKind::UnexpectedEof => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the {name} file is truncated: it ends inside the compressed data"),
        ),
        io::ErrorKind::OutOfMemory => io::Error::other(format!("the {name} file cannot be unpacked: {error}")),
        _ => io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the {name} file is damaged, or something else follows the compressed data: {error}"),
        ),
    }
}
