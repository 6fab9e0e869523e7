//! Keys that were written into a URL. They would end up in shell histories, process lists and the logs of servers.

use std::borrow::Cow;

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

/// Returns a text as it may be shown: without the user names and passwords of URLs in it, also of mistyped ones.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let ends_word = |letter: char| letter.is_whitespace() || "\"'`<>".contains(letter);
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        let (start, rest) = split_user(word).map_or((word, ""), |(start, rest)| (start, rest));
        shown.push_str(start);
        if !rest.is_empty() || start.len() < word.len() {
            shown.push_str("***@");
        }
        shown.push_str(rest);
        shown.push_str(&piece[word.len()..]);
    }
    Cow::Owned(shown)
}

/// Splits a word that is a URL with a user name or password into what is before and after them.
fn split_user(word: &str) -> Option<(&str, &str)> {
    let (before, rest) = word.rsplit_once('@')?;
    // The name of a model, and its URL.
    if rest.starts_with("http://") || rest.starts_with("https://") {
        return None;
    }
    let scheme =
        before.find("://").map_or_else(|| before.find('/').filter(|_| is_mistyped(before)), |at| Some(at + 2))?;
    let start = before[..=scheme].len() + before[scheme + 1..].bytes().take_while(|byte| *byte == b'/').count();
    let user = &before[start..];
    let (authority, has_path) = user.split_once('/').map_or((user, false), |(authority, _)| (authority, true));
    let port = authority.rsplit_once(':').map(|(_, port)| port.parse::<u16>().is_ok());
    // `host/@name` and `host:443/@name` are addresses of something that begins with an `@`.
    let is_path = has_path && port.unwrap_or(true);
    (!is_path).then_some((&word[..start], rest))
}

/// True for the beginning of a URL whose scheme lacks a slash or its colon: `http:/user:password`, `http//user:password`.
fn is_mistyped(before: &str) -> bool {
    let (scheme, rest) = before.split_once('/').unwrap_or((before, ""));
    let scheme = scheme.rsplit('@').next().unwrap_or_default().trim_end_matches(':');
    let is_scheme = (2..=6).contains(&scheme.len()) && scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_scheme && rest.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_in_any_text_and_other_addresses_stay() {
        for (text, shown) in [
            ("no `http://me:hunter2@host/v1` here", "no `http://***@host/v1` here"),
            ("htp://me:hunter2@host", "htp://***@host"),
            ("x=https://hunter2@host:1/a", "x=https://***@host:1/a"),
            ("q@http://me:hun/ter?2#@host, and", "q@http://***@host, and"),
            ("http:/me:hunter2@host http//me:hunter2@host", "http:/***@host http//***@host"),
            ("http://a:b@x,http://c:d@y", "http://***@y"),
            ("q@rev@http://host:8000/v1", "q@rev@http://host:8000/v1"),
            ("llama3:8b@http://localhost:11434", "llama3:8b@http://localhost:11434"),
            ("llama3:8b@localhost:11434", "llama3:8b@localhost:11434"),
            ("https://medium.com/@me https://a:443/@cf/x", "https://medium.com/@me https://a:443/@cf/x"),
            ("mail me@host.example\n@", "mail me@host.example\n@"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("http://me:hun?ter#2@host/v1", "http://***@host/v1"),
            ("me:hunter2@host", "***@host"),
            ("q@htp://me:hunter2@host", "htp://***@host"),
            ("http://host/v1?key=1", "http://host/v1?***"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
