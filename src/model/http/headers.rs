//! The headers of a server's requests.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::HttpSetupError;
use super::settings::HttpSettings;
use crate::model::request::{Header, HeaderText};
use crate::model::secret::Secret;

/// Headers that the transport decides.
const RESERVED: &[&str] = &["content-length", "transfer-encoding", "connection", "content-type", "accept-encoding"];

/// The headers of every request, and the one that carries the key.
#[derive(Clone)]
pub struct RequestHeaders {
    fixed: HeaderMap,
    /// The name of the key's header, and what is before the key in it. `None` if the user sets that header.
    key: Option<(HeaderName, &'static str)>,
}

impl RequestHeaders {
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpSetupError> {
        let (mut fixed, mut key) = (HeaderMap::new(), None);
        for Header { name, value } in settings.dialect.headers(settings.api_version.as_deref()) {
            match value {
                HeaderText::Fixed(text) => drop(fixed.insert(header_name(name)?, header_value(name, &text)?)),
                HeaderText::Key(prefix) => key = Some(key_header(settings.auth_header.as_deref(), name, prefix)?),
            }
        }
        for (name, value) in &settings.headers {
            let name = header_name(name)?;
            if RESERVED.contains(&name.as_str()) {
                return Err(HttpSetupError::new(format!("the header `{name}` is set by the program; remove it")));
            }
            fixed.insert(name.clone(), secret_value(&format!("the header `{name}`"), value.expose())?);
        }
        let key = key.filter(|(name, _)| !fixed.contains_key(name));
        let headers = Self { fixed, key };
        // A key with characters that no header may have is reported before the first call.
        headers.with_key(settings.key.as_ref())?;
        Ok(headers)
    }

    /// Returns all headers of a request with this key.
    pub fn with_key(&self, key: Option<&Secret>) -> Result<HeaderMap, HttpSetupError> {
        let mut headers = self.fixed.clone();
        if let Some(((name, prefix), key)) = self.key.as_ref().zip(key) {
            headers.insert(name, secret_value("the API key", &format!("{prefix}{}", key.expose()))?);
        }
        Ok(headers)
    }

    /// Returns the headers as they may be shown: secret values are masked.
    pub fn shown(&self, has_key: bool) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| match value.to_str() {
            Ok(text) if !value.is_sensitive() => text.to_owned(),
            _ => "***".to_owned(),
        };
        let mut shown: Vec<_> = self.fixed.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let key = self.key.as_ref().filter(|_| has_key);
        shown.extend(key.map(|(name, prefix)| (name.to_string(), format!("{prefix}***"))));
        shown
    }
}

/// Returns the header of the key: the dialect's, or the user's with the bare key. `authorization` has a scheme.
fn key_header(
    named: Option<&str>,
    name: &str,
    prefix: &'static str,
) -> Result<(HeaderName, &'static str), HttpSetupError> {
    let chosen = header_name(named.unwrap_or(name))?;
    let prefix = match chosen.as_str() {
        own if own == name => prefix,
        "authorization" => "Bearer ",
        _ => "",
    };
    Ok((chosen, prefix))
}

fn header_name(name: &str) -> Result<HeaderName, HttpSetupError> {
    name.parse().map_err(|_| HttpSetupError::new(format!("`{name}` is not a valid header name")))
}

fn header_value(name: &str, text: &str) -> Result<HeaderValue, HttpSetupError> {
    let fault = || HttpSetupError::new(format!("the header `{name}` contains characters that are invalid in a header"));
    HeaderValue::from_str(text).map_err(|_| fault())
}

fn secret_value(what: &str, text: &str) -> Result<HeaderValue, HttpSetupError> {
    let fault = || HttpSetupError::new(format!("{what} contains characters that are invalid in a header"));
    let mut value = HeaderValue::from_str(text).map_err(|_| fault())?;
    value.set_sensitive(true);
    Ok(value)
}
