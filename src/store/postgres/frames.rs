//! Reads answers, conversations and everything else that was stored, in pages of a bounded size.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::failure::Failure;
use super::publish::COUNTERS;
use super::session::{Session, Values};
use super::values::{self, bytes, damaged, uncounted, worker};
use super::workers::spent_in;
use crate::conversation::{ConversationKey, Fingerprint};
use crate::store::entry::{ConversationState, Entry, KeptAnswer, KeptStanding, LostCalls, Spending, Stored};
use crate::store::frame::{self, FrameWriter, Parsed};
use crate::store::index::MemoryIndex;
use crate::store::place::Place;
use crate::store::record::{self, Unreadable};
use crate::store::shared::{StoredConversations, WorkerId, entry_of};
use crate::store::start::StartId;

/// Keys in one query.
pub const KEYS_MAX: usize = 1000;
/// Frames in a page, and their bytes; one that is larger has a page of its own.
pub const PAGE_ROWS_MAX: i64 = 1000;
pub const PAGE_BYTES_MAX: i64 = 8 << 20;

/// Where a page ends: the number of a commit, and the place in it.
pub type Order = (i64, i32);

/// Returns frames by their questions.
pub async fn answers(session: &Session, questions: &[Fingerprint]) -> Result<Vec<(Fingerprint, Vec<u8>)>, Failure> {
    let questions: Vec<&[u8]> = questions.iter().map(|question| &question.0[..]).collect();
    let sql = "SELECT question, frame FROM cohobate_answer WHERE question = ANY($1)";
    let rows = session.rows(sql, &[(&questions, Type::BYTEA_ARRAY)]).await?;
    rows.iter().map(|row| Ok((Fingerprint(bytes(row.get(0))?), row.get(1)))).collect()
}

/// Bytes of frames whose answers are returned with the states that they were read for.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// After every commit.
pub const NO_END: i64 = i64::MAX;

/// Returns the states of conversations as of a commit.
pub async fn states(
    session: &Session,
    keys: &[ConversationKey],
    end: i64,
) -> Result<Vec<(ConversationKey, ConversationState)>, Failure> {
    Ok(conversations(session, keys, end).await?.states)
}

/// Returns the states of conversations as of a commit: what a merge has joined, and the answers and notes that came on top of it;
/// with those answers, up to a limit.
pub async fn conversations(
    session: &Session,
    keys: &[ConversationKey],
    end: i64,
) -> Result<StoredConversations, Failure> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    let on_top = |table: &str, condition: &str| {
        format!(
            "SELECT t.batch, t.place, t.frame FROM {table} t LEFT JOIN cohobate_state s \
             ON s.conversation = t.conversation AND s.batch <= $2 \
             WHERE t.conversation = ANY($1) AND t.batch <= $2 AND t.batch > coalesce(s.batch, -1) {condition}"
        )
    };
    let sql = format!(
        "SELECT frame FROM (SELECT batch, place, frame FROM cohobate_state WHERE conversation = ANY($1) AND batch <= $2 \
         UNION ALL {} UNION ALL {}) f ORDER BY batch, place",
        on_top("cohobate_answer", "AND t.paid_run IS NULL"),
        on_top("cohobate_note", "")
    );
    let rows = session.rows(&sql, &[(&keys, Type::BYTEA_ARRAY), (&end, Type::INT8)]).await?;
    let (mut index, mut answers, mut bytes) = (MemoryIndex::default(), Vec::new(), 0);
    for (number, row) in (0..).zip(rows) {
        let frame: &[u8] = row.get(0);
        let entry = entry(frame)?;
        index.add(Place { segment: 1, offset: number, length: 1, checksum: 0 }, &entry);
        bytes += frame.len();
        if bytes <= ANSWER_BYTES_MAX {
            answers.extend(entry.question().copied().zip(Stored::from_entry(&entry)));
        }
    }
    Ok(StoredConversations { states: index.states.into_iter().collect(), answers })
}

/// Returns the conversations after one, in the order of their keys.
pub async fn keys(session: &Session, after: &[u8]) -> Result<Vec<ConversationKey>, Failure> {
    let of = |table: &str| {
        format!(
            "(SELECT DISTINCT conversation FROM {table} WHERE conversation > $1 ORDER BY conversation LIMIT {KEYS_MAX})"
        )
    };
    let tables = ["cohobate_answer", "cohobate_note", "cohobate_state"].map(of).join(" UNION ");
    let sql = format!("{tables} ORDER BY conversation LIMIT {KEYS_MAX}");
    let rows = session.rows(&sql, &[(&after, Type::BYTEA)]).await?;
    rows.iter().map(|row| Ok(ConversationKey(bytes(row.get(0))?))).collect()
}

/// Returns the frames after a place, in the order of commits. What is committed while pages are read may be left out.
pub async fn page(session: &Session, after: Order) -> Result<Vec<(Order, Vec<u8>)>, Failure> {
    let of = |table: &str, kept: &str| {
        format!(
            "(SELECT batch, place, frame, {kept} FROM {table} WHERE (batch, place) > ($1, $2) ORDER BY batch, place LIMIT $3)"
        )
    };
    let none = "NULL::bytea AS worker, NULL::integer AS paid_run";
    let sql = format!(
        "SELECT batch, place, frame, worker, paid_run FROM (SELECT *, \
         sum(octet_length(frame)) OVER (ORDER BY batch, place) - octet_length(frame) AS bytes_before \
         FROM ({} UNION ALL {} UNION ALL {}) f) p WHERE bytes_before < $4 ORDER BY batch, place LIMIT $3",
        of("cohobate_answer", "worker, paid_run"),
        of("cohobate_note", none),
        of("cohobate_state", none)
    );
    let values: Values<'_> =
        &[(&after.0, Type::INT8), (&after.1, Type::INT4), (&PAGE_ROWS_MAX, Type::INT8), (&PAGE_BYTES_MAX, Type::INT8)];
    let rows = session.rows(&sql, values).await?;
    let mut frames = FrameWriter::new();
    let frame = |row: &Row| match row.get::<_, Option<i32>>(4) {
        Some(paid_run) => kept(&mut frames, row.get(2), worker(row, 3)?, paid_run, KeptStanding::Used),
        None => Ok(row.get(2)),
    };
    let contents: Result<Vec<Vec<u8>>, Failure> = rows.iter().map(frame).collect();
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).zip(contents?).collect())
}

/// The key of an answer that is not used: its question, its record and its start.
pub type KeptKey = [Vec<u8>; 3];

/// Returns the answers after one that are not used, as frames.
pub async fn kept_page(session: &Session, after: &KeptKey) -> Result<Vec<(KeptKey, Vec<u8>)>, Failure> {
    let rows = session.rows(&kept_sql("true"), &kept_values(after)).await?;
    let mut frames = FrameWriter::new();
    rows.iter()
        .map(|row| {
            let paid_run = row.get::<_, Option<i32>>(3).unwrap_or(row.get(4));
            let frame = kept(&mut frames, row.get(5), worker(row, 2)?, paid_run, KeptStanding::Unused)?;
            Ok(([row.get(0), row.get(1), row.get(2)], frame))
        })
        .collect()
}

/// Returns the query of a page of answers that are not used. Its columns: the key, the number that the run has in the store of the
/// start where that is another one, the run's number here, the frame.
pub fn kept_sql(condition: &str) -> String {
    format!(
        "SELECT question, record, start, paid_run, run, frame FROM (SELECT *, \
         sum(octet_length(frame)) OVER (ORDER BY question, record, start) - octet_length(frame) AS bytes_before \
         FROM (SELECT * FROM cohobate_kept WHERE (question, record, start) > ($1, $2, $3) AND {condition} \
         ORDER BY question, record, start LIMIT $4) f) p WHERE bytes_before < $5 ORDER BY question, record, start"
    )
}

/// Returns the values of [`kept_sql`].
pub fn kept_values(after: &KeptKey) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let [question, record, start] = after;
    let key: [(&(dyn ToSql + Sync), Type); 3] = [(question, Type::BYTEA), (record, Type::BYTEA), (start, Type::BYTEA)];
    let limits: [(&(dyn ToSql + Sync), Type); 2] = [(&PAGE_ROWS_MAX, Type::INT8), (&PAGE_BYTES_MAX, Type::INT8)];
    key.into_iter().chain(limits).collect()
}

/// Returns the frame of an answer as one of another store; a damaged one as it is.
fn kept(
    frames: &mut FrameWriter,
    bytes: &[u8],
    worker: WorkerId,
    paid_run: i32,
    standing: KeptStanding,
) -> Result<Vec<u8>, Failure> {
    let Some(Entry::Answered { conversation, slot, fingerprint, model, answer, .. }) = entry_of(bytes) else {
        return Ok(bytes.to_vec());
    };
    let (start, run) = (StartId(worker.0), values::run(paid_run));
    let kept = KeptAnswer { start, standing, run, conversation, slot, fingerprint, model, answer };
    framed(frames, &Entry::Kept(Box::new(kept)))
}

/// Returns the frame of an entry.
pub fn framed(frames: &mut FrameWriter, entry: &Entry) -> Result<Vec<u8>, Failure> {
    let (mut record, mut frame) = (Vec::new(), Vec::new());
    if !record::encode_entry(entry, &mut record) {
        return Err(Failure::refused("a record is larger than the store's limit", "lower --max-tokens"));
    }
    frames.append(&record, 0, &mut frame);
    Ok(frame)
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
            Ok((question, framed(&mut frames, &entry)?))
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

/// Returns the entry of a frame.
pub fn entry(bytes: &[u8]) -> Result<Entry, Failure> {
    let Parsed::Frame { record, .. } = frame::parse(bytes) else { return Err(damaged("a frame that is damaged")) };
    record::decode_entry(&record).map_err(|unreadable| match unreadable {
        Unreadable::Malformed => damaged("a record that cannot be read"),
        Unreadable::Newer(version) => Failure::refused(
            format!("the database holds a record of version {version}, which a newer program wrote"),
            "use the newer program",
        ),
    })
}
