//! Addresses as people write them: `NAME@URL`, several URLs with commas, URLs without a scheme.

use reqwest::Url;

use super::host::is_local;
use super::url_key::looks_like_key;

/// Splits `NAME@URL`. `None` if the text names no address.
pub fn split_address(text: &str) -> Option<(&str, &str)> {
    // A model's name may contain an `@`; the one before the scheme separates.
    if let Some(at) = ["@http://", "@https://"].iter().filter_map(|separator| text.find(separator)).min() {
        return Some((&text[..at], &text[at + 1..]));
    }
    if let Some(scheme) = text.find("://") {
        let at = text[..scheme].rfind('@')?;
        return Some((&text[..at], &text[at + 1..]));
    }
    let at = text.rfind('@')?;
    if !text[at + 1..].split(',').any(looks_like_address) {
        return None;
    }
    // The last `@` may end a password, which belongs to the address, and not to the name.
    let at = match text[..at].rfind('@') {
        Some(before) if text[before..at].contains(':') || looks_like_key(&text[before + 1..at]) => before,
        _ => at,
    };
    Some((&text[..at], &text[at + 1..]))
}

/// True if a text without a scheme is an address, and not the end of a name such as `claude@20240229` or `m@v1.2`.
fn looks_like_address(text: &str) -> bool {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (authority, has_path) = (&text[..end], text[end..].starts_with('/'));
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let (host, has_port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, true),
        _ => (authority, false),
    };
    if host.starts_with('[') {
        return host.ends_with(']');
    }
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_name = host.trim_end_matches('.').split('.').all(is_label);
    let ending = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_dotted = host.contains('.') && ending.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let is_known = is_dotted || host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok();
    is_name && (has_port || has_path || is_known)
}

/// Splits the addresses of replicas at their commas. A comma inside a URL is not followed by an address.
pub fn split_replicas(urls: &str) -> Vec<String> {
    let mut replicas: Vec<String> = Vec::new();
    for part in urls.split(',') {
        let has_scheme = part.starts_with("http://") || part.starts_with("https://");
        match replicas.last_mut() {
            Some(last) if !has_scheme && (last.contains('?') || !looks_like_address(part)) => {
                last.push(',');
                last.push_str(part);
            }
            _ => replicas.push(part.to_owned()),
        }
    }
    replicas
}

/// Adds the scheme that an address without one means: `https` for public hosts and for port 443, else `http`.
pub fn with_scheme(url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    let plain = format!("http://{url}");
    let is_plain = Url::parse(&plain).is_ok_and(|parsed| is_local(&parsed) && parsed.port() != Some(443));
    if is_plain { plain } else { format!("https://{url}") }
}
