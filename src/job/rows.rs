//! The one loop over rows: each row of the input is kept, left out with a reason, or kept in part.

use std::collections::BTreeMap;

use super::JobError;
use super::left_out::LeftOut;
use super::left_out_list::{Left, LeftOutList};
use super::row_place::RowPlace;
use crate::conversation::{Record, Seed};
use crate::export::LeftOutKind;

/// Rows that can be read in input order.
pub trait VisitRows {
    /// A row as it is read.
    type Row: Named;

    /// Passes each row to `take`: the row, or why it is left out before anything is done with it.
    fn visit(&self, take: &mut TakeRow<'_, Self::Row>) -> Result<(), JobError>;
}

/// Takes the rows of [`VisitRows`].
pub type TakeRow<'a, Row> = dyn FnMut(RowPlace<'_>, Result<Row, LeftOut>) -> Result<(), JobError> + 'a;

/// A row with an id.
pub trait Named {
    /// Returns the id.
    fn id(&self) -> &str;
}

impl Named for Seed {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Named for Record {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What a job did with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowResult {
    /// It is in the output, as N rows.
    Kept(u64),
    /// It is not in the output.
    Left(Left),
    /// It is in the output as N rows, and something is missing.
    Partly(u64, Vec<Left>),
}

impl RowResult {
    /// The row is not in the output, for this reason.
    pub fn left(why: LeftOut) -> Self {
        Self::Left(why.into())
    }
}

/// The counts of a last pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows of the input.
    pub read: u64,
    /// Rows in the output.
    pub written: u64,
    /// Reasons for which rows are left out or cut, with how many rows have each.
    pub left: BTreeMap<LeftOutKind, BTreeMap<String, u64>>,
    /// A run of the same command may complete rows.
    pub may_heal: bool,
}

impl RowCounts {
    /// Returns how many reasons of a kind there are.
    pub fn of(&self, kind: LeftOutKind) -> u64 {
        self.left.get(&kind).map_or(0, |reasons| reasons.values().sum())
    }

    /// Returns the reasons of a kind with how many rows have each.
    pub fn reasons(&self, kind: LeftOutKind) -> BTreeMap<String, u64> {
        self.left.get(&kind).cloned().unwrap_or_default()
    }

    /// Returns the reasons of every kind with how many rows have each.
    pub fn reasons_of_all(&self) -> BTreeMap<String, u64> {
        self.left.values().flatten().map(|(reason, count)| (reason.clone(), *count)).collect()
    }

    fn count(&mut self, why: &LeftOut) {
        self.may_heal |= why.may_heal();
        *self.left.entry(why.kind()).or_default().entry(why.group()).or_default() += 1;
    }
}

/// Goes over all rows in input order. Each row that is left out or cut is written to a list and counted; a row that
/// cannot be read is written to every list.
pub fn each<Rows: VisitRows + ?Sized>(
    rows: &Rows,
    lists: &mut [LeftOutList],
    mut take: impl FnMut(RowPlace<'_>, &mut Rows::Row) -> Result<RowResult, JobError>,
) -> Result<RowCounts, JobError> {
    let mut counts = RowCounts::default();
    rows.visit(&mut |place, row| {
        counts.read += 1;
        let mut row = match row {
            Ok(row) => row,
            Err(why) => {
                counts.count(&why);
                let left = Left::from(why);
                return lists.iter_mut().try_for_each(|list| list.add(&place, place.id, &left));
            }
        };
        let (written, left) = match take(place, &mut row)? {
            RowResult::Kept(written) => (written, Vec::new()),
            RowResult::Left(left) => (0, vec![left]),
            RowResult::Partly(written, left) => (written, left),
        };
        counts.written += written;
        for left in left {
            counts.count(&left.why);
            if let Some(list) = lists.get_mut(left.list) {
                list.add(&place, Some(row.id()), &left)?;
            }
        }
        Ok(())
    })?;
    Ok(counts)
}
