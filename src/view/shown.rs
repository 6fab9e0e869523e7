//! A conversation as it is shown: old beside new answers, attempts, what rules found, and where everything comes from.

use serde::Serialize;

use super::diff::{Mark, Piece, differences};
use super::places::found_in;
use crate::conversation::{Answer, Lane, Message, Role, Spoken};
use crate::job::{StoredAnswer, StoredConversation};
use crate::quality::Gate;
use crate::store::Status;

/// A conversation as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shown {
    /// The row's id; the conversation's key where there is no row.
    pub id: String,
    /// The conversation's key.
    pub key: Option<String>,
    /// The row's number, from 0.
    pub row: Option<u64>,
    /// The file, and the line from 1.
    pub place: Option<(String, u64)>,
    /// How far it has come.
    pub status: ShownStatus,
    /// Why the user's turns and the old answers are not there.
    pub unavailable: Option<String>,
    /// The turns.
    pub turns: Vec<ShownTurn>,
    /// The row's other columns.
    pub columns: serde_json::Map<String, serde_json::Value>,
}

/// How far a conversation has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShownStatus {
    /// `open`, `complete`, `stopped`, `failed`, or `none` for a row that holds no conversation.
    pub name: &'static str,
    /// The turn, from 1, at which it stopped or failed.
    pub turn: Option<u32>,
    /// Why.
    pub reason: Option<String>,
}

/// A turn: what was said, the old answer, and every answer of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShownTurn {
    /// The number, from 1.
    pub number: u32,
    /// What was said before the answer.
    pub said: Vec<ShownMessage>,
    /// The answer of the dataset, where it differs from the kept one marked so.
    pub old: Option<Vec<Piece>>,
    /// The answers, in order of their attempts.
    pub answers: Vec<ShownAnswer>,
}

/// A message that no model of this run wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownMessage {
    /// Who speaks.
    pub role: &'static str,
    /// The words.
    pub text: String,
    /// Further fields, such as calls of tools.
    pub fields: Option<serde_json::Value>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is in the history.
    Kept,
    /// A rule rejected it, or another one was better.
    Rejected,
    /// What becomes of it is not decided, or not known.
    #[default]
    Open,
}

/// An answer with where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShownAnswer {
    /// Whose line it is; empty for the teacher's.
    pub lane: String,
    /// The attempt at the turn, from 1.
    pub attempt: u32,
    /// What became of it.
    pub fate: Fate,
    /// The rule that rejected it.
    pub rule: Option<String>,
    /// Rules that flagged it.
    pub flags: Vec<String>,
    /// Its score.
    pub score: Option<f64>,
    /// The words.
    pub pieces: Vec<Piece>,
    /// The reasoning before it.
    pub reasoning: Option<String>,
    /// Rules that rejected earlier attempts, whose texts are not known.
    pub rejected_before: Vec<String>,
    /// What a judge said of it.
    pub judged: Vec<ShownVerdict>,
    /// Where it comes from.
    pub origin: Option<ShownOrigin>,
}

/// What a judge said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownVerdict {
    /// The model.
    pub model: String,
    /// Its words.
    pub text: String,
}

/// Where an answer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShownOrigin {
    /// The model, as the server reported it.
    pub model: String,
    /// The server's own word for how it ended.
    pub finish: String,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Those that came from the server's cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of the answer.
    pub completion_tokens: Option<u64>,
    /// Those that were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// How many times the question was sent.
    pub sent: u32,
    /// The run that paid for it.
    pub run: Option<u32>,
    /// The question's fingerprint.
    pub fingerprint: Option<String>,
    /// Parts of the request that the server does not support.
    pub dropped: Vec<String>,
}

impl Shown {
    /// Shows a conversation. `gate` is what judged its answers.
    pub fn of(found: &StoredConversation, gate: Option<&Gate>) -> Self {
        let turns = match &found.seed {
            Some(_) => turns_of_row(found, gate),
            None => turns_of_store(found),
        };
        Self {
            id: found.id.clone(),
            key: found.key.map(|key| key.to_string()),
            row: found.row,
            place: found.place.clone(),
            status: status_of(found),
            unavailable: found.unavailable.clone(),
            turns,
            columns: found.seed.as_ref().map(|seed| seed.columns.clone()).unwrap_or_default(),
        }
    }

    /// Returns the rules that rejected answers, in order, each once.
    pub fn rules(&self) -> Vec<&str> {
        distinct(self.answers().filter_map(|answer| answer.rule.as_deref()))
    }

    /// Returns the flags of answers, in order, each once.
    pub fn flags(&self) -> Vec<&str> {
        distinct(self.answers().flat_map(|answer| answer.flags.iter().map(String::as_str)))
    }

    /// Returns all answers.
    pub fn answers(&self) -> impl Iterator<Item = &ShownAnswer> {
        self.turns.iter().flat_map(|turn| &turn.answers)
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    names.for_each(|name| {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    });
    distinct
}

fn status_of(found: &StoredConversation) -> ShownStatus {
    let at = |name, turn: u32, reason: String| ShownStatus { name, turn: Some(turn), reason: Some(reason) };
    match &found.status {
        _ if found.key.is_none() => ShownStatus { name: "none", turn: None, reason: found.unavailable.clone() },
        Status::Open => ShownStatus { name: "open", ..ShownStatus::default() },
        Status::Complete => ShownStatus { name: "complete", ..ShownStatus::default() },
        Status::Stopped { turn, reason } => at("stopped", turn.number(), reason.to_string()),
        Status::Failed { turn, reason, .. } => at("failed", turn.number(), reason.to_string()),
    }
}

/// Shows a row turn by turn: answered turns as the dialogue has them, the others as the row has them.
fn turns_of_row(found: &StoredConversation, gate: Option<&Gate>) -> Vec<ShownTurn> {
    let Some(seed) = &found.seed else { return Vec::new() };
    let mut spoken = found.dialogue.spoken.iter();
    let mut earlier: Vec<&str> = Vec::new();
    let mut turns = Vec::new();
    for (turn, row) in (0u32..).zip(&seed.turns) {
        let mut said: Vec<&Message> = Vec::new();
        let mut kept = None;
        for message in spoken.by_ref() {
            if message.answer.is_some() {
                kept = Some(message);
                break;
            }
            said.push(&message.message);
        }
        if kept.is_none() {
            said = row.messages.iter().map(AsRef::as_ref).collect();
        }
        let user = said.iter().rev().find(|message| message.role() == Role::User).map_or("", |user| user.content());
        let find = |rule: &str, answer: &Answer| found_in(gate, rule, user, &earlier, answer);
        let old = row.replaced.as_deref();
        turns.push(ShownTurn {
            number: turn + 1,
            said: said.iter().map(|message| ShownMessage::of(message)).collect(),
            old: old.map(|old| match kept {
                Some(kept) => differences(old, kept.message.content()).0,
                None => vec![Piece::new(Mark::Same, old)],
            }),
            answers: answers_of_turn(found, turn, kept, old, &find),
        });
        earlier.extend(kept.map(|kept| kept.message.content()));
    }
    turns
}

fn answers_of_turn(
    found: &StoredConversation,
    turn: u32,
    kept: Option<&Spoken>,
    old: Option<&str>,
    find: &dyn Fn(&str, &Answer) -> Vec<Piece>,
) -> Vec<ShownAnswer> {
    let of_turn = |stored: &&StoredAnswer| stored.slot.turn == turn && stored.slot.lane == Lane::Main;
    let mut shown: Vec<ShownAnswer> = Vec::new();
    for stored in found.answers.iter().filter(of_turn) {
        let is_this = |answer: &std::sync::Arc<Answer>| std::sync::Arc::ptr_eq(answer, &stored.answer);
        let of_stored = ShownAnswer { judged: verdicts_on(found, stored), ..shown_answer(stored) };
        let kept = kept.filter(|kept| kept.answer.as_ref().is_some_and(is_this));
        let rejected = found.dialogue.rejected.iter().find(|rejected| is_this(&rejected.answer));
        shown.push(match (kept, rejected) {
            (Some(kept), _) => ShownAnswer {
                fate: Fate::Kept,
                flags: kept.flags.iter().map(|flag| (*flag).to_owned()).collect(),
                score: kept.score,
                pieces: old.map_or(of_stored.pieces, |old| differences(old, kept.message.content()).1),
                ..of_stored
            },
            (None, Some(rejected)) => ShownAnswer {
                fate: Fate::Rejected,
                rule: Some(rejected.rule.to_owned()),
                score: rejected.score,
                pieces: find(rejected.rule, &stored.answer),
                ..of_stored
            },
            (None, None) => of_stored,
        });
    }
    shown.sort_by_key(|answer| answer.attempt);
    shown
}

/// Attempts at an answer that one sample may take; a judge's slots count samples, two for each.
const ATTEMPTS_MAX: u32 = 3;

fn verdicts_on(found: &StoredConversation, of: &StoredAnswer) -> Vec<ShownVerdict> {
    let sample = of.slot.attempt / ATTEMPTS_MAX;
    let is_on = |stored: &&StoredAnswer| {
        stored.slot.lane == Lane::Judge && stored.slot.turn == of.slot.turn && stored.slot.attempt / 2 == sample
    };
    let verdict = |stored: &StoredAnswer| ShownVerdict {
        model: stored.answer.model.clone(),
        text: stored.answer.text().to_owned(),
    };
    found.answers.iter().filter(is_on).map(verdict).collect()
}

/// Shows what the store has of a conversation: no user turn, and what became of an answer is not known.
fn turns_of_store(found: &StoredConversation) -> Vec<ShownTurn> {
    let mut turns: Vec<ShownTurn> = Vec::new();
    let mut answers: Vec<&StoredAnswer> = found.answers.iter().collect();
    answers.sort_by_key(|stored| (stored.slot.turn, stored.slot.lane, stored.slot.attempt));
    for stored in answers {
        // A judge's lane counts from 1, 0 is the whole conversation.
        let number = stored.slot.turn + 1;
        if turns.last().is_none_or(|turn| turn.number != number) {
            turns.push(ShownTurn { number, ..ShownTurn::default() });
        }
        if let Some(turn) = turns.last_mut() {
            turn.answers.push(shown_answer(stored));
        }
    }
    turns
}

fn shown_answer(stored: &StoredAnswer) -> ShownAnswer {
    let StoredAnswer { slot, fingerprint, run, answer } = stored;
    ShownAnswer {
        lane: slot.lane.name(),
        attempt: slot.attempt + 1,
        pieces: vec![Piece::new(Mark::Same, answer.text())],
        reasoning: answer.reasoning.clone(),
        origin: Some(ShownOrigin {
            model: answer.model.clone(),
            finish: answer.finish_reason.clone(),
            prompt_tokens: answer.usage.prompt_tokens,
            cached_tokens: answer.usage.cached_tokens,
            completion_tokens: answer.usage.completion_tokens,
            reasoning_tokens: answer.usage.reasoning_tokens,
            sent: answer.attempts,
            run: Some(*run),
            fingerprint: Some(fingerprint.to_string()),
            dropped: answer.dropped.clone(),
        }),
        ..ShownAnswer::default()
    }
}

impl ShownMessage {
    /// Shows a message.
    pub fn of(message: &Message) -> Self {
        Self {
            role: message.role().name(),
            text: message.content().to_owned(),
            fields: message.fields().map(|fields| serde_json::Value::Object(fields.clone())),
        }
    }
}
