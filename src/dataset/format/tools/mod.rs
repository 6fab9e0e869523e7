//! Tools in rows, in one form: that of `OpenAI`'s `tools`, `tool_calls` and `tool_call_id`.
//!
//! `calls` and `definitions` convert what other formats write, `hermes` reads calls that are written into the text, and
//! `link` gives calls their ids and results the ids of their calls.

mod calls;
mod definitions;
mod hermes;
mod link;

pub use calls::{UnreadableCall, is_call_role, normalised_calls};
pub use definitions::take_definitions;
pub use link::{are_linked, link_calls, read_written_calls};

use serde_json::Value;

/// Removes fields that are null, at any depth. Arrow adds them to make rows alike, and exports of such tables keep them.
pub fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
