use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::findings_list::FindingsList;
use super::input::{Lookout, Prepared, Rows, prepare};
use super::left_out::LeftOut;
use super::left_out_list::{Left, LeftOutList, Listed};
use super::output::RowOutput;
use super::places::check_output;
use super::questions::{DistillQuestions, known_details};
use super::rows::{RowCounts, RowResult, each};
use super::settings::{InputSettings, OutputSettings};
use super::stored::{answers_in, replay_in, status_of};
use super::{Context, JobError, models, open_store};
use crate::conversation::{
    Answer, ConversationStop, Dialogue, LineTokens, Outcome, Price, Role, Seed, TokenDetail, Turn,
};
use crate::export::{LeftOutKind, Unfit, dialogue_pairs, dialogue_record, dialogue_record_with};
use crate::quality::{Boilerplate, language_of};
use crate::recipe::{Recipe, ReplayEnd};
use crate::report::QualityReport;
use crate::store::{OnLoss, Reader, Sequences, Status};

/// The settings of `export`: what was distilled, and where its rows go.
#[derive(Debug)]
pub struct ExportSettings {
    /// The rows that were distilled.
    pub input: InputSettings,
    /// The directory of the store.
    pub store: PathBuf,
    /// What was asked.
    pub questions: DistillQuestions,
    /// Where the rows go.
    pub output: OutputSettings,
    /// Which conversations are written that are not complete.
    pub partial: PartialSettings,
    /// What happens where the store has lost answers. A run needs them accepted instead ([`super::accept_losses`]).
    pub on_loss: OnLoss,
}

/// Which conversations are written that are not complete.
#[derive(Clone, Copy, Debug)]
pub struct PartialSettings {
    /// Writes an incomplete conversation up to its last good turn. Default: no.
    pub keep: bool,
    /// Leaves out a conversation that a gate has cut to fewer turns. Default: 1.
    pub min_turns: u32,
}

impl Default for PartialSettings {
    fn default() -> Self {
        Self { keep: false, min_turns: 1 }
    }
}

/// The result of a last pass over distilled conversations.
#[derive(Debug)]
pub struct ExportReport {
    /// Rows in the output and rows left out, by reason.
    pub counts: RowCounts,
    /// Conversations that are missing or cut, rows that no format holds not counted.
    pub incomplete: u64,
    /// Invalid rows.
    pub invalid: u64,
    /// The list of rows that are left out or cut.
    pub listed: Option<Listed>,
    /// The list of all that the gate found.
    pub findings: Option<Listed>,
    /// There was no row to write, and an output with rows in it was kept.
    pub kept_old: bool,
    /// Conversations with a row for each answer, because their token ids are not prefix-stable. `None` for formats without
    /// token ids.
    pub unstable: Option<u64>,
    /// What the gate found, where there was one.
    pub quality: Option<QualityReport>,
    /// Where rows have no answer: how these settings differ from those of the store's last distillation, as name, value now,
    /// value then.
    pub unlike_last_run: Vec<(String, String, String)>,
}

impl ExportReport {
    /// Returns why conversations are missing or cut.
    pub fn reasons(&self) -> BTreeMap<String, u64> {
        let kinds = INCOMPLETE.into_iter().flat_map(|kind| {
            let reasons = self.counts.reasons(kind).into_iter();
            reasons.map(move |(reason, count)| (format!("{}: {reason}", kind.name()), count))
        });
        kinds.collect()
    }
}

/// The kinds of rows that make a distillation incomplete.
const INCOMPLETE: [LeftOutKind; 3] = [LeftOutKind::Stopped, LeftOutKind::Failed, LeftOutKind::Unanswered];

/// Writes the rows that the store holds answers for, finished or not. Sends no call.
pub fn export(settings: &ExportSettings, context: &Context) -> Result<ExportReport, JobError> {
    check_output(&settings.output.path, &settings.input.names())?;
    let system = settings.questions.system_text()?;
    let store = open_store::open_reader(&settings.store, settings.on_loss, context)?;
    let recipe = settings.questions.recipe(system.as_deref(), &known_details(&*store)?)?;
    let prepared = prepare(&settings.input, &settings.store, &recipe, system.as_deref(), Lookout::default(), context)?;
    prepared.rows.read_ahead(&store, &recipe);
    ExportPass::of(settings, &settings.input.names()).write(&recipe, &*store, &prepared)
}

/// What a last pass writes, and where.
pub struct ExportPass<'a> {
    /// What was asked.
    pub questions: &'a DistillQuestions,
    /// Which conversations are written that are not complete.
    pub partial: PartialSettings,
    /// Where the rows go.
    pub output: &'a OutputSettings,
    /// The names of the inputs, for a card.
    pub inputs: &'a [String],
}

impl<'a> ExportPass<'a> {
    /// The pass that these settings ask for.
    pub fn of(settings: &'a ExportSettings, inputs: &'a [String]) -> Self {
        let ExportSettings { questions, partial, output, .. } = settings;
        Self { questions, partial: *partial, output, inputs }
    }

    /// Writes the rows of what the first pass has read.
    pub fn write(
        &self,
        recipe: &dyn Recipe,
        store: &dyn Reader,
        prepared: &Prepared,
    ) -> Result<ExportReport, JobError> {
        let Self { questions, partial, output, inputs } = *self;
        let is_gated = questions.gate.is_some() || questions.orphans.is_some() || questions.calls.is_some();
        let finds_orphans = questions.orphans.is_some();
        let tokens = questions.tokens;
        let exporter =
            Exporter { rows: &prepared.rows, recipe, store, output, partial, is_gated, finds_orphans, tokens };
        let report = exporter.write(inputs, &models::prices(&[&questions.teacher]))?;
        Ok(ExportReport { invalid: prepared.invalid(), ..report })
    }
}

/// A last pass over distilled conversations.
struct Exporter<'a> {
    rows: &'a Rows,
    recipe: &'a dyn Recipe,
    store: &'a dyn Reader,
    output: &'a OutputSettings,
    partial: PartialSettings,
    /// A gate judges, or calls are regenerated: conversations that were cut are written, and what was found is counted.
    is_gated: bool,
    /// Messages that refer to a replaced answer are looked for.
    finds_orphans: bool,
    /// What was asked for beside the text.
    tokens: Option<TokenDetail>,
}

impl Exporter<'_> {
    fn write(&self, inputs: &[String], prices: &BTreeMap<String, Price>) -> Result<ExportReport, JobError> {
        let mut output = RowOutput::create(self.output, inputs)?;
        let mut lists = [LeftOutList::beside(&self.output.path)];
        let mut findings = FindingsList::beside(&self.output.path);
        let (mut quality, mut boilerplate) = (QualityReport::default(), Boilerplate::default());
        let mut unstable = self.output.format.wants_tokens().then_some(0);
        let counts = each(self.rows, &mut lists, |place, seed| {
            let mut end = self.replay(seed)?;
            if self.is_gated {
                flag_boilerplate(&mut end.dialogue, &mut boilerplate);
                quality.add(&seed.id, &end.dialogue, prices, language_of);
                findings.add_dialogue(&place, &seed.id, &end.dialogue)?;
                if self.finds_orphans {
                    count_orphans(seed, &end, &mut quality);
                }
            }
            let written = self.write_row(seed, end, &mut output)?;
            if let (Some(unstable), RowResult::Kept(2..) | RowResult::Partly(2.., _)) = (&mut unstable, &written) {
                *unstable += 1;
            }
            Ok(written)
        })?;
        let kept_old = output.finish(counts.written)?;
        let [list] = lists;
        let without_tokens = counts.reasons(LeftOutKind::Unfit).get(Unfit::NoTokens.name()).copied().unwrap_or(0);
        Ok(ExportReport {
            // A row without its tokens was paid for, and the server did not keep its word.
            incomplete: INCOMPLETE.into_iter().map(|kind| counts.of(kind)).sum::<u64>() + without_tokens,
            invalid: 0,
            listed: list.finish()?,
            findings: findings.finish()?,
            kept_old,
            unstable,
            quality: self.is_gated.then_some(quality),
            unlike_last_run: match counts.of(LeftOutKind::Unanswered) {
                0 => Vec::new(),
                _ => self.unlike_last_run()?,
            },
            counts,
        })
    }

    fn unlike_last_run(&self) -> Result<Vec<(String, String, String)>, JobError> {
        let runs = self.store.runs()?;
        let last = runs.iter().rev().find(|run| run.settings.get("recipe") == Some("distill"));
        let differences = last.map(|last| self.recipe.settings().differences(&last.settings)).unwrap_or_default();
        let owned = |(name, now, then): (&str, &str, &str)| (name.to_owned(), now.to_owned(), then.to_owned());
        Ok(differences.into_iter().map(owned).collect())
    }

    fn write_row(&self, seed: &Seed, end: End, output: &mut RowOutput<'_>) -> Result<RowResult, JobError> {
        let turns_answered = end.turns_answered();
        let is_written = self.is_written(&end);
        let stopped = match &end.why {
            Some(why @ LeftOut::Stopped { .. }) => Some(why.to_string()),
            _ => None,
        };
        let left = |why| Left { turns_answered, turns: self.recipe.turn_count(seed), ..Left::from(why) };
        let mut missing: Vec<Left> = end.why.clone().map(left).into_iter().collect();
        let mut rows = 0;
        if is_written {
            match self.write_records(seed, &end.dialogue, stopped.as_deref(), output)? {
                RowResult::Kept(count) => rows = count,
                RowResult::Left(unfit) => missing.push(left(unfit.why)),
                RowResult::Partly(count, unfit) => {
                    rows = count;
                    missing.extend(unfit);
                }
            }
        }
        Ok(if missing.is_empty() { RowResult::Kept(rows) } else { RowResult::Partly(rows, missing) })
    }

    /// Writes the rows that a conversation makes.
    fn write_records(
        &self,
        seed: &Seed,
        dialogue: &Dialogue,
        stopped: Option<&str>,
        output: &mut RowOutput<'_>,
    ) -> Result<RowResult, JobError> {
        if self.output.format.wants_tokens() {
            let (mut sequences, mut failed) = (Sequences::default(), None);
            let mut tokens = |answer: &Answer| match sequences.line_of(self.store, answer) {
                Ok(line) => line.and_then(|line| self.as_asked(line)).map(Arc::new),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            };
            let record = dialogue_record_with(seed, dialogue, stopped, &mut tokens);
            return failed.map_or_else(|| output.write(&record), |error| Err(error.into()));
        }
        if !self.output.format.wants_pairs() {
            return output.write(&dialogue_record(seed, dialogue, stopped));
        }
        let mut count = 0;
        for pair in dialogue_pairs(seed, dialogue) {
            if let RowResult::Kept(rows) = output.write(&pair)? {
                count += rows;
            }
        }
        Ok(if count == 0 { RowResult::left(LeftOut::Unfit(Unfit::NoPair)) } else { RowResult::Kept(count) })
    }

    /// Returns tokens with no more log-probabilities than were asked for; `None` where these are missing.
    fn as_asked(&self, line: LineTokens) -> Option<LineTokens> {
        let Some(count) = self.tokens.and_then(TokenDetail::logprobs) else { return Some(line) };
        let logprobs = line.logprobs?.cut_to(count);
        Some(LineTokens { logprobs: Some(logprobs), ..line })
    }

    fn is_written(&self, end: &End) -> bool {
        match &end.why {
            None => true,
            Some(LeftOut::Stopped { .. }) if self.is_gated => end.turns_answered() >= self.partial.min_turns.max(1),
            Some(_) => self.partial.keep && end.turns_answered() > 0,
        }
    }

    fn replay(&self, seed: &Seed) -> Result<End, JobError> {
        let mut replay = replay_in(self.store, self.recipe, seed)?;
        match replay.advance(answers_in(self.store))? {
            ReplayEnd::Done(Outcome::Complete(dialogue)) => Ok(End { dialogue, why: None }),
            ReplayEnd::Done(Outcome::Stopped { dialogue, turn, reason }) => {
                Ok(End { dialogue, why: Some(LeftOut::Stopped { turn, reason }) })
            }
            ReplayEnd::Open(_) => {
                let why = match status_of(self.store, self.recipe, seed)? {
                    Some(Status::Failed { turn, reason, permanent }) => {
                        LeftOut::Failed { turn: Some(turn), reason, permanent }
                    }
                    _ => LeftOut::NotAsked,
                };
                Ok(End { dialogue: self.recipe.so_far(seed, replay.answered()), why: Some(why) })
            }
        }
    }
}

/// How far a conversation has come, and why not further.
struct End {
    dialogue: Dialogue,
    why: Option<LeftOut>,
}

impl End {
    fn turns_answered(&self) -> u32 {
        self.dialogue.answer_count()
    }
}

/// Counts the messages that were looked at for references to replaced answers.
fn count_orphans(seed: &Seed, end: &End, quality: &mut QualityReport) {
    let cut_before = match &end.why {
        Some(LeftOut::Stopped { turn, reason: ConversationStop::OrphanReference }) => Some(*turn),
        _ => None,
    };
    quality.orphans.add(&end.dialogue, cut_before, |turn| {
        seed.turns.get(turn.index() as usize).and_then(Turn::last_user).map_or("", language_of)
    });
}

/// Flags answers that are the same for different users.
fn flag_boilerplate(dialogue: &mut Dialogue, boilerplate: &mut Boilerplate) {
    let mut user = None;
    for spoken in &mut dialogue.spoken {
        match spoken.message.role() {
            Role::User => user = Some(spoken.message.clone()),
            Role::Assistant if spoken.answer.is_some() && !spoken.message.is_tool_use() => {
                let asked = user.as_ref().map_or("", |user| user.content());
                if boilerplate.count(asked, spoken.message.content()) {
                    spoken.flags.push(Boilerplate::FLAG);
                }
            }
            _ => {}
        }
    }
}
