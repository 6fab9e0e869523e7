use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::folded::{FoldedTexts, Voice};
use super::names::Names;
use super::record::{Extent, ItemStatus, Record};
use crate::conversation::Role;
use crate::job::{Standing, StoredAnswer, StoredConversation};
use crate::quality::language_of;
use crate::store::Status;
use crate::view::shown::{Fate, Shown, ShownAnswer};

/// Characters of a conversation's beginning in a list.
const OPENING_CHARACTERS: usize = 160;
/// Bytes of one conversation that are searched. More are cut.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// What a list shows of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The row's id, or the conversation's key.
    pub id: String,
    /// How the user begins; empty where that is not known.
    pub opening: String,
    /// True where there is no row for it.
    pub is_without_row: bool,
    /// Why the row cannot be shown.
    pub unavailable: Option<String>,
}

/// What an index holds of a conversation.
#[derive(Debug)]
pub struct Summary {
    /// For filters; the extents are still to be set.
    pub record: Record,
    /// For lists.
    pub head: Head,
    /// For searches.
    pub texts: FoldedTexts,
}

impl Summary {
    /// Summarises a conversation. `names` gets what is new.
    pub fn of(found: &StoredConversation, names: &mut Names) -> Self {
        let kept: Vec<&StoredAnswer> = found.kept().collect();
        let ranked = kept.iter().filter_map(|stored| match stored.standing {
            Standing::Kept { score, .. } => score,
            _ => None,
        });
        let scores: Vec<f64> = ranked.chain(found.notes.iter().filter_map(|note| note.score)).collect();
        let (status, reason) = match &found.status {
            _ if found.key.is_none() => (ItemStatus::None, found.unavailable.clone().unwrap_or_default()),
            Status::Open => (ItemStatus::Open, String::new()),
            Status::Complete => (ItemStatus::Complete, String::new()),
            Status::Stopped { reason, .. } => (ItemStatus::Stopped, reason.to_string()),
            Status::Failed { reason, .. } => (ItemStatus::Failed, reason.without_numbers().to_string()),
        };
        let opening = found.seed.as_ref().and_then(|seed| seed.turns.first()?.last_user()).unwrap_or_default();
        let turns = found.seed.as_ref().map_or(0, |seed| seed.turns.len() as u32);
        // Without a row the dialogue is not known, and the answers are.
        let of_store = || found.lines();
        let (answered, characters) = if found.seed.is_some() {
            let turns = kept.iter().map(|stored| stored.slot.turn + 1).chain(found.notes.iter().map(|note| note.turn));
            let turns: BTreeSet<u32> = turns.filter(|turn| *turn > 0).collect();
            (turns.len() as u32, kept.iter().map(|stored| stored.answer.text().chars().count() as u64).sum())
        } else {
            let answered = of_store().map(|stored| stored.slot.turn + 1).max().unwrap_or(0);
            (answered, of_store().map(|stored| stored.answer.text().chars().count() as u64).sum())
        };
        let rejected = found.answers.iter().filter_map(|stored| match stored.standing {
            Standing::Rejected { rule, .. } => Some(rule),
            _ => None,
        });
        let flagged = kept.iter().flat_map(|stored| match &stored.standing {
            Standing::Kept { flags, .. } => &flags[..],
            _ => &[],
        });
        let sample =
            if opening.is_empty() { of_store().next().map_or("", |stored| stored.answer.text()) } else { opening };
        let record = Record {
            is_read: true,
            status,
            language: names.languages.number(language_of(sample)) as u16,
            turns: turns.max(answered),
            answered,
            reason: names.reasons.number(&reason) as u32,
            rules: names.rules.bits(rejected),
            flags: names.rules.bits(flagged.copied()),
            characters,
            score: (!scores.is_empty()).then(|| (scores.iter().sum::<f64>() / scores.len() as f64) as f32),
            key: found.key.map_or([0; 32], |key| key.0),
            head: Extent::default(),
            text: Extent::default(),
        };
        let head = Head {
            id: found.id.clone(),
            opening: opening.chars().take(OPENING_CHARACTERS).collect(),
            is_without_row: found.row.is_none(),
            unavailable: found.unavailable.clone(),
        };
        Self { record, head, texts: texts_of(found) }
    }
}

impl Summary {
    /// Sums up a row of an output.
    pub fn of_row(shown: &Shown, names: &mut Names) -> Self {
        let answers = || shown.answers().filter(|answer| answer.fate == Fate::Kept);
        let words = |answer: &ShownAnswer| answer.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
        let judged = shown.columns.get("judge").and_then(|judge| judge.get("score")?.as_f64());
        let scores: Vec<f64> = answers().filter_map(|answer| answer.score).collect();
        let mean = (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64);
        let users = shown.turns.iter().flat_map(|turn| &turn.said).filter(|said| said.role == "user");
        let opening = users.clone().next().map_or("", |said| said.text.as_str());
        let status = match shown.status.name {
            "complete" => ItemStatus::Complete,
            "stopped" => ItemStatus::Stopped,
            _ => ItemStatus::None,
        };
        let rejected = shown.answers().flat_map(|answer| answer.rule.iter().chain(&answer.rejected_before));
        let record = Record {
            is_read: true,
            status,
            language: names.languages.number(language_of(opening)) as u16,
            turns: shown.turns.len() as u32,
            answered: shown.turns.iter().filter(|turn| !turn.answers.is_empty()).count() as u32,
            reason: names.reasons.number(shown.status.reason.as_deref().unwrap_or_default()) as u32,
            rules: names.rules.bits(rejected.map(String::as_str)),
            flags: names.rules.bits(shown.flags()),
            characters: answers().map(|answer| words(answer).chars().count() as u64).sum(),
            score: judged.or(mean).map(|score| score as f32),
            ..Record::unread([0; 32])
        };
        let head = Head {
            id: shown.id.clone(),
            opening: opening.chars().take(OPENING_CHARACTERS).collect(),
            is_without_row: false,
            unavailable: shown.unavailable.clone(),
        };
        let mut texts = FoldedTexts::default();
        texts.push(Voice::System, &shown.id);
        for turn in &shown.turns {
            for said in &turn.said {
                let voice = match said.role {
                    "system" => Voice::System,
                    "assistant" => Voice::Old,
                    _ => Voice::User,
                };
                texts.push_within(voice, &said.text, TEXT_BYTES_MAX);
            }
            for answer in &turn.answers {
                let voice = if answer.fate == Fate::Kept { Voice::New } else { Voice::Rejected };
                texts.push_within(voice, &words(answer), TEXT_BYTES_MAX);
            }
        }
        Self { record, head, texts }
    }
}

fn texts_of(found: &StoredConversation) -> FoldedTexts {
    let mut texts = FoldedTexts::default();
    let mut push = |voice, text: &str| texts.push_within(voice, text, TEXT_BYTES_MAX);
    push(Voice::System, &found.id);
    for turn in found.seed.iter().flat_map(|seed| &seed.turns) {
        for message in &turn.messages {
            let voice = match message.role() {
                Role::System => Voice::System,
                Role::User | Role::Tool => Voice::User,
                Role::Assistant => Voice::Old,
            };
            push(voice, message.content());
        }
        turn.replaced.iter().for_each(|old| push(Voice::Old, old));
    }
    // What a simulated user says stands in the dialogue alone.
    let turns = found.seed.as_ref().map_or(0, |seed| seed.turns.len());
    let mut answered = 0;
    for spoken in &found.dialogue.spoken {
        if spoken.answer.is_some() {
            answered += 1;
        } else if answered >= turns {
            push(Voice::User, spoken.message.content());
        }
    }
    for stored in found.lines() {
        let is_kept = found.seed.is_none() || matches!(stored.standing, Standing::Kept { .. });
        push(if is_kept { Voice::New } else { Voice::Rejected }, stored.answer.text());
    }
    texts
}
