use std::path::PathBuf;

use crate::model::Secret;

/// Where the Hub is, and what is known to it. The caller resolves all of it: nothing here reads the environment.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// The URL of the Hub. Default: `https://huggingface.co`.
    pub endpoint: String,
    /// The user's token. It goes to the endpoint's own host alone. Default: none.
    pub token: Option<Secret>,
    /// The directory of the cache, which the Hub's other clients share. Default: none; nothing can be downloaded then.
    pub cache: Option<PathBuf>,
    /// Sends no request: only what is in the cache is read. Default: false.
    pub is_offline: bool,
}

impl HubSettings {
    /// The public Hub.
    pub const ENDPOINT: &str = "https://huggingface.co";
}

impl Default for HubSettings {
    fn default() -> Self {
        Self { endpoint: Self::ENDPOINT.to_owned(), token: None, cache: None, is_offline: false }
    }
}
