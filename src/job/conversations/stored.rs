use std::sync::Arc;

use crate::conversation::{Answer, ConversationKey, Dialogue, Fingerprint, Lane, Seed, Slot};
use crate::quality::RulesVersion;
use crate::store::Status;

/// A conversation as the input and the store have it.
#[derive(Debug, Default)]
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
    /// The dialogue as far as it goes; empty where the row cannot be shown, and where a job judges alone.
    pub dialogue: Dialogue,
    /// The older rules under which it was begun.
    pub rules: Option<RulesVersion>,
    /// How far it has come.
    pub status: Status,
    /// Every answer of the conversation, in the order in which the replay asks for them, or of their slots.
    pub answers: Vec<StoredAnswer>,
    /// What judges and graders said.
    pub notes: Vec<StoredNote>,
    /// User turns that a model wrote, with the move that it was told to make.
    pub moves: Vec<(u32, &'static str)>,
    /// What else is known: which pass of the job it belongs to, a simulated user's persona and goal.
    pub facts: Vec<(&'static str, String)>,
}

/// An answer of a conversation.
#[derive(Clone, Debug)]
pub struct StoredAnswer {
    /// Its place in the conversation.
    pub slot: Slot,
    /// Who gave it; empty for the one teacher.
    pub who: String,
    /// The question.
    pub fingerprint: Fingerprint,
    /// The run that paid for it.
    pub run: u32,
    /// The answer.
    pub answer: Arc<Answer>,
    /// What became of it.
    pub standing: Standing,
}

/// What became of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Standing {
    /// It is what its party has to say at this turn.
    Kept {
        /// Rules that flagged it.
        flags: Vec<&'static str>,
        /// Its score, where it was ranked or graded.
        score: Option<f64>,
    },
    /// Another one was asked for in its place.
    Rejected {
        /// The rule.
        rule: &'static str,
        /// Its score, where it was ranked.
        score: Option<f64>,
    },
    /// That is not decided, or not known.
    #[default]
    Open,
    /// It is not part of the conversation itself: a verdict, a grade, a card with a goal, the words that became a user's message.
    Aside,
}

/// What a judge or a grader said.
#[derive(Clone, Debug)]
pub struct StoredNote {
    /// The turn from 1, 0 for the whole conversation.
    pub turn: u32,
    /// What it comes to, such as `score 7`.
    pub title: String,
    /// The mark, where it is a score.
    pub score: Option<f64>,
    /// The words.
    pub words: Arc<Answer>,
}

impl StoredConversation {
    /// A conversation of which nothing is known but its key.
    pub(super) fn empty(key: Option<ConversationKey>) -> Self {
        Self { id: key.map_or_else(String::new, |key| key.to_string()), key, ..Self::default() }
    }

    /// Returns the answers that were kept.
    pub fn kept(&self) -> impl Iterator<Item = &StoredAnswer> {
        self.answers.iter().filter(|stored| matches!(stored.standing, Standing::Kept { .. }))
    }

    /// Returns the answers that are lines of the conversation.
    pub fn lines(&self) -> impl Iterator<Item = &StoredAnswer> {
        self.answers.iter().filter(|stored| stored.standing != Standing::Aside)
    }
}

impl Standing {
    /// Returns what is known before the replay ends.
    pub(super) fn at_first(slot: Slot) -> Self {
        if matches!(slot.lane, Lane::Judge | Lane::Grader | Lane::Tool) { Self::Aside } else { Self::Open }
    }
}
