//! A damaged input ends with 2 and a line that names the file, never with a panic.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use crate::support::{Place, conversation, jsonl};

fn files() -> [(&'static str, Vec<u8>); 3] {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..200).map(|row| format!("kites {row}"))));
    let batch = RecordBatch::try_from_iter([("prompt", Arc::clone(&texts)), ("response", texts)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let mut file = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    let mut parquet = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    file.write(&batch).unwrap();
    stream.write(&batch).unwrap();
    parquet.write(&batch).unwrap();
    let (file, stream) = (file.into_inner().unwrap(), stream.into_inner().unwrap());
    [("a.arrow", file), ("b.arrow", stream), ("c.parquet", parquet.into_inner().unwrap())]
}

#[test]
fn damaged_tables_end_with_2_and_without_a_panic() {
    let place = Place::new();
    for (name, bytes) in files() {
        place.write(name, &bytes);
        place.complete(&["inspect", name]);
        let flips = (0..24).map(|part| {
            let mut damaged = bytes.clone();
            damaged[8 + (bytes.len() - 9) * part / 23] ^= 0x10;
            damaged
        });
        let cuts = (1..8).map(|part| bytes[..bytes.len() * part / 8].to_vec());
        let mut refused = 0;
        for damaged in flips.chain(cuts) {
            place.write(name, &damaged);
            let finished = place.run(&["inspect", name]);
            assert!([Some(0), Some(2)].contains(&finished.code), "{name}: {:?} {}", finished.code, finished.stderr);
            assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
            if finished.code == Some(2) {
                refused += 1;
                assert!(finished.stderr.contains(name) && finished.stderr.contains("hint: "), "{}", finished.stderr);
            }
        }
        assert!(refused > 7, "{name}: {refused} refused");
    }
}

#[test]
fn a_card_whose_aliases_multiply_is_refused_at_once() {
    let place = Place::new();
    place.write("data/train.jsonl", jsonl(&[conversation("kites", 1)]));
    let levels =
        (1..40).map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(",")));
    let bomb = format!("a0: &a0 [lol]\n{}", levels.collect::<String>());
    let deep = format!("configs: {}", "[".repeat(200_000));
    for (front, word) in [(bomb, "more than 1 MB"), (deep, "not a dataset card")] {
        place.write("data/README.md", format!("---\n{front}\n---\n"));
        let finished = place.run(&["inspect", "data"]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(word) && finished.stderr.contains("hint: "), "{}", finished.stderr);
        assert!(!finished.stderr.contains("panicked"));
    }
}
