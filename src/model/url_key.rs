//! Keys that were written into a URL. They would end up in shell histories, process lists and the logs of servers.

use reqwest::Url;

/// Names of query parameters that hold a key, in lower case without separators.
const KEY_NAMES: [&str; 8] = ["auth", "authorization", "bearer", "jwt", "passwd", "pwd", "sig", "signature"];
/// Endings of such names.
const KEY_ENDINGS: [&str; 5] = ["key", "token", "secret", "password", "credential"];
/// How the keys of well-known providers begin.
const KEY_BEGINNINGS: [&str; 11] =
    ["sk-", "sk_", "gsk_", "hf_", "xai-", "AIza", "nvapi-", "fw_", "csk-", "tgp_", "pplx-"];
/// A shorter text is a name that begins by chance like a key.
const KEY_LENGTH_MIN: usize = 16;

/// Returns what kind of key a URL contains, without showing it.
pub fn key_in(url: &Url) -> Option<String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a user name or password".to_owned());
    }
    let in_fragment = url.fragment().is_some_and(|fragment| fragment.contains('=') || looks_like_key(fragment));
    if in_fragment {
        return Some("a key after its `#`".to_owned());
    }
    let mut pairs = url.query_pairs();
    if let Some((name, _)) = pairs.find(|(name, value)| names_key(name) || looks_like_key(value)) {
        let shown: String =
            name.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter)).collect();
        let shown = if looks_like_key(&name) { "***" } else { &shown };
        return Some(format!("a key in its query (`{shown}`)"));
    }
    // A scheme with a slash or a colon too few has the rest of the address in its path.
    if url.path().rsplit_once('@').is_some_and(|(before, _)| before.contains(':')) {
        return Some("a user name or password".to_owned());
    }
    let mut segments = url.path().split('/');
    segments.any(looks_like_key).then(|| "a key in its path".to_owned())
}

fn names_key(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let is_key = KEY_NAMES.contains(&plain.as_str()) || KEY_ENDINGS.iter().any(|ending| plain.ends_with(ending));
    is_key || looks_like_key(name)
}

/// True if a text looks like the key of a provider.
pub fn looks_like_key(text: &str) -> bool {
    text.len() >= KEY_LENGTH_MIN && KEY_BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// Returns a URL as it may be shown: without user name, password, query and fragment. Whatever is before its last `@` may be
/// a password, also one with a `/`, a `?` or a `#` in it.
pub fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("***@", rest));
    let shown = rest.split(['?', '#']).next().unwrap_or_default();
    let query = if shown.len() < rest.len() { "?***" } else { "" };
    let shown: Vec<&str> = shown.split('/').map(|part| if looks_like_key(part) { "***" } else { part }).collect();
    // A user name may be before the scheme, too.
    let scheme = scheme.rsplit_once('@').map_or(scheme, |(_, scheme)| scheme);
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{user}{}{query}", shown.join("/"))
}
