//! Rows with what other files hold about the same conversations: other systems' answers, and references.

use std::path::Path;
use std::sync::Arc;

use super::input::{Lookout, Rows, prepare};
use super::left_out::LeftOut;
use super::rows::{RowResult, TakeRow, VisitRows, each};
use super::settings::{InputSettings, ReadSettings, RowsFrom};
use super::{Context, JobError};
use crate::conversation::{Columns, Digest, Message, Role, Seed, Turn};
use crate::dataset::Duplicates;
use crate::files::path_of;
use crate::recipe::Recipe;
use crate::worker::{SeedError, Seeds};

/// Rows with further answers from other files beside them.
pub struct JudgedRows {
    pub rows: Arc<Rows>,
    /// For each further answer the file that it stands in.
    pub beside: Vec<Option<Beside>>,
    /// A reference may stand in a row's own column; it comes behind the further answers.
    pub has_reference_column: bool,
}

/// The rows of a file, to be found by their name or by what their users say.
pub struct Beside {
    rows: Arc<Rows>,
    /// The first eight bytes of a hash of either, and the row; sorted. 32 bytes a row.
    tags: Vec<(u64, u64)>,
}

impl Beside {
    /// Reads a file of conversations once: all of it, also where the other input is limited or cut into shards.
    pub fn open(
        path: &str,
        read: &ReadSettings,
        store: &Path,
        recipe: &dyn Recipe,
        context: &Context,
    ) -> Result<Self, JobError> {
        let split = read.split.clone().filter(|_| path_of(path).is_dir());
        let read = ReadSettings { split, limit: None, duplicates: Duplicates::Keep, shard: None, ..read.clone() };
        let input = InputSettings { sources: vec![RowsFrom::Named(path.to_owned())], read };
        let rows = prepare(&input, store, recipe, None, Lookout::default(), context)?.rows;
        let mut tags = Vec::new();
        each(&*rows, &mut [], |place, seed| {
            tags.extend(tags_of(seed).map(|tag| (tag, place.row)));
            Ok(RowResult::Kept(0))
        })?;
        tags.sort_unstable();
        Ok(Self { rows, tags })
    }

    /// Returns the answers of the same conversation. Candidates are the rows with its name or its users' words; the one
    /// whose user turns agree for longest wins, and only the turns that agree count.
    fn answers(&self, seed: &Seed) -> Result<Vec<Option<Arc<Message>>>, String> {
        // Most rows have both the same name and the same words.
        let (mut best, mut tried) = (Vec::new(), Vec::new());
        for tag in tags_of(seed) {
            let from = self.tags.partition_point(|(other, _)| *other < tag);
            let same = self.tags[from..].iter().take_while(|(other, _)| *other == tag).take(NAMESAKES_MAX);
            for (_, row) in same {
                if tried.contains(row) {
                    continue;
                }
                tried.push(*row);
                let Ok(other) = self.rows.read(*row).map_err(|error| error.to_string())? else { continue };
                let turns = seed.turns.iter().zip(&other.turns);
                let same = turns.take_while(|(ours, theirs)| users(ours).eq(users(theirs)));
                let answers =
                    same.map(|(_, turn)| turn.replaced.clone().map(|text| Message::new(Role::Assistant, text)));
                let answers: Vec<_> = answers.collect();
                if answers.len() > best.len() {
                    best = answers;
                }
            }
        }
        Ok(best)
    }
}

/// Rows of one name that are looked at.
const NAMESAKES_MAX: usize = 16;

/// Returns the tags of a conversation: one of its name, one of what its users say.
fn tags_of(seed: &Seed) -> impl Iterator<Item = u64> {
    let said: Vec<&str> = seed.turns.iter().flat_map(users).collect();
    [Digest::of_text("cohobate row 1", &seed.id), Digest::of_text("cohobate users 1", &said.join("\0"))]
        .map(|digest| digest.prefix())
        .into_iter()
}

fn users(turn: &Turn) -> impl Iterator<Item = &str> {
    turn.messages.iter().filter(|message| message.role() == Role::User).map(|message| message.content().trim())
}

impl JudgedRows {
    /// Reads a row with what the other files hold about it; the answers in it count into its identity. `None` where the
    /// row holds no conversation.
    pub fn read(&self, row: u64) -> Result<Option<Seed>, JobError> {
        match self.rows.read(row)? {
            Ok(seed) => self.complete(seed).map(Some).map_err(JobError::unexpected),
            Err(_) => Ok(None),
        }
    }

    /// Adds to a row what the other files hold about it.
    pub fn complete(&self, mut seed: Seed) -> Result<Seed, String> {
        seed.counts_replaced = true;
        seed.criteria = texts(&seed.columns, &["criteria", "checks", "rubric"]);
        let references = texts(&seed.columns, &["reference", "references"]);
        let beside: Vec<Vec<_>> = self
            .beside
            .iter()
            .map(|beside| beside.as_ref().map_or(Ok(Vec::new()), |beside| beside.answers(&seed)))
            .collect::<Result<_, _>>()?;
        for (at, turn) in seed.turns.iter_mut().enumerate() {
            turn.given = beside.iter().map(|answers| answers.get(at).cloned().flatten()).collect();
            if self.has_reference_column {
                turn.given.push(references.get(at).map(|text| Message::new(Role::Assistant, text.clone())));
            }
        }
        Ok(seed)
    }
}

impl VisitRows for JudgedRows {
    type Row = Seed;

    fn visit(&self, take: &mut TakeRow<'_, Seed>) -> Result<(), JobError> {
        self.rows.visit(&mut |place, seed| {
            let complete = |seed: Result<Seed, LeftOut>| match seed {
                Ok(seed) => self.complete(seed).map(Ok).map_err(JobError::unexpected),
                Err(why) => Ok(Err(why)),
            };
            take(place, complete(seed)?)
        })
    }
}

impl Seeds for JudgedRows {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        self.complete(self.rows.seed(row)?)
    }

    fn look(&self, row: u64) -> Result<Seed, SeedError> {
        self.complete(self.rows.look(row)?).map_err(SeedError::Unreadable)
    }

    fn shortest(&self, count: usize) -> Vec<u64> {
        self.rows.shortest(count)
    }
}

/// Returns the texts of a column: a list of them, or one.
fn texts(columns: &Columns, names: &[&str]) -> Vec<String> {
    let value = names.iter().find_map(|name| columns.get(*name));
    let text = |value: &serde_json::Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    match value {
        Some(serde_json::Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}
