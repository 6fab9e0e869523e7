/// A column of a format's rows, for containers that want types.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// Anything, written as JSON: rows differ in it, a table's columns cannot.
    Json,
    /// A list of messages with these fields.
    Messages(&'static [(&'static str, FieldKind)]),
}

/// What a field of a message holds.
#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// A whole number.
    Number,
}

/// The fields that every message has.
pub const PLAIN: &[(&str, FieldKind)] = &[("role", FieldKind::Text), ("content", FieldKind::Text)];
/// With thoughts.
pub const THINKING: &[(&str, FieldKind)] =
    &[("role", FieldKind::Text), ("content", FieldKind::Text), ("reasoning_content", FieldKind::Text)];

pub const fn id_column() -> Column {
    Column { name: "id", kind: ColumnKind::Text }
}

pub const fn meta_column() -> Column {
    Column { name: "meta", kind: ColumnKind::Json }
}

pub const fn messages_column(name: &'static str, fields: &'static [(&'static str, FieldKind)]) -> Column {
    Column { name, kind: ColumnKind::Messages(fields) }
}
