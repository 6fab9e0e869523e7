use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::files::{Owned, name_of, parent_of, path_of, replaced_path, sweep, sync_directory};

const BUFFER_BYTES: usize = 256 << 10;
const COMPRESSION_LEVEL: i32 = 3;
/// The ending of the temporary name.
const PARTIAL: &str = "partial";

/// A file that is written atomically: it appears under its name complete and synced, or not at all.
pub struct OutputFile {
    target: Destination,
    encoder: Encoder,
}

enum Destination {
    /// A file that is written under a temporary name in the same directory.
    File { path: PathBuf, partial: Owned },
    /// A stream that is written directly: standard output, a device, a named pipe.
    Stream { name: String },
}

enum Encoder {
    Plain(BufWriter<Box<dyn Write>>),
    Gzip(flate2::write::GzEncoder<BufWriter<Box<dyn Write>>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<Box<dyn Write>>>),
}

/// An output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct OutputError {
    /// The output.
    pub path: String,
    /// The system's error.
    pub source: io::Error,
}

impl OutputFile {
    /// Starts writing `path`, `-` for standard output. `.gz` and `.zst` are compressed. A symlink stays, and what it leads
    /// to is replaced. A directory that is missing is created.
    pub fn create(path: &str) -> Result<Self, OutputError> {
        let fault = |source| OutputError { path: path.to_owned(), source };
        let real = path_of(path);
        let is_special = fs::metadata(&real).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let (target, sink): (Destination, Box<dyn Write>) = if path == "-" {
            (Destination::Stream { name: "standard output".to_owned() }, Box::new(io::stdout()))
        } else if is_special {
            let sink = File::options().write(true).open(&real).map_err(fault)?;
            (Destination::Stream { name: path.to_owned() }, Box::new(sink))
        } else {
            let path = replaced_path(&real).map_err(fault)?;
            fs::create_dir_all(parent_of(&path)).map_err(fault)?;
            sweep(&path, PARTIAL);
            let (partial, file) = Owned::create(&path, PARTIAL).map_err(fault)?;
            (Destination::File { path, partial }, Box::new(file))
        };
        let sink = BufWriter::with_capacity(BUFFER_BYTES, sink);
        let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
        let encoder = match extension {
            Some("gz") => Encoder::Gzip(flate2::write::GzEncoder::new(sink, flate2::Compression::default())),
            Some("zst") => Encoder::Zstd(zstd::stream::write::Encoder::new(sink, COMPRESSION_LEVEL).map_err(fault)?),
            _ => Encoder::Plain(sink),
        };
        Ok(Self { target, encoder })
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let written = match &mut self.encoder {
            Encoder::Plain(writer) => writer.write_all(bytes),
            Encoder::Gzip(writer) => writer.write_all(bytes),
            Encoder::Zstd(writer) => writer.write_all(bytes),
        };
        written.map_err(|source| self.target.fault(source))
    }

    /// Completes the file: flushes, syncs and renames it, and syncs the directory.
    pub fn finish(self) -> Result<(), OutputError> {
        let Self { target, encoder } = self;
        let sink = match encoder {
            Encoder::Plain(writer) => Ok(writer),
            Encoder::Gzip(writer) => writer.finish(),
            Encoder::Zstd(writer) => writer.finish(),
        };
        let placed = sink.and_then(|mut sink| sink.flush()).and_then(|()| match &target {
            Destination::Stream { .. } => Ok(()),
            Destination::File { path, partial } => place_file(partial.path(), path),
        });
        placed.map_err(|source| target.fault(source))
    }
}

impl Destination {
    fn fault(&self, source: io::Error) -> OutputError {
        let path = match self {
            Destination::File { path, .. } => name_of(path),
            Destination::Stream { name } => name.clone(),
        };
        OutputError { path, source }
    }
}

fn place_file(partial: &Path, path: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    fs::rename(partial, path)?;
    sync_directory(parent_of(path))
}
