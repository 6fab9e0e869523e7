use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::record::{Extent, RECORD_BYTES, Record};
use super::summary::Summary;
use super::table::VALUE_BYTES;
use super::texts::{HEADER_BYTES, Texts};
use super::{ViewIndex, value_of, write};
use crate::conversation::ConversationKey;
use crate::job::JobError;
use crate::store::{Entry, KeptStanding, Place, StoreError};
use crate::view::source::ItemSource;

/// Bytes of the journal that are read at a time.
const JOURNAL_BYTES: u64 = 8 << 20;
/// Conversations that are read at a time.
const BATCH_ITEMS: u64 = 128;
/// Rows whose keys are looked up at a time.
const BATCH_ROWS: u64 = 16 << 10;
/// How often the state is written.
const STATE_INTERVAL: Duration = Duration::from_secs(5);

/// Builds an index, and keeps it up to date.
pub struct Indexing<'a> {
    index: &'a ViewIndex,
    source: &'a dyn ItemSource,
    /// Items that were read and have changed since.
    changed: BTreeSet<u64>,
    written: Instant,
}

impl<'a> Indexing<'a> {
    /// Begins where an earlier process left off.
    pub fn new(index: &'a ViewIndex, source: &'a dyn ItemSource) -> Self {
        Self { index, source, changed: BTreeSet::new(), written: Instant::now() }
    }

    /// Takes in what is new, until everything is read or `stop` is set. Returns true where something was new.
    pub fn catch_up(&mut self, stop: &AtomicBool) -> Result<bool, JobError> {
        self.register_rows(stop)?;
        let mut any = false;
        while !stop.load(Ordering::Acquire) && !self.index.is_outdated() {
            let is_at_end = self.read_journal()?;
            let had_changes = !self.changed.is_empty();
            self.read_changed()?;
            let had_items = is_at_end && self.read_next()?;
            any |= had_changes || had_items || !is_at_end;
            if self.written.elapsed() > STATE_INTERVAL {
                self.write_state()?;
            }
            if is_at_end && !had_items {
                break;
            }
        }
        if any {
            self.write_state()?;
        }
        Ok(any)
    }

    /// Looks up which conversation each row makes.
    fn register_rows(&mut self, stop: &AtomicBool) -> Result<(), JobError> {
        loop {
            let (first, rows) = {
                let state = self.index.state();
                (state.registered, state.rows)
            };
            let end = (first + BATCH_ROWS).min(rows);
            if first >= rows || stop.load(Ordering::Acquire) {
                return Ok(());
            }
            let mut records = Vec::with_capacity(RECORD_BYTES * (end - first) as usize);
            for row in first..end {
                let keys = self.source.keys(row)?;
                records.extend(Record::unread(keys.first().map_or([0; 32], |key| key.0)).to_bytes());
                for key in keys {
                    self.add_item(&key, row).map_err(unwritable)?;
                }
            }
            self.index.records.write_all_at(&records, first * RECORD_BYTES as u64).map_err(unwritable)?;
            self.index.state().registered = end;
        }
    }

    fn add_item(&self, key: &ConversationKey, item: u64) -> io::Result<()> {
        let mut value = [0; VALUE_BYTES];
        value[..8].copy_from_slice(&item.to_le_bytes());
        write(&self.index.items).insert(key.prefix(), value)
    }

    /// Reads a part of the journal, and notes which conversations have changed. Returns true at the end.
    fn read_journal(&mut self) -> Result<bool, JobError> {
        let (last, next) = {
            let state = self.index.state();
            (state.last(), state.next)
        };
        let index = self.index;
        let Some(follower) = &index.follower else { return Ok(true) };
        let fault = |error: io::Error| StoreError::io("write", std::path::Path::new("the index of the page"))(error);
        let mut notes: Vec<(ConversationKey, Place)> = Vec::new();
        let reached = follower.read(last, JOURNAL_BYTES, &mut |place, entry| {
            let conversation = match entry {
                Entry::Answered { conversation, fingerprint, .. } => {
                    write(&index.answers).insert(fingerprint.prefix(), value_of(place)).map_err(fault)?;
                    conversation
                }
                Entry::Kept(kept) => {
                    // The state of its conversation is an entry of its own.
                    if kept.standing != KeptStanding::Unused {
                        write(&index.answers).insert(kept.fingerprint.prefix(), value_of(place)).map_err(fault)?;
                    }
                    return Ok(());
                }
                Entry::Linked { conversation, .. }
                | Entry::Closed { conversation, .. }
                | Entry::KeptState { conversation, .. } => conversation,
                Entry::Run(_)
                | Entry::Unknown { .. }
                | Entry::Lost { .. }
                | Entry::Start(_)
                | Entry::KeptRun { .. }
                | Entry::KeptSpending { .. }
                | Entry::Settled => return Ok(()),
            };
            notes.push((conversation, place));
            Ok(())
        })?;
        for (conversation, place) in notes {
            write(&index.entries).insert(conversation.prefix(), value_of(place)).map_err(unwritable)?;
            let mut items = index.items_of(&conversation).map_err(unwritable)?;
            if items.is_empty() {
                items.push(self.add_conversation(&conversation).map_err(unwritable)?);
            }
            self.changed.extend(items.into_iter().filter(|item| *item < next));
        }
        self.index.state().set_last(reached.last);
        Ok(reached.is_at_end)
    }

    /// Adds a conversation that no row makes.
    fn add_conversation(&self, key: &ConversationKey) -> io::Result<u64> {
        let item = self.index.state().item_count;
        let record = Record::unread(key.0).to_bytes();
        self.index.records.write_all_at(&record, item * RECORD_BYTES as u64)?;
        self.add_item(key, item)?;
        self.index.state().item_count = item + 1;
        Ok(item)
    }

    fn read_changed(&mut self) -> Result<(), JobError> {
        let changed: Vec<u64> = std::mem::take(&mut self.changed).into_iter().collect();
        changed.chunks(BATCH_ITEMS as usize).try_for_each(|items| self.read_items(items.iter().copied()))
    }

    /// Reads the next items that were never read. Returns false where there is no further one.
    fn read_next(&mut self) -> Result<bool, JobError> {
        let (first, end) = {
            let state = self.index.state();
            (state.next, state.item_count.min(state.next + BATCH_ITEMS))
        };
        if first >= end {
            return Ok(false);
        }
        self.read_items(first..end)?;
        self.index.state().next = end;
        Ok(true)
    }

    fn read_items(&self, items: impl Iterator<Item = u64>) -> Result<(), JobError> {
        let (mut names, head_bytes, text_bytes) = {
            let state = self.index.state();
            (state.names.clone(), state.head_bytes, state.text_bytes)
        };
        let known_names = names.clone();
        let (mut heads, mut texts, mut records) = (Vec::new(), Vec::new(), Vec::new());
        let (mut new_bytes, mut old_bytes) = (0, 0);
        for item in items {
            let Some(old) = self.index.record(item).map_err(unwritable)? else { continue };
            let found = self.source.summary(item, ConversationKey(old.key), self.index, &mut names)?;
            let Some(Summary { mut record, head, texts: folded }) = found else { continue };
            let head = serde_json::to_vec(&head)?;
            record.head = Extent { offset: head_bytes + heads.len() as u64, length: head.len() as u64 };
            heads.extend(head);
            let words = text_bytes + (texts.len() + HEADER_BYTES) as u64;
            record.text = Extent { offset: words, length: folded.0.len() as u64 };
            Texts::put(&mut texts, item, &folded.0);
            new_bytes += record.text.length;
            old_bytes += old.text.length;
            records.push((item, Record { key: old.key, ..record }));
        }
        let written = (|| -> io::Result<()> {
            self.index.heads.write_all_at(&heads, head_bytes)?;
            self.index.texts.write(&texts, text_bytes)?;
            if names != known_names {
                // Before a record has the number of a name that only memory knows.
                let mut state = self.index.state();
                state.names = names;
                state.write(&self.index.directory.join("state.json"))?;
            }
            for (item, record) in records {
                self.index.records.write_all_at(&record.to_bytes(), item * RECORD_BYTES as u64)?;
            }
            Ok(())
        })();
        written.map_err(unwritable)?;
        let mut state = self.index.state();
        state.head_bytes += heads.len() as u64;
        state.text_bytes += texts.len() as u64;
        state.live_text_bytes = (state.live_text_bytes + new_bytes).saturating_sub(old_bytes);
        drop(state);
        self.index.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn write_state(&mut self) -> Result<(), JobError> {
        self.written = Instant::now();
        self.index.state().write(&self.index.directory.join("state.json")).map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> JobError {
    let hint = "free some space; the index is derived from the store, and nothing of the store is lost";
    JobError::storage(format!("cannot write the index of the page: {error}"), hint)
}
