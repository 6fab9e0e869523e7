/// One row as it stands in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRow<'a> {
    /// The row's bytes: one JSON value, if all is well.
    pub bytes: &'a [u8],
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Bytes before it in the (uncompressed) container.
    pub offset: u64,
}

/// Cuts a container into rows.
pub trait RowSource {
    /// Returns the next row; its bytes are valid until the next call. `Err` inside is a row that cannot be cut out.
    fn next(&mut self) -> std::io::Result<Option<Result<RawRow<'_>, Problem>>>;
}

/// A row that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Why, in words.
    pub reason: String,
}

/// Longest row that is read. A longer one is named and left out.
pub const ROW_BYTES_MAX: usize = 256 << 20;
