//! Finds what is missing of a journal: segments that are gone, shorter than when they were closed, or under another's name.
//! Damage within a segment is found by its frames' checksums; this is about bytes that are not there at all.

use super::loss::Loss;
use super::place::Position;
use super::segment::{Extent, SegmentHeader};

/// A segment as it is.
#[derive(Clone, Copy, Debug)]
pub struct FoundSegment {
    pub number: u32,
    /// Bytes.
    pub length: u64,
    /// `None` for version 1 and for a damaged header.
    pub header: Option<SegmentHeader>,
    /// The CRC-32 of all bytes; `None` where it was not computed.
    pub checksum: Option<u32>,
}

/// Returns the losses in a list of segments, ascending by number.
pub fn losses(segments: &[FoundSegment]) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut expected = 1;
    for (at, segment) in segments.iter().enumerate() {
        if segment.number > expected {
            losses.push(Loss::Missing { first: expected, last: segment.number - 1 });
        }
        expected = segment.number.saturating_add(1);
        if let Some(header) = segment.header.filter(|header| header.number != segment.number) {
            losses.push(Loss::Misplaced { segment: segment.number, holds: header.number });
            continue;
        }
        let next = segments.get(at + 1).filter(|next| next.number == expected);
        let closed = next.and_then(|next| next.header.filter(|header| header.number == next.number)?.previous);
        losses.extend(loss_of(segment, closed));
    }
    losses
}

/// Compares a segment with what the next one says of it.
fn loss_of(segment: &FoundSegment, closed: Option<Extent>) -> Option<Loss> {
    let number = segment.number;
    let rewritten = segment.header.and_then(|header| header.rewritten);
    if let Some(rewritten) = rewritten.filter(|rewritten| closed.is_none_or(|closed| closed == rewritten.replaces)) {
        let is_short = segment.length < rewritten.length;
        return is_short.then_some(Loss::Short { segment: number, length: segment.length, closed: rewritten.length });
    }
    let closed = closed?;
    if segment.length < closed.length {
        return Some(Loss::Short { segment: number, length: segment.length, closed: closed.length });
    }
    // Whatever was added, what is in it may all be there: only a look at every byte says more.
    let is_other = |checksum| checksum != closed.checksum || segment.length > closed.length;
    segment.checksum.is_some_and(is_other).then_some(Loss::Changed { segment: number })
}

/// Returns the loss if something that was durable lies behind the journal's end.
pub fn loss_behind(durable: Position, segments: &[FoundSegment]) -> Option<Loss> {
    let end =
        segments.last().map_or(Position::default(), |last| Position { segment: last.number, offset: last.length });
    (durable > end).then_some(Loss::Behind { segment: durable.segment, offset: durable.offset })
}

#[cfg(test)]
mod tests {
    use super::super::segment::Rewritten;
    use super::*;

    fn segment(number: u32, length: u64, closed_before: u64) -> FoundSegment {
        let previous = (closed_before > 0).then_some(Extent { length: closed_before, checksum: 0 });
        let header = Some(SegmentHeader { number, previous, ..SegmentHeader::default() });
        FoundSegment { number, length, header, checksum: Some(0) }
    }

    #[test]
    fn whatever_is_missing_is_named() {
        let whole = [segment(1, 500, 0), segment(2, 400, 500), segment(3, 90, 400)];
        assert_eq!(losses(&whole), []);
        assert_eq!(losses(&whole[1..]), [Loss::Missing { first: 1, last: 1 }]);
        assert_eq!(losses(&[whole[0], whole[2]]), [Loss::Missing { first: 2, last: 2 }]);
        assert_eq!(
            losses(&[whole[0], segment(2, 399, 500), whole[2]]),
            [Loss::Short { segment: 2, length: 399, closed: 400 }]
        );
        assert_eq!(losses(&[whole[0], segment(2, 401, 500), whole[2]]), [Loss::Changed { segment: 2 }]);
        let other = FoundSegment { checksum: Some(1), ..whole[1] };
        assert_eq!(losses(&[whole[0], other, whole[2]]), [Loss::Changed { segment: 2 }]);
        let swapped = [FoundSegment { number: 1, ..whole[1] }, FoundSegment { number: 2, ..whole[0] }, whole[2]];
        assert_eq!(
            losses(&swapped),
            [Loss::Misplaced { segment: 1, holds: 2 }, Loss::Misplaced { segment: 2, holds: 1 }]
        );
        let durable = Position { segment: 3, offset: 91 };
        assert_eq!(loss_behind(durable, &whole), Some(Loss::Behind { segment: 3, offset: 91 }));
        assert_eq!(loss_behind(Position { offset: 90, ..durable }, &whole), None);
    }

    #[test]
    fn a_segment_of_version_1_and_a_repaired_one_are_no_loss() {
        let old = FoundSegment { header: None, ..segment(1, 500, 0) };
        assert_eq!(losses(&[old, segment(2, 64, 500)]), []);
        let mut repaired = segment(1, 450, 0);
        let replaces = Extent { length: 500, checksum: 0 };
        repaired.header.as_mut().unwrap().rewritten = Some(Rewritten { replaces, length: 450 });
        repaired.checksum = Some(77);
        assert_eq!(losses(&[repaired, segment(2, 64, 500)]), []);
        let cut = FoundSegment { length: 449, ..repaired };
        assert_eq!(losses(&[cut, segment(2, 64, 500)]), [Loss::Short { segment: 1, length: 449, closed: 450 }]);
    }
}
