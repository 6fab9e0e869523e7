//! Workers' starts: their rows, from the first one to the end.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::failure::Failure;
use super::publish::COUNTERS;
use super::session::{Session, Values};
use super::values::{LEASE_HOLDS, allowance, milliseconds, run, uncounted, unordered, worker};
use crate::store::entry::{Spent, SpentFlex};
use crate::store::place::Position;
use crate::store::shared::{SeenWorker, WorkerId, WorkerStart};

/// Workers that are listed though they are neither live nor hold anything.
const OTHERS_MAX: i64 = 100;

/// True in SQL where a worker has reserved what it has not spent.
pub const HAS_RESERVE: &str = "(granted_cost_nano > booked_cost_nano OR granted_requests > booked_requests \
     OR granted_output_tokens > booked_output_tokens)";

/// The columns of [`seen`], of a table `w`.
pub const COLUMNS: &str = "w.id, w.host, w.process, w.version, \
     extract(epoch FROM clock_timestamp() - w.seen)::float8, extract(epoch FROM clock_timestamp() - w.started)::float8, \
     w.left_at IS NULL AND clock_timestamp() <= w.until AND w.until <= clock_timestamp() + w.lease * 1.5, \
     w.left_at IS NOT NULL, w.run, (SELECT count(*) FROM cohobate_slot s WHERE s.owner = w.id AND NOT s.is_done), \
     w.answers, w.booked_cost_nano, w.booked_requests, w.booked_output_tokens, \
     greatest(w.granted_cost_nano, w.booked_cost_nano), greatest(w.granted_requests, w.booked_requests), \
     greatest(w.granted_output_tokens, w.booked_output_tokens)";

/// Makes a worker's row, or renews its lease.
pub async fn join(session: &Session, start: &WorkerStart, lease: Duration) -> Result<(), Failure> {
    let sql = "INSERT INTO cohobate_worker (id, host, process, version, seen, lease, until) VALUES ($1, $2, $3, $4, \
         clock_timestamp(), $5 * interval '1 millisecond', clock_timestamp() + $5 * interval '1 millisecond') \
         ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, lease = excluded.lease, until = excluded.until, \
         is_gone = false";
    let (host, version) = (start.host.replace('\0', "\u{fffd}"), start.version.replace('\0', "\u{fffd}"));
    let values: Values<'_> = &[
        (&&start.id.0[..], Type::BYTEA),
        (&host, Type::TEXT),
        (&i64::from(start.process), Type::INT8),
        (&version, Type::TEXT),
        (&milliseconds(lease), Type::INT8),
    ];
    session.change(sql, values).await.map(|_| ())
}

/// How far an outbox was published, and what its start has spent by model.
pub type Known = (Position, Vec<(String, Spent)>);

/// Returns what is known of a start.
pub async fn published(session: &Session, id: WorkerId) -> Result<Option<Known>, Failure> {
    let position = "SELECT position_segment, position_offset FROM cohobate_worker WHERE id = $1";
    let spent = format!("SELECT model, {} FROM cohobate_spend WHERE worker = $1 ORDER BY model", COUNTERS.join(", "));
    let id: Values<'_> = &[(&&id.0[..], Type::BYTEA)];
    let (position, spent) = tokio::join!(biased; session.row(position, id), session.rows(&spent, id));
    let (position, spent) = (position?, spent?);
    Ok(position.map(|row| {
        let position = Position { segment: uncounted(row.get(0)) as u32, offset: unordered(row.get(1)) };
        (position, spent.iter().map(|row| (row.get(0), spent_in(row))).collect())
    }))
}

/// Returns what was spent, of the columns after the first one.
pub fn spent_in(row: &Row) -> Spent {
    let counter = |at: usize| uncounted(row.get(at + 1));
    Spent {
        calls: counter(0),
        prompt_tokens: counter(1),
        cached_tokens: counter(2),
        cache_write_tokens: counter(3),
        completion_tokens: counter(4),
        reasoning_tokens: counter(5),
        flex: SpentFlex {
            calls: counter(6),
            prompt_tokens: counter(7),
            cached_tokens: counter(8),
            cache_write_tokens: counter(9),
            completion_tokens: counter(10),
            reasoning_tokens: counter(11),
        },
        unknown_calls: counter(12),
        unknown_prompt_tokens: counter(13),
        unknown_completion_tokens: counter(14),
    }
}

/// Ends a worker: its slots are free, its reserve is returned.
pub async fn leave(session: &Session, me: WorkerId) -> Result<(), Failure> {
    let id: Values<'_> = &[(&&me.0[..], Type::BYTEA)];
    let end = "UPDATE cohobate_worker SET left_at = coalesce(left_at, clock_timestamp()), is_idle = false, \
         granted_cost_nano = booked_cost_nano, granted_requests = booked_requests, \
         granted_output_tokens = booked_output_tokens WHERE id = $1";
    let free = "UPDATE cohobate_slot SET owner = NULL, epoch = epoch + 1 WHERE owner = $1 AND NOT is_done";
    let (ended, freed) = tokio::join!(biased; session.change(end, id), session.change(free, id));
    ended?;
    freed.map(|_| ())
}

/// Returns the workers, newest first.
pub async fn workers(session: &Session) -> Result<Vec<SeenWorker>, Failure> {
    let counts = format!(
        "(left_at IS NULL AND {LEASE_HOLDS}) OR {HAS_RESERVE} \
         OR EXISTS (SELECT FROM cohobate_slot s WHERE s.owner = id AND NOT s.is_done)"
    );
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT *, row_number() OVER (PARTITION BY counts ORDER BY started DESC, id) AS nth \
         FROM (SELECT *, {counts} AS counts FROM cohobate_worker) c) w WHERE counts OR nth <= $1 ORDER BY started DESC, id"
    );
    let rows = session.rows(&sql, &[(&OTHERS_MAX, Type::INT8)]).await?;
    rows.iter().map(seen).collect()
}

/// Reads a row of [`COLUMNS`].
pub fn seen(row: &Row) -> Result<SeenWorker, Failure> {
    // A clock that was set back makes the past the future.
    let ago = |column: usize| Duration::try_from_secs_f64(row.get::<_, f64>(column).max(0.0)).unwrap_or_default();
    Ok(SeenWorker {
        start: WorkerStart {
            id: worker(row, 0)?,
            host: row.get(1),
            process: uncounted(row.get(2)) as u32,
            version: row.get(3),
        },
        seen_ago: ago(4),
        started_ago: ago(5),
        is_live: row.get(6),
        has_left: row.get(7),
        run: row.get::<_, Option<i32>>(8).map(run),
        slots: uncounted(row.get(9)),
        answers: uncounted(row.get(10)),
        booked: allowance(row, 11),
        granted: allowance(row, 14),
    })
}
