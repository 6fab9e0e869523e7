//! Tells the torn end of a journal from damage.
//!
//! A group of frames is written at once and synced once. If the power goes before the sync, any part of the last group may
//! be missing, also one in its middle: nobody was told of it. A hole anywhere else is damage to acknowledged answers.

use std::ops::Range;

use super::frame::GroupMark;

/// What stands in a segment, in order.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// An intact frame.
    Frame { bytes: Range<u64>, mark: GroupMark },
    /// Bytes that are not a frame.
    Hole { bytes: Range<u64> },
}

/// Finds the torn end in the last segment's stretches.
#[derive(Debug)]
pub struct TornEnd {
    /// Everything before it was acknowledged.
    durable: u64,
    /// The last intact frame's mark; that of the group before the segment at first.
    last: GroupMark,
    /// The first hole that may be torn, and the mark of the frame before it.
    first: Option<(u64, GroupMark)>,
}

impl TornEnd {
    /// `before` is the end of the group before this segment.
    pub fn new(durable: u64, before: GroupMark) -> Self {
        Self { durable, last: before, first: None }
    }

    /// Takes the next stretch.
    pub fn add(&mut self, stretch: &Stretch) {
        match stretch {
            Stretch::Hole { bytes } => {
                // What is behind a hole in acknowledged bytes was written later.
                if bytes.start >= self.durable && self.first.is_none() {
                    self.first = Some((bytes.start, self.last));
                }
            }
            Stretch::Frame { mark, .. } => {
                self.last = *mark;
                if let Some((_, before)) = self.first
                    && !before.may_tear_before(*mark)
                {
                    self.first = None;
                }
            }
        }
    }

    /// Returns where the torn end begins; `None` where the end is whole.
    pub fn start(&self) -> Option<u64> {
        self.first.map(|(start, _)| start)
    }

    /// Returns the mark of the last intact frame.
    pub fn last_mark(&self) -> GroupMark {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: fn(u16, bool) -> GroupMark = GroupMark::new;

    fn start(durable: u64, stretches: &[Option<GroupMark>]) -> Option<u64> {
        let mut torn = TornEnd::new(durable, G(4, true));
        for (at, mark) in stretches.iter().enumerate() {
            let bytes = at as u64 * 10..at as u64 * 10 + 10;
            torn.add(&match mark {
                Some(mark) => Stretch::Frame { bytes, mark: *mark },
                None => Stretch::Hole { bytes },
            });
        }
        torn.start()
    }

    #[test]
    fn only_a_hole_in_the_last_group_is_torn() {
        let whole = [Some(G(5, false)), Some(G(5, true)), Some(G(6, false)), Some(G(6, true))];
        assert_eq!(start(0, &whole), None);
        assert_eq!(start(0, &[whole[0], whole[1], None, whole[3]]), Some(20), "the last group's first frame");
        assert_eq!(start(0, &[whole[0], whole[1], whole[2], None, Some(G(6, true))]), Some(30));
        assert_eq!(start(0, &[whole[0], whole[1], None]), Some(20), "an ordinary torn tail");
        assert_eq!(start(0, &[None, Some(G(5, true))]), Some(0), "the segment's first group");
        assert_eq!(start(0, &[whole[0], None, whole[2], whole[3]]), None, "the group before was synced");
        assert_eq!(start(0, &[None, whole[2], whole[3]]), None, "a whole group is gone");
        assert_eq!(start(20, &[whole[0], None, Some(G(5, true))]), None, "acknowledged, as the index knows");
        assert_eq!(start(0, &[Some(G(0, false)), None, Some(G(0, false))]), None, "version 1 does not tell");
        assert_eq!(start(0, &[whole[0], None, whole[2], whole[3], None, Some(G(7, true))]), Some(40));
    }
}
