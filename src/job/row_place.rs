/// Where a row of the input begins.
#[derive(Clone, Copy, Debug)]
pub struct RowPlace<'a> {
    /// The input.
    pub source: &'a str,
    /// The line, from 1.
    pub line: u64,
    /// The number of the row over all inputs, from 0.
    pub row: u64,
    /// The id of a row that cannot be read further, where it has one.
    pub id: Option<&'a str>,
}
