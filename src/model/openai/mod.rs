//! The `OpenAI` chat completions dialect, as two pure functions: [`request_body`] and a reply read whole
//! ([`read_whole`]) or in pieces ([`Assembler`]).
//!
//! Tolerant where servers differ, strict about one thing: an answer without a known reason for its end is none.

mod repetition;
mod reply;
mod request;
mod stream;

pub use reply::read_whole;
pub use request::{LengthField, RequestFormat, request_body};
pub use stream::Assembler;

/// The dialect's name in fingerprints and settings.
pub const DIALECT: &str = "openai";
