//! Claims slots, frees them, and splits them. Every change of a slot's owner raises its epoch.
//!
//! Locks are taken in one order: the worker's own row, then those of workers whose leases have passed, then slots. Where two
//! claims meet, the second one skips what the first one holds.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::failure::Failure;
use super::session::{Session, Values};
use super::values::{LEASE_HOLDS, count, number, ordered, uncounted, unordered, worker};
use crate::store::shared::{Claimed, Done, Held, OpeningHash, SlotRange, WorkerId};

/// Takes free slots, those of lapsed workers included.
pub async fn claim(session: &Session, me: WorkerId, run: u32, wanted: u32) -> Result<Claimed, Failure> {
    let (id, run) = (&me.0[..], number(run));
    // A worker that holds slots must not look as if it had lost them all.
    let own = "UPDATE cohobate_worker SET is_gone = false WHERE id = $1 AND left_at IS NULL";
    if session.change(own, &[(&id, Type::BYTEA)]).await? == 0 {
        return Err(unknown(me));
    }
    let lapsed = free_lapsed(session, me).await?;
    let claim = "UPDATE cohobate_slot SET owner = $1, epoch = epoch + 1 WHERE (run, low) IN (\
         SELECT run, low FROM cohobate_slot WHERE run = $2 AND owner IS NULL AND NOT is_done \
         ORDER BY weight DESC, low LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING low, high, epoch, weight";
    let mut rows =
        session.rows(claim, &[(&id, Type::BYTEA), (&run, Type::INT4), (&i64::from(wanted), Type::INT8)]).await?;
    rows.sort_by_key(|row| (std::cmp::Reverse(row.get::<_, i64>(3)), row.get::<_, i64>(0)));
    let idle = "UPDATE cohobate_worker w SET is_idle = s.is_idle FROM (SELECT NOT EXISTS (\
         SELECT FROM cohobate_slot WHERE owner = $1 AND run = $2 AND NOT is_done) AS is_idle) s \
         WHERE id = $1 AND w.is_idle <> s.is_idle";
    let undone = "SELECT count(*) FROM cohobate_slot WHERE run = $1 AND NOT is_done";
    let values: Values<'_> = &[(&id, Type::BYTEA), (&run, Type::INT4)];
    let (idle, undone) = tokio::join!(biased; session.change(idle, values), session.row(undone, &values[1..]));
    idle?;
    let undone = undone?.map_or(0, |row| uncounted(row.get(0)));
    Ok(Claimed { slots: rows.iter().map(held_slot).collect(), undone, lapsed })
}

/// Frees the slots of workers whose leases have passed; returns those that held some. A renewal that comes first wins: the
/// condition is looked at again once the row is locked.
async fn free_lapsed(session: &Session, me: WorkerId) -> Result<Vec<WorkerId>, Failure> {
    let lapsed = format!(
        "UPDATE cohobate_worker SET is_gone = true, is_idle = false, taken = taken + 1 WHERE id IN (\
         SELECT id FROM cohobate_worker WHERE left_at IS NULL AND NOT is_gone AND id <> $1 AND NOT ({LEASE_HOLDS}) \
         ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id"
    );
    let lapsed = session.rows(&lapsed, &[(&&me.0[..], Type::BYTEA)]).await?;
    if lapsed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&[u8]> = lapsed.iter().map(|row| row.get(0)).collect();
    let free = "WITH held AS (SELECT run, low, owner FROM cohobate_slot WHERE owner = ANY($1) AND NOT is_done FOR UPDATE), \
         freed AS (UPDATE cohobate_slot s SET owner = NULL, epoch = epoch + 1 FROM held \
         WHERE s.run = held.run AND s.low = held.low) SELECT DISTINCT owner FROM held ORDER BY owner";
    let rows = session.rows(free, &[(&ids, Type::BYTEA_ARRAY)]).await?;
    rows.iter().map(|row| worker(row, 0)).collect()
}

/// Returns the slots of a run that a worker holds.
pub async fn held(session: &Session, me: WorkerId, run: u32) -> Result<Vec<Held>, Failure> {
    let sql = "SELECT low, high, epoch FROM cohobate_slot WHERE owner = $1 AND run = $2 AND NOT is_done ORDER BY low";
    let rows = session.rows(sql, &[(&&me.0[..], Type::BYTEA), (&number(run), Type::INT4)]).await?;
    Ok(rows.iter().map(held_slot).collect())
}

/// Ends slots that a worker holds in this epoch.
pub async fn end(session: &Session, me: WorkerId, run: u32, done: &[Done]) -> Result<(), Failure> {
    if done.is_empty() {
        return Ok(());
    }
    let lows: Vec<i64> = done.iter().map(|done| ordered(done.slot.range.low)).collect();
    let epochs: Vec<i64> = done.iter().map(|done| count(done.slot.epoch)).collect();
    let highs: Vec<i64> = done.iter().map(|done| ordered(done.slot.range.high)).collect();
    let failures: Vec<bool> = done.iter().map(|done| done.has_failures).collect();
    let sql = "UPDATE cohobate_slot s SET is_done = true, has_failures = d.has_failures \
         FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[]) AS d (low, high, epoch, has_failures) \
         WHERE s.run = $2 AND s.low = d.low AND s.high = d.high AND s.owner = $1 AND s.epoch = d.epoch AND NOT s.is_done";
    let values: Values<'_> = &[
        (&&me.0[..], Type::BYTEA),
        (&number(run), Type::INT4),
        (&lows, Type::INT8_ARRAY),
        (&highs, Type::INT8_ARRAY),
        (&epochs, Type::INT8_ARRAY),
        (&failures, Type::BOOL_ARRAY),
    ];
    session.change(sql, values).await.map(|_| ())
}

/// Frees slots from an opening on. Sent twice, it finds nothing to do the second time: the upper end or the owner differs.
pub async fn give_back(
    session: &Session,
    me: WorkerId,
    run: u32,
    slots: &[(Held, OpeningHash)],
) -> Result<(), Failure> {
    let (id, run) = (&me.0[..], number(run));
    session.rows("SELECT FROM cohobate_worker WHERE id = $1 FOR UPDATE", &[(&id, Type::BYTEA)]).await?;
    for (slot, from) in slots.iter().filter(|(slot, from)| *from <= slot.range.high) {
        let (low, high) = (ordered(slot.range.low), ordered(slot.range.high));
        let (from, epoch) = (ordered(*from), count(slot.epoch));
        let fence = "run = $2 AND low = $3 AND high = $4 AND owner = $1 AND epoch = $5 AND NOT is_done";
        let mut values: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
            vec![(&id, Type::BYTEA), (&run, Type::INT4), (&low, Type::INT8), (&high, Type::INT8), (&epoch, Type::INT8)];
        let sql = if from <= low {
            format!("UPDATE cohobate_slot SET owner = NULL, epoch = epoch + 1 WHERE {fence}")
        } else {
            values.push((&from, Type::INT8));
            format!(
                "WITH kept AS (UPDATE cohobate_slot SET high = $6 - 1 WHERE {fence} RETURNING weight) \
                 INSERT INTO cohobate_slot (run, low, high, weight) SELECT $2, $6, $4, weight FROM kept"
            )
        };
        session.change(&sql, &values).await?;
    }
    Ok(())
}

/// A worker's start that the database does not know, or that has ended.
pub fn unknown(me: WorkerId) -> Failure {
    Failure::refused(
        format!("the database does not know the worker {me}, or it has left"),
        "start the worker again; if the tables were restored from a backup, its outbox is uploaded then",
    )
}

fn held_slot(row: &Row) -> Held {
    let range = SlotRange { low: unordered(row.get(0)), high: unordered(row.get(1)) };
    Held { range, epoch: uncounted(row.get(2)) }
}
