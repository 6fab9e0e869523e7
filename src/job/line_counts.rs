use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};

use super::JobError;
use crate::files::path_of;

/// The lines of two files, counted against each other: 16 bytes a distinct line.
#[derive(Default)]
pub struct LineCounts {
    counts: HashMap<u64, i64>,
    /// Changes with the order of the lines.
    order: u64,
    is_truncated: bool,
}

impl LineCounts {
    /// Counts the lines of a file with a sign: 1 for the file that is expected, -1 for the one that is compared.
    pub fn add(&mut self, path: &str, sign: i64) -> Result<(), JobError> {
        let fault = |error: std::io::Error| {
            JobError::usage(format!("cannot read {path}: {error}"), "name the output that is to be verified with -o")
        };
        let mut reader = open(path).map_err(fault)?;
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(fault)? > 0 {
            self.is_truncated |= line.last() != Some(&b'\n');
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            let hash = hasher.finish();
            *self.counts.entry(hash).or_default() += sign;
            self.order = self.order.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash;
            line.clear();
        }
        Ok(())
    }

    /// Returns a hash over the order of the lines since the last call.
    pub fn take_order(&mut self) -> u64 {
        std::mem::take(&mut self.order)
    }

    /// Returns how many lines only the expected file has.
    pub fn missing(&self) -> u64 {
        self.counts.values().map(|count| (*count).max(0).unsigned_abs()).sum()
    }

    /// Returns how many lines only the compared file has.
    pub fn extra(&self) -> u64 {
        self.counts.values().map(|count| (*count).min(0).unsigned_abs()).sum()
    }

    /// True where a file ends in the middle of a line.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

fn open(path: &str) -> std::io::Result<Box<dyn BufRead>> {
    let path = path_of(path);
    let file = File::open(&path)?;
    let reader: Box<dyn Read> = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::new(reader)))
}
