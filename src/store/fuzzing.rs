//! The decoders of the journal and the index, for the fuzz targets in `fuzz/`. Compiled with `--cfg fuzzing` only, so
//! that the decoders stay private.

use super::entry::Entry;
use super::frame::{self, Parsed};
use super::record;

/// Returns the record in the frame at the beginning of `bytes`.
pub fn decode_frame(bytes: &[u8]) -> Option<Vec<u8>> {
    match frame::parse(bytes) {
        Parsed::Frame { record, .. } => Some(record),
        Parsed::Short { .. } | Parsed::Damaged => None,
    }
}

/// Reads an entry's record.
pub fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    record::decode_entry(bytes).ok()
}

/// Returns an entry's record; `None` if it is too large.
pub fn encode_entry(entry: &Entry) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    record::encode_entry(entry, &mut out).then_some(out)
}

/// Reads `bytes` as each kind of record that the index holds.
pub fn decode_index(bytes: &[u8]) {
    let _ = record::decode_state(bytes);
    let _ = record::decode_spending(bytes);
    let _ = record::decode_run(bytes);
}
