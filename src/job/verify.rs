use std::path::PathBuf;

use super::export::{ExportPass, PartialSettings};
use super::input::{Lookout, prepare};
use super::line_counts::LineCounts;
use super::questions::{DistillQuestions, known_details};
use super::settings::{InputSettings, OutputSettings};
use super::{Context, JobError, open_store};
use crate::export::{LeftOutKind, OutputFormat, is_directory};
use crate::store::shared::verify_shared;
use crate::store::{self, Damage, OnLoss, Verification};

/// The settings of `verify`.
#[derive(Debug)]
pub struct VerifySettings {
    /// The directory of the store.
    pub store: PathBuf,
    /// Removes damaged frames and rebuilds the index first. Default: no.
    pub repair: bool,
    /// The output to compare with input and store. Default: the store alone is verified.
    pub output: Option<VerifyOutput>,
}

/// An output to verify.
pub struct VerifyOutput {
    /// The rows that were distilled.
    pub input: InputSettings,
    /// What was asked.
    pub questions: DistillQuestions,
    /// The file.
    pub path: String,
    /// The format of its rows.
    pub format: &'static dyn OutputFormat,
    /// Which conversations were written that are not complete.
    pub partial: PartialSettings,
}

impl std::fmt::Debug for VerifyOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOutput").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The result of a verification.
#[derive(Debug)]
pub struct VerifyReport {
    /// What was removed from the journal before.
    pub repaired: Vec<Damage>,
    /// What was found in the store.
    pub store: Verification,
    /// What was found in the output.
    pub output: Option<OutputReport>,
}

impl VerifyReport {
    /// True where journal and index are without damage, and nothing is missing.
    pub fn is_sound(&self) -> bool {
        self.store.damages.is_empty() && self.store.disagreements.is_empty() && self.store.losses.is_empty()
    }
}

/// What was found in an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReport {
    /// Rows that it must have.
    pub rows: u64,
    /// Rows that are missing or differ.
    pub missing: u64,
    /// Rows that do not belong there.
    pub extra: u64,
    /// It ends in the middle of a row.
    pub is_truncated: bool,
    /// Its rows are in input order.
    pub is_in_order: bool,
    /// Rows of the input that are incomplete, as the run said.
    pub incomplete: u64,
    /// Those of them without an answer under these settings.
    pub unanswered: u64,
    /// Where there are any: how these settings differ from those of the store's last distillation, as name, value now, value
    /// then.
    pub unlike_last_run: Vec<(String, String, String)>,
}

impl OutputReport {
    /// True where the output is what input and store make of it.
    pub fn is_right(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.is_in_order && !self.is_truncated
    }
}

/// Verifies a store and, where one is named, an output. Sends no call.
pub fn verify(settings: &VerifySettings, context: &Context) -> Result<VerifyReport, JobError> {
    let path = &settings.store;
    if let Some(access) = &context.shared {
        if settings.repair {
            let hint = "restore what is damaged from a backup of the database";
            return Err(JobError::usage("--repair is for a store in a directory", hint));
        }
        let store = verify_shared(&*access.database)?;
        let output = settings.output.as_ref().map(|output| verify_output(output, path, context)).transpose()?;
        return Ok(VerifyReport { repaired: Vec::new(), store, output });
    }
    let mut repaired = Vec::new();
    if settings.repair {
        repaired = store::repair(path)?;
        // Opening it rebuilds the index.
        open_store::open(path, context)?.close()?;
    }
    let store = store::verify(path)?;
    let output = settings.output.as_ref();
    let output = output.map(|output| verify_output(output, path, context)).transpose()?;
    Ok(VerifyReport { repaired, store, output })
}

/// Writes the output once more beside the store and compares the two, line by line and whatever the order.
fn verify_output(output: &VerifyOutput, store: &std::path::Path, context: &Context) -> Result<OutputReport, JobError> {
    if is_directory(&output.path) {
        let hint = "write the rows as lines with `cohobate export -o FILE.jsonl` and verify those";
        return Err(JobError::usage("a directory of shards cannot be verified", hint));
    }
    let system = output.questions.system_text()?;
    let reader = open_store::open_reader(store, OnLoss::Refuse, context)?;
    let recipe = output.questions.recipe(system.as_deref(), &known_details(&*reader)?)?;
    let prepared = prepare(&output.input, store, &recipe, system.as_deref(), Lookout::default(), context)?;
    prepared.rows.read_ahead(&reader, &recipe);
    let expected = prepared.rows.spool().join("expected.jsonl").display().to_string();
    let again = OutputSettings { path: expected.clone(), format: output.format, license: None };
    let pass = ExportPass { questions: &output.questions, partial: output.partial, output: &again, inputs: &[] };
    let written = pass.write(&recipe, &*reader, &prepared)?;
    let mut lines = LineCounts::default();
    lines.add(&expected, 1)?;
    let order = lines.take_order();
    lines.add(&output.path, -1)?;
    Ok(OutputReport {
        rows: written.counts.written,
        missing: lines.missing(),
        extra: lines.extra(),
        is_truncated: lines.is_truncated(),
        is_in_order: order == lines.take_order(),
        incomplete: written.incomplete + written.invalid,
        unanswered: written.counts.of(LeftOutKind::Unanswered),
        unlike_last_run: written.unlike_last_run,
    })
}
