//! Writes what a merge keeps: one transaction for each commit.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::super::failure::Failure;
use super::super::frames::{self, KEYS_MAX, NO_END, framed};
use super::super::publish::{count_spent, parts};
use super::super::runs::free_name;
use super::super::schema;
use super::super::session::{Session, Values};
use super::super::values::{LEASE_HOLDS, allowance_values, bytes, count, number};
use super::origins::{self, KeptRuns};
use crate::conversation::{ConversationKey, Fingerprint, Price};
use crate::store::entry::{ConversationState, Entry, KeptAnswer, KeptStanding, LostCalls, Run, Spending};
use crate::store::frame::FrameWriter;
use crate::store::identity::frame_of;
use crate::store::origins::KeptRunId;
use crate::store::record::encode_run;
use crate::store::shared::{DatabaseError, MERGED_HOST, WorkerId, booked};
use crate::store::start::{FrameId, StartId};

/// Entries of one commit, by their kinds.
#[derive(Debug, Default)]
pub struct Changes {
    pub spending: Vec<(StartId, Spending)>,
    pub runs: Vec<(StartId, Run)>,
    pub answers: Vec<KeptAnswer>,
    pub lost: Vec<(Fingerprint, LostCalls)>,
    pub states: Vec<(ConversationKey, ConversationState)>,
    pub is_settled: bool,
}

impl Changes {
    /// Sorts entries. A merge commits no others.
    pub fn of(entries: Vec<Entry>) -> Self {
        let mut changes = Self::default();
        for entry in entries {
            match entry {
                Entry::KeptSpending { start, spending } => changes.spending.push((start, spending)),
                Entry::KeptRun { start, run } => changes.runs.push((start, run)),
                Entry::Kept(kept) => changes.answers.push(*kept),
                Entry::Lost { fingerprint, lost } => changes.lost.push((fingerprint, lost)),
                Entry::KeptState { conversation, state } => changes.states.push((conversation, state)),
                Entry::Settled => changes.is_settled = true,
                Entry::Run(_)
                | Entry::Answered { .. }
                | Entry::Linked { .. }
                | Entry::Unknown { .. }
                | Entry::Closed { .. }
                | Entry::Start(_) => {}
            }
        }
        changes
    }
}

/// Prices by model.
pub type Prices = BTreeMap<String, Price>;

/// Locks the workers' table: nobody joins, commits or is granted anything until this transaction ends. Returns the host and process of
/// one who is at work.
pub async fn lock(session: &Session) -> Result<Option<String>, Failure> {
    // Whoever begins a run holds this one first.
    session.batch(schema::LOCK).await?;
    session.batch("LOCK TABLE cohobate_worker IN SHARE ROW EXCLUSIVE MODE").await?;
    let sql = format!(
        "SELECT concat_ws(' ', host, process) FROM cohobate_worker WHERE left_at IS NULL AND {LEASE_HOLDS} LIMIT 1"
    );
    Ok(session.row(&sql, &[]).await?.map(|row| row.get(0)))
}

/// Writes a commit. Returns who is at work; then nothing is written.
pub async fn keep(session: &Session, changes: &Changes, prices: &Prices) -> Result<Option<String>, Failure> {
    if let Some(worker) = lock(session).await? {
        return Ok(Some(worker));
    }
    let row = session.row("SELECT nextval('cohobate_batch')", &[]).await?;
    let mut commit = Commit { session, batch: row.map_or(0, |row| row.get(0)), place: 0, frames: FrameWriter::new() };
    for (start, spending) in &changes.spending {
        let by_model: Vec<_> = spending.iter().map(|(model, spent)| (model.clone(), *spent)).collect();
        count_spent(session, WorkerId(start.0), &by_model).await?;
        book(session, *start, spending, prices).await?;
    }
    commit.keep_runs(&changes.runs).await?;
    commit.keep_answers(&changes.answers).await?;
    keep_lost(session, &changes.lost).await?;
    commit.keep_states(&changes.states).await?;
    if changes.is_settled {
        session.batch("DELETE FROM cohobate_unsettled").await?;
    }
    Ok(None)
}

/// Books what a start has spent, so that caps count it. It has a worker's row, as one that has left.
pub async fn book(session: &Session, start: StartId, spending: &Spending, prices: &Prices) -> Result<(), Failure> {
    let [cost, requests, tokens] = allowance_values(&booked(spending, prices));
    let raised = ["cost_nano", "requests", "output_tokens"].map(|unit| {
        let larger = |kind: &str| format!("{kind}_{unit} = greatest(w.{kind}_{unit}, excluded.booked_{unit})");
        format!("{}, {}", larger("booked"), larger("granted"))
    });
    let sql = format!(
        "INSERT INTO cohobate_worker AS w (id, host, process, version, seen, lease, until, left_at, \
         booked_cost_nano, booked_requests, booked_output_tokens, \
         granted_cost_nano, granted_requests, granted_output_tokens) \
         VALUES ($1, $2, 0, '', clock_timestamp(), interval '0', clock_timestamp(), clock_timestamp(), \
         $3, $4, $5, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET {}",
        raised.join(", ")
    );
    let values: Values<'_> = &[
        (&&start.0[..], Type::BYTEA),
        (&MERGED_HOST, Type::TEXT),
        (&cost, Type::INT8),
        (&requests, Type::INT8),
        (&tokens, Type::INT8),
    ];
    session.change(&sql, values).await.map(|_| ())
}

/// Takes the larger counts; whoever merges has looked which they are.
async fn keep_lost(session: &Session, lost: &[(Fingerprint, LostCalls)]) -> Result<(), Failure> {
    let questions: Vec<&[u8]> = lost.iter().map(|(question, _)| &question.0[..]).collect();
    let calls: Vec<i64> = lost.iter().map(|(_, lost)| i64::from(lost.calls)).collect();
    // A text of PostgreSQL has no zero byte.
    let reasons: Vec<String> = lost.iter().map(|(_, lost)| lost.reason.replace('\0', "\u{fffd}")).collect();
    let sql = "INSERT INTO cohobate_lost (question, calls, reason) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[]) ON CONFLICT (question) \
         DO UPDATE SET calls = excluded.calls, reason = excluded.reason WHERE cohobate_lost.calls <= excluded.calls";
    let values: Values<'_> =
        &[(&questions, Type::BYTEA_ARRAY), (&calls, Type::INT8_ARRAY), (&reasons, Type::TEXT_ARRAY)];
    if lost.is_empty() { Ok(()) } else { session.change(sql, values).await.map(|_| ()) }
}

/// A commit that is under way.
struct Commit<'a> {
    session: &'a Session,
    /// Its number.
    batch: i64,
    /// The next place in it.
    place: i32,
    frames: FrameWriter,
}

/// An answer as a row has it.
struct Row<'a> {
    answer: &'a KeptAnswer,
    /// Its identity.
    frame: FrameId,
    /// The number of its run here, 0 if the run is unknown.
    run: i32,
    place: i32,
    bytes: Vec<u8>,
}

impl Commit<'_> {
    /// Numbers runs of other stores after those that are here, oldest first.
    async fn keep_runs(&mut self, runs: &[(StartId, Run)]) -> Result<(), Failure> {
        let mut runs: Vec<&(StartId, Run)> = runs.iter().collect();
        runs.sort_by_key(|(start, run)| (run.started_ms, *start, run.number));
        for (start, run) in runs {
            let (id, number_there) = (&start.0[..], number(run.number));
            let known = "SELECT FROM cohobate_kept_run WHERE start = $1 AND number = $2";
            if self.session.row(known, &[(&id, Type::BYTEA), (&number_there, Type::INT4)]).await?.is_some() {
                continue;
            }
            let row = self.session.row("SELECT coalesce(max(number), 0) + 1 FROM cohobate_run", &[]).await?;
            let here: i32 = row.map_or(1, |row| row.get(0));
            let name = free_name(self.session, MERGED_HOST, here).await?;
            let record = encode_run(&Run { number: super::super::values::run(here), answers: 0, ..run.clone() });
            // No rows have an empty digest: nobody joins it.
            let insert = "INSERT INTO cohobate_run (number, name, settings_digest, rows_digest, record) \
                 VALUES ($1, $2, $3, '', $4)";
            let values: Values<'_> = &[
                (&here, Type::INT4),
                (&name, Type::TEXT),
                (&&run.settings.digest().0[..], Type::BYTEA),
                (&record, Type::BYTEA),
            ];
            self.session.change(insert, values).await?;
            let insert = "INSERT INTO cohobate_kept_run (start, number, run) VALUES ($1, $2, $3)";
            let values: Values<'_> = &[(&id, Type::BYTEA), (&number_there, Type::INT4), (&here, Type::INT4)];
            self.session.change(insert, values).await?;
        }
        Ok(())
    }

    async fn keep_answers(&mut self, answers: &[KeptAnswer]) -> Result<(), Failure> {
        if answers.is_empty() {
            return Ok(());
        }
        let runs = origins::kept_runs(self.session).await?;
        let rows: Vec<Row<'_>> =
            answers.iter().map(|answer| self.row(answer, &runs)).collect::<Result<_, Failure>>()?;
        let mut rows: (Vec<Row<'_>>, Vec<Row<'_>>) =
            rows.into_iter().partition(|row| row.answer.standing != KeptStanding::Unused);
        // In the order of questions, as all commits insert them.
        rows.0.sort_by_key(|row| row.answer.fingerprint);
        let replaced = |row: &Row<'_>| match row.answer.standing {
            KeptStanding::InPlaceOf(replaced) => Some((row.answer.fingerprint, replaced)),
            _ => None,
        };
        let replaced: Vec<(Fingerprint, FrameId)> = rows.0.iter().filter_map(replaced).collect();
        self.set_aside(&replaced).await?;
        let mut written = 0;
        for part in parts(&rows.0, |row| row.bytes.len()) {
            written += self.insert_used(part).await?;
        }
        for part in parts(&rows.1, |row| row.bytes.len()) {
            written += self.insert_unused(part).await?;
        }
        expect(written, answers.len())?;
        self.count(answers).await
    }

    fn row<'a>(&mut self, answer: &'a KeptAnswer, runs: &KeptRuns) -> Result<Row<'a>, Failure> {
        let mut paid = answer.paid();
        let frame = frame_of(&paid, answer.start).ok_or_else(|| Failure::refused("it is no answer", "report this"))?;
        let here = runs.get(&(answer.start, answer.run)).copied().unwrap_or(0);
        if let Entry::Answered { run, .. } = &mut paid {
            *run = here;
        }
        self.place += 1;
        Ok(Row { answer, frame, run: number(here), place: self.place, bytes: framed(&mut self.frames, &paid)? })
    }

    /// Keeps answers beside those that take their places.
    async fn set_aside(&mut self, replaced: &[(Fingerprint, FrameId)]) -> Result<(), Failure> {
        for part in replaced.chunks(KEYS_MAX) {
            let questions: Vec<&[u8]> = part.iter().map(|(question, _)| &question.0[..]).collect();
            let records: Vec<&[u8]> = part.iter().map(|(_, frame)| &frame.record.0[..]).collect();
            let starts: Vec<&[u8]> = part.iter().map(|(_, frame)| &frame.start.0[..]).collect();
            self.keep_states_of(&questions).await?;
            let sql = "INSERT INTO cohobate_kept (question, record, start, run, paid_run, batch, frame) \
                 SELECT a.question, k.record, a.worker, a.run, a.paid_run, $1, a.frame FROM cohobate_answer a \
                 JOIN unnest($2::bytea[], $3::bytea[], $4::bytea[]) AS k (question, record, start) \
                 ON a.question = k.question AND a.worker = k.start";
            let values: Values<'_> = &[
                (&self.batch, Type::INT8),
                (&questions, Type::BYTEA_ARRAY),
                (&records, Type::BYTEA_ARRAY),
                (&starts, Type::BYTEA_ARRAY),
            ];
            expect(self.session.change(sql, values).await?, part.len())?;
            let questions: Values<'_> = &[(&questions, Type::BYTEA_ARRAY)];
            self.session.change("DELETE FROM cohobate_answer WHERE question = ANY($1)", questions).await?;
            let sql = "INSERT INTO cohobate_unsettled SELECT * FROM unnest($1::bytea[]) ON CONFLICT DO NOTHING";
            self.session.change(sql, questions).await?;
        }
        if !replaced.is_empty() {
            // Conversations are cut after these answers: the slots of runs that have ended are opened when those are asked for again.
            let sql = "UPDATE cohobate_slot SET has_failures = true WHERE is_done AND NOT has_failures";
            self.session.change(sql, &[]).await?;
        }
        Ok(())
    }

    /// Writes the states that are folded from answers which are about to go.
    async fn keep_states_of(&mut self, questions: &[&[u8]]) -> Result<(), Failure> {
        let sql = "SELECT DISTINCT conversation FROM cohobate_answer WHERE question = ANY($1) AND paid_run IS NULL";
        let rows = self.session.rows(sql, &[(&questions, Type::BYTEA_ARRAY)]).await?;
        let keys: Result<Vec<ConversationKey>, Failure> =
            rows.iter().map(|row| Ok(ConversationKey(bytes(row.get(0))?))).collect();
        let states = frames::states(self.session, &keys?, NO_END).await?;
        self.keep_states(&states).await
    }

    async fn insert_used(&self, part: &[Row<'_>]) -> Result<u64, Failure> {
        let questions: Vec<&[u8]> = part.iter().map(|row| &row.answer.fingerprint.0[..]).collect();
        let conversations: Vec<&[u8]> = part.iter().map(|row| &row.answer.conversation.0[..]).collect();
        let starts: Vec<&[u8]> = part.iter().map(|row| &row.answer.start.0[..]).collect();
        let runs: Vec<i32> = part.iter().map(|row| row.run).collect();
        let paid_runs: Vec<i32> = part.iter().map(|row| number(row.answer.run)).collect();
        let places: Vec<i32> = part.iter().map(|row| row.place).collect();
        let frames: Vec<&[u8]> = part.iter().map(|row| &row.bytes[..]).collect();
        let sql = "INSERT INTO cohobate_answer (question, conversation, worker, run, paid_run, batch, place, frame) \
             SELECT question, conversation, worker, run, paid_run, $1, place, frame FROM unnest($2::bytea[], \
             $3::bytea[], $4::bytea[], $5::integer[], $6::integer[], $7::integer[], $8::bytea[]) \
             AS a (question, conversation, worker, run, paid_run, place, frame) ON CONFLICT (question) DO NOTHING";
        let values: Values<'_> = &[
            (&self.batch, Type::INT8),
            (&questions, Type::BYTEA_ARRAY),
            (&conversations, Type::BYTEA_ARRAY),
            (&starts, Type::BYTEA_ARRAY),
            (&runs, Type::INT4_ARRAY),
            (&paid_runs, Type::INT4_ARRAY),
            (&places, Type::INT4_ARRAY),
            (&frames, Type::BYTEA_ARRAY),
        ];
        self.session.change(sql, values).await
    }

    async fn insert_unused(&self, part: &[Row<'_>]) -> Result<u64, Failure> {
        let questions: Vec<&[u8]> = part.iter().map(|row| &row.answer.fingerprint.0[..]).collect();
        let records: Vec<&[u8]> = part.iter().map(|row| &row.frame.record.0[..]).collect();
        let starts: Vec<&[u8]> = part.iter().map(|row| &row.frame.start.0[..]).collect();
        let runs: Vec<i32> = part.iter().map(|row| row.run).collect();
        let paid_runs: Vec<i32> = part.iter().map(|row| number(row.answer.run)).collect();
        let frames: Vec<&[u8]> = part.iter().map(|row| &row.bytes[..]).collect();
        let sql = "INSERT INTO cohobate_kept (question, record, start, run, paid_run, batch, frame) \
             SELECT question, record, start, run, paid_run, $1, frame FROM unnest($2::bytea[], $3::bytea[], \
             $4::bytea[], $5::integer[], $6::integer[], $7::bytea[]) \
             AS k (question, record, start, run, paid_run, frame) ON CONFLICT DO NOTHING";
        let values: Values<'_> = &[
            (&self.batch, Type::INT8),
            (&questions, Type::BYTEA_ARRAY),
            (&records, Type::BYTEA_ARRAY),
            (&starts, Type::BYTEA_ARRAY),
            (&runs, Type::INT4_ARRAY),
            (&paid_runs, Type::INT4_ARRAY),
            (&frames, Type::BYTEA_ARRAY),
        ];
        self.session.change(sql, values).await
    }

    /// Counts answers for their runs.
    async fn count(&self, answers: &[KeptAnswer]) -> Result<(), Failure> {
        let ids: BTreeSet<KeptRunId> = answers.iter().map(|answer| (answer.start, answer.run)).collect();
        for (start, run) in ids {
            let of_run = answers.iter().filter(|answer| (answer.start, answer.run) == (start, run)).count();
            let sql = "UPDATE cohobate_kept_run SET answers = answers + $3 WHERE start = $1 AND number = $2";
            let values: Values<'_> =
                &[(&&start.0[..], Type::BYTEA), (&number(run), Type::INT4), (&count(of_run as u64), Type::INT8)];
            self.session.change(sql, values).await?;
        }
        Ok(())
    }

    async fn keep_states(&mut self, states: &[(ConversationKey, ConversationState)]) -> Result<(), Failure> {
        let mut rows: Vec<(ConversationKey, i32, Vec<u8>)> = Vec::new();
        for (conversation, state) in states {
            let entry = Entry::KeptState { conversation: *conversation, state: state.clone() };
            self.place += 1;
            rows.push((*conversation, self.place, framed(&mut self.frames, &entry)?));
        }
        for part in parts(&rows, |(_, _, frame)| frame.len()) {
            let keys: Vec<&[u8]> = part.iter().map(|(key, ..)| &key.0[..]).collect();
            let places: Vec<i32> = part.iter().map(|(_, place, _)| *place).collect();
            let frames: Vec<&[u8]> = part.iter().map(|(.., frame)| &frame[..]).collect();
            let sql = "INSERT INTO cohobate_state (conversation, batch, place, frame) \
                 SELECT conversation, $1, place, frame FROM unnest($2::bytea[], $3::integer[], $4::bytea[]) \
                 AS s (conversation, place, frame) ON CONFLICT (conversation) \
                 DO UPDATE SET batch = excluded.batch, place = excluded.place, frame = excluded.frame";
            let values: Values<'_> = &[
                (&self.batch, Type::INT8),
                (&keys, Type::BYTEA_ARRAY),
                (&places, Type::INT4_ARRAY),
                (&frames, Type::BYTEA_ARRAY),
            ];
            self.session.change(sql, values).await?;
        }
        Ok(())
    }
}

/// Fails where somebody has written since the answers were looked at: a worker whose lease had passed, or another merge.
fn expect(written: u64, wanted: usize) -> Result<(), Failure> {
    if written == wanted as u64 {
        return Ok(());
    }
    Err(DatabaseError::Away("somebody else wrote into the database during the merge".to_owned()).into())
}
