//! Numbers and times on their way into SQL and back.

use std::time::Duration;

use tokio_postgres::Row;

use super::failure::Failure;
use crate::store::shared::{Allowance, Caps, WorkerId};

/// True in SQL where a worker's lease holds, by the database's clock. A clock that was set back does not keep a dead worker's
/// lease: none ends later than it could have been given just now.
pub const LEASE_HOLDS: &str = "clock_timestamp() <= until AND until <= clock_timestamp() + lease * 1.5";

/// Returns an unsigned number as a signed one of the same order.
pub fn ordered(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// Returns the number that was ordered so.
pub fn unordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

/// Returns a count, at most the largest that the database holds.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a count of the database.
pub fn uncounted(number: i64) -> u64 {
    number.try_into().unwrap_or(0)
}

/// Returns milliseconds.
pub fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 1_000_000)
}

/// Returns a run's number as the database has it.
pub fn number(run: u32) -> i32 {
    i32::try_from(run).unwrap_or(i32::MAX)
}

/// Returns a run's number of the database.
pub fn run(number: i32) -> u32 {
    number.try_into().unwrap_or(0)
}

/// Returns what three columns hold, from `first` on.
pub fn allowance(row: &Row, first: usize) -> Allowance {
    Allowance {
        cost_nano: uncounted(row.get(first)),
        requests: uncounted(row.get(first + 1)),
        output_tokens: uncounted(row.get(first + 2)),
    }
}

/// Returns the caps in three columns, from `first` on.
pub fn caps(row: &Row, first: usize) -> Caps {
    let cap = |column: usize| row.get::<_, Option<i64>>(column).map(uncounted);
    Caps { cost_nano: cap(first), requests: cap(first + 1), output_tokens: cap(first + 2) }
}

/// Returns caps for three columns.
pub fn cap_values(caps: &Caps) -> [Option<i64>; 3] {
    [caps.cost_nano, caps.requests, caps.output_tokens].map(|cap| cap.map(count))
}

/// Returns an allowance for three columns.
pub fn allowance_values(allowance: &Allowance) -> [i64; 3] {
    [allowance.cost_nano, allowance.requests, allowance.output_tokens].map(count)
}

/// Returns the worker in a column.
pub fn worker(row: &Row, column: usize) -> Result<WorkerId, Failure> {
    Ok(WorkerId(bytes(row.get(column))?))
}

/// Returns bytes of a fixed length.
pub fn bytes<const LENGTH: usize>(bytes: &[u8]) -> Result<[u8; LENGTH], Failure> {
    bytes.try_into().map_err(|_| damaged(&format!("a key of {} bytes instead of {LENGTH}", bytes.len())))
}

/// The database holds what this program never wrote.
pub fn damaged(what: &str) -> Failure {
    Failure::refused(format!("the database holds {what}"), "run `cohobate verify`; restore the tables from a backup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_keep_their_order_and_counts_their_bounds() {
        let openings = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
        assert!(openings.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert!(openings.iter().all(|opening| unordered(ordered(*opening)) == *opening));
        assert_eq!((count(7), count(u64::MAX), uncounted(7), uncounted(-1)), (7, i64::MAX, 7, 0));
    }
}
