//! What workers may spend, within the caps of their run. The caps count the whole store.
//!
//! The sum over all workers of what each may spend, or has spent if that is more, is never raised above a cap. It is added up
//! under a lock each time somebody asks for more; no row counts it, so that commits do not wait for each other, and nothing
//! can drift. What lowers a sum needs no lock: whoever adds up too early sees more, not less.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::failure::Failure;
use super::session::{Session, Values};
use super::slots::unknown;
use super::values::{LEASE_HOLDS, allowance, allowance_values, caps, milliseconds, number, uncounted};
use super::workers::{self, seen};
use crate::store::shared::{Allowance, CapName, Caps, Granted, SeenWorker, WorkerId};

/// One worker at a time is granted more. The lock is the table's, and ends with its transaction.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1668246627, 'cohobate_worker'::regclass::oid::integer)";

/// Raises what a worker may spend.
pub async fn grant(
    session: &Session,
    me: WorkerId,
    run: u32,
    wanted: Allowance,
    least: Allowance,
) -> Result<Granted, Failure> {
    let (id, run) = (&me.0[..], number(run));
    let sum = |what: &str, filter: &str| {
        ["cost_nano", "requests", "output_tokens"]
            .map(|unit| {
                let what = what.replace('*', unit);
                format!("least(coalesce(sum({what}){filter}, 0), 9223372036854775807)::bigint")
            })
            .join(", ")
    };
    let reserve = "greatest(granted_* - booked_*, 0)";
    let live = format!(" FILTER (WHERE id <> $1 AND left_at IS NULL AND {LEASE_HOLDS})");
    let is_dead = format!("id <> $1 AND left_at IS NULL AND NOT ({LEASE_HOLDS})");
    let sums = format!(
        "SELECT r.*, w.* FROM (SELECT cap_cost_nano, cap_requests, cap_output_tokens FROM cohobate_run \
         WHERE number = $2) r, (SELECT {}, {}, {}, count(*) FILTER (WHERE {is_dead} AND {}) FROM cohobate_worker) w",
        sum("greatest(granted_*, booked_*)", ""),
        sum(reserve, &live),
        sum(reserve, &format!(" FILTER (WHERE {is_dead})")),
        workers::HAS_RESERVE,
    );
    let values: Values<'_> = &[(&id, Type::BYTEA), (&run, Type::INT4)];
    let (locked, row) = tokio::join!(biased; session.batch(LOCK), session.row(&sums, values));
    locked?;
    let row = row?.ok_or_else(|| Failure::refused("the database does not know the run", "start the worker again"))?;
    let (room, more, short) = within(&caps(&row, 0), &allowance(&row, 3), &wanted, &least);
    let [cost, requests, tokens] = allowance_values(&more);
    let raise = "UPDATE cohobate_worker SET \
         granted_cost_nano = greatest(granted_cost_nano, booked_cost_nano) + $2, \
         granted_requests = greatest(granted_requests, booked_requests) + $3, \
         granted_output_tokens = greatest(granted_output_tokens, booked_output_tokens) + $4 \
         WHERE id = $1 AND left_at IS NULL RETURNING granted_cost_nano, granted_requests, granted_output_tokens";
    let values: Values<'_> = &[(&id, Type::BYTEA), (&cost, Type::INT8), (&requests, Type::INT8), (&tokens, Type::INT8)];
    let own = session.row(raise, values).await?.ok_or_else(|| unknown(me))?;
    Ok(Granted {
        granted: allowance(&own, 0),
        short,
        room,
        held_by_live: allowance(&row, 6),
        held_by_dead: allowance(&row, 9),
        dead: uncounted(row.get(12)) as u32,
    })
}

/// Returns what the caps leave, and how much more may be spent: what is wanted, or what they leave; nothing where that is too
/// little.
fn within(
    caps: &Caps,
    sum: &Allowance,
    wanted: &Allowance,
    least: &Allowance,
) -> (Allowance, Allowance, Option<CapName>) {
    let room = |cap: Option<u64>, sum: u64| cap.map_or(u64::MAX, |cap| cap.saturating_sub(sum));
    // Far from the largest number of the database, so that sums do not overflow.
    let limit = |wanted: u64, room: u64| wanted.min(room).min(i64::MAX as u64 / 1024);
    let units = [
        (CapName::Cost, room(caps.cost_nano, sum.cost_nano), wanted.cost_nano, least.cost_nano),
        (CapName::Requests, room(caps.requests, sum.requests), wanted.requests, least.requests),
        (CapName::OutputTokens, room(caps.output_tokens, sum.output_tokens), wanted.output_tokens, least.output_tokens),
    ];
    let [cost_nano, requests, output_tokens] = units.map(|(_, room, ..)| room);
    let left = Allowance { cost_nano, requests, output_tokens };
    if let Some((cap, ..)) = units.iter().find(|(_, room, _, least)| room < least) {
        return (left, Allowance::default(), Some(*cap));
    }
    let [cost_nano, requests, output_tokens] = units.map(|(_, room, wanted, _)| limit(wanted, room));
    (left, Allowance { cost_nano, requests, output_tokens }, None)
}

/// Lowers what a worker may spend to `keep`, at least to what it has spent; returns what it may spend from then on.
pub async fn release(session: &Session, me: WorkerId, keep: Allowance) -> Result<Allowance, Failure> {
    let [cost, requests, tokens] = allowance_values(&keep);
    let sql = "UPDATE cohobate_worker SET \
         granted_cost_nano = greatest(least(granted_cost_nano, $2), booked_cost_nano), \
         granted_requests = greatest(least(granted_requests, $3), booked_requests), \
         granted_output_tokens = greatest(least(granted_output_tokens, $4), booked_output_tokens) \
         WHERE id = $1 RETURNING granted_cost_nano, granted_requests, granted_output_tokens";
    let values: Values<'_> =
        &[(&&me.0[..], Type::BYTEA), (&cost, Type::INT8), (&requests, Type::INT8), (&tokens, Type::INT8)];
    let row = session.row(sql, values).await?.ok_or_else(|| unknown(me))?;
    Ok(allowance(&row, 0))
}

/// Returns to the store what workers have reserved that ended without leaving. Returns them as they were before.
pub async fn reconcile(session: &Session, unseen_for: Duration) -> Result<Vec<SeenWorker>, Failure> {
    let condition = format!(
        "left_at IS NULL AND NOT ({LEASE_HOLDS}) AND seen < clock_timestamp() - $1 * interval '1 millisecond' AND {}",
        workers::HAS_RESERVE
    );
    let sql = format!("SELECT {} FROM cohobate_worker w WHERE {condition} ORDER BY id FOR UPDATE", workers::COLUMNS);
    let rows = session.rows(&sql, &[(&milliseconds(unseen_for), Type::INT8)]).await?;
    let ids: Vec<&[u8]> = rows.iter().map(|row| row.get(0)).collect();
    let settle = "UPDATE cohobate_worker SET granted_cost_nano = booked_cost_nano, granted_requests = booked_requests, \
         granted_output_tokens = booked_output_tokens WHERE id = ANY($1)";
    session.change(settle, &[(&ids, Type::BYTEA_ARRAY)]).await?;
    rows.iter().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(cost_nano: u64, requests: u64, output_tokens: u64) -> Allowance {
        Allowance { cost_nano, requests, output_tokens }
    }

    #[test]
    fn what_is_granted_stays_within_each_cap_or_is_nothing() {
        let caps = Caps { cost_nano: Some(100), requests: Some(10), output_tokens: None };
        let of = |sum, wanted, least| {
            let (_, more, short) = within(&caps, &sum, &wanted, &least);
            (more, short)
        };
        assert_eq!(
            within(&caps, &allowance(30, 12, 7), &allowance(0, 0, 0), &allowance(0, 0, 0)).0,
            allowance(70, 0, u64::MAX)
        );
        let (wanted, least) = (allowance(50, 5, 500), allowance(10, 1, 100));
        assert_eq!(of(allowance(0, 0, 1 << 60), wanted, least), (wanted, None));
        assert_eq!(of(allowance(70, 0, 0), wanted, least), (allowance(30, 5, 500), None));
        assert_eq!(of(allowance(91, 0, 0), wanted, least), (allowance(0, 0, 0), Some(CapName::Cost)));
        assert_eq!(of(allowance(0, 12, 0), wanted, least), (allowance(0, 0, 0), Some(CapName::Requests)));
        let full = (allowance(0, 0, 500), None);
        assert_eq!(of(allowance(100, 10, 0), wanted, allowance(0, 0, 0)), full, "nothing is needed");
    }
}
