use std::path::Path;
use std::sync::Arc;

use crate::conversation::{Digest, Message, Role, SYSTEMS_MAX};
use crate::job::JobError;
use crate::job::models::ModelChoice;
use crate::recipe::System;
use crate::report::{ComparedReport, Party};

/// A system that is compared.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// Its name in reports.
    pub name: String,
    /// Where its answers come from.
    pub from: AnswersFrom,
}

/// Where the answers of a system come from.
#[derive(Clone, Debug)]
pub enum AnswersFrom {
    /// A model that is asked.
    Model(Box<ModelChoice>),
    /// A file of answers that exists already.
    File(String),
}

/// Refuses too few or too many systems, and two with the same name.
pub fn check(entrants: &[Entrant]) -> Result<(), JobError> {
    let hint = "write --a MODEL --b MODEL, --answers A B, or --system NAME=MODEL|FILE twice or more";
    let fault = match entrants.len() {
        0 => "there is nothing to compare".to_owned(),
        1 => "there is only one system to compare".to_owned(),
        count if count > SYSTEMS_MAX => format!("there are {count} systems to compare, more than {SYSTEMS_MAX}"),
        _ => String::new(),
    };
    if !fault.is_empty() {
        return Err(JobError::usage(fault, hint));
    }
    for (at, Entrant { name, .. }) in entrants.iter().enumerate() {
        if entrants[..at].iter().any(|other| other.name == *name) {
            let message = format!("two systems are called `{name}`");
            return Err(JobError::usage(message, "give them names with --system NAME=…"));
        }
    }
    Ok(())
}

impl Entrant {
    /// Returns it as it is shown: a model, or a file of answers.
    pub fn party(&self) -> Party {
        let role = format!("system {}", self.name);
        match &self.from {
            AnswersFrom::Model(model) => model.party(role),
            AnswersFrom::File(path) => Party { role, model: "answers".to_owned(), addresses: vec![path.clone()] },
        }
    }

    /// Returns the model, where it is one.
    pub fn model(&self) -> Option<&ModelChoice> {
        match &self.from {
            AnswersFrom::Model(model) => Some(model),
            AnswersFrom::File(_) => None,
        }
    }

    /// Returns the file of its answers, where they exist already.
    pub fn file(&self) -> Option<&str> {
        match &self.from {
            AnswersFrom::Model(_) => None,
            AnswersFrom::File(path) => Some(path),
        }
    }

    /// Returns what the recipe needs. `system` is the run's system message.
    pub fn system(&self, system: Option<&str>) -> Result<System, JobError> {
        let text = self.model().map_or(Ok(None), |model| model.own_system_text(system))?;
        Ok(System {
            name: self.name.clone(),
            target: self.model().map(|model| Arc::clone(&model.target)),
            system: text.map(|text| Message::new(Role::System, text)),
        })
    }

    /// Returns what is known before a run of the entrant that became `system`.
    pub fn report(&self, system: &System) -> ComparedReport {
        let text = system.system.as_ref().map(|message| message.content());
        ComparedReport {
            name: self.name.clone(),
            model: self.model().map(|model| model.target.model().to_owned()),
            from: match &self.from {
                AnswersFrom::Model(model) => model.hosts().into_iter().map(str::to_owned).collect(),
                AnswersFrom::File(path) => vec![path.clone()],
            },
            system_prompt: text.map(|text| Digest::of_text("cohobate system 1", text).to_string()),
            sampling: self.model().map(|model| model.target.parameters()),
            ..ComparedReport::default()
        }
    }
}

/// Returns a name for the answers in a file.
pub fn name_of_file(file: &str) -> String {
    Path::new(file).file_stem().map_or(file.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
