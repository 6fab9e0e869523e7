//! The patterns of a dataset card, matched as `datasets` does.

use std::collections::BTreeSet;

use glob::MatchOptions;

use super::super::fault::Fault;
use super::listing::Listing;
use super::splits::Splits;

/// A pattern of a card: a path inside the directory, with wildcards.
#[derive(Clone, Debug)]
pub struct CardPattern {
    text: String,
    pattern: glob::Pattern,
}

/// The patterns of each split, in order.
pub type DataFiles = Vec<(String, Vec<CardPattern>)>;

/// A star does not match a slash.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl CardPattern {
    /// Reads a pattern. Fails for one that leads out of the directory.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let inside = text.trim_start_matches("./").to_owned();
        let refused = |why: &str| {
            let hint = "correct the card, or name the files instead of the directory";
            Fault::new(format!("its README.md lists {text}, {why}"), hint)
        };
        if text.contains("://") {
            return Err(refused("which is not in the directory"));
        }
        if text.starts_with('/') || text.split('/').any(|part| part == "..") {
            return Err(refused("which leads out of the directory"));
        }
        let pattern =
            glob::Pattern::new(&inside).map_err(|error| refused(&format!("which is no valid pattern: {error}")))?;
        Ok(Self { text: inside, pattern })
    }

    /// True where it names something hidden.
    pub fn is_hidden(&self) -> bool {
        count(&self.text, is_hidden) > 0
    }

    fn has_wildcard(&self) -> bool {
        self.text.contains(['*', '?', '['])
    }

    /// Files and folders that begin with `.` and folders that begin with `__` match where the pattern names as many.
    fn matches(&self, file: &str) -> bool {
        self.pattern.matches_with(file, OPTIONS)
            && count(file, is_hidden) == count(&self.text, is_hidden)
            && count(folders(file), is_special) == count(folders(&self.text), is_special)
    }

    /// Returns the files that match. A file without a known ending is taken only where its whole name is given. A name
    /// without wildcards has to be there.
    fn files(&self, listing: &Listing) -> Result<Vec<String>, Fault> {
        if !self.has_wildcard() {
            let mut all = listing.files.iter().chain(&listing.others).chain(&listing.unreadable);
            return match all.find(|file| **file == self.text) {
                Some(file) => Ok(vec![file.clone()]),
                None => Err(self.unmatched()),
            };
        }
        Ok(listing.files.iter().filter(|file| self.matches(file)).cloned().collect())
    }

    fn unmatched(&self) -> Fault {
        let hint = "complete the download of the directory, or name the files instead of it";
        Fault::new(format!("its README.md lists {}, and no file matches", self.text), hint)
    }
}

/// Returns the splits that a card lists. A split of which a file is missing has no files.
pub fn splits(data_files: &DataFiles, listing: &Listing) -> Result<Splits, Fault> {
    let (mut named, mut first_fault, mut unmatched) = (Vec::new(), None, Vec::new());
    for (split, patterns) in data_files {
        let mut files: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for pattern in patterns {
            match pattern.files(listing) {
                Ok(found) if found.is_empty() => unmatched.push(pattern.text.clone()),
                Ok(found) => files.extend(found.into_iter().filter(|file| seen.insert(file.clone()))),
                // Files of another split need not be there.
                Err(fault) => {
                    files.clear();
                    first_fault.get_or_insert((split, fault));
                    break;
                }
            }
        }
        if files.is_empty() && first_fault.is_none() {
            first_fault = patterns.first().map(|pattern| (split, pattern.unmatched()));
        }
        named.push((split.clone(), files));
    }
    match first_fault {
        Some((split, fault)) if split == "train" || named.iter().all(|(_, files)| files.is_empty()) => Err(fault),
        _ => Ok(Splits { patterns_unmatched: unmatched, ..Splits::explicit(named, &listing.files) }),
    }
}

/// True for a file in a folder whose name begins with `__`, which no pattern has but one that names it.
pub fn is_in_special_folder(file: &str) -> bool {
    count(folders(file), is_special) > 0
}

fn count(path: &str, is_counted: fn(&str) -> bool) -> usize {
    path.split('/').filter(|part| is_counted(part)).count()
}

fn folders(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folders, _)| folders)
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') && part.bytes().any(|byte| byte != b'.')
}

fn is_special(part: &str) -> bool {
    part.starts_with("__")
}
