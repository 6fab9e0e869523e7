//! Decompresses replies. No encoding is asked for, but some proxies compress all the same, some of them without saying so.

use std::io::{self, Write};

use crate::conversation::FailureCode;
use crate::model::failure::{Failure, FailureClass};

/// Undoes a body's compression, piece by piece.
pub enum Decoding {
    /// Nothing has arrived yet; `deflate` has no signature and needs the header.
    Unknown {
        is_deflate: bool,
    },
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<flate2::write::ZlibDecoder<Vec<u8>>>),
    Deflate(Box<flate2::write::DeflateDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

impl Decoding {
    /// Prepares for a body with this `content-encoding`. All but `deflate` are recognised by their first bytes, so that a
    /// wrong header does no harm.
    pub fn of(content_encoding: &str) -> Self {
        Self::Unknown { is_deflate: content_encoding.trim().eq_ignore_ascii_case("deflate") }
    }

    /// Returns the text of the next bytes; `None` if they are the text.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        if let Self::Unknown { is_deflate } = *self
            && !bytes.is_empty()
        {
            *self = Self::by_signature(bytes, is_deflate).map_err(|error| unreadable(&error))?;
        }
        let decoded = match self {
            Self::Unknown { .. } | Self::Plain => return Ok(None),
            Self::Gzip(decoder) => written(decoder, bytes).map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => written(decoder, bytes).map(|()| std::mem::take(decoder.get_mut())),
            Self::Deflate(decoder) => written(decoder, bytes).map(|()| std::mem::take(decoder.get_mut())),
            Self::Zstd(decoder) => written(decoder, bytes).map(|()| std::mem::take(decoder.get_mut())),
        };
        decoded.map(Some).map_err(|error| unreadable(&error))
    }

    /// Returns the text that the decoder has held back until the end.
    pub fn finish(&mut self) -> Result<Vec<u8>, Failure> {
        let rest = match self {
            Self::Unknown { .. } | Self::Plain => return Ok(Vec::new()),
            Self::Gzip(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Self::Deflate(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Self::Zstd(decoder) => decoder.flush().map(|()| std::mem::take(decoder.get_mut())),
        };
        rest.map_err(|error| unreadable(&error))
    }

    fn by_signature(bytes: &[u8], is_deflate: bool) -> io::Result<Self> {
        Ok(match bytes {
            [0x1f, 0x8b, ..] | [0x1f] => Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new()))),
            [0x28, 0xb5, ..] | [0x28] => Self::Zstd(Box::new(zstd::stream::write::Decoder::new(Vec::new())?)),
            // Most servers send zlib's format, as the standard says, and some the bare stream.
            [0x78, ..] if is_deflate => Self::Zlib(Box::new(flate2::write::ZlibDecoder::new(Vec::new()))),
            [b'{' | b'[' | b'd' | b':' | b'e' | b'<' | b' ' | b'\n', ..] => Self::Plain,
            _ if is_deflate => Self::Deflate(Box::new(flate2::write::DeflateDecoder::new(Vec::new()))),
            _ => Self::Plain,
        })
    }
}

/// Writes bytes to a decoder and has it pass on all that it can.
fn written(decoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    decoder.write_all(bytes)?;
    decoder.flush()
}

fn unreadable(error: &io::Error) -> Failure {
    let message = format!("the reply is compressed and cannot be decompressed: {error}");
    Failure::new(FailureClass::Transient, FailureCode::Garbage, message)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;

    use super::*;

    fn decoded(encoding: &str, bytes: &[u8], size: usize) -> Vec<u8> {
        let mut decoding = Decoding::of(encoding);
        let decode = |piece: &[u8]| decoding.decode(piece).unwrap().unwrap_or_else(|| piece.to_vec());
        let pieces = bytes.chunks(size).map(decode).collect::<Vec<_>>();
        [pieces.concat(), decoding.finish().unwrap()].concat()
    }

    fn encoded<W: Write>(mut encoder: W, text: &[u8], end: impl Fn(W) -> Vec<u8>) -> Vec<u8> {
        encoder.write_all(text).unwrap();
        end(encoder)
    }

    #[test]
    fn every_compression_is_undone_wherever_the_body_is_cut_and_whatever_its_header_says() {
        use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
        let text = "{\"content\": \"好的\"}\n".repeat(200);
        let text = text.as_bytes();
        let level = Compression::default();
        let gzip = encoded(GzEncoder::new(Vec::new(), level), text, |encoder| encoder.finish().unwrap());
        let zlib = encoded(ZlibEncoder::new(Vec::new(), level), text, |encoder| encoder.finish().unwrap());
        let bare = encoded(DeflateEncoder::new(Vec::new(), level), text, |encoder| encoder.finish().unwrap());
        let zstd = zstd::encode_all(text, 1).unwrap();
        for size in [1, 7, 100_000] {
            for (encoding, bytes) in [
                ("gzip", &gzip),
                ("", &gzip),
                ("deflate", &zlib),
                ("deflate", &bare),
                ("zstd", &zstd),
                ("gzip", &text.to_vec()),
            ] {
                assert_eq!(decoded(encoding, bytes, size), text, "{encoding}, {size} bytes at a time");
            }
        }
        assert!(Decoding::of("").decode(&[0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]).is_err());
    }
}
