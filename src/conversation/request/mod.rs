//! What the user adds to each request besides messages and sampling: body fields, the shortcuts for reasoning, and draws.
//!
//! All of it is what was asked for. How a server is told, and what a server refused, is the transport's business and
//! never part of the identity.

mod choices;
mod error;
mod extras;
mod fields;
mod meaning;
mod reasoning;
mod side_fields;
mod temperatures;

pub use choices::{BodyChoice, BodyChoices};
pub use error::BodyError;
pub use extras::{Extras, RequestOptions};
pub use fields::BodyFields;
pub use reasoning::{Effort, Thinking};
pub use side_fields::{SIDE_FIELDS, is_side_field};
pub use temperatures::TemperatureChoice;
