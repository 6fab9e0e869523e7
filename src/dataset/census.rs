use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::format::SourceContent;
use super::meta::is_row_id;
use super::notes::{Notes, Skip};
use super::preference;
use super::read::{Reading, RowReader};
use super::role::SourceRole;
use super::unread::Unread;
use crate::conversation::{Seed, estimate_tokens};

/// Characters of a conversation that are used to detect its language.
const LANGUAGE_CHARACTERS: usize = 400;

/// Statistics of a dataset, computed as a fold over its rows. Memory: eight bytes per distinct conversation and per id.
#[derive(Debug, Default)]
pub struct Census {
    /// Rows of all kinds.
    pub rows: u64,
    /// Rows by format.
    pub formats: BTreeMap<&'static str, u64>,
    /// Invalid rows, by reason.
    pub invalid: BTreeMap<String, u64>,
    /// Rows with nothing to distil, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Changes that a run would make.
    pub notes: Notes,
    /// Messages by role: system, user, assistant, tool.
    pub roles: [u64; 4],
    /// User messages per valid row.
    pub user_turns: Histogram,
    /// Characters per user message.
    pub user_characters: Histogram,
    /// Conversations, by the language of their user messages.
    pub languages: BTreeMap<&'static str, u64>,
    /// Conversations that duplicate an earlier one.
    pub duplicates: u64,
    /// Rows whose id occurs in an earlier row.
    pub duplicate_ids: u64,
    /// Estimated tokens of system and user messages, and of the old answers.
    pub tokens: (u64, u64),
    /// Fields of messages that no reader knows.
    dropped: Option<Unread>,
    /// Columns that go to `meta`.
    kept: Option<Unread>,
    conversations: HashSet<u64>,
    ids: HashSet<u64>,
}

impl Census {
    /// Counts a row that cannot be read from its container.
    pub fn add_broken(&mut self, reason: &str) {
        self.rows += 1;
        *self.invalid.entry(kind_of(reason)).or_default() += 1;
    }

    /// Counts a row.
    pub fn add(&mut self, reader: &RowReader, bytes: &[u8]) {
        self.rows += 1;
        let unread = self.dropped.get_or_insert_with(Unread::listing);
        unread.begin_row();
        let row = match reader.source_at(bytes, None, unread) {
            Ok(row) => row,
            Err(reason) => {
                *self.invalid.entry(kind_of(&reason)).or_default() += 1;
                return;
            }
        };
        *self.formats.entry(row.format).or_default() += 1;
        let columns = self.kept.get_or_insert_with(Unread::listing);
        columns.begin_row();
        let of_pair = row.columns_of_pair(&reader.rules);
        for name in &of_pair {
            if let Some(side) = row.columns.get(*name) {
                let _ = preference::side_messages(side, name, unread);
            }
        }
        let is_read = |name: &str, value: &Value| is_row_id(name, value, row.id.as_deref()) || of_pair.contains(&name);
        let other = row.columns.iter().filter(|(name, value)| !is_read(name, value));
        other.for_each(|(name, value)| columns.add(|| name.clone(), value));
        let mut users = 0;
        for message in &row.messages {
            let place = match message.role {
                SourceRole::System => 0,
                SourceRole::User => 1,
                SourceRole::Assistant => 2,
                SourceRole::Tool => 3,
            };
            self.roles[place] += 1;
            let (SourceContent::Text(text) | SourceContent::Media(text)) = &message.content else { continue };
            match message.role {
                SourceRole::User => {
                    users += 1;
                    self.user_characters.add(text.chars().count() as u64);
                    self.tokens.0 += estimate_tokens(text);
                }
                SourceRole::System => self.tokens.0 += estimate_tokens(text),
                SourceRole::Assistant | SourceRole::Tool => self.tokens.1 += estimate_tokens(text),
            }
        }
        self.user_turns.add(users);
        if let Some(id) = &row.id {
            self.duplicate_ids += u64::from(!self.ids.insert(hash_of(id)));
        }
        match reader.seed(row) {
            Reading::Ready { seed, notes, .. } => self.add_seed(&seed, &notes),
            Reading::Skipped { skip, .. } => *self.skipped.entry(Skip::name(skip)).or_default() += 1,
            Reading::Invalid { reason } => *self.invalid.entry(kind_of(&reason)).or_default() += 1,
        }
    }

    /// Returns the values that are no part of any conversation, by their place such as `messages[].toxic`.
    pub fn not_read(&self) -> BTreeMap<String, NotRead> {
        let dropped = self.dropped.iter().flat_map(Unread::places).map(|place| (place, false));
        let kept = self.kept.iter().flat_map(Unread::places).map(|place| (place, true));
        let not_read = dropped.chain(kept);
        not_read.map(|((place, rows), is_kept)| (place.to_owned(), NotRead { rows, is_kept })).collect()
    }

    fn add_seed(&mut self, seed: &Seed, notes: &Notes) {
        self.notes.add(notes);
        self.duplicates += u64::from(!self.conversations.insert(seed.digest().prefix()));
        let said =
            seed.turns.iter().filter_map(|turn| turn.messages.last()).flat_map(|message| message.content().chars());
        let sample: String = said.take(LANGUAGE_CHARACTERS).collect();
        *self.languages.entry(language_of(&sample)).or_default() += 1;
    }
}

/// A value of a row that is no part of its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRead {
    /// Rows that have it.
    pub rows: u64,
    /// It goes to `meta`. A field of a message that no reader knows goes nowhere.
    pub is_kept: bool,
}

/// Counts of integers: exact below 1,000, rounded down to three digits above, which bounds the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<u64, u64>,
    max: u64,
}

impl Histogram {
    fn add(&mut self, value: u64) {
        let digits = value.checked_ilog10().unwrap_or(0).saturating_sub(2);
        let unit = 10u64.pow(digits);
        *self.counts.entry(value / unit * unit).or_default() += 1;
        self.max = self.max.max(value);
    }

    /// Returns the minimum, the median and the maximum; `None` where nothing was counted.
    pub fn spread(&self) -> Option<(u64, u64, u64)> {
        let half = self.counts.values().sum::<u64>().div_ceil(2);
        let mut below = 0;
        let median = self.counts.iter().find(|(_, count)| {
            below += **count;
            below >= half
        });
        Some((*self.counts.keys().next()?, *median?.0, self.max))
    }

    /// Returns values with their counts, ascending.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().map(|(value, count)| (*value, *count))
    }
}

/// Removes the parts of a reason that differ from row to row.
fn kind_of(reason: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let reason = reason.split(" at line ").next().unwrap_or(reason);
    reason.chars().take(CHARACTERS_MAX).collect()
}

fn hash_of(text: &str) -> u64 {
    crate::conversation::Message::new(crate::conversation::Role::User, text).digest().prefix()
}

fn language_of(text: &str) -> &'static str {
    use whichlang::Lang;
    match whichlang::detect_language(text) {
        Lang::Ara => "Arabic",
        Lang::Cmn => "Chinese",
        Lang::Deu => "German",
        Lang::Eng => "English",
        Lang::Fra => "French",
        Lang::Hin => "Hindi",
        Lang::Ita => "Italian",
        Lang::Jpn => "Japanese",
        Lang::Kor => "Korean",
        Lang::Nld => "Dutch",
        Lang::Por => "Portuguese",
        Lang::Rus => "Russian",
        Lang::Spa => "Spanish",
        Lang::Swe => "Swedish",
        Lang::Tur => "Turkish",
        Lang::Vie => "Vietnamese",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_lower_middle_and_large_values_keep_three_digits() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.spread(), None);
        for value in [3, 1, 2, 4] {
            histogram.add(value);
        }
        assert_eq!(histogram.spread(), Some((1, 2, 4)));
        histogram.add(123_456);
        assert_eq!(histogram.spread(), Some((1, 3, 123_456)));
        assert!(histogram.counts().any(|(value, _)| value == 123_000));
    }
}
