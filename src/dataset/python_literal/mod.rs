//! Values as Python writes them: the literals of `ast.literal_eval`, and the text of a numpy array.
//!
//! pandas writes a list into a CSV cell as `str()` shows it. That is a Python literal, or, for an array of objects, its
//! elements between brackets without commas.

mod parser;
mod strings;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::parser::Parser;

/// Reads a Python literal as JSON, in one pass over `text`. `None` for anything that is not one.
///
/// Tuples and sets become lists. `None`, `nan` and `inf` become null. Keys of dictionaries become texts as `json.dumps`
/// has them. Integers of any length stay as they are. In a list without commas each element stands for
/// itself, as in numpy; elsewhere adjacent strings are one string.
pub fn python_value(text: &str) -> Option<Value> {
    Parser::new(text).whole()
}

/// Reads a value that is written as text, as in the cells of tables: as JSON, or as Python writes it.
pub fn written_value(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| python_value(text))
}
