use std::collections::BTreeMap;

use super::input::{RecordStream, no_rows};
use super::left_out_list::{LeftOutList, Listed};
use super::output::RowOutput;
use super::places;
use super::rows::{RowCounts, each};
use super::settings::{InputSettings, OutputSettings};
use super::{Context, JobError};
use crate::export::{self, ColumnKind, OutputFormat};

/// The settings of `convert`.
pub struct ConvertSettings {
    /// The rows.
    pub input: InputSettings,
    /// Where they go, and in which format.
    pub output: OutputSettings,
    /// Rows without an answer are written too, as prompts. Default: they are left out.
    pub keep_unanswered: bool,
}

/// The result of a conversion.
#[derive(Debug)]
pub struct ConvertReport {
    /// Rows that were written and left out, by reason.
    pub counts: RowCounts,
    /// Answers whose reasoning the format has no place for.
    pub reasoning_lost: u64,
    /// What was done to read the rows, by rule.
    pub changed: BTreeMap<String, u64>,
    /// The list of rows that were left out.
    pub listed: Option<Listed>,
}

/// Rewrites rows in another format. Uses no model and no store. Fails where no row fits.
pub fn convert(settings: &ConvertSettings, context: &Context) -> Result<ConvertReport, JobError> {
    let ConvertSettings { input, output, keep_unanswered } = settings;
    if *keep_unanswered && !output.format.holds_prompts() {
        let holding = export::FORMATS.iter().filter(|format| format.holds_prompts()).map(|format| format.name());
        let holding = holding.collect::<Vec<_>>().join(", ");
        let message = format!("--keep-unanswered: {} has no rows without an answer", output.format.name());
        return Err(JobError::usage(message, format!("choose --to {holding}")));
    }
    places::refuse_tokens(output.format)?;
    let inputs = input.names();
    places::check(output, &inputs)?;
    let rows = RecordStream::open(input, context)?;
    let mut written = RowOutput::create(output, &inputs)?.keeping_unanswered(*keep_unanswered);
    let mut lists = [LeftOutList::beside(&output.path)];
    let (mut reasoning_lost, keeps_reasoning) = (0, holds_reasoning(output.format));
    let counts = each(&rows, &mut lists, |_, record| {
        if !keeps_reasoning {
            reasoning_lost += record.lines.iter().filter(|line| line.reasoning.is_some()).count() as u64;
        }
        written.write(record)
    })?;
    let [list] = lists;
    let listed = list.finish()?;
    if counts.written == 0 {
        return Err(no_rows(&input.shown(), &counts.reasons_of_all()));
    }
    written.finish(counts.written)?;
    Ok(ConvertReport { counts, reasoning_lost, changed: rows.changed(), listed })
}

fn holds_reasoning(format: &dyn OutputFormat) -> bool {
    format.columns().iter().any(|column| match column.kind {
        ColumnKind::Messages(fields) => fields.iter().any(|(name, _)| *name == "reasoning_content"),
        _ => false,
    })
}
