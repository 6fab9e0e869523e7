/// One row of a container, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRow<'a> {
    /// The row's bytes, which should be one JSON value.
    pub bytes: &'a [u8],
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Bytes before it in the (uncompressed) container.
    pub offset: u64,
}

/// Splits a container into rows.
pub trait RowSource {
    /// Returns the next row; its bytes are valid until the next call. The inner `Err` is a row that cannot be read.
    fn next(&mut self) -> std::io::Result<Option<Result<RawRow<'_>, Problem>>>;
}

/// A row that cannot be read, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The reason, in words.
    pub reason: String,
}

/// The longest row that is read. Longer ones are reported as invalid.
pub const ROW_BYTES_MAX: usize = 256 << 20;
