//! Recognises media in columns, messages and parts, and their placeholders in texts.

use serde_json::Value;

use super::unread::has_words;
use crate::conversation::Columns;

/// Names of columns and fields with media that the messages refer to.
const MEDIA_NAMES: &[&str] = &[
    "images",
    "image",
    "videos",
    "video",
    "audios",
    "audio",
    "image_url",
    "image_path",
    "image_urls",
    "image_paths",
    "video_path",
    "video_url",
    "audio_path",
    "audio_url",
    "img",
    "imgs",
    "image_file",
    "image_bytes",
    "picture",
    "pictures",
    "image_base64",
    "screenshot",
    "screenshots",
    "attachments",
    "experimental_attachments",
];
/// Endings of media files.
const ENDINGS: [&str; 22] = [
    ".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".svg", ".heic", ".mp4", ".mov", ".avi", ".mkv",
    ".webm", ".mp3", ".wav", ".flac", ".ogg", ".m4a", ".opus", ".pdf",
];
/// What stands in a text in the place of media.
const PLACEHOLDERS: [&str; 8] =
    ["<image>", "<video>", "<audio>", "<img>", "<image_soft_token>", "<|image|>", "<|video|>", "<|audio|>"];

/// True where a column of the row holds media.
pub fn has_media(columns: &Columns) -> bool {
    columns.iter().any(|(name, value)| is_media(name, value))
}

/// True where a value under this name is media: anything but a flag or a number under a name of media, and under every
/// name a structure of bytes and path, as `datasets` stores media.
pub fn is_media(name: &str, value: &Value) -> bool {
    if matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)) {
        return false;
    }
    // Cells of tables that hold nothing.
    let is_empty_cell = |text: &str| matches!(text.trim(), "" | "[]" | "{}" | "None" | "nan" | "NaN" | "null");
    if !has_words(value) || value.as_str().is_some_and(is_empty_cell) {
        return false;
    }
    let is_named_so = names_media(name);
    let may_be_known = is_named_so || name.starts_with(['s', 'S', 'a', 'A', 'e', 'E']);
    if may_be_known && MEDIA_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    match value {
        Value::Object(fields) => is_stored_file(fields),
        Value::Array(items) => items.iter().any(|item| match item {
            Value::Object(fields) => is_stored_file(fields),
            Value::String(text) => is_named_so && is_reference(text),
            _ => false,
        }),
        Value::String(text) => is_named_so && is_reference(text),
        _ => false,
    }
}

fn names_media(name: &str) -> bool {
    const WORDS: [&str; 6] = ["image", "img", "picture", "photo", "video", "audio"];
    let begins = |(at, byte): (usize, &u8)| {
        let rest = &name.as_bytes()[at..];
        // None of the words begins with another letter.
        matches!(byte.to_ascii_lowercase(), b'i' | b'p' | b'v' | b'a')
            && WORDS
                .iter()
                .any(|word| rest.len() >= word.len() && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes()))
    };
    name.as_bytes().iter().enumerate().any(begins)
}

/// True for `{"bytes", "path"}` with something in it.
fn is_stored_file(fields: &Columns) -> bool {
    fields.len() <= 3
        && fields.contains_key("bytes")
        && fields.contains_key("path")
        && fields.values().any(|value| !value.is_null())
}

/// True for an address, a path or the data of a media file.
fn is_reference(text: &str) -> bool {
    let text = text.trim();
    // Prose ends at its first word, so that long texts are not searched.
    let ends = |letter: char| matches!(letter, '?' | '#') || letter.is_whitespace();
    let (file, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    let has_ending = |ending: &str| {
        let start = file.len().checked_sub(ending.len());
        start.and_then(|start| file.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    let is_file = !rest.starts_with(char::is_whitespace) && ENDINGS.into_iter().any(has_ending);
    is_file || text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// True where a column is the path, the address or the data of a media file, whatever its name.
pub fn names_file(columns: &Columns) -> bool {
    columns.values().any(|value| match value {
        Value::String(text) => is_reference(text),
        Value::Array(items) => items.iter().any(|item| item.as_str().is_some_and(is_reference)),
        _ => false,
    })
}

/// True for a text with a placeholder for media.
pub fn has_placeholder(text: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| text.contains(placeholder))
}

/// Removes the placeholders of media from a text, each with the line end behind it.
pub fn without_placeholders(text: &str) -> Option<String> {
    if !has_placeholder(text) {
        return None;
    }
    let mut text = text.to_owned();
    for placeholder in PLACEHOLDERS {
        text = text.replace(&format!("{placeholder}\n"), "").replace(placeholder, "");
    }
    Some(text.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_are_known_by_name_or_by_form() {
        for (name, value) in [
            ("image", json!("harbour/33.jpg")),
            ("image", json!({"bytes": "ffd8", "path": null})),
            ("images", json!(["a.png"])),
            ("Video", json!("clip")),
            ("input_image_0", json!("https://example.org/a.png?size=2")),
            ("screenshot", json!({"bytes": "89504e47", "path": "a.png"})),
            ("frames", json!([{"bytes": "ff", "path": null}])),
        ] {
            assert!(is_media(name, &value), "{name} {value}");
        }
        for (name, value) in [
            ("image", json!(null)),
            ("image", json!("")),
            ("images", json!([])),
            ("image", json!({"bytes": null, "path": null})),
            ("image", json!(false)),
            ("image_count", json!(3)),
            ("image_caption", json!("a boat")),
            ("source", json!("a.png")),
            ("file", json!({"path": "x"})),
        ] {
            assert!(!is_media(name, &value), "{name} {value}");
        }
    }

    #[test]
    fn placeholders_go_with_their_line() {
        assert_eq!(without_placeholders("<image>\nWhat colour?"), Some("What colour?".to_owned()));
        assert_eq!(without_placeholders("Which?<image>"), Some("Which?".to_owned()));
        assert_eq!(without_placeholders("a < b"), None);
    }
}
