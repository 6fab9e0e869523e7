use std::fs::File;
use std::io::BufReader;

use super::super::fault::Fault;
use super::super::not_utf8::not_utf8_at;
use super::super::places::RowSink;
use super::super::row::Problem;
use super::records::Records;

const READ_BYTES: usize = 256 << 10;

/// Writes the rows of a table as objects of texts. A row that cannot be told apart into its columns, or that is not UTF-8,
/// is a problem of that row, because data would be lost silently; a fault of the header is one of the file.
pub fn write_rows(file: File, separator: u8, sink: &mut RowSink<'_>) -> Result<(), Fault> {
    let mut records = Records::new(BufReader::with_capacity(READ_BYTES, file), separator)?;
    let Some(header) = records.advance()? else { return Ok(()) };
    let fault = |reason: &str| {
        Fault::new(format!("line {}: {reason}", header.line), "correct the first line, which names the columns")
    };
    if let Some(reason) = &header.fault {
        return Err(fault(reason));
    }
    let mut names: Vec<String> = Vec::new();
    for cell in records.cells() {
        let Ok(name) = std::str::from_utf8(cell) else {
            let at = std::str::from_utf8(records.bytes()).err().map_or(0, |error| error.valid_up_to());
            let reason = not_utf8_at(records.bytes(), at, records.place(at).1);
            return Err(fault(&format!("a column's name is {reason}")));
        };
        if names.iter().any(|other| other == name) {
            return Err(fault(&format!("two columns are called `{name}`")));
        }
        names.push(name.to_owned());
    }
    let keys = names.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(std::io::Error::other)?;
    let mut row = Vec::new();
    while let Some(shape) = records.advance()? {
        let is_blank = records.len() == 1 && names.len() > 1 && records.bytes().trim_ascii().is_empty();
        if is_blank && shape.fault.is_none() {
            continue;
        }
        match shape.fault.or_else(|| fault_of_row(&records, &names, separator)) {
            Some(reason) => sink.problem(&Problem { line: shape.line, reason })?,
            None => {
                write_object(&records, &keys, &mut row)?;
                sink.row(shape.line, &row)?;
            }
        }
    }
    Ok(())
}

fn fault_of_row<R: std::io::BufRead>(records: &Records<R>, names: &[String], separator: u8) -> Option<String> {
    if records.len() != names.len() {
        let character = if separator == b'\t' { "a tab".to_owned() } else { format!("`{}`", separator as char) };
        let (cells, columns) = (records.len(), names.len());
        return Some(format!(
            "the row has {cells} cell{}, and the first line names {columns} column{}; a cell that contains {character} or a \
             line feed has to be in quotes",
            if cells == 1 { "" } else { "s" },
            if columns == 1 { "" } else { "s" }
        ));
    }
    // A character that a separator divides is in neither cell.
    let mut start = 0;
    let mut bad = records.cells().filter_map(|cell| {
        let from = start;
        start += cell.len();
        let is_good = simdutf8::basic::from_utf8(cell).is_ok();
        if is_good { None } else { std::str::from_utf8(cell).err().map(|error| from + error.valid_up_to()) }
    });
    let at = bad.next()?;
    let (column, offset) = records.place(at);
    let name = names.get(column).map_or("", String::as_str);
    Some(format!("the cell `{name}` is {}", not_utf8_at(records.bytes(), at, offset)))
}

fn write_object<R: std::io::BufRead>(records: &Records<R>, keys: &[String], row: &mut Vec<u8>) -> std::io::Result<()> {
    row.clear();
    row.push(b'{');
    for (number, (key, cell)) in keys.iter().zip(records.cells()).enumerate() {
        if number > 0 {
            row.push(b',');
        }
        row.extend_from_slice(key.as_bytes());
        row.push(b':');
        // Checked before.
        let text = std::str::from_utf8(cell).map_err(std::io::Error::other)?;
        serde_json::to_writer(&mut *row, text)?;
    }
    row.push(b'}');
    Ok(())
}
