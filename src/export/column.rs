/// A column of a format's rows, for containers that want types.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// Anything, written as JSON: rows differ in it, a table's columns cannot.
    Json,
    /// A list of messages with these fields.
    Messages(&'static [(&'static str, Leaf)]),
}

/// What a field of a message holds.
#[derive(Clone, Copy, Debug)]
pub enum Leaf {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// A whole number.
    Number,
}

/// The fields that every message has.
pub const PLAIN: &[(&str, Leaf)] = &[("role", Leaf::Text), ("content", Leaf::Text)];
/// With thoughts.
pub const THINKING: &[(&str, Leaf)] =
    &[("role", Leaf::Text), ("content", Leaf::Text), ("reasoning_content", Leaf::Text)];

pub const fn id() -> Column {
    Column { name: "id", kind: Kind::Text }
}

pub const fn meta() -> Column {
    Column { name: "meta", kind: Kind::Json }
}

pub const fn messages(name: &'static str, fields: &'static [(&'static str, Leaf)]) -> Column {
    Column { name, kind: Kind::Messages(fields) }
}
