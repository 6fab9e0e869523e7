//! How servers say that they do not support something. All texts are in lower case.

use std::ops::Range;

/// Ways to say that a field is not supported, in lower case.
const UNSUPPORTED: &[&str] = &[
    "unsupported_parameter",
    "unknown_parameter",
    "extra_forbidden",
    "value_error.extra",
    "unrecognized request argument",
    "extra inputs are not permitted",
    "extra fields not permitted",
    "extraneous key",
    "additional properties",
    "is not a valid field",
    "is not a valid parameter",
    "is unsupported",
    "are unsupported",
    "not supported",
    "isn't supported",
    "aren't supported",
    "no longer supported",
    "does not support",
    "doesn't support",
    "do not support",
    "does not accept",
    "doesn't accept",
    "does not recognize",
    "not recognized",
    "is not accepted",
    "is not implemented",
    "is not available",
    "is not compatible",
    "is incompatible",
    "is deprecated",
    "is not permitted",
    "is not allowed",
    "not allowed",
    "cannot be set",
    "can't be set",
    "must not be set",
    "cannot be specified",
    "cannot both be specified",
    "不支持",
    "未知参数",
    "未知字段",
];

/// Together with [`NOUNS`], further ways: "unknown field".
const ADJECTIVES: &[&str] = &["unsupported", "unknown", "unrecognized", "unrecognised", "unexpected"];
/// See [`ADJECTIVES`].
const NOUNS: &[&str] = &["param", "field", "argument", "key", "property", "option", "name", "input", "attribute"];

/// Ways to say that the value is wrong, in lower case.
const WRONG_VALUE: &[&str] = &[
    "unsupported_value",
    "unsupported value",
    "supported values",
    "invalid value",
    "invalid_value",
    "invalid temperature",
];

/// Words before the only value that a server takes, in lower case.
const ONLY: &[&str] = &["only ", "only be ", "only be set to ", "must be ", "must be set to ", "must be equal to "];

/// Returns the place where a text in lower case first says that something is not supported.
pub fn unsupported_phrase(words: &str) -> Option<Range<usize>> {
    let fixed = UNSUPPORTED.iter().filter_map(|phrase| words.find(phrase).map(|at| at..at + phrase.len()));
    let built = ADJECTIVES.iter().flat_map(|adjective| words.match_indices(adjective)).filter_map(|(at, adjective)| {
        let end = at + adjective.len();
        let noun = words[end..].strip_prefix(' ')?;
        let noun = NOUNS.iter().find(|known| noun.starts_with(*known))?;
        Some(at..end + 1 + noun.len())
    });
    // The longest of those at the earliest place.
    fixed.chain(built).min_by_key(|place| (place.start, usize::MAX - place.end))
}

/// True if a text says that the value of a field is wrong.
pub fn says_wrong_value(words: &str) -> bool {
    WRONG_VALUE.iter().any(|phrase| words.contains(phrase))
}

/// Returns the place where a text in lower case says that a field has only one value: "only 1 is allowed". A range is not one.
pub fn only_value(words: &str) -> Option<Range<usize>> {
    ONLY.iter().find_map(|phrase| {
        let at = words.find(phrase)?;
        let rest = &words[at + phrase.len()..];
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let after = rest[digits..].trim_start();
        let is_range = ["or ", "and ", "to ", "-", "–", "~", "token"].iter().any(|word| after.starts_with(word));
        (digits > 0 && !is_range).then(|| at..at + phrase.len() + digits)
    })
}
