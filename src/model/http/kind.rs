//! Decides from a reply's first bytes how it is read. Content types are wrong too often: streams come without one or as
//! text or JSON, whole replies as streams.

/// How a reply is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// Server-sent events.
    Stream,
    /// One body.
    Whole,
}

/// The fields with which a line of a stream begins.
const FIELDS: [&[u8]; 6] = [b":", b"data:", b"event:", b"id:", b"retry:", b"error:"];

impl ReplyKind {
    /// Returns the kind of a reply that begins with `bytes`; `None` if more bytes are needed to tell. White space before
    /// the reply keeps connections open and does not count.
    pub fn of(bytes: &[u8], content_type: &str) -> Option<Self> {
        let bytes = start_of(bytes);
        match bytes.first()? {
            b'{' | b'[' | b'<' => return Some(Self::Whole),
            _ if content_type.trim_start().starts_with("text/event-stream") => return Some(Self::Stream),
            _ => {}
        }
        if FIELDS.iter().any(|field| bytes.starts_with(field)) {
            return Some(Self::Stream);
        }
        let may_become_one = FIELDS.iter().any(|field| field.starts_with(bytes));
        (!may_become_one).then_some(Self::Whole)
    }
}

/// Returns a reply without white space and a byte order mark at its beginning.
pub fn start_of(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.trim_ascii_start();
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
}

/// True for a page of HTML: a web interface, a login page, a proxy.
pub fn is_html(bytes: &[u8], content_type: &str) -> bool {
    let start = start_of(bytes);
    let begins = |tag: &[u8]| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    begins(b"<!doctype") || begins(b"<html") || (start.starts_with(b"<") && content_type.contains("html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_and_the_content_type_only_where_they_do_not() {
        for (bytes, content_type, kind) in [
            ("data: {}", "", Some(ReplyKind::Stream)),
            (": OPENROUTER PROCESSING", "application/json", Some(ReplyKind::Stream)),
            ("event: ping", "text/plain; charset=utf-8", Some(ReplyKind::Stream)),
            ("\n\n  data:", "application/json", Some(ReplyKind::Stream)),
            ("dat", "application/json", None),
            ("\n \n", "text/event-stream", None),
            ("dat", "text/event-stream", Some(ReplyKind::Stream)),
            ("{", "text/event-stream", Some(ReplyKind::Whole)),
            ("\u{feff}[", "text/event-stream; charset=utf-8", Some(ReplyKind::Whole)),
            ("<!doctype html>", "text/event-stream", Some(ReplyKind::Whole)),
            ("database error", "text/plain", Some(ReplyKind::Whole)),
            ("0.5", "", Some(ReplyKind::Whole)),
        ] {
            assert_eq!(ReplyKind::of(bytes.as_bytes(), content_type), kind, "{bytes:?} as {content_type:?}");
        }
    }

    #[test]
    fn a_page_is_recognised() {
        for page in ["<!DOCTYPE html><html>", "\n<html lang=en>"] {
            assert!(is_html(page.as_bytes(), "application/json"), "{page}");
        }
        assert!(is_html(b"<head>", "text/html; charset=utf-8"));
        assert!(!is_html(b"{}", "text/html") && !is_html(b"<think>", "text/plain"));
    }
}
