#[cfg(feature = "parquet")]
pub use parquet_shards::Shards;

#[cfg(not(feature = "parquet"))]
pub use no_shards::NoShards as Shards;

#[cfg(feature = "parquet")]
mod parquet_shards {
    use std::collections::HashMap;
    use std::fs::{self, File};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use arrow_json::ReaderBuilder;
    use arrow_json::reader::Decoder;
    use arrow_schema::{DataType, Field, Fields, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use serde_json::value::RawValue;

    use crate::export::card::dataset_card;
    use crate::export::column::{ColumnKind, FieldKind, Numbers};
    use crate::export::json_row::append_json;
    use crate::export::{OutputError, OutputFormat};
    use crate::files::{NewDirectory, finish_swaps, name_of, replaced_path, sync_directory};

    /// JSON bytes per shard. The size on disk is a fraction of it.
    const SHARD_BYTES: usize = 1 << 30;
    /// Rows that are converted to columns at a time, and at most how many bytes of them.
    const BATCH_ROWS: usize = 256;
    const BATCH_BYTES: usize = 4 << 20;
    /// Rows of a row group, the unit that readers load, and about how many encoded bytes of them.
    const GROUP_ROWS: usize = 4_096;
    const GROUP_BYTES: usize = 32 << 20;

    /// A directory in the hub's layout, `data/train-00000-of-0000N.parquet` with a dataset card, which is written atomically.
    /// An old one is replaced only where it contains nothing else.
    pub struct Shards {
        path: PathBuf,
        partial: NewDirectory,
        format: &'static dyn OutputFormat,
        schema: Arc<Schema>,
        /// Rows as JSON lines, and how many.
        batch: Vec<u8>,
        batch_rows: usize,
        writer: Option<ArrowWriter<File>>,
        shard_count: usize,
        shard_bytes: usize,
        row_count: u64,
        byte_count: u64,
        /// The licence for the card.
        pub license: Option<String>,
    }

    impl Shards {
        /// Starts writing the directory `path`.
        pub fn create(path: &Path, format: &'static dyn OutputFormat) -> Result<Self, OutputError> {
            // Without a slash at the end.
            let named: PathBuf = path.components().collect();
            let fault = |source| OutputError { path: name_of(&named), source };
            let path = replaced_path(&named).map_err(fault)?;
            finish_swaps(&path).map_err(fault)?;
            check_replaceable(&path).map_err(fault)?;
            let partial = NewDirectory::create(&path).map_err(fault)?;
            fs::create_dir(partial.path().join("data")).map_err(fault)?;
            Ok(Self {
                path,
                partial,
                format,
                schema: Arc::new(schema(format)),
                batch: Vec::new(),
                batch_rows: 0,
                writer: None,
                shard_count: 0,
                shard_bytes: 0,
                row_count: 0,
                byte_count: 0,
                license: None,
            })
        }

        /// Writes rows, one JSON object a line.
        pub fn write(&mut self, rows: &[u8]) -> Result<(), OutputError> {
            for line in rows.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.append(line);
                self.batch_rows += 1;
                self.shard_bytes += line.len();
                self.byte_count += line.len() as u64;
                self.row_count += 1;
                if self.batch_rows >= BATCH_ROWS || self.batch.len() >= BATCH_BYTES {
                    self.flush()?;
                }
            }
            Ok(())
        }

        /// Appends a row to the batch. Numbers and texts stay as they are written: rows of tokens have many.
        fn append(&mut self, line: &[u8]) {
            let row: HashMap<&str, &RawValue> = serde_json::from_slice(line).expect("formats write JSON objects");
            self.batch.push(b'{');
            let columns = self.format.columns().iter().filter_map(|column| Some((column, row.get(column.name)?)));
            for (number, (column, value)) in columns.enumerate() {
                if number > 0 {
                    self.batch.push(b',');
                }
                append_json(&mut self.batch, &column.name);
                self.batch.push(b':');
                match column.kind {
                    ColumnKind::Json => append_json(&mut self.batch, &value.get()),
                    _ => self.batch.extend_from_slice(value.get().as_bytes()),
                }
            }
            self.batch.extend_from_slice(b"}\n");
        }

        /// Completes the directory and moves it to its path.
        pub fn finish(mut self) -> Result<(), OutputError> {
            self.flush()?;
            self.end_shard()?;
            let fault = |path: &Path, source| OutputError { path: path.display().to_string(), source };
            let data = self.partial.path().join("data");
            for index in 0..self.shard_count {
                let name = format!("train-{index:05}-of-{:05}.parquet", self.shard_count);
                fs::rename(data.join(shard_name(index)), data.join(name)).map_err(|error| fault(&data, error))?;
            }
            let text = dataset_card(self.format, self.row_count, self.byte_count, self.license.as_deref());
            let Self { path, partial, .. } = self;
            let card = partial.path().join("README.md");
            let written = fs::write(&card, text).and_then(|()| File::open(&card)?.sync_all());
            written
                .and_then(|()| sync_directory(&data))
                .and_then(|()| partial.place())
                .map_err(|error| fault(&path, error))
        }

        fn flush(&mut self) -> Result<(), OutputError> {
            let path = self.path.clone();
            let fault = |error: &dyn std::fmt::Display| OutputError {
                path: path.display().to_string(),
                source: io::Error::other(error.to_string()),
            };
            let mut decoder: Decoder = ReaderBuilder::new(Arc::clone(&self.schema))
                .with_batch_size(BATCH_ROWS)
                .build_decoder()
                .map_err(|error| fault(&error))?;
            decoder.decode(&self.batch).map_err(|error| fault(&error))?;
            self.batch.clear();
            self.batch_rows = 0;
            if let Some(batch) = decoder.flush().map_err(|error| fault(&error))? {
                if self.writer.is_none() {
                    self.writer = Some(self.begin_shard()?);
                }
                let writer = self.writer.as_mut().expect("a shard has just been begun");
                writer.write(&batch).map_err(|error| fault(&error))?;
                if writer.in_progress_size() >= GROUP_BYTES {
                    writer.flush().map_err(|error| fault(&error))?;
                }
            }
            if self.shard_bytes >= SHARD_BYTES { self.end_shard() } else { Ok(()) }
        }

        fn begin_shard(&mut self) -> Result<ArrowWriter<File>, OutputError> {
            let path = self.partial.path().join("data").join(shard_name(self.shard_count));
            let fault = |source| OutputError { path: path.display().to_string(), source };
            self.shard_count += 1;
            let file = File::create(&path).map_err(fault)?;
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_max_row_group_row_count(Some(GROUP_ROWS))
                .build();
            let writer = ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(properties));
            writer.map_err(|error| fault(io::Error::other(error)))
        }

        fn end_shard(&mut self) -> Result<(), OutputError> {
            // An empty dataset is written as one empty shard, so that its columns are declared.
            if self.writer.is_none() && self.shard_count == 0 {
                self.writer = Some(self.begin_shard()?);
            }
            self.shard_bytes = 0;
            let path = self.path.display().to_string();
            let fault = |source| OutputError { path, source };
            let Some(writer) = self.writer.take() else { return Ok(()) };
            let file = writer.into_inner().map_err(io::Error::other).and_then(|file| file.sync_all());
            file.map_err(fault)
        }
    }

    fn shard_name(index: usize) -> String {
        format!("shard-{index:05}")
    }

    fn schema(format: &dyn OutputFormat) -> Schema {
        let fields = format.columns().iter().map(|column| {
            let kind = match column.kind {
                ColumnKind::Text | ColumnKind::Json => DataType::Utf8,
                ColumnKind::Flag => DataType::Boolean,
                ColumnKind::Number => DataType::Int32,
                ColumnKind::Numbers(numbers) => DataType::new_list(number_type(numbers), true),
                ColumnKind::Messages(fields) => {
                    let fields = fields.iter().map(|(name, leaf)| {
                        let kind = match leaf {
                            FieldKind::Text => DataType::Utf8,
                            FieldKind::Flag => DataType::Boolean,
                            FieldKind::Number => DataType::Int64,
                        };
                        Field::new(*name, kind, true)
                    });
                    DataType::new_list(DataType::Struct(fields.collect::<Fields>()), true)
                }
            };
            Field::new(column.name, kind, true)
        });
        Schema::new(fields.collect::<Fields>())
    }

    fn number_type(numbers: Numbers) -> DataType {
        match numbers {
            Numbers::Ids | Numbers::Labels | Numbers::TopIds => DataType::Int32,
            Numbers::Mask => DataType::Int8,
            Numbers::TopSteps | Numbers::SampledSteps => DataType::UInt16,
        }
    }

    /// Fails where a directory contains files that this program did not write.
    fn check_replaceable(path: &Path) -> io::Result<()> {
        let is_ours = |entry: &fs::DirEntry| -> bool {
            let name = entry.file_name();
            let shards = || {
                fs::read_dir(entry.path()).is_ok_and(|mut inner| {
                    inner.all(|shard| {
                        shard.is_ok_and(|shard| shard.path().extension().is_some_and(|ending| ending == "parquet"))
                    })
                })
            };
            name == "README.md" || (name == "data" && shards())
        };
        match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(mut entries) => {
                if entries.all(|entry| entry.is_ok_and(|entry| is_ours(&entry))) {
                    return Ok(());
                }
                Err(io::Error::other("it contains files that this program did not write; name a new directory"))
            }
        }
    }
}

#[cfg(not(feature = "parquet"))]
mod no_shards {
    use std::io;
    use std::path::Path;

    use crate::export::{OutputError, OutputFormat};

    /// Replaces the shard writer in builds without Parquet: `create` always fails.
    pub struct NoShards {
        /// The licence for the card.
        pub license: Option<String>,
    }

    impl NoShards {
        pub fn create(path: &Path, _: &'static dyn OutputFormat) -> Result<Self, OutputError> {
            let source = io::Error::other("this program was built without the feature `parquet`");
            Err(OutputError { path: path.display().to_string(), source })
        }

        pub fn write(&mut self, _: &[u8]) -> Result<(), OutputError> {
            Ok(())
        }

        pub fn finish(self) -> Result<(), OutputError> {
            Ok(())
        }
    }
}
