//! Journal frames and the records in them: no bytes make a reader panic, and a record that is read is written back as
//! the same record.
#![no_main]

use cohobate::store::fuzzing::{decode_entry, decode_frame, decode_index, encode_entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_frame(bytes);
    decode_index(bytes);
    if let Some(entry) = decode_entry(bytes) {
        let written = encode_entry(&entry).expect("what was read is not too large");
        assert_eq!(decode_entry(&written).as_ref(), Some(&entry));
    }
    if let Some(record) = sealed(bytes).as_deref().and_then(decode_frame) {
        let _ = decode_entry(&record);
    }
});

/// Makes a frame of `bytes`: its flags, the length of its record, the payload. The checksum is right, so that the fuzzer
/// reaches what comes after it.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (flags, rest) = bytes.split_first()?;
    let (record_length, payload) = rest.split_first_chunk::<4>()?;
    let mut frame = [b"cohf".as_slice(), &[1, flags & 1, 0, 0]].concat();
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(record_length);
    let checksum = crc32fast::hash(&[&frame[4..], payload].concat());
    frame.extend_from_slice(&checksum.to_le_bytes());
    frame.extend_from_slice(payload);
    Some(frame)
}
