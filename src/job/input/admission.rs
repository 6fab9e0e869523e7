use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use super::rows::Rows;
use crate::job::stored::begun_in;
use crate::recipe::Recipe;
use crate::store::Reader;
use crate::worker::{Admit, StoredCount};

/// Rows that are looked at in one go; the worker's loop runs in between.
const LOOKS_MAX: usize = 256;
/// The same for rows that are remembered as finished.
const SKIPS_MAX: usize = 1 << 20;
const ROW_BYTES: usize = 8;

/// The rows in the order in which they are opened: finished conversations come after the others. They are opened all
/// the same, because that is where a damaged answer is noticed and requested again.
pub struct Admission {
    order: BufReader<File>,
    rows: Arc<Rows>,
    store: Arc<dyn Reader>,
    recipe: Arc<dyn Recipe>,
    /// What is known of finished rows without a look.
    known: Arc<StoredCount>,
    /// Finished rows, on disk; unlinked, so that the file goes with the process.
    finished: BufWriter<File>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unfinished,
    Finished,
}

impl Admission {
    pub fn open(
        order: &Path,
        rows: Arc<Rows>,
        store: Arc<dyn Reader>,
        recipe: Arc<dyn Recipe>,
        known: Arc<StoredCount>,
    ) -> io::Result<Self> {
        let order = BufReader::new(File::open(order)?);
        let path = rows.spool().join("finished");
        let finished = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let finished = BufWriter::new(finished);
        Ok(Self { order, rows, store, recipe, known, finished, phase: Phase::Unfinished })
    }

    fn next_unfinished(&mut self) -> io::Result<Option<Admit>> {
        let mut looks = 0;
        for _ in 0..SKIPS_MAX {
            let Some(row) = read_row_number(&mut self.order)? else {
                let mut finished = self.finished.get_ref().try_clone()?;
                self.finished.flush()?;
                finished.rewind()?;
                self.order = BufReader::new(finished);
                self.phase = Phase::Finished;
                return Ok(read_row_number(&mut self.order)?.map(Admit::Row));
            };
            if !self.known.finished().has(row) {
                looks += 1;
                if !self.is_finished(row)? {
                    return Ok(Some(Admit::Row(row)));
                }
            }
            self.finished.write_all(&row.to_le_bytes())?;
            if looks == LOOKS_MAX {
                break;
            }
        }
        Ok(Some(Admit::Later))
    }

    fn is_finished(&self, row: u64) -> io::Result<bool> {
        // One question to a server for each row would take longer than to open them.
        if self.store.is_remote() {
            return Ok(false);
        }
        let Some(digest) = self.rows.digest(row).map_err(io::Error::other)? else { return Ok(false) };
        let state = begun_in(&*self.store, &*self.recipe, &digest).map_err(io::Error::other)?.state;
        Ok(state.is_some_and(|state| state.status.is_finished()))
    }
}

impl Iterator for Admission {
    type Item = io::Result<Admit>;

    fn next(&mut self) -> Option<io::Result<Admit>> {
        match self.phase {
            Phase::Unfinished => self.next_unfinished().transpose(),
            Phase::Finished => read_row_number(&mut self.order).map(|row| row.map(Admit::Row)).transpose(),
        }
    }
}

fn read_row_number(file: &mut BufReader<File>) -> io::Result<Option<u64>> {
    let mut bytes = [0; ROW_BYTES];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
