//! How a worker stands among the others, and what a person has sent.

use tokio_postgres::types::Type;

use super::failure::Failure;
use super::session::{Session, Values};
use super::slots::unknown;
use super::values::{LEASE_HOLDS, allowance, caps, count, number, uncounted};
use crate::store::shared::{ControlVerb, WorkerId, WorkerStanding};

/// Verbs that are read at once; the others come with the next look.
const CONTROLS_MAX: i64 = 1000;

/// Returns how a worker stands; the control verbs are not in it. The worker itself counts as live: it asks.
/// `undone` is how many slots are not done, where that is known; counting many takes longer than all else.
pub async fn standing(
    session: &Session,
    me: WorkerId,
    run: u32,
    undone: Option<u64>,
) -> Result<WorkerStanding, Failure> {
    let count = if undone.is_some() {
        "0::bigint"
    } else {
        "(SELECT count(*) FROM cohobate_slot WHERE run = $2 AND NOT is_done)"
    };
    let sql = format!(
        "SELECT w.taken, greatest(w.granted_cost_nano, w.booked_cost_nano), \
         greatest(w.granted_requests, w.booked_requests), greatest(w.granted_output_tokens, w.booked_output_tokens), \
         r.cap_cost_nano, r.cap_requests, r.cap_output_tokens, \
         {count}, live.all, live.rank, live.idle, live.own \
         FROM cohobate_worker w LEFT JOIN cohobate_run r ON r.number = $2 CROSS JOIN (SELECT count(*) AS all, \
         count(*) FILTER (WHERE id < $1) AS rank, count(*) FILTER (WHERE is_idle) AS idle, \
         count(*) FILTER (WHERE id = $1) AS own FROM cohobate_worker \
         WHERE run = $2 AND left_at IS NULL AND NOT is_gone AND {LEASE_HOLDS}) live WHERE w.id = $1"
    );
    let row = session.row(&sql, &[(&&me.0[..], Type::BYTEA), (&number(run), Type::INT4)]).await?;
    let row = row.ok_or_else(|| unknown(me))?;
    let natural = |column: usize| uncounted(row.get(column));
    Ok(WorkerStanding {
        taken: natural(0),
        granted: allowance(&row, 1),
        caps: caps(&row, 4),
        undone: undone.unwrap_or(natural(7)),
        // Its lease may have passed unseen.
        live: natural(8) as u32 + u32::from(natural(11) == 0),
        rank: natural(9) as u32,
        idle: natural(10) as u32,
        controls: Vec::new(),
    })
}

/// Returns the verbs that came after one.
pub async fn controls(session: &Session, run: u32, after: u64) -> Result<Vec<ControlVerb>, Failure> {
    let sql = "SELECT number, text FROM cohobate_control WHERE run = $1 AND number > $2 ORDER BY number LIMIT $3";
    let values: Values<'_> = &[(&number(run), Type::INT4), (&count(after), Type::INT8), (&CONTROLS_MAX, Type::INT8)];
    let rows = session.rows(sql, values).await?;
    Ok(rows.iter().map(|row| ControlVerb { number: uncounted(row.get(0)), text: row.get(1) }).collect())
}

/// Returns how a worker stands, with the verbs that came after one.
pub async fn look(session: &Session, me: WorkerId, run: u32, after: u64) -> Result<WorkerStanding, Failure> {
    let (standing, controls) = tokio::join!(biased; standing(session, me, run, None), controls(session, run, after));
    Ok(WorkerStanding { controls: controls?, ..standing? })
}
