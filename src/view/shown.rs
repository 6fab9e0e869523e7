//! A conversation as it is shown: old beside new answers, attempts, what rules found, and where everything comes from.

use serde::Serialize;

use super::diff::{Mark, Piece, differences};
use super::places::found_in;
use crate::conversation::{Answer, Lane, Message, Role};
use crate::job::{Standing, StoredAnswer, StoredConversation, StoredNote};
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
    /// What else is known, name and value: a simulated user's persona and goal, the pass of a job.
    pub facts: Vec<(&'static str, String)>,
    /// The turns.
    pub turns: Vec<ShownTurn>,
    /// What judges said of the whole conversation.
    pub notes: Vec<ShownVerdict>,
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
    /// What judges and graders said of the answers of this turn.
    pub notes: Vec<ShownVerdict>,
}

/// A message that no model of this run wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownMessage {
    /// Who speaks.
    pub role: &'static str,
    /// The words.
    pub text: String,
    /// The move that a simulated user was told to make; nothing for a message of the dataset.
    pub simulated: Option<String>,
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
    /// Further fields, such as its calls of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<serde_json::Value>,
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
    /// What its words come to, where that is known.
    pub title: String,
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
            facts: found.facts.clone(),
            turns,
            notes: verdicts(&found.notes, 0),
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

/// A turn as it was led: its messages, and the answer that continues the dialogue.
#[derive(Default)]
struct Led<'a> {
    said: Vec<&'a Message>,
    kept: Option<&'a Message>,
}

/// Returns the turns: those of the dialogue as far as it goes, then those of the row.
fn led(found: &StoredConversation) -> Vec<Led<'_>> {
    let mut turns: Vec<Led<'_>> = Vec::new();
    let mut turn = Led::default();
    for spoken in &found.dialogue.spoken {
        if spoken.answer.is_some() {
            turns.push(Led { kept: Some(&spoken.message), ..std::mem::take(&mut turn) });
        } else {
            turn.said.push(&spoken.message);
        }
    }
    // What was said and has no answer yet is not lost where no row has it.
    let rows = found.seed.iter().flat_map(|seed| &seed.turns).skip(turns.len());
    let rows: Vec<Led<'_>> =
        rows.map(|row| Led { said: row.messages.iter().map(AsRef::as_ref).collect(), kept: None }).collect();
    if rows.is_empty() && !turn.said.is_empty() {
        turns.push(turn);
    }
    turns.extend(rows);
    turns
}

/// Shows a row turn by turn.
fn turns_of_row(found: &StoredConversation, gate: Option<&Gate>) -> Vec<ShownTurn> {
    let mut earlier: Vec<&str> = Vec::new();
    let mut turns = Vec::new();
    for (turn, Led { said, kept }) in (0u32..).zip(led(found)) {
        let user = said.iter().rev().find(|message| message.role() == Role::User).map_or("", |user| user.content());
        let find = |rule: &str, answer: &Answer| found_in(gate, rule, user, &earlier, answer);
        let row = found.seed.as_ref().and_then(|seed| seed.turns.get(turn as usize));
        let old = row.and_then(|row| row.replaced.as_deref());
        let mut answers = answers_of_turn(found, turn, kept, &find);
        let old = old.map(|old| match mark_differences(&mut answers, kept, old) {
            Some(marked) => marked,
            None => vec![Piece::new(Mark::Same, old)],
        });
        let moved = found.moves.iter().find(|(moved, _)| *moved == turn + 1).map(|(_, made)| (*made).to_owned());
        let message = |message: &&Message| {
            let simulated = moved.clone().filter(|_| message.role() == Role::User);
            ShownMessage { simulated, ..ShownMessage::of(message) }
        };
        turns.push(ShownTurn {
            number: turn + 1,
            said: said.iter().map(message).collect(),
            old,
            answers,
            notes: verdicts(&found.notes, turn + 1),
        });
        earlier.extend(kept.map(Message::content));
    }
    turns
}

/// Marks what differs between two parties' answers, or between the old answer and the new one; returns the old one then.
fn mark_differences(answers: &mut [ShownAnswer], kept: Option<&Message>, old: &str) -> Option<Vec<Piece>> {
    let mut of_turn: Vec<&mut ShownAnswer> = answers.iter_mut().filter(|answer| answer.fate == Fate::Kept).collect();
    match &mut of_turn[..] {
        [first, second] => {
            let text = |answer: &ShownAnswer| answer.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
            (first.pieces, second.pieces) = differences(&text(first), &text(second));
            None
        }
        [one] => {
            let (marked, new) = differences(old, kept?.content());
            one.pieces = new;
            Some(marked)
        }
        _ => None,
    }
}

fn answers_of_turn(
    found: &StoredConversation,
    turn: u32,
    kept: Option<&Message>,
    find: &dyn Fn(&str, &Answer) -> Vec<Piece>,
) -> Vec<ShownAnswer> {
    let mut shown: Vec<ShownAnswer> = Vec::new();
    for stored in found.lines().filter(|stored| stored.slot.turn == turn) {
        let of_stored = ShownAnswer { judged: verdicts_on(found, stored), ..shown_answer(stored) };
        shown.push(match &stored.standing {
            Standing::Kept { flags, score } => ShownAnswer {
                fate: Fate::Kept,
                flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
                score: *score,
                // A recipe may cut what it keeps.
                pieces: kept
                    .filter(|_| stored.who.is_empty())
                    .map_or(of_stored.pieces, |kept| vec![Piece::new(Mark::Same, kept.content())]),
                ..of_stored
            },
            Standing::Rejected { rule, score } => ShownAnswer {
                fate: Fate::Rejected,
                rule: Some((*rule).to_owned()),
                score: *score,
                pieces: find(rule, &stored.answer),
                ..of_stored
            },
            Standing::Open | Standing::Aside => of_stored,
        });
    }
    shown.sort_by_key(|answer| answer.attempt);
    shown
}

fn verdicts(notes: &[StoredNote], turn: u32) -> Vec<ShownVerdict> {
    let of_turn = notes.iter().filter(|note| note.turn == turn);
    let verdict = |note: &StoredNote| ShownVerdict {
        model: note.words.model.clone(),
        title: note.title.clone(),
        text: note.words.text().to_owned(),
    };
    of_turn.map(verdict).collect()
}

/// Attempts at an answer that one sample may take; a judge's slots count samples, two for each.
const ATTEMPTS_MAX: u32 = 3;

fn verdicts_on(found: &StoredConversation, of: &StoredAnswer) -> Vec<ShownVerdict> {
    if !found.notes.is_empty() || of.slot.lane != Lane::Main {
        return Vec::new();
    }
    let sample = of.slot.attempt / ATTEMPTS_MAX;
    let is_on = |stored: &&StoredAnswer| {
        stored.slot.lane == Lane::Judge && stored.slot.turn == of.slot.turn && stored.slot.attempt / 2 == sample
    };
    let verdict = |stored: &StoredAnswer| ShownVerdict {
        model: stored.answer.model.clone(),
        title: String::new(),
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
    let StoredAnswer { slot, who, fingerprint, run, answer, .. } = stored;
    ShownAnswer {
        lane: who.clone(),
        attempt: slot.attempt + 1,
        pieces: vec![Piece::new(Mark::Same, answer.text())],
        fields: answer.message.fields().map(|fields| serde_json::Value::Object(fields.clone())),
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
            simulated: None,
            fields: message.fields().map(|fields| serde_json::Value::Object(fields.clone())),
        }
    }
}
