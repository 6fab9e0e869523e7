use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::array::Elements;
use super::container::{Container, Packing, TextEncoding, marked_encoding, transcode};
use super::fault::Fault;
use super::foreign;
use super::lines::Lines;
use super::places::{Placed, RowSink, places_path};
use super::row::RowSource;
use super::source_file::SourceFile;
use super::threads::{Threads, arrange_threads, needs_arranging};
use super::whole_file::WholeFile;
use crate::files::path_of;

const READ_BYTES: usize = 256 << 10;
/// A file may be compressed this often, one in the other.
const PACKINGS_MAX: usize = 4;

/// One input as named by the caller.
///
/// A plain JSON file allows random access. Anything else (standard input, compressed files, other encodings, tables) is
/// written to the spool directory as JSON first.
#[derive(Debug)]
pub struct Input {
    /// The name for messages.
    pub name: String,
    /// The file that was named; none for standard input.
    original: Option<PathBuf>,
    /// A plain file with the input's bytes.
    file: SourceFile,
    /// The input's number.
    number: usize,
    /// The file is a temporary one of this run.
    is_spooled: bool,
    /// The file was written row by row, one a line.
    has_rows: bool,
    /// Where rows stand in their own file, if not on the line of the spooled one.
    places: Option<PathBuf>,
}

/// An input cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {reason}")]
pub struct InputError {
    /// The input.
    pub name: String,
    /// Why.
    pub reason: String,
    /// What to do next.
    pub hint: String,
    /// The file system has lost the file: it may be back later.
    pub is_lost: bool,
}

impl InputError {
    /// Makes a fault the error of an input.
    pub fn of(fault: Fault, name: &str) -> Self {
        let Fault { reason, hint, is_lost } = fault;
        Self { name: name.to_owned(), reason, hint, is_lost }
    }
}

/// How the bytes of inputs become rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct InputForm {
    /// Which threads of trees of messages become rows.
    pub threads: Threads,
    /// The encoding of texts that do not begin with a byte order mark. Default: UTF-8.
    pub encoding: Option<TextEncoding>,
}

impl Input {
    /// Opens `name`, `-` for standard input. `number` distinguishes spooled inputs.
    pub fn open(name: &str, spool: &Path, number: usize, form: InputForm) -> Result<Self, InputError> {
        let shown = if name == "-" { "standard input" } else { name };
        Self::open_as(name, shown, spool, number, form)
    }

    /// As [`Input::open`], for a file that is called something else in messages, in the run log and in the rows.
    pub fn open_as(name: &str, shown: &str, spool: &Path, number: usize, form: InputForm) -> Result<Self, InputError> {
        Self::prepared(name, shown, spool, number, form).map_err(|fault| InputError::of(fault, shown))
    }

    fn prepared(name: &str, shown: &str, spool: &Path, number: usize, form: InputForm) -> Result<Self, Fault> {
        let spooled = |kind: &str| spool.join(format!("input-{number}-{kind}"));
        // Standard input and pipes cannot be read twice.
        let copy = |from: &mut dyn Read, path: &Path| -> io::Result<SourceFile> {
            io::copy(from, &mut File::create(path)?)?;
            SourceFile::open(path, number)
        };
        let path = path_of(name);
        let (file, is_spooled) = if name == "-" {
            (copy(&mut io::stdin().lock(), &spooled("stdin"))?, true)
        } else if !std::fs::metadata(&path)?.is_file() {
            (copy(&mut File::open(&path)?, &spooled("pipe"))?, true)
        } else {
            (SourceFile::open(&path, number)?, false)
        };
        let original = (name != "-").then(|| path.to_path_buf());
        let name_shown = shown.to_owned();
        let mut this = Self { name: name_shown, original, file, number, is_spooled, has_rows: false, places: None };
        for layer in 0..PACKINGS_MAX {
            let packing = Packing::of(&this.head()?);
            if packing == Packing::Plain {
                break;
            }
            this.replace(spooled(&format!("unpacked-{layer}")), |path, out| {
                foreign::decode(|| Ok(packing.unpack(path, out)?))
            })?;
        }
        let container = Container::of(&this.head()?, name)?;
        if container.is_text() {
            let marked = marked_encoding(&this.head()?, form.encoding)?;
            if let Some(encoding) = marked.or(form.encoding).filter(|encoding| !encoding.is_utf8()) {
                this.replace(spooled("text"), |path, out| transcode(encoding, path, out))?;
            }
        }
        if container != Container::Json {
            this.replace_rows(spooled("rows"), |input, sink| container.write_rows(input.file.path(), sink))?;
        }
        if container == Container::Json
            && let Some(whole) = WholeFile::of(this.rows()?, this.is_array()?)?
        {
            this.replace(spooled("whole"), |path, out| Ok(whole.write_array(path, out)?))?;
        }
        let must_arrange = match this.rows()?.next()? {
            Some(Ok(first)) => needs_arranging(first.bytes, form.threads),
            _ => false,
        };
        if must_arrange {
            this.replace_rows(spooled("threads"), |input, sink| {
                Ok(arrange_threads(input.file.path(), input.rows()?, form.threads, sink)?)
            })?;
        }
        Ok(this)
    }

    /// Replaces the current file by a temporary one that `write` produces from it.
    fn replace(
        &mut self,
        path: PathBuf,
        write: impl FnOnce(&Path, &mut dyn Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut file = io::BufWriter::with_capacity(READ_BYTES, File::create(&path)?);
        write(self.file.path(), &mut file)?;
        file.flush()?;
        Ok(self.take_place(path)?)
    }

    /// As [`Input::replace`], row by row: each row keeps the line of the file that it comes from.
    fn replace_rows(
        &mut self,
        path: PathBuf,
        write: impl FnOnce(&Self, &mut RowSink<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let places = places_path(&path);
        let mut file = io::BufWriter::with_capacity(READ_BYTES, File::create(&path)?);
        let mut sink = RowSink::new(&mut file, &places);
        write(self, &mut sink)?;
        let has_places = sink.finish()?;
        file.flush()?;
        self.take_place(path)?;
        self.has_rows = true;
        if let Some(old) = std::mem::replace(&mut self.places, has_places.then_some(places)) {
            std::fs::remove_file(old)?;
        }
        Ok(())
    }

    fn take_place(&mut self, path: PathBuf) -> io::Result<()> {
        let old = std::mem::replace(&mut self.file, SourceFile::open(&path, self.number)?);
        if std::mem::replace(&mut self.is_spooled, true) {
            std::fs::remove_file(old.path())?;
        }
        Ok(())
    }

    /// Returns the original file, where a later run can read it again.
    pub fn plain_path(&self) -> Option<&Path> {
        (!self.is_spooled).then_some(self.file.path())
    }

    /// Returns the file that was named, whatever it was unpacked to; none for standard input.
    pub fn original_path(&self) -> Option<&Path> {
        self.original.as_deref()
    }

    /// Returns the name of the plain file that holds the input.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the plain file that holds the input.
    pub fn file(&self) -> &SourceFile {
        &self.file
    }

    /// Returns the input's rows: the elements of a JSON array where it starts with `[`, else its lines.
    pub fn rows(&self) -> io::Result<Box<dyn RowSource>> {
        let is_array = self.is_array()?;
        let reader = BufReader::with_capacity(READ_BYTES, self.file.reader()?);
        Ok(match &self.places {
            Some(places) => Box::new(Placed::new(Lines::new(reader), places)?),
            None if is_array => Box::new(Elements::new(reader)),
            None => Box::new(Lines::new(reader)),
        })
    }

    fn is_array(&self) -> io::Result<bool> {
        Ok(!self.has_rows && first_byte(&mut BufReader::new(self.file.reader()?))? == Some(b'['))
    }

    fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.file.reader()?.take(16).read_to_end(&mut head)?;
        Ok(head)
    }
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
