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
    /// A whole number.
    Number,
    /// A list of whole numbers.
    Numbers(Numbers),
    /// A list of messages with these fields.
    Messages(&'static [(&'static str, FieldKind)]),
}

/// What a list of numbers says about tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Their ids.
    Ids,
    /// The id of a token to train on, −100 for the others.
    Labels,
    /// 1 for a token to train on, 0 for the others.
    Mask,
    /// The ids of the most probable tokens at each place to train on; −1 where there is no further one.
    TopIds,
    /// Minus their log-probabilities, in steps of [`TopLogprobs::STEP`](crate::conversation::TopLogprobs::STEP) nats.
    TopSteps,
    /// Minus the log-probability of each token to train on, in the same steps.
    SampledSteps,
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
