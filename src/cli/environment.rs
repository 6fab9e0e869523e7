//! Every environment variable that the program reads.

/// The API key for every model that names no other variable. Goes before [`OPENAI_API_KEY`].
pub const COHOBATE_API_KEY: &str = "COHOBATE_API_KEY";
/// The API key, under the name that most machines have set already.
pub const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
