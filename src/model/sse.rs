//! Server-sent events, as far as model servers use them (WHATWG HTML, section 9.2): `event:` and `data:` lines,
//! comments, all three line endings, characters split across chunks. Each `data:` line is an event of its own: no
//! server spreads a payload over several, and some omit the empty line between two events.

/// Longest accepted line; a longer one is not part of an answer.
const LINE_BYTES_MAX: usize = 8 << 20;

/// One event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEvent<'a> {
    /// The event's type, from its `event:` line; empty if the server sends none.
    pub name: &'a str,
    /// The payload of its `data:` line.
    pub data: &'a [u8],
}

/// Splits a byte stream into events.
#[derive(Debug, Default)]
pub struct EventLines {
    partial: Vec<u8>,
    /// The name of the current event.
    name: String,
    /// True if the last byte was a carriage return, so that a following line feed belongs to it.
    after_return: bool,
}

/// A line exceeds the limit.
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
                read_line(line, &mut self.name, &mut take)?;
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                read_line(&whole, &mut self.name, &mut take)?;
            }
        }
        if !bytes.is_empty() {
            self.after_return = false;
        }
        if self.partial.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(LineTooLong.into());
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the stream: bytes after the last line ending count as a line.
    pub fn finish<E>(&mut self, mut take: impl FnMut(StreamEvent<'_>) -> Result<(), E>) -> Result<(), E> {
        read_line(&std::mem::take(&mut self.partial), &mut self.name, &mut take)
    }
}

fn read_line<E>(
    line: &[u8],
    name: &mut String,
    take: &mut impl FnMut(StreamEvent<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if let Some(data) = field_value(line, b"data:") {
        return take(StreamEvent { name, data });
    }
    let said = field_value(line, b"event:");
    if line.is_empty() || said.is_some() {
        name.clear();
        name.push_str(said.and_then(|said| std::str::from_utf8(said).ok()).unwrap_or_default());
    }
    Ok(())
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

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = EventLines::default();
        let chunk = vec![b'x'; 1 << 20];
        let result = (0..9).try_for_each(|_| lines.push(&chunk, |_| Ok::<_, LineTooLong>(())));
        assert_eq!(result, Err(LineTooLong));
    }
}
