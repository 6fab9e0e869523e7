//! Conversations one at a time, to be looked at: what the input says, and what the store holds of it.
//!
//! The same replay that the run, the plan and the export walk finds the answers, so what is shown is what would be
//! written. Where the input or the settings of the run are not there, the store alone is shown: answers by their slots,
//! and no user turn.

mod asked;
mod opened;
mod stored;
mod walk;

pub use asked::{Asked, AskedJob};
pub use stored::{Standing, StoredAnswer, StoredConversation, StoredNote};

use std::path::Path;
use std::sync::Arc;

use super::left_out::LeftOut;
use super::{Context, JobError, open_store};
use crate::conversation::{ConversationKey, Digest, Fingerprint, Settings};
use crate::hub::HubReference;
use crate::quality::Gate;
use crate::store::{ConversationState, OnLoss, Reader, StoreError, Stored};
use opened::Opened;

/// Hexadecimal digits that name a conversation; fewer may be the name of a row.
const KEY_DIGITS_MIN: usize = 8;
/// Conversations that a name may find.
const FOUND_MAX: usize = 20;

/// Finds answers and states: all that is needed of a store to show a conversation.
pub trait AnswerLookup {
    /// Returns the answer to the question with this fingerprint.
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError>;

    /// Returns a conversation's state.
    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError>;
}

impl AnswerLookup for dyn Reader + '_ {
    fn answer(&self, fingerprint: &Fingerprint) -> Result<Option<Stored>, StoreError> {
        Reader::answer(self, fingerprint)
    }

    fn state(&self, key: &ConversationKey) -> Result<Option<ConversationState>, StoreError> {
        Reader::state(self, key)
    }
}

/// The conversations of a store, with the rows of the input where there are any.
pub struct Conversations {
    known: Option<Opened>,
    /// Why the rows cannot be shown.
    missing: Option<String>,
    /// What is different from when the job read its inputs.
    cautions: Vec<String>,
}

impl Conversations {
    /// Reads the input once, or recalls what an earlier pass has found. An input that cannot be read is no error: the
    /// store is shown without it.
    pub fn open(asked: &Asked, store: &Path) -> Self {
        let without = |missing: String| Self { known: None, missing: Some(missing), cautions: Vec::new() };
        match asked {
            Asked::Unknown(why) => without(why.clone()),
            Asked::Known { job, cautions } => match Opened::open(job, store) {
                Ok(opened) => Self { known: Some(opened), missing: None, cautions: cautions.clone() },
                Err(error) => without(error.to_string()),
            },
        }
    }

    /// Returns how many rows there are; in a job of several passes, each row counts once for each.
    pub fn row_count(&self) -> u64 {
        self.known.as_ref().map_or(0, Opened::len)
    }

    /// Returns why no row can be shown, where that is so.
    pub fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Returns a hash of all that decides what the rows are: the settings, how rows are read, the files by name, length and
    /// time.
    pub fn identity(&self) -> String {
        let Some(known) = &self.known else {
            return Digest::of_text("cohobate view 1", "no rows").to_string()[..32].to_owned();
        };
        let settings = known
            .recipes()
            .fold(Settings::default(), |settings, recipe| settings.with("recipe", recipe.settings().digest()));
        let settings = known.rows().sources().fold(settings, |settings, name| {
            let metadata = std::fs::metadata(name).ok();
            let stamp = metadata.map(|metadata| (metadata.len(), metadata.modified().ok()));
            // What is not a file is another input each time.
            // A file of the Hub has its commit in its name.
            let is_pinned = HubReference::is_one(name);
            let stamp = if is_pinned { Some("pinned".to_owned()) } else { stamp.map(|stamp| format!("{stamp:?}")) };
            let stamp = stamp.unwrap_or_else(|| format!("process {}", std::process::id()));
            settings.with(name, stamp)
        });
        let settings = settings.with("rows", known.len()).with("reader", known.rows().reading());
        Digest::of_text("cohobate view 1", &settings.digest().to_string()).to_string()[..32].to_owned()
    }

    /// Returns the gate that judged the answers of a conversation.
    pub fn gate_of(&self, found: &StoredConversation) -> Option<Gate> {
        let gate = self.known.as_ref()?.gate.as_ref()?;
        Some(gate.under(found.rules.unwrap_or_else(|| gate.version())))
    }

    /// Returns what became of the inputs since they were read, in words.
    pub fn input_changes(&self) -> Vec<String> {
        let changes = self.known.as_ref().map(|known| known.rows().file_changes()).unwrap_or_default();
        self.cautions.iter().cloned().chain(changes).collect()
    }

    /// Returns the keys that an item's conversation may have, where it holds one: its own, then those under older rules.
    pub fn keys(&self, item: u64) -> Result<Vec<ConversationKey>, JobError> {
        self.known.as_ref().map_or(Ok(Vec::new()), |known| known.keys(item))
    }

    /// Returns an item with what the store holds of it; `None` where there is no such item.
    pub fn at<L: AnswerLookup + ?Sized>(&self, item: u64, reader: &L) -> Result<Option<StoredConversation>, JobError> {
        let Some(known) = &self.known else { return Ok(None) };
        let Some((row, walk)) = known.item(item) else { return Ok(None) };
        let (file, line) = known.rows().place(row)?;
        let place = Some((file.to_owned(), line));
        match known.read(row)? {
            Ok(seed) => Ok(Some(StoredConversation { row: Some(row), place, ..walk.replayed(seed, reader)? })),
            Err((id, why)) => {
                let keys = if matches!(why, LeftOut::Changed(_)) { known.keys(item)? } else { Vec::new() };
                let stored = keys.iter().find_map(|key| of_store(*key, reader).transpose()).transpose()?;
                let stored = stored.unwrap_or_else(|| StoredConversation::empty(keys.first().copied()));
                let id = id.unwrap_or_else(|| format!("row {}", row + 1));
                Ok(Some(StoredConversation { id, row: Some(row), place, unavailable: Some(why.to_string()), ..stored }))
            }
        }
    }

    /// Returns a conversation of which the store alone is known; `None` where it knows none of this key.
    pub fn of_store<L: AnswerLookup + ?Sized>(
        &self,
        key: ConversationKey,
        reader: &L,
    ) -> Result<Option<StoredConversation>, JobError> {
        let found = of_store(key, reader)?;
        let why = || {
            self.missing.clone().unwrap_or_else(|| {
                let no_row = ["no row of the input makes this conversation".to_owned()];
                no_row.into_iter().chain(self.cautions.iter().cloned()).collect::<Vec<_>>().join("; ")
            })
        };
        Ok(found.map(|found| StoredConversation { unavailable: Some(why()), ..found }))
    }

    /// Returns the conversations of this id, or whose keys begin so, at most 20: rows first.
    pub fn find(&self, name: &str, reader: &dyn Reader) -> Result<Vec<StoredConversation>, JobError> {
        let mut found = Vec::new();
        if let Some(prefix) = key_prefix(name) {
            for item in 0..self.row_count() {
                let has = self.keys(item)?.iter().any(|key| key.to_string().starts_with(&prefix));
                if has && found.len() < FOUND_MAX {
                    found.extend(self.at(item, reader)?);
                }
            }
            if found.is_empty() {
                let mut keys = Vec::new();
                reader.for_each_state(&mut |key, _| {
                    if keys.len() < FOUND_MAX && key.to_string().starts_with(&prefix) {
                        keys.push(key);
                    }
                })?;
                for key in keys {
                    found.extend(self.of_store(key, reader)?);
                }
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        // Most ids stand in their rows as they are written; others have escapes, or are made of the place of the row.
        let finder = memchr::memmem::Finder::new(name);
        for is_in_full in [false, true] {
            for item in 0..self.row_count() {
                let Some(known) = self.known.as_ref().filter(|_| found.len() < FOUND_MAX) else { break };
                if known.is_called(item, name, &finder, is_in_full)? {
                    found.extend(self.at(item, reader)?);
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }
}

/// Returns what the key of a conversation begins with, where a name may be that of a key.
pub fn key_prefix(name: &str) -> Option<String> {
    let is_key = name.len() >= KEY_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| name.to_ascii_lowercase())
}

/// Reads what the store holds of a conversation whose row is not there.
fn of_store<L: AnswerLookup + ?Sized>(
    key: ConversationKey,
    reader: &L,
) -> Result<Option<StoredConversation>, JobError> {
    let Some(state) = reader.state(&key)? else { return Ok(None) };
    let mut answers = Vec::new();
    for (slot, fingerprint) in state.history {
        if let Some(stored) = reader.answer(&fingerprint)? {
            let standing = Standing::at_first(slot);
            let (who, answer) = (slot.lane.name(), stored.answer);
            answers.push(StoredAnswer { slot, who, fingerprint, run: stored.run, answer, standing });
        }
    }
    Ok(Some(StoredConversation { status: state.status, answers, ..StoredConversation::empty(Some(key)) }))
}

/// Opens a store to look at: it is read, and nothing in it is changed.
pub fn open_conversations(
    store: &Path,
    asked: &Asked,
    on_loss: OnLoss,
    context: &Context,
) -> Result<(Conversations, Arc<dyn Reader>), JobError> {
    let reader = open_store::open_reader(store, on_loss, context)?;
    Ok((Conversations::open(asked, store), reader))
}
