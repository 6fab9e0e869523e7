//! Damaged Arrow, Parquet and compressed files: each flipped byte and each cut ends in rows or in a fault, never in a panic.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, RecordBatch, StringArray, types::Int64Type};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::super::foreign;
use super::*;
use crate::conversation::Dice;

/// Flips per file.
const FLIPS: u64 = 150;

fn batch(rows: usize) -> RecordBatch {
    let texts: ArrayRef =
        Arc::new((0..rows).map(|row| (row % 7 > 0).then(|| "kites ".repeat(row))).collect::<StringArray>());
    let numbers = (0..rows).map(|row| Some((0_i64..5).take(row % 5).map(Some).collect::<Vec<_>>()));
    let numbers: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(numbers));
    RecordBatch::try_from_iter([("text", texts), ("numbers", numbers)]).unwrap()
}

fn files(rows: usize) -> Vec<(&'static str, Vec<u8>)> {
    let batch = batch(rows);
    let mut files = Vec::new();
    for (file, stream, compression) in [
        ("a.arrow", "a.stream", None),
        ("lz4.arrow", "lz4.stream", Some(CompressionType::LZ4_FRAME)),
        ("zstd.arrow", "zstd.stream", Some(CompressionType::ZSTD)),
    ] {
        let options = || IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options()).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch).unwrap();
        files.push((file, writer.into_inner().unwrap()));
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options()).unwrap();
        writer.write(&batch).unwrap();
        files.push((stream, writer.into_inner().unwrap()));
    }
    for (name, compression) in [
        ("plain.parquet", Compression::UNCOMPRESSED),
        ("snappy.parquet", Compression::SNAPPY),
        ("zstd.parquet", Compression::ZSTD(ZstdLevel::default())),
    ] {
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        files.push((name, writer.into_inner().unwrap()));
    }
    files
}

/// Reads a file as an input is read. Returns its rows.
fn read(directory: &Path, bytes: &[u8]) -> Result<usize, Fault> {
    let path = directory.join("file");
    std::fs::write(&path, bytes).unwrap();
    let packing = Packing::of(bytes);
    if packing != Packing::Plain {
        let mut unpacked = Vec::new();
        return foreign::decode(|| Ok(packing.unpack(&path, &mut unpacked)?)).map(|()| unpacked.len());
    }
    let (mut rows, places) = (Vec::new(), directory.join("places"));
    let mut sink = RowSink::new(&mut rows, &places);
    Container::of(bytes, "file")?.write_rows(&path, &mut sink)?;
    Ok(rows.split(|byte| *byte == b'\n').count() - 1)
}

#[test]
fn flipped_bytes_and_cuts_end_in_rows_or_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files(40) {
        let rows = read(directory.path(), &bytes).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        assert!(rows == 40 || rows == 80, "{name}: {rows} rows");
        let mut faults = 0;
        for number in 0..FLIPS {
            let mut dice = Dice::new(name, &number.to_le_bytes());
            let (at, flipped) = (dice.below(bytes.len()), dice.below(255) as u8 + 1);
            let mut damaged = bytes.clone();
            damaged[at] ^= flipped;
            faults += u64::from(read(directory.path(), &damaged).is_err());
        }
        for part in 0..100 {
            let cut = &bytes[..bytes.len() * part / 100];
            faults += u64::from(cut.len() > 8 && read(directory.path(), cut).is_err());
        }
        assert!(faults > 50, "{name}: {faults} faults");
    }
}

/// Every byte of every length that a compressed Arrow file states.
#[test]
fn no_stated_length_makes_the_program_allocate_without_bound() {
    let directory = tempfile::tempdir().unwrap();
    for (_, bytes) in
        files(4).into_iter().filter(|(name, _)| name.starts_with(['l', 'z']) && !name.ends_with(".parquet"))
    {
        for at in 8..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let _ = read(directory.path(), &damaged);
        }
    }
}

#[test]
fn damaged_compressed_files_end_in_bytes_or_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let text = "{\"messages\": []}\n".repeat(200);
    let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    for bytes in [zstd, gzip.finish().unwrap()] {
        assert_eq!(read(directory.path(), &bytes), Ok(text.len()));
        for at in 4..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let _ = read(directory.path(), &damaged);
            assert!(read(directory.path(), &bytes[..at]).is_err() || at < 8, "cut at {at}");
        }
    }
}
