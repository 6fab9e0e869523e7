//! Checks the lengths that an Arrow file states before anything is allocated for them. A reader of Arrow believes them, and an
//! allocation that fails ends the program.

use std::io::{self, Read, Seek, SeekFrom};

use arrow_ipc::{Message, root_as_footer, root_as_message};

/// `ARROW1` and the footer's length, at the end of a file.
const TRAILER_BYTES: u64 = 10;
/// Marks the beginning of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// How many bytes a byte may be compressed from: a block of zstd that repeats one byte.
const EXPANSION_MAX: u64 = 1 << 15;
/// Most bytes of one unpacked column of a batch.
const BUFFER_BYTES_MAX: u64 = 4 << 30;

/// Fails with the part of a file whose length cannot be right. All other damage is left to the reader.
pub fn check_file(file: &mut (impl Read + Seek)) -> io::Result<Result<(), &'static str>> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(trailer) = length.checked_sub(TRAILER_BYTES) else { return Ok(Err("its end")) };
    let footer_length = u64::from(u32::from_le_bytes(read(file, trailer)?));
    let Some(start) = trailer.checked_sub(footer_length) else { return Ok(Err("its footer")) };
    let footer = read_part(file, start, footer_length)?;
    let Ok(footer) = root_as_footer(&footer) else { return Ok(Err("its footer")) };
    for block in footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten()) {
        let place = u64::try_from(block.offset()).ok().zip(u64::try_from(block.metaDataLength()).ok());
        let Some(((at, head), body)) = place.zip(u64::try_from(block.bodyLength()).ok()) else {
            return Ok(Err("a batch"));
        };
        let end = at.checked_add(head).and_then(|end| end.checked_add(body));
        if end.is_none_or(|end| end > length) {
            return Ok(Err("a batch"));
        }
        let head_bytes = read_part(file, at, head)?;
        let message = head_bytes.strip_prefix(&CONTINUATION).unwrap_or(&head_bytes).get(4..);
        if let Some(Ok(message)) = message.map(root_as_message)
            && !fits(file, message, at + head, body)?
        {
            return Ok(Err("a batch"));
        }
    }
    Ok(Ok(()))
}

/// Like [`check_file`], for a stream.
pub fn check_stream(file: &mut (impl Read + Seek)) -> io::Result<Result<(), &'static str>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at + 4 <= length {
        let mut head = read(file, at)?;
        at += 4;
        if head == CONTINUATION {
            if at + 4 > length {
                return Ok(Err("a message"));
            }
            head = read(file, at)?;
            at += 4;
        }
        let head_length = u64::from(u32::from_le_bytes(head));
        if head_length == 0 {
            return Ok(Ok(()));
        }
        if head_length > length - at {
            return Ok(Err("a message"));
        }
        let head_bytes = read_part(file, at, head_length)?;
        at += head_length;
        let Ok(message) = root_as_message(&head_bytes) else { return Ok(Err("a message")) };
        let Some(body) = u64::try_from(message.bodyLength()).ok().filter(|body| *body <= length - at) else {
            return Ok(Err("a batch"));
        };
        if !fits(file, message, at, body)? {
            return Ok(Err("a batch"));
        }
        at += body;
    }
    Ok(Ok(()))
}

/// False for a message with a compressed part that states an impossible length.
fn fits(file: &mut (impl Read + Seek), message: Message<'_>, start: u64, body: u64) -> io::Result<bool> {
    let batch = message.header_as_record_batch();
    let batch = batch.or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()));
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(true) };
    for buffer in batch.buffers().into_iter().flatten() {
        let place = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let Some((at, length)) = place.filter(|(at, length)| at.checked_add(*length).is_some_and(|end| end <= body))
        else {
            return Ok(false);
        };
        if length < 8 {
            continue;
        }
        let stated = u64::try_from(i64::from_le_bytes(read(file, start + at)?)).unwrap_or(0);
        if stated > BUFFER_BYTES_MAX || stated > length.saturating_mul(EXPANSION_MAX) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read<const COUNT: usize>(file: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a part that lies within the file, so that its length is bounded by the file's.
fn read_part(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
