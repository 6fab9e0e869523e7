use serde::Serialize;

/// Appends a value as JSON.
pub fn append_json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *out, value).expect("JSON values can always be written to memory");
}

/// Appends a value as one line of JSON.
pub fn append_row(out: &mut Vec<u8>, row: &impl Serialize) {
    append_json(out, row);
    out.push(b'\n');
}
