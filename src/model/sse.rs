//! Server-sent events, as much of them as model servers use (WHATWG HTML, section 9.2): `data:` lines, comments,
//! any of the three line ends, a character cut by a chunk's edge.

/// Longest line that is taken; a longer one is no chat completion chunk.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Cuts a byte stream into the payloads of its `data:` lines.
#[derive(Debug, Default)]
pub struct EventLines {
    partial: Vec<u8>,
    /// The last byte was a carriage return, so that a line feed now belongs to it.
    after_return: bool,
}

/// A line went over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong;

impl EventLines {
    /// Takes the next bytes and calls `event` with each payload that they complete.
    pub fn push<E: From<LineTooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut event: impl FnMut(&[u8]) -> Result<(), E>,
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
                deliver(line, &mut event)?;
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                deliver(&whole, &mut event)?;
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
}

impl EventLines {
    /// Ends the stream: what stands behind the last line end counts as a line.
    pub fn finish<E>(&mut self, mut event: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        deliver(&std::mem::take(&mut self.partial), &mut event)
    }
}

fn deliver<E>(line: &[u8], event: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match line.strip_prefix(b"data:") {
        Some(payload) => event(payload.strip_prefix(b" ").unwrap_or(payload)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = EventLines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines
                .push(chunk, |payload| {
                    found.push(String::from_utf8_lossy(payload).into_owned());
                    Ok::<_, LineTooLong>(())
                })
                .unwrap();
        }
        found
    }

    #[test]
    fn payloads_come_out_whatever_the_line_ends_and_wherever_the_chunks_are_cut() {
        let stream = "data: {\"a\":\"好\"}\r\n\r\n: keep-alive\n\nevent: x\rdata:two\r\rdata: [DONE]\n\n".as_bytes();
        let whole = events(&[stream]);
        assert_eq!(whole, ["{\"a\":\"好\"}", "two", "[DONE]"]);
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
