//! Commits a batch: one transaction. Of two answers to one question the first one is kept.
//!
//! The worker's row is locked first and answers are inserted in the order of their questions, so that no two commits wait for
//! each other. The statements are sent together; a second round is needed only where others have answered before.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use super::failure::Failure;
use super::session::{Session, Values};
use super::slots;
use super::standing::{controls, standing};
use super::values::{allowance_values, bytes, count, milliseconds, number, ordered, uncounted};
use crate::conversation::Fingerprint;
use crate::store::entry::{LostCalls, Spent};
use crate::store::shared::{Batch, NewAnswer, NewNote, Published, WorkerId};

/// Bytes of frames in one statement; a message may have a gibibyte.
const STATEMENT_BYTES_MAX: usize = 8 << 20;
const STATEMENT_ROWS_MAX: usize = 4096;
/// Questions whose winners are asked for at once.
const WINNERS_MAX: usize = 1000;

/// Writes a batch and renews the lease. `undone`: see [`standing`].
pub async fn publish(
    session: &Session,
    me: WorkerId,
    run: u32,
    batch: &Batch,
    lease: Duration,
    after_control: u64,
    undone: Option<u64>,
) -> Result<Published, Failure> {
    // Of one question's answers in a batch, the first one is inserted and the others find it.
    let mut answers: Vec<(usize, &NewAnswer)> = batch.answers.iter().enumerate().collect();
    answers.sort_by_key(|(_, answer)| answer.fingerprint);
    let (renewed, numbered, inserted, noted, lost, spent, ended, standing, controls) = tokio::join!(
        biased;
        renew(session, me, batch, lease),
        session.rows("SELECT nextval('cohobate_batch')", &[]),
        insert_answers(session, me, &answers),
        insert_notes(session, me, &batch.notes, batch.answers.len()),
        count_lost(session, &batch.lost),
        count_spent(session, me, &batch.spent),
        slots::end(session, me, run, &batch.done),
        standing(session, me, run, undone),
        controls(session, run, after_control),
    );
    if renewed? == 0 {
        return Err(slots::unknown(me));
    }
    numbered?;
    noted?;
    lost?;
    spent?;
    ended?;
    let inserted = inserted?;
    let mut standing = standing?;
    standing.controls = controls?;
    let mut winners = Vec::new();
    if inserted < answers.len() as u64 {
        winners = others_answers(session, me, &answers).await?;
    }
    Ok(Published { winners, standing })
}

/// Renews the lease and raises the counters of a worker's row; returns 0 where there is no such row.
async fn renew(session: &Session, me: WorkerId, batch: &Batch, lease: Duration) -> Result<u64, Failure> {
    let [cost, requests, tokens] = allowance_values(&batch.booked);
    let sql = "UPDATE cohobate_worker SET seen = clock_timestamp(), is_gone = false, \
         lease = $2 * interval '1 millisecond', until = clock_timestamp() + $2 * interval '1 millisecond', \
         booked_cost_nano = greatest(booked_cost_nano, $3), booked_requests = greatest(booked_requests, $4), \
         booked_output_tokens = greatest(booked_output_tokens, $5), \
         (position_segment, position_offset) = (SELECT segment, byte FROM \
         (VALUES (position_segment, position_offset), ($6, $7)) AS positions (segment, byte) \
         ORDER BY segment DESC, byte DESC LIMIT 1) WHERE id = $1";
    let values: Values<'_> = &[
        (&&me.0[..], Type::BYTEA),
        (&milliseconds(lease), Type::INT8),
        (&cost, Type::INT8),
        (&requests, Type::INT8),
        (&tokens, Type::INT8),
        (&i64::from(batch.position.segment), Type::INT8),
        (&ordered(batch.position.offset), Type::INT8),
    ];
    session.change(sql, values).await
}

/// Inserts answers, and counts those that were the first; returns how many.
async fn insert_answers(session: &Session, me: WorkerId, answers: &[(usize, &NewAnswer)]) -> Result<u64, Failure> {
    let mut inserted = 0;
    for part in parts(answers, |(_, answer)| answer.frame.len()) {
        let questions: Vec<&[u8]> = part.iter().map(|(_, answer)| &answer.fingerprint.0[..]).collect();
        let conversations: Vec<&[u8]> = part.iter().map(|(_, answer)| &answer.conversation.0[..]).collect();
        let runs: Vec<i32> = part.iter().map(|(_, answer)| number(answer.run)).collect();
        let places: Vec<i32> = part.iter().map(|(place, _)| number(*place as u32)).collect();
        let frames: Vec<&[u8]> = part.iter().map(|(_, answer)| &answer.frame[..]).collect();
        let sql = "WITH inserted AS (\
             INSERT INTO cohobate_answer (question, conversation, run, worker, batch, place, frame) \
             SELECT question, conversation, run, $1, (SELECT currval('cohobate_batch')), place, frame \
             FROM unnest($2::bytea[], $3::bytea[], $4::integer[], $5::integer[], $6::bytea[]) \
             AS a (question, conversation, run, place, frame) ON CONFLICT (question) DO NOTHING RETURNING 1) \
             UPDATE cohobate_worker SET answers = answers + (SELECT count(*) FROM inserted) WHERE id = $1 \
             RETURNING (SELECT count(*) FROM inserted)";
        let values: Values<'_> = &[
            (&&me.0[..], Type::BYTEA),
            (&questions, Type::BYTEA_ARRAY),
            (&conversations, Type::BYTEA_ARRAY),
            (&runs, Type::INT4_ARRAY),
            (&places, Type::INT4_ARRAY),
            (&frames, Type::BYTEA_ARRAY),
        ];
        inserted += session.row(sql, values).await?.map_or(0, |row| uncounted(row.get(0)));
    }
    Ok(inserted)
}

/// Inserts notes; they come after the answers of the batch.
async fn insert_notes(session: &Session, me: WorkerId, notes: &[NewNote], first: usize) -> Result<(), Failure> {
    let notes: Vec<(usize, &NewNote)> = (first..).zip(notes).collect();
    for part in parts(&notes, |(_, note)| note.frame.len()) {
        let numbers: Vec<i64> = part.iter().map(|(_, note)| count(note.number)).collect();
        let conversations: Vec<&[u8]> = part.iter().map(|(_, note)| &note.conversation.0[..]).collect();
        let runs: Vec<i32> = part.iter().map(|(_, note)| number(note.run)).collect();
        let places: Vec<i32> = part.iter().map(|(place, _)| number(*place as u32)).collect();
        let frames: Vec<&[u8]> = part.iter().map(|(_, note)| &note.frame[..]).collect();
        let sql = "INSERT INTO cohobate_note (worker, number, conversation, run, batch, place, frame) \
             SELECT $1, number, conversation, run, (SELECT currval('cohobate_batch')), place, frame \
             FROM unnest($2::bigint[], $3::bytea[], $4::integer[], $5::integer[], $6::bytea[]) \
             AS n (number, conversation, run, place, frame) ON CONFLICT (worker, number) DO NOTHING";
        let values: Values<'_> = &[
            (&&me.0[..], Type::BYTEA),
            (&numbers, Type::INT8_ARRAY),
            (&conversations, Type::BYTEA_ARRAY),
            (&runs, Type::INT4_ARRAY),
            (&places, Type::INT4_ARRAY),
            (&frames, Type::BYTEA_ARRAY),
        ];
        session.change(sql, values).await?;
    }
    Ok(())
}

/// Keeps the larger count of each question.
async fn count_lost(session: &Session, lost: &[(Fingerprint, LostCalls)]) -> Result<(), Failure> {
    // A statement may change a row once; the order of questions keeps two commits from waiting for each other.
    let mut largest: BTreeMap<Fingerprint, &LostCalls> = BTreeMap::new();
    for (question, calls) in lost {
        let known = largest.entry(*question).or_insert(calls);
        if known.calls < calls.calls {
            *known = calls;
        }
    }
    if largest.is_empty() {
        return Ok(());
    }
    let questions: Vec<&[u8]> = largest.keys().map(|question| &question.0[..]).collect();
    let calls: Vec<i64> = largest.values().map(|lost| i64::from(lost.calls)).collect();
    // A text of PostgreSQL has no zero byte.
    let reasons: Vec<String> = largest.values().map(|lost| lost.reason.replace('\0', "\u{fffd}")).collect();
    let sql = "INSERT INTO cohobate_lost (question, calls, reason) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[]) ON CONFLICT (question) \
         DO UPDATE SET calls = excluded.calls, reason = excluded.reason WHERE cohobate_lost.calls < excluded.calls";
    let values: Values<'_> =
        &[(&questions, Type::BYTEA_ARRAY), (&calls, Type::INT8_ARRAY), (&reasons, Type::TEXT_ARRAY)];
    session.change(sql, values).await.map(|_| ())
}

/// The columns of what was spent, in the order of [`counters`].
pub const COUNTERS: [&str; 15] = [
    "calls",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "flex_calls",
    "flex_prompt_tokens",
    "flex_cached_tokens",
    "flex_cache_write_tokens",
    "flex_completion_tokens",
    "flex_reasoning_tokens",
    "unknown_calls",
    "unknown_prompt_tokens",
    "unknown_completion_tokens",
];

fn counters(spent: &Spent) -> [u64; 15] {
    let flex = &spent.flex;
    [
        spent.calls,
        spent.prompt_tokens,
        spent.cached_tokens,
        spent.cache_write_tokens,
        spent.completion_tokens,
        spent.reasoning_tokens,
        flex.calls,
        flex.prompt_tokens,
        flex.cached_tokens,
        flex.cache_write_tokens,
        flex.completion_tokens,
        flex.reasoning_tokens,
        spent.unknown_calls,
        spent.unknown_prompt_tokens,
        spent.unknown_completion_tokens,
    ]
}

/// Raises the counters of what a worker has spent, by model.
pub async fn count_spent(session: &Session, me: WorkerId, spent: &[(String, Spent)]) -> Result<(), Failure> {
    for (model, spent) in spent {
        let columns = COUNTERS.join(", ");
        let raised: Vec<String> =
            COUNTERS.iter().map(|name| format!("{name} = greatest(s.{name}, excluded.{name})")).collect();
        let places: Vec<String> = (3..3 + COUNTERS.len()).map(|at| format!("${at}")).collect();
        let sql = format!(
            "INSERT INTO cohobate_spend AS s (worker, model, {columns}) VALUES ($1, $2, {}) \
             ON CONFLICT (worker, model) DO UPDATE SET {}",
            places.join(", "),
            raised.join(", ")
        );
        let (id, model, counters) = (&me.0[..], model.replace('\0', "\u{fffd}"), counters(spent).map(count));
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&id, Type::BYTEA), (&model, Type::TEXT)];
        values.extend(counters.iter().map(|counter| (counter as &(dyn ToSql + Sync), Type::INT8)));
        session.change(&sql, &values).await?;
    }
    Ok(())
}

/// Returns the answers of others that were stored before.
async fn others_answers(
    session: &Session,
    me: WorkerId,
    answers: &[(usize, &NewAnswer)],
) -> Result<Vec<(Fingerprint, Vec<u8>)>, Failure> {
    let mut winners = Vec::new();
    for part in answers.chunks(WINNERS_MAX) {
        let questions: Vec<&[u8]> = part.iter().map(|(_, answer)| &answer.fingerprint.0[..]).collect();
        let sql =
            "SELECT question, frame FROM cohobate_answer WHERE question = ANY($2) AND worker <> $1 ORDER BY question";
        let rows = session.rows(sql, &[(&&me.0[..], Type::BYTEA), (&questions, Type::BYTEA_ARRAY)]).await?;
        for row in rows {
            let (question, frame) = (Fingerprint(bytes(row.get(0))?), row.get::<_, &[u8]>(1));
            if part.iter().any(|(_, own)| own.fingerprint == question && own.frame != frame) {
                winners.push((question, frame.to_vec()));
            }
        }
    }
    Ok(winners)
}

/// Splits a list where a statement would become too large.
pub fn parts<T>(mut all: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut parts = Vec::new();
    while !all.is_empty() {
        let mut bytes = 0;
        let fits = all.iter().take(STATEMENT_ROWS_MAX).take_while(|item| {
            bytes += size(item);
            bytes <= STATEMENT_BYTES_MAX
        });
        // One that is larger than a part has a part of its own.
        let (part, rest) = all.split_at(fits.count().max(1));
        parts.push(part);
        all = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_split_and_nothing_of_it_is_left_out() {
        let half = STATEMENT_BYTES_MAX / 2;
        let sizes = [half, half, 1, 3 * half, 1, 1];
        let split = parts(&sizes, |size| *size);
        assert_eq!(split, [&sizes[..2], &sizes[2..3], &sizes[3..4], &sizes[4..]]);
        assert!(parts(&[0_usize; 0], |size| *size).is_empty());
        let many = vec![1; STATEMENT_ROWS_MAX + 1];
        assert_eq!(parts(&many, |size| *size).iter().map(|part| part.len()).collect::<Vec<_>>(), [4096, 1]);
    }

    #[test]
    fn counters_and_columns_are_as_many() {
        let spent = Spent { calls: 1, unknown_completion_tokens: 15, ..Spent::default() };
        let counters = counters(&spent);
        assert_eq!((counters[0], counters[14], counters.len()), (1, 15, COUNTERS.len()));
    }
}
