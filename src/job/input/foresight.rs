use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows::replace_system;
use crate::conversation::{Line, Message, Record, Role, Seed, ToolCall};
use crate::dataset::{Edition, Notes, Reading, RowReader};
use crate::export::OutputFormat;
use crate::job::stored::replay_in;
use crate::job::{JobError, JobEvent, open_store};
use crate::recipe::Recipe;
use crate::report::words::counted;
use crate::store::Reader;

/// What a first pass looks out for, so that the user is told before the first call.
#[derive(Clone, Copy, Default)]
pub struct Lookout<'a> {
    /// The store whose answers may no longer match, because rows are read differently now.
    pub store: Option<(&'a Path, &'a dyn Reader)>,
    /// The output format that may not hold what is asked, and whether it is written as a table.
    pub output: Option<(&'static dyn OutputFormat, bool)>,
}

impl<'a> Lookout<'a> {
    /// Looks back at the answers of a store.
    pub fn back(path: &'a Path, store: &'a dyn Reader) -> Self {
        Self { store: Some((path, store)), output: None }
    }
}

/// What a first pass has foreseen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Foresight {
    /// Rows that version 0.1.0 read differently and that have answers in the store.
    pub rows_read_differently: u64,
    /// Stored answers that belong to these rows as they were read then.
    pub unmatched_answers: u64,
    /// Conversations that the output format cannot hold once they are answered, by reason.
    pub unfit: BTreeMap<String, u64>,
    /// Turns of these conversations.
    pub unfit_turns: u64,
}

impl Foresight {
    /// Returns what the user should know before the first call. Fails where every answer would be paid for in vain.
    pub fn events(&self, conversations: u64, lookout: &Lookout<'_>) -> Result<Vec<JobEvent>, JobError> {
        let mut events = Vec::new();
        if self.unmatched_answers > 0 {
            events.push(JobEvent::Caution(format!(
                "{} of this store no longer match: {} of the input {} read differently than by version 0.1.0 (instruction \
                 columns, tools, names, context), and {} turns are asked again",
                counted(self.unmatched_answers, "answer"),
                counted(self.rows_read_differently, "row"),
                if self.rows_read_differently == 1 { "is" } else { "are" },
                if self.rows_read_differently == 1 { "its" } else { "their" },
            )));
        }
        let unfit: u64 = self.unfit.values().sum();
        let Some((format, is_table)) = lookout.output.filter(|_| unfit > 0) else { return Ok(events) };
        let reasons: Vec<&str> = self.unfit.keys().map(String::as_str).collect();
        let place = if is_table { format!("a table of {}", format.name()) } else { format.name().to_owned() };
        let reasons = reasons.join(", ");
        if unfit >= conversations {
            let hint = "choose another format with --to, such as axolotl, or read the rows differently; `cohobate inspect` \
                        shows what they hold";
            let message = format!("no conversation would be in the output: {place} cannot hold them ({reasons})");
            return Err(JobError::usage(message, hint));
        }
        events.push(JobEvent::Caution(format!(
            "{} with {} will be asked and not written: {place} cannot hold them ({reasons}); --to chooses another format",
            counted(unfit, "conversation"),
            counted(self.unfit_turns, "turn"),
        )));
        Ok(events)
    }
}

/// Looks at rows as a first pass reads them.
pub struct Watch<'a> {
    recipe: &'a dyn Recipe,
    system: Option<Arc<Message>>,
    output: Option<(&'static dyn OutputFormat, bool)>,
    earlier: Option<Earlier<'a>>,
    row: Vec<u8>,
    pub found: Foresight,
}

/// What an earlier version made of the rows.
struct Earlier<'a> {
    reader: RowReader,
    store: &'a dyn Reader,
}

impl<'a> Watch<'a> {
    pub fn new(
        lookout: &Lookout<'a>,
        recipe: &'a dyn Recipe,
        reader: &RowReader,
        system: Option<Arc<Message>>,
    ) -> Self {
        let store = lookout.store.filter(|(path, _)| open_store::predates_edition(path));
        let reader = RowReader { edition: Edition::First, ..reader.clone() };
        let earlier = store.map(|(_, store)| Earlier { reader, store });
        let output = lookout.output;
        Self { recipe, system, output, earlier, row: Vec::new(), found: Foresight::default() }
    }

    /// Looks at a row: its bytes, and the conversation in it, if there is one.
    pub fn see(&mut self, bytes: &[u8], seed: Option<(&Seed, &Notes)>) -> Result<(), JobError> {
        if let Some((seed, notes)) = seed
            && let Some((format, is_table)) = self.output
            && !format.wants_pairs()
            && !format.wants_tokens()
            && needs_trial(seed, notes)
        {
            self.try_format(format, is_table, seed);
        }
        let Some(earlier) = &self.earlier else { return Ok(()) };
        let Reading::Ready { seed: then, .. } = earlier.reader.read(bytes) else { return Ok(()) };
        let then = replace_system(then, self.system.as_ref());
        if seed.is_some_and(|(now, _)| now.digest() == then.digest()) {
            return Ok(());
        }
        let was_answered = stored_answers(self.recipe, &then, earlier.store)?;
        let still = if was_answered == 0 {
            0
        } else {
            seed.map_or(Ok(0), |(now, _)| stored_answers(self.recipe, now, earlier.store))?
        };
        if was_answered > still {
            self.found.rows_read_differently += 1;
            self.found.unmatched_answers += was_answered - still;
        }
        Ok(())
    }

    fn try_format(&mut self, format: &'static dyn OutputFormat, is_table: bool, seed: &Seed) {
        let mut lines = Vec::new();
        for (at, turn) in seed.turns.iter().enumerate() {
            lines.extend(turn.messages.iter().cloned().map(Line::context));
            let calls = seed.turns.get(at + 1).map_or(&[][..], |next| &next.follows);
            let words = if calls.is_empty() { "answer" } else { "" };
            let answer = Message::with_fields(Role::Assistant, words, ToolCall::fields(calls));
            lines.push(Line { is_trained: true, ..Line::context(answer) });
        }
        let record = Record { id: seed.id.clone(), lines, tools: seed.tools.clone(), ..Record::default() };
        self.row.clear();
        let unfit = crate::export::unfit_for(format, is_table, &record, &mut self.row);
        if let Some(unfit) = unfit {
            *self.found.unfit.entry(unfit.name().to_owned()).or_default() += 1;
            self.found.unfit_turns += seed.turns.len() as u64;
        }
    }
}

/// True for conversations of a form that not every format can hold.
fn needs_trial(seed: &Seed, notes: &Notes) -> bool {
    let has = |rule: &str| notes.counts().any(|(name, _)| name == rule);
    let has_name = || seed.turns.iter().flat_map(|turn| &turn.messages).any(|message| message.fields().is_some());
    has("greeting_kept") || has("tool_messages_replayed") || has_name()
}

/// Returns how many questions of a conversation have a stored answer.
fn stored_answers(recipe: &dyn Recipe, seed: &Seed, store: &dyn Reader) -> Result<u64, JobError> {
    let mut count = 0;
    let mut fault = None;
    let end = replay_in(store, recipe, seed)?.advance(|fingerprint, _| -> Result<_, Infallible> {
        Ok(match store.answer(fingerprint) {
            Ok(stored) => {
                count += u64::from(stored.is_some());
                stored.map(|stored| stored.answer)
            }
            Err(error) => {
                fault = Some(error);
                None
            }
        })
    });
    let Ok(_) = end;
    fault.map_or(Ok(count), |error| Err(error.into()))
}
