use std::collections::BTreeMap;
use std::time::Duration;

use super::database::{Batch, Database, WorkerStart};
use super::frames::{add_to, frame_with};
use super::outbox::Outbox;
use super::spending::Counters;
use crate::conversation::Price;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::frame::FrameWriter;
use crate::store::ledger::{Ledger, Unsettled};
use crate::store::place::{Damage, Position};

/// Entries of an outbox that are uploaded at once.
const UPLOAD_ENTRIES: usize = 1_024;

/// What was found when a worker's directory was opened.
#[derive(Debug, Default)]
pub struct SharedOpened {
    /// Locks do not hold there.
    pub caution: Option<String>,
    /// Answers and notes of an earlier start that were uploaded.
    pub uploaded: u64,
    /// Requests that were in flight when the earlier start ended, booked with the most that they can have cost.
    pub unknown: Vec<Unsettled>,
    /// Damage in the earlier start's journal.
    pub damages: Vec<Damage>,
}

/// Uploads what an earlier start has left in the directory, books its requests of unknown outcome, and ends it.
pub fn settle_earlier(
    database: &dyn Database,
    outbox: &Outbox,
    start: &WorkerStart,
    (prices, lease): (&BTreeMap<String, Price>, Duration),
    name_of: &dyn Fn(&Unsettled) -> String,
    opened: &mut SharedOpened,
) -> Result<(), StoreError> {
    let Some(earlier) = outbox.earlier_start() else { return Ok(()) };
    let published = database.published(earlier)?;
    if published.is_none() {
        // It ended before it had joined, or the database is another one.
        database.join(&WorkerStart { id: earlier, ..start.clone() }, lease)?;
    }
    let known_to = published.map_or(Position::default(), |(position, _)| position);
    let (ledger, mut in_flight) = Ledger::open(outbox.directory())?;
    let mut counters = Counters::default();
    let mut batch = Batch::default();
    let mut frames = FrameWriter::new();
    let uploaded = std::cell::Cell::new(0);
    let upload = |batch: &mut Batch, counters: &Counters| -> Result<(), StoreError> {
        batch.spent = counters.by_model();
        batch.booked = counters.booked(prices);
        database.publish(earlier, 0, batch, lease, u64::MAX)?;
        uploaded.set(uploaded.get() + (batch.answers.len() + batch.notes.len() + batch.lost.len()) as u64);
        *batch = Batch::default();
        Ok(())
    };
    opened.damages = outbox.left_behind(&mut |entry, end| {
        counters.add(&entry);
        // What another worker has answered meanwhile was paid for here all the same.
        if let Entry::Answered { fingerprint, .. } = &entry {
            in_flight.retain(|request| request.fingerprint != *fingerprint);
        }
        if end > known_to {
            let frame = frame_with(&mut frames, &entry);
            add_to(&mut batch, &entry, run_of(&entry), frame, end);
            batch.position = end;
            if batch.answers.len() + batch.notes.len() >= UPLOAD_ENTRIES {
                upload(&mut batch, &counters)?;
            }
        }
        Ok(())
    })?;
    opened.unknown = in_flight;
    let mut booked = Vec::new();
    for request in &opened.unknown {
        booked.push(Entry::Unknown {
            model: name_of(request),
            calls: 1,
            prompt_tokens: request.prompt_tokens,
            completion_tokens: request.completion_tokens,
        });
    }
    if !booked.is_empty() {
        batch.position = outbox.append(&booked)?.last().map_or(batch.position, |(_, end)| *end);
        for entry in &booked {
            counters.add(entry);
        }
    }
    ledger.clear();
    // Links to answers of others were in its memory alone; a replay finds them again.
    upload(&mut batch, &counters)?;
    database.leave(earlier)?;
    opened.uploaded = uploaded.get();
    Ok(())
}

fn run_of(entry: &Entry) -> u32 {
    match entry {
        Entry::Answered { run, .. } => *run,
        _ => 0,
    }
}
