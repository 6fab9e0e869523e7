//! `tutor`: a student answers, the teacher grades and corrects. `passes` says what is asked of whom, `lessons` and `files`
//! write what is learned, `planning` says what all of it would cost.

mod asking;
mod files;
mod lessons;
mod passes;
mod planning;

pub use files::{SFT_FORMATS, sft_format};
pub use lessons::TutoredWritten;
pub use planning::plan_tutor;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use asking::PassRuns;
use lessons::TutoredRows;
use passes::Parties;

use super::engine::Engine;
use super::input::{Lookout, prepare};
use super::judge::JudgeSettings;
use super::left_out::LeftOut;
use super::models::{JUDGMENT_TOKENS, ModelChoice};
use super::places::{check_directory, check_output};
use super::reports::write_reports_in;
use super::settings::{InputSettings, RunSettings};
use super::{Context, JobError, JobEvent};
use crate::conversation::Sampling;
use crate::export::OutputFormat;
use crate::files::path_of;
use crate::quality::{Gate, RulesVersion};
use crate::recipe::{History, Tutor};
use crate::report::{Totals, tutoring_page};
use crate::worker::RunStop;

/// The settings of `tutor`.
pub struct TutorSettings {
    /// The conversations or prompts.
    pub input: InputSettings,
    /// The directory of the store.
    pub store: PathBuf,
    /// Where the files go; those of rounds before the last go into `round-1`, `round-2` below it.
    pub directory: String,
    /// The format of `sft.jsonl`, one of [`SFT_FORMATS`].
    pub format: &'static dyn OutputFormat,
    /// Who learns, one for each round; the last one for all further rounds.
    pub students: Vec<ModelChoice>,
    /// Who corrects.
    pub teacher: ModelChoice,
    /// Who grades: the teacher's model with a judge's sampling. See [`grader`].
    pub grader: ModelChoice,
    /// Who compares answers and corrections. Default: the grader.
    pub judge: Option<ModelChoice>,
    /// A file with a minijinja template that replaces the judge's standard prompt.
    pub prompt: Option<PathBuf>,
    /// Verdicts on the same pair. Default: 1.
    pub repeats: u32,
    /// The system message in place of the rows' own: text, or `@FILE`.
    pub system: Option<String>,
    /// Whose answers conversations continue with. Rows are written for the first; the others are led for scores alone.
    pub histories: Vec<History>,
    /// How often the student is asked. Default: once for each student.
    pub rounds: Option<u32>,
    /// Judges each answer. Default: the standard gate.
    pub gate: Option<Gate>,
    /// One version of the prompts for every conversation, that of the gate's rules. Default: the version under which a
    /// conversation was begun.
    pub version: Option<RulesVersion>,
    /// How fast and how long.
    pub run: RunSettings,
}

/// The result of tutoring.
#[derive(Debug)]
pub struct TutorReport {
    /// Answers that the runs paid for.
    pub answered: u64,
    /// Answers that were in the store, or shared.
    pub reused: u64,
    /// How long the runs took.
    pub elapsed: Duration,
    /// Why a run stopped before its end, where one did.
    pub stopped: Option<RunStop>,
    /// What was written; nothing where a run was stopped for another reason than a cap.
    pub written: Option<TutoredWritten>,
    /// Conversations, and turns to be answered in one pass.
    pub totals: Totals,
    /// Rows that reading rules left out, and invalid rows, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Invalid rows.
    pub invalid: u64,
}

/// The names of the files that `tutor` writes begin so.
const OURS: [&str; 8] = ["sft.", "dpo.", "kto.", "critique.", "hard.", "turns.", "report.", "incomplete."];

/// Has a student answer, and a teacher grade and correct it.
pub async fn tutor(settings: &TutorSettings, context: &Context) -> Result<TutorReport, JobError> {
    let TutorSettings { input, store, directory, run, .. } = settings;
    let parties = settings.parties();
    let system = settings.system_text()?;
    let passes = settings.passes(&parties, system.as_deref())?;
    let rounds = passes.len() as u32 / settings.histories.len().max(1) as u32;
    let inputs = input.names();
    for place in places(directory, rounds) {
        check_directory(&place, &inputs, &OURS)?;
    }
    check_output(&format!("{directory}/sft.jsonl"), &inputs)?;
    let mut engine = Engine::open(store, &parties.all(), run, context)?;
    let lookout = Lookout::back(engine.directory(), &*engine.store);
    let prepared = prepare(input, engine.directory(), &*passes[0].recipe, system.as_deref(), lookout, context)?;
    engine.announce(parties.shown(), prepared.rows_read(), format!("{directory}/"));
    let mut runs = PassRuns::new(&engine, &prepared, &passes, context);
    let mut stopped = runs.run_all().await?;
    let (answered, reused, elapsed) = runs.sums();
    if stopped.is_none() {
        stopped = engine.written_elsewhere(directory)?;
    }
    let written = LeftOut::of_run(stopped.as_ref()).map(|stop| {
        let rows =
            TutoredRows { rows: &prepared.rows, passes: &passes, parties: &parties, store: &*engine.store, stop };
        rows.write(directory, settings.format, parties.report(&passes))
    });
    let written = written.transpose()?;
    if let Some(written) = &written {
        write_reports_in(directory, &written.report, &tutoring_page(&written.report))?;
        report_earlier_rounds(directory, rounds, context);
    }
    engine.close()?;
    let (totals, left_out, invalid) = (prepared.totals, prepared.left_out(), prepared.invalid());
    Ok(TutorReport { answered, reused, elapsed, stopped, written, totals, left_out, invalid })
}

fn report_earlier_rounds(directory: &str, rounds: u32, context: &Context) {
    let next = format!("{directory}/round-{rounds}");
    if path_of(&next).exists() {
        let text = format!("{next} and any later round were written by an earlier run; they are left as they are");
        context.report(JobEvent::PartDone(text));
    }
}

impl TutorSettings {
    /// Returns the system message that goes before every conversation.
    pub(super) fn system_text(&self) -> Result<Option<String>, JobError> {
        self.parties().system_text(self.system.as_deref())
    }

    /// Returns the recipe of each pass with its name.
    pub(super) fn recipes(&self, system: Option<&str>) -> Result<Vec<(String, Arc<Tutor>)>, JobError> {
        let passes = self.passes(&self.parties(), system)?;
        Ok(passes.into_iter().map(|pass| (pass.name(), pass.recipe)).collect())
    }

    fn parties(&self) -> Parties<'_> {
        let Self { students, teacher, grader, judge, .. } = self;
        Parties { students, teacher, grader, judge: judge.as_ref() }
    }

    /// How the judge is asked.
    fn judge_settings(&self) -> JudgeSettings {
        let model = self.judge.as_ref().unwrap_or(&self.grader).clone();
        JudgeSettings { model, prompt: self.prompt.clone(), version: self.version, repeats: self.repeats }
    }
}

/// Returns the teacher as a grader. A teacher without a limit on its tokens grades without one; another has at least the
/// room that a grade takes.
pub fn grader(teacher: &ModelChoice, mut sober: ModelChoice) -> ModelChoice {
    let tokens = teacher.target.sampling().max_tokens.map(|tokens| tokens.max(JUDGMENT_TOKENS));
    let sampling = Sampling { max_tokens: tokens, ..sober.target.sampling().clone() };
    sober.target = sober.target.with_sampling(sampling);
    sober
}

/// Returns the directories of all rounds, the last one's first.
fn places(directory: &str, rounds: u32) -> impl Iterator<Item = String> {
    let earlier = (1..rounds).map(move |round| format!("{directory}/round-{round}"));
    [directory.to_owned()].into_iter().chain(earlier)
}
