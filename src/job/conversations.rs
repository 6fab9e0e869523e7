//! Conversations one at a time, to be looked at: what the input says, and what the store holds of it.
//!
//! The same replay that the run, the plan and the export walk finds the answers, so what is shown is what would be
//! written. Where the input or the settings of the run are not there, the store alone is shown: answers by their slots,
//! and no user turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::input::{Lookout, Prepared, Rows, prepare};
use super::left_out::LeftOut;
use super::questions::DistillQuestions;
use super::settings::InputSettings;
use super::{Context, JobError, open_store};
use crate::conversation::{Answer, ConversationKey, Dialogue, Digest, Fingerprint, Outcome, Seed, Slot};
use crate::export::FORMATS;
use crate::quality::Gate;
use crate::recipe::{Distill, Recipe, Replay, ReplayEnd};
use crate::store::{ConversationState, OnLoss, Reader, Status, StoreError, Stored};

/// Hexadecimal digits that name a conversation; fewer may be the name of a row.
const KEY_DIGITS_MIN: usize = 8;
/// Conversations that a name may find.
const FOUND_MAX: usize = 20;

/// What was asked, and of which rows.
#[derive(Debug)]
pub struct AskedSettings {
    /// The rows.
    pub input: InputSettings,
    /// The questions.
    pub questions: DistillQuestions,
}

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
    known: Option<Known>,
    /// Why the rows cannot be shown.
    missing: Option<String>,
}

/// The rows, and what was asked of them.
struct Known {
    rows: Arc<Rows>,
    recipe: Distill,
    gate: Option<Gate>,
}

/// A conversation as the input and the store have it.
#[derive(Debug)]
pub struct StoredConversation {
    /// The row's id; the key where there is no row.
    pub id: String,
    /// The conversation's key; `None` for a row that holds no conversation.
    pub key: Option<ConversationKey>,
    /// The number of the row, from 0.
    pub row: Option<u64>,
    /// The file, and the line from 1.
    pub place: Option<(String, u64)>,
    /// What the row says; `None` where it cannot be shown.
    pub seed: Option<Seed>,
    /// Why the row cannot be shown.
    pub unavailable: Option<String>,
    /// The dialogue as far as it goes; empty where the row cannot be shown.
    pub dialogue: Dialogue,
    /// How far it has come.
    pub status: Status,
    /// Every answer of the conversation, in the order in which the replay asks for them, or of their slots.
    pub answers: Vec<StoredAnswer>,
}

/// An answer of a conversation.
#[derive(Clone, Debug)]
pub struct StoredAnswer {
    /// Its place in the conversation.
    pub slot: Slot,
    /// The question.
    pub fingerprint: Fingerprint,
    /// The run that paid for it.
    pub run: u32,
    /// The answer.
    pub answer: Arc<Answer>,
}

impl Conversations {
    /// Reads the input once, or recalls what an earlier pass has found. An input that cannot be read is no error: the
    /// store is shown without it.
    pub fn open(asked: Option<&AskedSettings>, store: &Path) -> Result<Self, JobError> {
        let Some(asked) = asked else {
            let missing = "the input and the settings of the run are not known".to_owned();
            return Ok(Self { known: None, missing: Some(missing) });
        };
        let system = asked.questions.system_text()?;
        let recipe = asked.questions.recipe(system.as_deref())?;
        // As a run with the default output would, whose first pass is then recalled. What it warns of is the run's to say.
        let lookout = Lookout { output: Some((FORMATS[0], false)), store: None };
        let read = |lookout| prepare(&asked.input, store, &recipe, system.as_deref(), lookout, &Context::default());
        // Rows that no output can hold are shown all the same.
        let prepared = read(lookout).or_else(|_| read(Lookout::default()));
        Ok(match prepared {
            Ok(Prepared { rows, .. }) => {
                Self { known: Some(Known { rows, recipe, gate: asked.questions.gate.clone() }), missing: None }
            }
            Err(error) => Self { known: None, missing: Some(error.to_string()) },
        })
    }

    /// Returns how many rows there are.
    pub fn row_count(&self) -> u64 {
        self.known.as_ref().map_or(0, |known| known.rows.len())
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
        let settings = known.rows.sources().fold(known.recipe.settings().clone(), |settings, name| {
            let metadata = std::fs::metadata(name).ok();
            let stamp = metadata.map(|metadata| (metadata.len(), metadata.modified().ok()));
            // What is not a file is another input each time.
            let stamp = stamp.map_or_else(|| format!("process {}", std::process::id()), |stamp| format!("{stamp:?}"));
            settings.with(name, stamp)
        });
        let settings = settings.with("rows", known.rows.len()).with("reader", known.rows.reading());
        Digest::of_text("cohobate view 1", &settings.digest().to_string()).to_string()[..32].to_owned()
    }

    /// Returns the gate that judged the answers.
    pub fn gate(&self) -> Option<&Gate> {
        self.known.as_ref()?.gate.as_ref()
    }

    /// Returns what became of the inputs since they were read, in words.
    pub fn input_changes(&self) -> Vec<String> {
        self.known.as_ref().map(|known| known.rows.file_changes()).unwrap_or_default()
    }

    /// Returns the key of a row's conversation, where it holds one.
    pub fn key(&self, row: u64) -> Result<Option<ConversationKey>, JobError> {
        let Some(known) = self.known.as_ref().filter(|known| row < known.rows.len()) else { return Ok(None) };
        let digest = known.rows.digest(row)?;
        Ok(digest.map(|digest| ConversationKey::new(known.recipe.settings(), &digest)))
    }

    /// Returns a row with what the store holds of it; `None` where there is no such row.
    pub fn at<L: AnswerLookup + ?Sized>(&self, row: u64, reader: &L) -> Result<Option<StoredConversation>, JobError> {
        let Some(known) = self.known.as_ref().filter(|known| row < known.rows.len()) else { return Ok(None) };
        let (file, line) = known.rows.place(row)?;
        let place = Some((file.to_owned(), line));
        match known.rows.read(row)? {
            Ok(seed) => {
                Ok(Some(StoredConversation { row: Some(row), place, ..replayed(&known.recipe, seed, reader)? }))
            }
            Err((id, why)) => {
                let key = self.key(row)?.filter(|_| matches!(why, LeftOut::Changed(_)));
                let stored = match key {
                    Some(key) => of_store(key, reader)?,
                    None => None,
                };
                let stored = stored.unwrap_or_else(|| StoredConversation::empty(key));
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
        let why = || self.missing.clone().unwrap_or_else(|| "no row of the input makes this conversation".to_owned());
        Ok(found.map(|found| StoredConversation { unavailable: Some(why()), ..found }))
    }

    /// Returns the conversations of this id, or whose keys begin so, at most 20: rows first.
    pub fn find(&self, name: &str, reader: &dyn Reader) -> Result<Vec<StoredConversation>, JobError> {
        let mut found = Vec::new();
        if let Some(prefix) = key_prefix(name) {
            for row in 0..self.row_count() {
                let has = self.key(row)?.is_some_and(|key| key.to_string().starts_with(&prefix));
                if has && found.len() < FOUND_MAX {
                    found.extend(self.at(row, reader)?);
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
        if found.is_empty() {
            for row in 0..self.row_count() {
                if found.len() < FOUND_MAX && self.id(row)?.as_deref() == Some(name) {
                    found.extend(self.at(row, reader)?);
                }
            }
        }
        Ok(found)
    }

    fn id(&self, row: u64) -> Result<Option<String>, JobError> {
        let Some(known) = &self.known else { return Ok(None) };
        Ok(match known.rows.read(row)? {
            Ok(seed) => Some(seed.id),
            Err((id, _)) => id,
        })
    }
}

impl StoredConversation {
    fn empty(key: Option<ConversationKey>) -> Self {
        Self {
            id: key.map_or_else(String::new, |key| key.to_string()),
            key,
            row: None,
            place: None,
            seed: None,
            unavailable: None,
            dialogue: Dialogue::default(),
            status: Status::Open,
            answers: Vec::new(),
        }
    }
}

/// Returns what the key of a conversation begins with, where a name may be that of a key.
pub fn key_prefix(name: &str) -> Option<String> {
    let is_key = name.len() >= KEY_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| name.to_ascii_lowercase())
}

/// Walks a row through its recipe with the stored answers.
fn replayed<L: AnswerLookup + ?Sized>(
    recipe: &Distill,
    seed: Seed,
    reader: &L,
) -> Result<StoredConversation, JobError> {
    let key = ConversationKey::new(recipe.settings(), &seed.digest());
    let mut answers = Vec::new();
    let mut replay = Replay::new(recipe, &seed);
    let end = replay.advance(|fingerprint, slot| -> Result<_, JobError> {
        let stored = reader.answer(fingerprint)?;
        Ok(stored.map(|stored| {
            let answer = Arc::clone(&stored.answer);
            answers.push(StoredAnswer { slot, fingerprint: *fingerprint, run: stored.run, answer: stored.answer });
            answer
        }))
    })?;
    let (dialogue, status) = match end {
        ReplayEnd::Done(Outcome::Complete(dialogue)) => (dialogue, Status::Complete),
        ReplayEnd::Done(Outcome::Stopped { dialogue, turn, reason }) => (dialogue, Status::Stopped { turn, reason }),
        ReplayEnd::Open(_) => {
            let failed = reader.state(&key)?.map(|state| state.status);
            let failed = failed.filter(|status| matches!(status, Status::Failed { .. }));
            (recipe.so_far(&seed, replay.answered()), failed.unwrap_or_default())
        }
    };
    let id = seed.id.clone();
    Ok(StoredConversation { id, seed: Some(seed), dialogue, status, answers, ..StoredConversation::empty(Some(key)) })
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
            answers.push(StoredAnswer { slot, fingerprint, run: stored.run, answer: stored.answer });
        }
    }
    Ok(Some(StoredConversation { status: state.status, answers, ..StoredConversation::empty(Some(key)) }))
}

/// Opens a store to look at: it is read, and nothing in it is changed.
pub fn open_conversations(
    store: &Path,
    asked: Option<&AskedSettings>,
    on_loss: OnLoss,
    context: &Context,
) -> Result<(Conversations, Arc<dyn Reader>), JobError> {
    let store: PathBuf = store.to_owned();
    let reader = open_store::open_reader(&store, on_loss, context)?;
    Ok((Conversations::open(asked, &store)?, reader))
}
