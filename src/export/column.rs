/// A column of a format's rows, for containers with typed columns.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// The column's type.
    pub kind: ColumnKind,
}

/// The type of a column.
#[derive(Clone, Copy, Debug)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// Any value, written as JSON text. Its fields differ from row to row, which a table's columns cannot.
    Json,
    /// A list of messages with these fields.
    Messages(&'static [(&'static str, FieldKind)]),
}

/// The type of a message's field.
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
/// The fields of a message with reasoning.
pub const THINKING: &[(&str, FieldKind)] =
    &[("role", FieldKind::Text), ("content", FieldKind::Text), ("reasoning_content", FieldKind::Text)];

pub const fn id_column() -> Column {
    Column { name: "id", kind: ColumnKind::Text }
}

pub const fn tools_column() -> Column {
    Column { name: "tools", kind: ColumnKind::Json }
}

pub const fn meta_column() -> Column {
    Column { name: "meta", kind: ColumnKind::Json }
}

pub const fn messages_column(name: &'static str, fields: &'static [(&'static str, FieldKind)]) -> Column {
    Column { name, kind: ColumnKind::Messages(fields) }
}
