use std::fmt;

use super::super::fault::Fault;
use super::splits::Splits;

/// Names that are listed in a message; of further ones only the number is.
const NAMES_MAX: usize = 8;
const CHOOSE: &str = "choose one of them with --split NAME";

/// What is read of a directory, where something in it is not read. `Display` gives the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryNote {
    /// The directory.
    pub directory: String,
    /// The split that is read; none where the directory has no splits.
    pub split: Option<String>,
    /// Splits that are not read.
    pub splits_unread: Vec<String>,
    /// Configurations of the dataset card that are not read.
    pub configurations_unread: Vec<String>,
    /// Patterns of the dataset card that no file matches.
    pub patterns_unmatched: Vec<String>,
    /// Files that are not read because they belong to no split, or are archives.
    pub files_unread: Vec<String>,
}

/// Returns the files of the split that is read, and what people should know about the choice.
///
/// It is `wanted`, or else `train`, or else the only one whose name begins with `train`. Any other split has to be asked
/// for by name, so that nobody trains on what was held back for tests.
pub fn choose(
    directory: &str,
    splits: Splits,
    archives: &[String],
    wanted: Option<&str>,
) -> Result<(Vec<String>, Option<DirectoryNote>), Fault> {
    let names: Vec<&str> = splits.named.iter().map(|(name, _)| name.as_str()).collect();
    let name = chosen_name(&names, &splits, wanted)?;
    let files =
        splits.named.iter().find(|(split, _)| *split == name).map(|(_, files)| files.clone()).unwrap_or_default();
    if files.is_empty() {
        let hint = "complete the download of the directory, or choose another split with --split NAME";
        return Err(Fault::new(format!("the split {name} has no file in it"), hint));
    }
    let split = splits.is_explicit.then(|| name.clone());
    let splits_unread = names.iter().filter(|other| **other != name).map(|other| (*other).to_owned()).collect();
    let files_unread = splits.unassigned.iter().chain(archives).cloned().collect();
    let note = DirectoryNote {
        directory: directory.to_owned(),
        split,
        splits_unread,
        configurations_unread: splits.configurations_unread,
        patterns_unmatched: splits.patterns_unmatched,
        files_unread,
    };
    Ok((files, note.is_worth_telling().then_some(note)))
}

fn chosen_name(names: &[&str], splits: &Splits, wanted: Option<&str>) -> Result<String, Fault> {
    let list = || {
        if splits.is_explicit {
            format!("its splits are {}", named(names))
        } else {
            "all of it is the split train".to_owned()
        }
    };
    if let Some(wanted) = wanted {
        return match names.iter().find(|name| **name == wanted) {
            Some(name) => Ok((*name).to_owned()),
            None => Err(Fault::new(format!("it has no split {wanted}; {}", list()), CHOOSE)),
        };
    }
    if names.contains(&"train") {
        return Ok("train".to_owned());
    }
    let mut candidates = names.iter().filter(|name| name.starts_with("train"));
    match (candidates.next(), candidates.next()) {
        _ if splits.is_single => Ok(names.first().map(|name| (*name).to_owned()).unwrap_or_default()),
        (Some(name), None) => Ok((*name).to_owned()),
        _ => Err(Fault::new(format!("it has no split train; {}", list()), CHOOSE)),
    }
}

impl DirectoryNote {
    fn is_worth_telling(&self) -> bool {
        let Self { splits_unread, configurations_unread, patterns_unmatched, files_unread, .. } = self;
        let unread = [splits_unread, configurations_unread, patterns_unmatched, files_unread];
        self.split.as_ref().is_some_and(|split| split != "train") || unread.iter().any(|names| !names.is_empty())
    }
}

impl fmt::Display for DirectoryNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, split, splits_unread, configurations_unread, patterns_unmatched, files_unread } = self;
        write!(f, "{directory}: ")?;
        let mut parts = Vec::new();
        match split.as_deref() {
            Some("train") => parts.push("the split train is read".to_owned()),
            Some(split) => parts.push(format!("the split {split} is read")),
            None => {}
        }
        if !splits_unread.is_empty() {
            parts.push(format!("not read: {} (--split NAME reads another split)", named(splits_unread)));
        }
        if !configurations_unread.is_empty() {
            parts.push(format!("configurations that are not read: {}", named(configurations_unread)));
        }
        if !patterns_unmatched.is_empty() {
            parts.push(format!("patterns of README.md that no file matches: {}", named(patterns_unmatched)));
        }
        if !files_unread.is_empty() {
            parts.push(format!("files that are not read: {}", named(files_unread)));
        }
        f.write_str(&parts.join("; "))
    }
}

fn named(names: &[impl AsRef<str>]) -> String {
    let mut words: Vec<String> = names.iter().take(NAMES_MAX).map(|name| name.as_ref().to_owned()).collect();
    if names.len() > NAMES_MAX {
        words.push(format!("and {} more", names.len() - NAMES_MAX));
    }
    words.join(", ")
}
