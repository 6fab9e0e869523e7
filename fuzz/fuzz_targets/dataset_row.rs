//! One row of a dataset: whatever its bytes, each input format reads it or says why not, and each output format writes
//! the record that it makes or says why not.
#![no_main]

use cohobate::dataset::{ChosenFormat, FORMATS, ON_REQUEST, RowReader};
use cohobate::export;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let named = FORMATS.iter().chain(ON_REQUEST).map(|format| ChosenFormat::Named(*format));
    let mapped = ChosenFormat::Mapped("role=from,content=value".parse().expect("a mapping"));
    for format in named.chain([mapped]).map(Some).chain([None]) {
        let reader = RowReader { format, ..RowReader::default() };
        let _ = reader.read(bytes);
        let Ok(Ok(record)) = reader.source(bytes).map(|row| row.into_record(&reader.rules)) else { continue };
        for format in export::FORMATS {
            let _ = format.write(&record, &mut Vec::new());
        }
    }
});
