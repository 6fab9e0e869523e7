//! Limits that a person has set during a run and that hold for later runs, in a file of the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::verb::SetLimits;
use crate::files;
use crate::job::JobError;
use crate::job::settings::RunSettings;
use crate::report::words::money;

/// The limits that hold for later runs. A run takes the lower of each and of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KeptLimits {
    /// Calls in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Requests a minute of each model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// Dollars, earlier runs of the store included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<f64>,
}

impl KeptLimits {
    /// Reads the limits of a store. A file that cannot be read is an error: nobody knows which cap it holds.
    pub fn read(store: &Path) -> Result<Self, JobError> {
        let path = path(store);
        let fault = |reason: &dyn std::fmt::Display| {
            let message = format!("the limits that were set with `cohobate ctl set` cannot be read: {reason}");
            JobError::storage(message, format!("delete {}, and set them again", path.display()))
        };
        match fs::read(&path) {
            // Without a store there are no limits; whoever opens it says what is wrong with its place.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(error) => Err(fault(&error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| fault(&error)),
        }
    }

    /// Writes the limits of a store durably.
    pub fn write(&self, store: &Path) -> Result<(), JobError> {
        let path = path(store);
        let written = if *self == Self::default() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => files::sync_directory(store),
            }
        } else {
            files::replace_file(&path, &serde_json::to_vec(self)?)
        };
        written.map_err(|error| {
            let message = format!("the limits cannot be kept for later runs in {}: {error}", path.display());
            JobError::storage(message, "free some space for the store, and set them again")
        })
    }

    /// Returns these limits with what was set.
    #[must_use]
    pub fn with(mut self, set: &SetLimits) -> Self {
        self.concurrency = set.concurrency.unwrap_or(self.concurrency);
        self.rpm = set.rpm.unwrap_or(self.rpm);
        self.max_cost = set.max_cost.unwrap_or(self.max_cost);
        self
    }

    /// Lowers the settings of a run to these limits. Returns what was lowered, in words.
    pub fn lower(&self, settings: &mut RunSettings) -> Vec<String> {
        let mut lowered = Vec::new();
        if lowers(&mut settings.pace.concurrency, self.concurrency) {
            lowered.extend(self.concurrency.map(|calls| format!("concurrency is {calls}")));
        }
        if lowers(&mut settings.pace.requests_per_minute, self.rpm) {
            lowered.extend(self.rpm.map(|rpm| format!("rpm is {rpm}")));
        }
        if lowers(&mut settings.max_cost, self.max_cost) {
            lowered.extend(self.max_cost.map(|cost| format!("max-cost is {}", money(cost))));
        }
        lowered
    }
}

/// Takes the lower of a run's own limit and a kept one. True where that is the kept one.
fn lowers<T: PartialOrd>(own: &mut Option<T>, kept: Option<T>) -> bool {
    let is_lower = kept.as_ref().is_some_and(|kept| own.as_ref().is_none_or(|own| kept < own));
    if is_lower {
        *own = kept;
    }
    is_lower
}

fn path(store: &Path) -> PathBuf {
    store.join("limits.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_until_they_are_set_again_and_only_lower() {
        let place = tempfile::tempdir().unwrap();
        let set = |words: &[&str]| {
            let set = SetLimits::parse(words).unwrap();
            KeptLimits::read(place.path()).unwrap().with(&set).write(place.path()).unwrap();
            KeptLimits::read(place.path()).unwrap()
        };
        assert_eq!(KeptLimits::read(place.path()).unwrap(), KeptLimits::default());
        set(&["max-cost=5", "concurrency=4"]);
        let kept = set(&["rpm=60", "concurrency=8"]);
        assert_eq!(kept, KeptLimits { concurrency: Some(8), rpm: Some(60), max_cost: Some(5.0) });
        let mut settings = RunSettings { max_cost: Some(2.0), ..RunSettings::default() };
        settings.pace.concurrency = Some(64);
        assert_eq!(kept.lower(&mut settings), ["concurrency is 8", "rpm is 60"]);
        assert_eq!((settings.pace.concurrency, settings.max_cost), (Some(8), Some(2.0)));
        set(&["max-cost=none", "concurrency=auto", "rpm=none"]);
        assert!(!path(place.path()).exists());
        for damaged in ["", "{\"max-cost\": \"much\"}", "{\"speed\": 1}"] {
            fs::write(path(place.path()), damaged).unwrap();
            let error = KeptLimits::read(place.path()).unwrap_err();
            assert!(error.hint.unwrap().starts_with("delete "), "{damaged}");
        }
    }
}
