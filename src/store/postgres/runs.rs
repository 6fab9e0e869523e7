//! Runs: begun by whoever comes first, joined by the others, written by one of them.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::failure::Failure;
use super::schema;
use super::session::{Session, Values};
use super::slots::unknown;
use super::standing::controls;
use super::values::{self, LEASE_HOLDS, cap_values, caps, damaged, number, ordered, uncounted};
use crate::conversation::Settings;
use crate::store::entry::Run;
use crate::store::record::{decode_run, encode_run};
use crate::store::shared::{Caps, Joined, JoinedRun, NewSlot, SeenRun, WorkerId, Writer};

/// What a run is; see [`RunRequest`](crate::store::shared::RunRequest).
pub struct Wanted {
    pub name: Option<String>,
    pub settings: Settings,
    pub rows: [u8; 32],
    pub slots: Vec<NewSlot>,
    pub caps: Caps,
    pub started_ms: u64,
}

/// Begins a run or joins it.
pub async fn run(session: &Session, me: WorkerId, wanted: &Wanted) -> Result<Joined, Failure> {
    session.batch(schema::LOCK).await?;
    let digest = wanted.settings.digest();
    let columns = "number, name, record, settings_digest = $1, rows_digest = $2, cap_cost_nano, cap_requests, \
         cap_output_tokens";
    let digests: (&[u8], &[u8]) = (&digest.0, &wanted.rows);
    let found = match &wanted.name {
        Some(name) => {
            let sql = format!("SELECT {columns} FROM cohobate_run WHERE name = $3");
            let values: Values<'_> = &[(&digests.0, Type::BYTEA), (&digests.1, Type::BYTEA), (name, Type::TEXT)];
            session.row(&sql, values).await?
        }
        None => {
            let sql = format!(
                "SELECT {columns} FROM cohobate_run WHERE settings_digest = $1 AND rows_digest = $2 \
                 ORDER BY number DESC LIMIT 1"
            );
            session.row(&sql, &[(&digests.0, Type::BYTEA), (&digests.1, Type::BYTEA)]).await?
        }
    };
    let (is_new, number) = match found {
        Some(row) => {
            let (same_settings, same_rows): (bool, bool) = (row.get(3), row.get(4));
            if !(same_settings && same_rows) {
                return Ok(Joined::Differs { settings: record_in(&row, 2)?.settings, same_rows });
            }
            let number = row.get(0);
            reopen(session, number).await?;
            (false, number)
        }
        None => (true, begin(session, wanted, &digest.0).await?),
    };
    set_caps(session, number, &wanted.caps).await?;
    let join = "UPDATE cohobate_worker SET run = $2 WHERE id = $1";
    if session.change(join, &[(&&me.0[..], Type::BYTEA), (&number, Type::INT4)]).await? == 0 {
        return Err(unknown(me));
    }
    let sql = format!("SELECT {SEEN} FROM cohobate_run r WHERE number = $1");
    let row = session.row(&sql, &[(&number, Type::INT4)]).await?;
    let seen = seen(&row.ok_or_else(|| damaged("no run of a number that it gave"))?)?;
    let controls = controls(session, values::run(number), 0).await?;
    Ok(Joined::Run(JoinedRun { run: seen.run, name: seen.name, is_new, caps: seen.caps, controls }))
}

/// Makes a run and its slots; returns its number.
async fn begin(session: &Session, wanted: &Wanted, digest: &[u8]) -> Result<i32, Failure> {
    let row = session.row("SELECT coalesce(max(number), 0) + 1 FROM cohobate_run", &[]).await?;
    let number: i32 = row.map_or(1, |row| row.get(0));
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => free_name(session, "run", number).await?,
    };
    let run = Run {
        number: values::run(number),
        started_ms: wanted.started_ms,
        settings: wanted.settings.clone(),
        answers: 0,
    };
    let sql =
        "INSERT INTO cohobate_run (number, name, settings_digest, rows_digest, record) VALUES ($1, $2, $3, $4, $5)";
    let values: Values<'_> = &[
        (&number, Type::INT4),
        (&name, Type::TEXT),
        (&digest, Type::BYTEA),
        (&&wanted.rows[..], Type::BYTEA),
        (&encode_run(&run), Type::BYTEA),
    ];
    session.change(sql, values).await?;
    let lows: Vec<i64> = wanted.slots.iter().map(|slot| ordered(slot.range.low)).collect();
    let highs: Vec<i64> = wanted.slots.iter().map(|slot| ordered(slot.range.high)).collect();
    let weights: Vec<i64> = wanted.slots.iter().map(|slot| i64::from(slot.weight)).collect();
    let sql = "INSERT INTO cohobate_slot (run, low, high, weight) \
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[])";
    let values: Values<'_> =
        &[(&number, Type::INT4), (&lows, Type::INT8_ARRAY), (&highs, Type::INT8_ARRAY), (&weights, Type::INT8_ARRAY)];
    session.change(sql, values).await?;
    Ok(number)
}

/// Returns a name for a run that nobody named: `run-3`, with a letter more where somebody has named one so.
pub async fn free_name(session: &Session, kind: &str, number: i32) -> Result<String, Failure> {
    let mut name = format!("{kind}-{number}");
    while session.row("SELECT FROM cohobate_run WHERE name = $1", &[(&name, Type::TEXT)]).await?.is_some() {
        name.push('b');
    }
    Ok(name)
}

/// Opens the slots with failures of a run whose slots are all done, so that its output is written again. One that a live
/// worker is writing stays as it is.
async fn reopen(session: &Session, number: i32) -> Result<(), Failure> {
    let sql = format!(
        "UPDATE cohobate_run r SET writer = NULL, writer_place = NULL, is_written = false WHERE number = $1 \
         AND NOT EXISTS (SELECT FROM cohobate_slot WHERE run = $1 AND NOT is_done) AND (is_written OR NOT EXISTS (\
         SELECT FROM cohobate_worker w WHERE w.id = r.writer AND left_at IS NULL AND {LEASE_HOLDS}))"
    );
    let run: Values<'_> = &[(&number, Type::INT4)];
    if session.change(&sql, run).await? > 0 {
        let sql = "UPDATE cohobate_slot SET is_done = false, has_failures = false, owner = NULL, epoch = epoch + 1 \
             WHERE run = $1 AND is_done AND has_failures";
        session.change(sql, run).await?;
    }
    Ok(())
}

async fn set_caps(session: &Session, number: i32, caps: &Caps) -> Result<(), Failure> {
    if *caps == Caps::default() {
        return Ok(());
    }
    let sql = "UPDATE cohobate_run SET cap_cost_nano = coalesce($2, cap_cost_nano), \
         cap_requests = coalesce($3, cap_requests), cap_output_tokens = coalesce($4, cap_output_tokens) WHERE number = $1";
    let [cost, requests, tokens] = cap_values(caps);
    let values: Values<'_> =
        &[(&number, Type::INT4), (&cost, Type::INT8), (&requests, Type::INT8), (&tokens, Type::INT8)];
    session.change(sql, values).await.map(|_| ())
}

/// Chooses who writes the output: the first one to ask, until its lease has passed.
pub async fn writer(session: &Session, me: WorkerId, run: u32, place: &str) -> Result<Writer, Failure> {
    let (id, run) = (&me.0[..], number(run));
    let undone = session
        .row("SELECT count(*) FROM cohobate_slot WHERE run = $1 AND NOT is_done", &[(&run, Type::INT4)])
        .await?
        .map_or(0, |row| uncounted(row.get(0)));
    if undone > 0 {
        // Failures were opened again just now: whoever ends them writes.
        return Ok(Writer::Other("the worker that ends the last slot".to_owned()));
    }
    let choose = format!(
        "UPDATE cohobate_run r SET writer = $1, writer_place = $3 \
         WHERE number = $2 AND (writer IS NULL OR writer = $1 OR NOT is_written AND NOT EXISTS (\
         SELECT FROM cohobate_worker w WHERE w.id = r.writer AND left_at IS NULL AND {LEASE_HOLDS}))"
    );
    let place = place.replace('\0', "\u{fffd}");
    let values: Values<'_> = &[(&id, Type::BYTEA), (&run, Type::INT4), (&place, Type::TEXT)];
    if session.change(&choose, values).await? > 0 {
        return Ok(Writer::Own);
    }
    let sql = "SELECT coalesce(writer_place, '') FROM cohobate_run WHERE number = $1";
    let row = session.row(sql, &[(&run, Type::INT4)]).await?;
    let error = || Failure::refused("the database does not know the run", "start the worker again");
    Ok(Writer::Other(row.ok_or_else(error)?.get(0)))
}

/// Records that a worker has written the output.
pub async fn written(session: &Session, me: WorkerId, run: u32) -> Result<(), Failure> {
    let sql = "UPDATE cohobate_run SET is_written = true WHERE number = $2 AND writer = $1";
    session.change(sql, &[(&&me.0[..], Type::BYTEA), (&number(run), Type::INT4)]).await.map(|_| ())
}

/// Sends a verb to the workers of a run. The run's row is locked, so that verbs are seen in the order of their numbers.
pub async fn control(session: &Session, run: u32, text: &str, caps: &Caps) -> Result<(), Failure> {
    let run = number(run);
    let lock = "SELECT FROM cohobate_run WHERE number = $1 FOR UPDATE";
    if session.row(lock, &[(&run, Type::INT4)]).await?.is_none() {
        return Err(Failure::refused("the database does not know the run", "`cohobate status` lists the runs"));
    }
    let sql = "INSERT INTO cohobate_control (run, number, text) \
         SELECT $1, coalesce(max(number), 0) + 1, $2 FROM cohobate_control WHERE run = $1";
    session.change(sql, &[(&run, Type::INT4), (&text, Type::TEXT)]).await?;
    set_caps(session, run, caps).await
}

/// Returns the runs, oldest first.
pub async fn runs(session: &Session) -> Result<Vec<SeenRun>, Failure> {
    let rows = session.rows(&format!("SELECT {SEEN} FROM cohobate_run r ORDER BY number"), &[]).await?;
    rows.iter().map(seen).collect()
}

/// The columns of [`seen`], of a table `r`.
const SEEN: &str = "r.number, r.name, r.record, (SELECT count(*) FROM cohobate_slot s WHERE s.run = r.number), \
     (SELECT count(*) FROM cohobate_slot s WHERE s.run = r.number AND s.is_done), \
     r.cap_cost_nano, r.cap_requests, r.cap_output_tokens, r.writer_place, r.is_written, \
     (SELECT least(coalesce(sum(w.answers), 0), 9223372036854775807)::bigint FROM cohobate_worker w WHERE w.run = r.number) \
     + coalesce((SELECT k.answers FROM cohobate_kept_run k WHERE k.run = r.number), 0)";

fn seen(row: &Row) -> Result<SeenRun, Failure> {
    let record = record_in(row, 2)?;
    Ok(SeenRun {
        run: Run { answers: uncounted(row.get(10)), ..record },
        name: row.get(1),
        slots: uncounted(row.get(3)),
        done: uncounted(row.get(4)),
        caps: caps(row, 5),
        writer: row.get(8),
        is_written: row.get(9),
    })
}

pub fn record_in(row: &Row, column: usize) -> Result<Run, Failure> {
    decode_run(row.get(column)).map_err(|_| damaged("a run that cannot be read"))
}
