use std::path::PathBuf;
use std::sync::Arc;

use super::JobError;
use super::models::ModelChoice;
use crate::quality::RulesVersion;
use crate::recipe::{Judge, Prompt, Scale};

/// Who judges, and how.
#[derive(Clone, Debug)]
pub struct JudgeSettings {
    /// The judge.
    pub model: ModelChoice,
    /// A file with a minijinja template that replaces the standard prompt.
    pub prompt: Option<PathBuf>,
    /// One version of the prompts for every conversation. Default: the version under which a conversation was begun.
    pub version: Option<RulesVersion>,
    /// Verdicts on the same answer, 1 to [`JudgeSettings::REPEATS_MAX`]. Default: 1.
    pub repeats: u32,
}

impl JudgeSettings {
    /// Most verdicts on the same answer.
    pub const REPEATS_MAX: u32 = 64;

    /// Makes the judge.
    pub fn judge(&self, scale: Scale) -> Result<Judge, JobError> {
        let prompt = match &self.prompt {
            None => Prompt::standard(scale),
            Some(path) if self.model.structured == Some(true) => own_prompt(path, scale)?.structured(),
            Some(path) => own_prompt(path, scale)?,
        };
        let prompt = match self.version {
            Some(version) => prompt.of_version(version),
            None => prompt,
        };
        let repeats = self.repeats;
        if !(1..=Self::REPEATS_MAX).contains(&repeats) {
            let hint = format!("give it a number from 1 to {}", Self::REPEATS_MAX);
            return Err(JobError::usage(format!("--repeats is {repeats}"), hint));
        }
        Ok(Judge { target: Arc::clone(&self.model.target), prompt, repeats })
    }
}

fn own_prompt(path: &PathBuf, scale: Scale) -> Result<Prompt, JobError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        JobError::usage(format!("cannot read the prompt {shown}: {error}"), "name a file that exists with --prompt")
    })?;
    Prompt::new(scale, text).map_err(|error| {
        JobError::usage(
            format!("cannot use the prompt {shown}: {error}"),
            "it is a minijinja template with {{ conversation }} (or {{ conversation_a }} and {{ conversation_b }}), and asks \
             the judge to end with its verdict in double square brackets",
        )
    })
}
