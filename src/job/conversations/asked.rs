use std::path::PathBuf;

use crate::files::path_of;
use crate::job::compare::CompareSettings;
use crate::job::evaluate::EvaluateSettings;
use crate::job::questions::DistillQuestions;
use crate::job::settings::InputSettings;
use crate::job::simulate::SimulateSettings;
use crate::job::tutor::TutorSettings;

/// What was asked of which rows, as far as that is known.
pub enum Asked {
    /// It is known.
    Known {
        /// The job that asked.
        job: Box<AskedJob>,
        /// What is different from when the job read its inputs, such as a file that was changed.
        cautions: Vec<String>,
    },
    /// It is not known, for this reason: the store is shown without rows.
    Unknown(String),
}

/// A job that has asked, with its settings: the same values make the same questions.
pub enum AskedJob {
    /// `distill`.
    Distill {
        /// The rows.
        input: Box<InputSettings>,
        /// The questions.
        questions: Box<DistillQuestions>,
    },
    /// `evaluate`.
    Evaluate(Box<EvaluateSettings>),
    /// `compare`.
    Compare(Box<CompareSettings>),
    /// `simulate`.
    Simulate(Box<SimulateSettings>),
    /// `tutor`.
    Tutor(Box<TutorSettings>),
}

impl Asked {
    /// Returns the directory of a comparison, where its verdicts and answers go.
    pub fn comparison(&self) -> Option<PathBuf> {
        match self {
            Self::Known { job, .. } => match &**job {
                AskedJob::Compare(settings) => Some(path_of(&settings.directory).into_owned()),
                _ => None,
            },
            Self::Unknown(_) => None,
        }
    }
}

impl AskedJob {
    /// Returns its inputs.
    pub(super) fn input(&self) -> &InputSettings {
        match self {
            Self::Distill { input, .. } => input,
            Self::Evaluate(settings) => &settings.input,
            Self::Compare(settings) => &settings.input,
            Self::Simulate(settings) => &settings.input,
            Self::Tutor(settings) => &settings.input,
        }
    }
}
