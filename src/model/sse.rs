//! Server-sent events, as far as model servers use them (WHATWG HTML, section 9.2): `event:` and `data:` lines,
//! comments, all three line endings, characters split across chunks. Several `data:` lines of one event are joined with a
//! line feed, but some servers omit the empty line between two events: a line that is complete by itself is an event. A
//! line that begins with `{` or `[` is complete once its brackets are closed; any other line is.
//!
//! Three things go beyond the standard. An `error:` line (llama.cpp) is an event with the name `error`. JSON without a field
//! is an event, and a line without a field continues JSON that is incomplete: its string contains a raw line feed. A byte
//! order mark is skipped on any line.

/// Longest accepted line or event; a longer one is not part of an answer.
const LINE_BYTES_MAX: usize = 8 << 20;

/// One event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEvent<'a> {
    /// The event's type, from its `event:` line; empty if the server sends none.
    pub name: &'a str,
    /// The payload of its `data:` lines.
    pub data: &'a [u8],
}

/// Splits a byte stream into events.
#[derive(Debug, Default)]
pub struct EventLines {
    partial: Vec<u8>,
    /// True if the last byte was a carriage return, so that a following line feed belongs to it.
    after_return: bool,
    event: PartialEvent,
}

/// The event whose lines are being read.
#[derive(Debug, Default)]
struct PartialEvent {
    name: String,
    /// Incomplete JSON.
    data: Vec<u8>,
    /// The brackets that are open in it.
    brackets: Brackets,
}

/// Follows the brackets of JSON that arrives in pieces.
#[derive(Debug, Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
}

/// A line or an event exceeds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong;

impl EventLines {
    /// Reads the next bytes and calls `take` with each completed event.
    pub fn push<E: From<LineTooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(StreamEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            let is_second_half = self.after_return && rest[0] == b'\n' && line.is_empty() && self.partial.is_empty();
            self.after_return = rest[0] == b'\r';
            bytes = &rest[1..];
            if is_second_half {
                continue;
            }
            if self.partial.is_empty() {
                self.event.read_line(line, &mut take)?;
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                self.event.read_line(&whole, &mut take)?;
            }
        }
        if !bytes.is_empty() {
            self.after_return = false;
        }
        if self.partial.len() + self.event.data.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(LineTooLong.into());
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the stream: bytes after the last line ending count as a line.
    pub fn finish<E>(&mut self, mut take: impl FnMut(StreamEvent<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = std::mem::take(&mut self.partial);
        self.event.read_line(&line, &mut take)?;
        self.event.end(&mut take)
    }
}

impl PartialEvent {
    fn read_line<E>(&mut self, line: &[u8], take: &mut impl FnMut(StreamEvent<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if let Some(data) = field_value(line, b"data:") {
            return self.read_data(data, take);
        }
        let name = field_value(line, b"event:");
        let error = field_value(line, b"error:");
        let is_field = line.starts_with(b":") || line.starts_with(b"id:") || line.starts_with(b"retry:");
        let is_json = !self.data.is_empty() || line.starts_with(b"{") || line.starts_with(b"[{");
        if name.is_none() && error.is_none() && !is_field && !line.is_empty() && is_json {
            return self.read_data(line, take);
        }
        if line.is_empty() || name.is_some() {
            self.end(take)?;
            self.name.clear();
            self.name.push_str(name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default());
        }
        error.map_or(Ok(()), |data| take(StreamEvent { name: "error", data }))
    }

    fn read_data<E>(&mut self, data: &[u8], take: &mut impl FnMut(StreamEvent<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.data.is_empty() {
            let is_json = matches!(data.trim_ascii_start().first(), Some(b'{' | b'['));
            self.brackets = Brackets::default();
            if !is_json || self.brackets.are_closed_after(data) {
                return take(StreamEvent { name: &self.name, data });
            }
            self.data.extend_from_slice(data);
            return Ok(());
        }
        self.data.push(b'\n');
        self.data.extend_from_slice(data);
        if self.brackets.are_closed_after(data) { self.end(take) } else { Ok(()) }
    }

    /// Passes on what has been read, complete or not.
    fn end<E>(&mut self, take: &mut impl FnMut(StreamEvent<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.data.is_empty() {
            return Ok(());
        }
        let data = std::mem::take(&mut self.data);
        take(StreamEvent { name: &self.name, data: &data })
    }
}

impl Brackets {
    /// Reads the next piece. True if no bracket and no string is open after it.
    fn are_closed_after(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        if std::mem::take(&mut self.after_backslash) {
            rest = rest.get(1..).unwrap_or_default();
        }
        loop {
            if self.in_string {
                let Some(at) = memchr::memchr2(b'"', b'\\', rest) else { return false };
                let is_end = rest[at] == b'"';
                self.in_string = !is_end;
                self.after_backslash = !is_end && at + 1 == rest.len();
                rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
            } else {
                let Some((first, after)) = rest.split_first() else { return self.depth == 0 };
                match first {
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => self.in_string = *first == b'"',
                }
                rest = after;
            }
        }
    }
}

fn field_value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(field)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = EventLines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines
                .push(chunk, |StreamEvent { name, data }| {
                    found.push(format!("{name}/{}", String::from_utf8_lossy(data)));
                    Ok::<_, LineTooLong>(())
                })
                .unwrap();
        }
        found
    }

    #[test]
    fn events_come_out_whatever_the_line_ends_and_wherever_the_chunks_are_cut() {
        let stream = "data: {\"a\":\"好\"}\r\n\r\n: keep-alive\n\nevent: x\rdata:two\r\rdata: [DONE]\n\n".as_bytes();
        let whole = events(&[stream]);
        assert_eq!(whole, ["/{\"a\":\"好\"}", "x/two", "/[DONE]"]);
        for cut in 0..stream.len() {
            assert_eq!(events(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(events(&bytes), whole);
    }

    fn whole(stream: &str) -> Vec<String> {
        let (mut lines, mut found) = (EventLines::default(), Vec::new());
        let mut take = |StreamEvent { name, data }: StreamEvent<'_>| {
            found.push(format!("{name}/{}", String::from_utf8_lossy(data)));
            Ok::<_, LineTooLong>(())
        };
        lines.push(stream.as_bytes(), &mut take).unwrap();
        lines.finish(&mut take).unwrap();
        found
    }

    #[test]
    fn the_lines_of_one_event_are_joined_and_complete_lines_are_events() {
        assert_eq!(whole("data: {\ndata:  \"a\": [\ndata: 1]\ndata: }\n\n"), ["/{\n \"a\": [\n1]\n}"]);
        assert_eq!(whole("data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n"), ["/{\"a\":1}", "/{\"b\":2}", "/[DONE]"]);
        assert_eq!(whole("data: {\"a\": {\"b\": 1}\ndata: }\n\n"), ["/{\"a\": {\"b\": 1}\n}"]);
        assert_eq!(whole("data: {\"a\": \"}\ndata: \"}\n\n"), ["/{\"a\": \"}\n\"}"]);
        assert_eq!(whole("data: {\"a\n\ndata: {\"b\":2}"), ["/{\"a", "/{\"b\":2}"], "an incomplete event stays one");
        assert_eq!(whole("data: ping\ndata: {\"b\":2}"), ["/ping", "/{\"b\":2}"]);
    }

    #[test]
    fn joined_lines_are_the_same_wherever_the_chunks_are_cut() {
        let stream =
            "data: {\r\ndata:  \"a\": \"b\\\"\r\ndata: c}\"\r\ndata: }\r\n\r\n{\n\"d\": \"e\nf\"}\n\nerror: [\n\n";
        let stream = stream.as_bytes();
        let whole = events(&[stream]);
        assert_eq!(whole, ["/{\n \"a\": \"b\\\"\nc}\"\n}", "/{\n\"d\": \"e\nf\"}", "error/["]);
        for cut in 0..stream.len() {
            assert_eq!(events(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(events(&bytes), whole);
    }

    #[test]
    fn a_raw_line_feed_in_a_string_and_an_error_line_are_read() {
        assert_eq!(whole("data: {\"a\":\"one\ntwo\"}\n\n"), ["/{\"a\":\"one\ntwo\"}"]);
        assert_eq!(whole("error: {\"code\":400}\n\ndata: [DONE]\n\n"), ["error/{\"code\":400}", "/[DONE]"]);
        assert_eq!(whole("event: error\ndata: {\ndata: }\n\n"), ["error/{\n}"]);
        assert_eq!(whole(": wait\n\n{\n \"a\": 1\n}\n\nnot JSON\n"), ["/{\n \"a\": 1\n}"]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = EventLines::default();
        let chunk = vec![b'x'; 1 << 20];
        let result = (0..9).try_for_each(|_| lines.push(&chunk, |_| Ok::<_, LineTooLong>(())));
        assert_eq!(result, Err(LineTooLong));
    }
}
