//! The versions of the API, which are dates.

/// The version that every server of this format knows.
const DEFAULT: &str = "2023-06-01";
/// From this version on the key is a bearer token, and `temperature`, `top_p` and `top_k` are refused.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Returns the version that is sent.
pub fn or_default(configured: Option<&str>) -> &str {
    configured.unwrap_or(DEFAULT)
}

/// True if the key is sent as a bearer token.
pub fn sends_bearer(version: &str) -> bool {
    is_at_least(version, WITHOUT_SAMPLING)
}

/// True if requests may have sampling parameters.
pub fn takes_sampling(version: &str) -> bool {
    !is_at_least(version, WITHOUT_SAMPLING)
}

/// Compares dates. A version that is not a date, such as a gateway's own, counts as old.
fn is_at_least(version: &str, date: &str) -> bool {
    let is_date = version.len() == date.len() && version.starts_with(|first: char| first.is_ascii_digit());
    is_date && version >= date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_decides_the_key_header_and_the_sampling() {
        for (version, is_new) in [
            ("2023-01-01", false),
            ("2023-06-01", false),
            ("2026-10-20", false),
            ("2026-10-21", true),
            ("2027-01-01", true),
            ("vertex-2023-10-16", false),
            ("", false),
        ] {
            assert_eq!((sends_bearer(version), takes_sampling(version)), (is_new, !is_new), "{version}");
        }
        assert_eq!(or_default(None), "2023-06-01");
    }
}
