//! The slots that a worker holds, and what is left of each. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::openings::PlacedRow;
use crate::store::shared::{Done, Held, OpeningHash, SlotRange};
use crate::worker::RowEnd;

/// The slots of one worker.
#[derive(Default)]
pub struct HeldSlots {
    slots: BTreeMap<OpeningHash, Slot>,
    /// The slots in the order in which they were claimed: the heaviest first.
    order: VecDeque<OpeningHash>,
    /// The slots of rows that are open, or to be opened again.
    open: HashMap<u64, OpeningHash>,
    /// Rows that were interrupted and are still this worker's.
    again: VecDeque<u64>,
}

struct Slot {
    held: Held,
    /// Rows that are not opened yet, in the order of their openings.
    rows: VecDeque<PlacedRow>,
    open: usize,
    has_failures: bool,
    has_begun: bool,
}

impl HeldSlots {
    /// Adds a slot with the rows in it. One without rows has ended at once.
    pub fn add(&mut self, held: Held, rows: Vec<PlacedRow>) -> Option<Done> {
        if rows.is_empty() {
            return Some(Done { slot: held, has_failures: false });
        }
        let slot = Slot { held, rows: rows.into(), open: 0, has_failures: false, has_begun: false };
        self.slots.insert(held.range.low, slot);
        self.order.push_back(held.range.low);
        None
    }

    /// Takes the next row to open.
    pub fn next(&mut self) -> Option<u64> {
        if let Some(row) = self.again.pop_front() {
            return Some(row);
        }
        while let Some(low) = self.order.front() {
            if let Some(slot) = self.slots.get_mut(low)
                && let Some(placed) = slot.rows.pop_front()
            {
                slot.has_begun = true;
                slot.open += 1;
                self.open.insert(placed.row, *low);
                return Some(placed.row);
            }
            self.order.pop_front();
        }
        None
    }

    /// True while a row is this worker's.
    pub fn holds(&self, row: u64) -> bool {
        self.open.contains_key(&row)
    }

    /// A row's conversation has ended. Returns the slot, if it was the last one in it.
    pub fn end(&mut self, row: u64, end: RowEnd) -> Option<Done> {
        if end == RowEnd::Open {
            // A slot that was lost and is held again may have two sessions for a row.
            if self.holds(row) && !self.again.contains(&row) {
                self.again.push_back(row);
            }
            return None;
        }
        let low = self.open.remove(&row)?;
        self.again.retain(|again| *again != row);
        let slot = self.slots.get_mut(&low)?;
        slot.open -= 1;
        slot.has_failures |= end == RowEnd::Failed;
        if slot.open > 0 || !slot.rows.is_empty() {
            return None;
        }
        let done = Done { slot: slot.held, has_failures: slot.has_failures };
        self.slots.remove(&low);
        Some(done)
    }

    /// Returns rows that are not opened, and rows that are.
    pub fn counts(&self) -> (usize, usize) {
        let unopened: usize = self.slots.values().map(|slot| slot.rows.len()).sum();
        (unopened + self.again.len(), self.open.len() - self.again.len())
    }

    /// True if nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Drops the slots that are no longer held, and returns those that were not known: what the database says is right.
    pub fn reconcile(&mut self, held: &[Held]) -> Vec<Held> {
        let by_low: BTreeMap<OpeningHash, Held> = held.iter().map(|held| (held.range.low, *held)).collect();
        let is_same = |slot: &Slot| {
            by_low
                .get(&slot.held.range.low)
                .is_some_and(|held| held.epoch == slot.held.epoch && held.range.high >= slot.held.range.high)
        };
        let lost: Vec<OpeningHash> =
            self.slots.values().filter(|slot| !is_same(slot)).map(|slot| slot.held.range.low).collect();
        for low in lost {
            self.slots.remove(&low);
            self.open.retain(|_, of| *of != low);
        }
        let open = &self.open;
        self.again.retain(|row| open.contains_key(row));
        by_low.into_values().filter(|held| !self.slots.contains_key(&held.range.low)).collect()
    }

    /// Returns the part of a slot that the database still holds for this worker and that is not known here.
    pub fn missing_part(&self, held: &Held) -> Option<SlotRange> {
        let own = self.slots.get(&held.range.low)?.held.range;
        (own.high < held.range.high).then(|| SlotRange { low: own.high + 1, high: held.range.high })
    }

    /// Takes back rows of a slot that could not be given away.
    pub fn extend(&mut self, held: Held, rows: Vec<PlacedRow>) {
        let Some(slot) = self.slots.get_mut(&held.range.low) else { return };
        slot.held = held;
        slot.rows.extend(rows);
        if !self.order.contains(&held.range.low) {
            self.order.push_back(held.range.low);
        }
    }

    /// Chooses what to give to `idle` workers that have nothing: their part of the slots that are not begun, or the upper half
    /// of the one with most left. What is chosen is no longer opened here.
    pub fn give_away(&mut self, idle: usize) -> Vec<(Held, OpeningHash)> {
        let begun_rows = self.slots.values().any(|slot| slot.has_begun);
        let untouched: Vec<OpeningHash> =
            self.order.iter().filter(|low| self.slots.get(low).is_some_and(|slot| !slot.has_begun)).copied().collect();
        let part = untouched.len() * idle;
        let count = if begun_rows { part.div_ceil(idle + 1) } else { part / (idle + 1) };
        if count > 0 {
            // The heaviest stay: they are begun first.
            let given = untouched[untouched.len() - count..].to_vec();
            self.order.retain(|low| !given.contains(low));
            return given
                .iter()
                .filter_map(|low| self.slots.remove(low))
                .map(|slot| (slot.held, slot.held.range.low))
                .collect();
        }
        let most = self.slots.values_mut().filter(|slot| !slot.rows.is_empty()).max_by_key(|slot| slot.rows.len());
        let Some(slot) = most else { return Vec::new() };
        let Some(from) = middle(&slot.rows) else { return Vec::new() };
        let whole = slot.held;
        slot.rows.retain(|placed| placed.opening < from);
        // The database still has the whole range; from now on this is what is known here.
        slot.held.range.high = from - 1;
        vec![(whole, from)]
    }
}

/// Returns the opening in the middle of rows that are not opened. Rows that begin alike stay together, and so do those that
/// begin as the first one, which may be open.
fn middle(rows: &VecDeque<PlacedRow>) -> Option<OpeningHash> {
    let (first, middle) = (rows.front()?.opening, rows[rows.len() / 2].opening);
    rows.iter().map(|placed| placed.opening).find(|opening| *opening > first && *opening >= middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(low: u64, high: u64) -> Held {
        Held { range: SlotRange { low, high }, epoch: 1 }
    }

    fn rows(openings: &[u64]) -> Vec<PlacedRow> {
        openings.iter().map(|opening| PlacedRow { opening: *opening, row: opening * 10, turns: 1 }).collect()
    }

    #[test]
    fn a_slot_ends_with_its_last_row() {
        let mut slots = HeldSlots::default();
        assert_eq!(slots.add(slot(90, 99), Vec::new()).map(|done| done.slot), Some(slot(90, 99)));
        slots.add(slot(0, 9), rows(&[1, 2]));
        assert_eq!((slots.next(), slots.counts()), (Some(10), (1, 1)));
        assert_eq!(slots.end(10, RowEnd::Failed), None);
        assert_eq!(slots.next(), Some(20));
        assert_eq!(slots.end(20, RowEnd::Open), None);
        assert!(slots.holds(20) && slots.next() == Some(20), "it is opened again");
        assert_eq!(slots.end(20, RowEnd::Done), Some(Done { slot: slot(0, 9), has_failures: true }));
        assert!(slots.is_empty() && slots.next().is_none() && !slots.holds(20));
        assert_eq!(slots.end(20, RowEnd::Done), None, "it is nobody's");
    }

    #[test]
    fn what_the_database_says_is_right() {
        let mut slots = HeldSlots::default();
        slots.add(slot(0, 9), rows(&[1, 2]));
        slots.add(slot(10, 19), rows(&[11]));
        assert_eq!((slots.next(), slots.next(), slots.next()), (Some(10), Some(20), Some(110)));
        slots.end(20, RowEnd::Open);
        let again = Held { epoch: 3, ..slot(10, 19) };
        assert_eq!(slots.reconcile(&[again, slot(20, 29)]), [again, slot(20, 29)]);
        assert!(!slots.holds(10) && !slots.holds(110) && slots.is_empty() && slots.next().is_none());
    }

    #[test]
    fn half_of_what_is_not_begun_is_given_away() {
        let mut slots = HeldSlots::default();
        for low in [0, 10, 20, 30] {
            slots.add(slot(low, low + 9), rows(&[low + 1]));
        }
        slots.next();
        assert_eq!(slots.give_away(1), [(slot(20, 29), 20), (slot(30, 39), 30)]);
        assert_eq!(slots.give_away(1), [(slot(10, 19), 10)]);
        assert_eq!((slots.give_away(1), slots.counts()), (Vec::new(), (0, 1)), "what is open stays");
    }

    #[test]
    fn a_slot_is_split_where_no_opening_is_cut_apart() {
        let mut slots = HeldSlots::default();
        slots.add(slot(0, 99), rows(&[1, 5, 5, 5, 8, 9]));
        slots.next();
        assert_eq!(slots.give_away(1), [(slot(0, 99), 8)]);
        assert_eq!(slots.counts(), (3, 1));
        assert_eq!(slots.give_away(1), [], "equal openings stay together");
        assert_eq!(slots.missing_part(&slot(0, 99)), Some(SlotRange { low: 8, high: 99 }));
        slots.extend(slot(0, 99), rows(&[8, 9]));
        assert_eq!((slots.counts(), slots.missing_part(&slot(0, 99))), ((5, 1), None));
    }
}
