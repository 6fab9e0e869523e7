//! Reads answers, conversations and everything else that was stored, in pages of a bounded size.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::failure::Failure;
use super::publish::COUNTERS;
use super::session::{Session, Values};
use super::values::{bytes, damaged, uncounted};
use super::workers::spent_in;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, Entry, LostCalls, Spending};
use crate::store::frame::{self, FrameWriter, Parsed};
use crate::store::index::MemoryIndex;
use crate::store::place::Place;
use crate::store::record::{self, Unreadable};

/// Keys in one query.
pub const KEYS_MAX: usize = 1000;
/// Frames in a page, and their bytes; one that is larger has a page of its own.
const PAGE_ROWS_MAX: i64 = 1000;
const PAGE_BYTES_MAX: i64 = 8 << 20;

/// Where a page ends: the number of a commit, and the place in it.
pub type Order = (i64, i32);

/// Returns frames by their questions.
pub async fn answers(session: &Session, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Vec<u8>)>, Failure> {
    let questions: Vec<&[u8]> = questions.iter().map(|question| &question.0[..]).collect();
    let sql = "SELECT question, frame FROM cohobate_answer WHERE question = ANY($1)";
    let rows = session.rows(sql, &[(&questions, Type::BYTEA_ARRAY)]).await?;
    rows.iter().map(|row| Ok((Fingerprint(bytes(row.get(0))?), row.get(1)))).collect()
}

/// Returns the states of conversations, folded from their answers and notes.
pub async fn states(
    session: &Session,
    keys: &[ConversationKey],
) -> Result<Vec<(ConversationKey, ConversationState)>, Failure> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    let sql = "SELECT frame FROM (SELECT batch, place, frame FROM cohobate_answer WHERE conversation = ANY($1) UNION ALL \
         SELECT batch, place, frame FROM cohobate_note WHERE conversation = ANY($1)) f ORDER BY batch, place";
    let rows = session.rows(sql, &[(&keys, Type::BYTEA_ARRAY)]).await?;
    let mut index = MemoryIndex::default();
    for (number, row) in (0..).zip(rows) {
        index.add(Place { segment: 1, offset: number, length: 1, checksum: 0 }, &entry(row.get(0))?);
    }
    Ok(index.states.into_iter().collect())
}

/// Returns the conversations after one, in the order of their keys.
pub async fn keys(session: &Session, after: &[u8]) -> Result<Vec<ConversationKey>, Failure> {
    let of = |table: &str| {
        format!(
            "(SELECT DISTINCT conversation FROM {table} WHERE conversation > $1 ORDER BY conversation LIMIT {KEYS_MAX})"
        )
    };
    let sql = format!("{} UNION {} ORDER BY conversation LIMIT {KEYS_MAX}", of("cohobate_answer"), of("cohobate_note"));
    let rows = session.rows(&sql, &[(&after, Type::BYTEA)]).await?;
    rows.iter().map(|row| Ok(ConversationKey(bytes(row.get(0))?))).collect()
}

/// Returns the frames after a place, in the order of commits. What is committed while pages are read may be left out.
pub async fn page(session: &Session, after: Order) -> Result<Vec<(Order, Vec<u8>)>, Failure> {
    let of = |table: &str| {
        format!(
            "(SELECT batch, place, frame FROM {table} WHERE (batch, place) > ($1, $2) ORDER BY batch, place LIMIT $3)"
        )
    };
    let sql = format!(
        "SELECT batch, place, frame FROM (SELECT batch, place, frame, \
         sum(octet_length(frame)) OVER (ORDER BY batch, place) - octet_length(frame) AS bytes_before \
         FROM ({} UNION ALL {}) f) p WHERE bytes_before < $4 ORDER BY batch, place LIMIT $3",
        of("cohobate_answer"),
        of("cohobate_note")
    );
    let values: Values<'_> =
        &[(&after.0, Type::INT8), (&after.1, Type::INT4), (&PAGE_ROWS_MAX, Type::INT8), (&PAGE_BYTES_MAX, Type::INT8)];
    let rows = session.rows(&sql, values).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

/// Returns lost calls after a question, as frames.
pub async fn lost_page(session: &Session, after: Vec<u8>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Failure> {
    let sql = "SELECT question, calls, reason FROM cohobate_lost WHERE question > $1 ORDER BY question LIMIT $2";
    let rows = session.rows(sql, &[(&after, Type::BYTEA), (&PAGE_ROWS_MAX, Type::INT8)]).await?;
    let mut frames = FrameWriter::new();
    rows.iter()
        .map(|row| {
            let question: Vec<u8> = row.get(0);
            let lost = LostCalls { calls: uncounted(row.get(1)) as u32, reason: row.get(2) };
            let entry = Entry::Lost { fingerprint: Fingerprint(bytes(&question)?), lost };
            let (mut record, mut frame) = (Vec::new(), Vec::new());
            if !record::encode_entry(&entry, &mut record) {
                return Err(damaged("a reason that is larger than a record"));
            }
            frames.append(&record, 0, &mut frame);
            Ok((question, frame))
        })
        .collect()
}

/// Returns a question's lost calls.
pub async fn lost(session: &Session, question: Fingerprint) -> Result<LostCalls, Failure> {
    let sql = "SELECT calls, reason FROM cohobate_lost WHERE question = $1";
    let row = session.row(sql, &[(&&question.0[..], Type::BYTEA)]).await?;
    Ok(row.map_or_else(LostCalls::default, |row| LostCalls { calls: uncounted(row.get(0)) as u32, reason: row.get(1) }))
}

/// Returns the spending by model, over all workers.
pub async fn spending(session: &Session) -> Result<Spending, Failure> {
    let sums = COUNTERS.map(|name| format!("least(sum({name}), 9223372036854775807)::bigint")).join(", ");
    let rows = session.rows(&format!("SELECT model, {sums} FROM cohobate_spend GROUP BY model"), &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), spent_in(row))).collect::<BTreeMap<_, _>>())
}

fn entry(bytes: &[u8]) -> Result<Entry, Failure> {
    let Parsed::Frame { record, .. } = frame::parse(bytes) else { return Err(damaged("a frame that is damaged")) };
    record::decode_entry(&record).map_err(|unreadable| match unreadable {
        Unreadable::Malformed => damaged("a record that cannot be read"),
        Unreadable::Newer(version) => Failure::refused(
            format!("the database holds a record of version {version}, which a newer program wrote"),
            "use the newer program",
        ),
    })
}
