//! bincode with a version byte and a length limit. The only file that names bincode.
//!
//! bincode 2.0.1 is complete and no longer developed (RUSTSEC-2025-0141). A replacement for this file must read the
//! same wire format (varints, little-endian, length-prefixed strings).

use bincode::config;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Maximum bytes of one record, before compression.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

const CONFIG: config::Configuration<config::LittleEndian, config::Varint, config::Limit<RECORD_BYTES_MAX>> =
    config::standard().with_limit::<RECORD_BYTES_MAX>();

/// Appends the version byte and the record to `out`. Returns false and leaves `out` unchanged if the record is too
/// large.
pub fn encode(version: u8, record: &impl Serialize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.push(version);
    let written = bincode::serde::encode_into_std_write(record, out, CONFIG);
    if written.is_ok_and(|length| length < RECORD_BYTES_MAX) {
        return true;
    }
    out.truncate(start);
    false
}

/// Splits off the version byte.
pub fn version(bytes: &[u8]) -> Option<(u8, &[u8])> {
    bytes.split_first().map(|(version, rest)| (*version, rest))
}

/// Reads a record that fills `bytes` exactly; `None` if it does not.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (record, length) = bincode::serde::decode_from_slice(bytes, CONFIG).ok()?;
    (length == bytes.len()).then_some(record)
}
