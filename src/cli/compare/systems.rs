use std::path::Path;
use std::sync::Arc;

use super::CompareArgs;
use crate::cli::CliError;
use crate::cli::model::{Found, find};
use crate::cli::options::Options;
use crate::conversation::{Digest, Message, Role, SYSTEMS_MAX};
use crate::recipe::System;
use crate::report::ComparedReport;

/// Somebody who is compared.
pub struct Entrant {
    pub name: String,
    who: Who,
}

enum Who {
    Model(Box<Found>),
    File(String),
}

/// Finds all systems, and the files of the conversations.
pub fn find_all(args: &CompareArgs, options: &Options) -> Result<(Vec<Entrant>, Vec<String>), CliError> {
    let mut named: Vec<(String, String)> = Vec::new();
    for model in args.a.iter().chain(&args.b) {
        named.push((short(model), model.clone()));
    }
    for file in &args.answers {
        let stem = Path::new(file).file_stem().map_or(file.clone(), |stem| stem.to_string_lossy().into_owned());
        named.push((stem, file.clone()));
    }
    for system in &args.system {
        let Some((name, who)) = system.split_once('=').filter(|(name, who)| !name.is_empty() && !who.is_empty()) else {
            return Err(CliError::usage(
                format!("--system {system} names no system"),
                "write --system NAME=MODEL or --system NAME=FILE",
            ));
        };
        named.push((name.to_owned(), who.to_owned()));
    }
    if named.len() < 2 || named.len() > SYSTEMS_MAX {
        return Err(CliError::usage(
            format!(
                "there {} to compare",
                match named.len() {
                    0 => "is nothing".to_owned(),
                    1 => "is only one system".to_owned(),
                    count => format!("are {count} systems, more than {SYSTEMS_MAX},"),
                }
            ),
            "write --a MODEL --b MODEL, --answers A B, or --system NAME=MODEL|FILE twice or more",
        ));
    }
    if let [(first, _), (second, _)] = &mut named[..]
        && first == second
    {
        first.push_str(" (a)");
        second.push_str(" (b)");
    }
    for (at, (name, _)) in named.iter().enumerate() {
        if named[..at].iter().any(|(other, _)| other == name) {
            return Err(CliError::usage(
                format!("two systems are called `{name}`"),
                "give them names with --system NAME=…",
            ));
        }
    }
    let inputs =
        if args.input.is_empty() { args.answers.first().cloned().into_iter().collect() } else { args.input.clone() };
    if inputs.is_empty() {
        return Err(CliError::usage("no input is named", "name the conversations that are to be answered"));
    }
    let entrants = named.into_iter().map(|(name, who)| {
        let who = if Path::new(&who).is_file() || args.answers.contains(&who) {
            Who::File(who)
        } else {
            Who::Model(Box::new(find(&who, options, options.sampling())?))
        };
        Ok(Entrant { name, who })
    });
    Ok((entrants.collect::<Result<_, CliError>>()?, inputs))
}

/// Returns a model's name without its address.
fn short(model: &str) -> String {
    let end = ["@http://", "@https://"].iter().filter_map(|separator| model.find(separator)).min();
    model[..end.unwrap_or(model.len())].to_owned()
}

impl Entrant {
    /// Returns the model, where it is one.
    pub fn model(&self) -> Option<&Found> {
        match &self.who {
            Who::Model(found) => Some(found),
            Who::File(_) => None,
        }
    }

    /// Returns the file of its answers, where these are there already.
    pub fn file(&self) -> Option<&str> {
        match &self.who {
            Who::Model(_) => None,
            Who::File(path) => Some(path),
        }
    }

    /// Returns what the recipe needs.
    pub fn system(&self, options: &Options) -> Result<System, CliError> {
        let text = self.system_text(options)?;
        Ok(System {
            name: self.name.clone(),
            target: self.model().map(|found| Arc::clone(&found.target)),
            system: text.map(|text| Message::new(Role::System, text)),
        })
    }

    /// Returns what is known of it beforehand.
    pub fn report(&self, options: &Options) -> Result<ComparedReport, CliError> {
        let text = self.system_text(options)?;
        Ok(ComparedReport {
            name: self.name.clone(),
            model: self.model().map(|found| found.target.model().to_owned()),
            from: match &self.who {
                Who::Model(found) => found.hosts().into_iter().map(str::to_owned).collect(),
                Who::File(path) => vec![path.clone()],
            },
            system_prompt: text.map(|text| Digest::of_text("cohobate system 1", &text).to_string()),
            sampling: self.model().map(|found| found.target.sampling().to_string()),
            ..ComparedReport::default()
        })
    }

    fn system_text(&self, options: &Options) -> Result<Option<String>, CliError> {
        self.model().map_or(Ok(None), |found| found.own_system_text(options))
    }
}
