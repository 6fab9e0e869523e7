//! What conversations have come to, without reading their answers.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::failure::Failure;
use super::frames::{NO_END, entry, states};
use super::session::Session;
use crate::conversation::ConversationKey;
use crate::store::entry::{Entry, Status};

/// What is known of one conversation.
#[derive(Default)]
struct Known {
    /// The last end, or what a merge has joined.
    end: Option<Status>,
    /// What a merge has joined holds all up to this commit.
    joined_to: i64,
    /// Something came after the end: whether it opens the conversation again shows only in the history.
    is_unclear: bool,
}

/// Returns the statuses of conversations. Those that have none are left out.
pub async fn statuses(session: &Session, keys: &[ConversationKey]) -> Result<Vec<(ConversationKey, Status)>, Failure> {
    let wanted: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    // Of the answers only the place of the last one is read.
    let sql = "SELECT conversation, batch, frame FROM (\
               SELECT conversation, batch, place, frame FROM cohobate_note WHERE conversation = ANY($1) \
               UNION ALL SELECT conversation, batch, place, frame FROM cohobate_state WHERE conversation = ANY($1) \
               UNION ALL (SELECT DISTINCT ON (conversation) conversation, batch, place, NULL::bytea FROM cohobate_answer \
               WHERE conversation = ANY($1) AND paid_run IS NULL ORDER BY conversation, batch DESC, place DESC)) f \
               ORDER BY batch, place";
    let rows = session.rows(sql, &[(&wanted, Type::BYTEA_ARRAY)]).await?;
    let mut found: BTreeMap<&[u8], Known> = BTreeMap::new();
    for row in &rows {
        let frame: Option<&[u8]> = row.get(2);
        let known = found.entry(row.get(0)).or_insert_with(|| Known { joined_to: -1, ..Known::default() });
        known.add(row.get(1), frame.map(entry).transpose()?);
    }
    let (mut all, mut unclear) = (Vec::new(), Vec::new());
    for key in keys {
        match found.remove(&key.0[..]) {
            Some(known) if known.is_unclear => unclear.push(*key),
            Some(known) => all.push((*key, known.end.unwrap_or(Status::Open))),
            None => {}
        }
    }
    if !unclear.is_empty() {
        all.extend(states(session, &unclear, NO_END).await?.into_iter().map(|(key, state)| (key, state.status)));
    }
    Ok(all)
}

impl Known {
    /// Takes in what a commit has said; commits come in their order. An answer comes without its entry.
    fn add(&mut self, batch: i64, entry: Option<Entry>) {
        match entry {
            Some(Entry::KeptState { state, .. }) => {
                *self = Self { end: Some(state.status), joined_to: batch, is_unclear: false };
            }
            _ if batch <= self.joined_to => {}
            Some(Entry::Closed { status, .. }) => {
                self.end = Some(status);
                self.is_unclear = false;
            }
            _ => self.is_unclear = self.end.is_some(),
        }
    }
}
