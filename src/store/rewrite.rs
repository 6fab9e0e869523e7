//! Takes damage out of the journal, so that a crash at any step loses nothing.
//!
//! The index has been distrusted before, durably. For each damaged segment: the new file is written and synced beside it; the
//! old one gets a second name, `*.damaged`; the names are synced; the new file takes the old one's place; the names are
//! synced again. So the segment has a file at every moment, and everything that can be read of it is in that file.

use std::fs;
use std::io;
use std::path::Path;

use super::aside::{finish_interrupted, keep_aside, write_parts};
use super::error::StoreError;
use super::frame::GroupMark;
use super::journal::{Journal, read_record};
use super::medium::Medium;
use super::place::{Damage, Position};
use super::scan::{Scan, ScanItem};
use super::segment::{Extent, FoundHeader, HEADER_BYTES, Rewritten, SegmentHeader, segment_numbers, segment_path};
use super::writer::header_of;

/// Rewrites every segment that has damage or is shorter than when it was closed. Returns what was taken out.
pub fn rewrite_damaged(directory: &Path, medium: &dyn Medium, durable: Position) -> Result<Vec<Damage>, StoreError> {
    finish_interrupted(directory, medium)?;
    let journal = Journal::open_read_only(directory);
    let damages = journal.for_each(Position::default(), durable, |_, _| Ok(()))?;
    let mut removed = Vec::new();
    for number in segment_numbers(directory)? {
        let path = segment_path(directory, number);
        let next = segment_path(directory, number.saturating_add(1));
        let closed = if next.exists() { header_of(&next)?.second().and_then(|next| next.previous) } else { None };
        let length = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
        let mut bad: Vec<_> = damages.iter().filter(|damage| damage.path == path).cloned().collect();
        let is_known = header_of(&path)?.second().is_some_and(|header| header.rewritten.is_some());
        if let Some(closed) = closed.filter(|closed| length < closed.length && !is_known) {
            bad.push(Damage { path: path.clone(), bytes: length..closed.length });
        }
        if !bad.is_empty() {
            rewrite(&path, number, closed.unwrap_or_default(), medium)?;
            removed.extend(bad);
        }
    }
    Ok(removed)
}

/// Replaces a segment by one that holds only its intact entries. `replaces` is what the next segment says of it.
fn rewrite(path: &Path, number: u32, replaces: Extent, medium: &dyn Medium) -> Result<(), StoreError> {
    let directory = path.parent().expect("a segment lies in the journal's directory");
    let (mut whole, mut first_mark) = (Vec::new(), None);
    let mut scan = Scan::open(path, number, 0)?;
    while let Some(found) = scan.next()? {
        if let ScanItem::Record { place, mark, record } = found
            && read_record(&record, path)?.is_some()
        {
            first_mark.get_or_insert(mark);
            whole.push(place.offset..place.end().offset);
        }
    }
    let old = match header_of(path)? {
        FoundHeader::Second(header) => header,
        _ => SegmentHeader {
            first_group: first_mark.unwrap_or_else(|| GroupMark::new(1, false)).group(),
            ..SegmentHeader::default()
        },
    };
    let length = HEADER_BYTES as u64 + whole.iter().map(|bytes| bytes.end - bytes.start).sum::<u64>();
    let header = SegmentHeader { number, rewritten: Some(Rewritten { replaces, length }), ..old };
    let partial = path.with_extension("journal.partial");
    match medium.remove(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("delete", &partial)(error)),
        _ => {}
    }
    write_parts(path, &partial, &header.to_bytes(), &whole, medium)?;
    keep_aside(path, medium)?;
    medium.sync_directory(directory).map_err(StoreError::io("sync", directory))?;
    medium.rename(&partial, path).map_err(StoreError::io("replace", path))?;
    medium.sync_directory(directory).map_err(StoreError::io("sync", directory))
}
