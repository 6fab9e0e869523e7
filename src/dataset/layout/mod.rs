//! Resolves input names to files: directories as `datasets` lays them out, and patterns.
//!
//! A directory is read as what it says of itself: the files of `save_to_disk` (`saved`), the dataset card (`card`), or
//! the names of its files and folders (`naming`). Each of them gives splits, of which one is read (`choice`). `listing`
//! is the only part that reads directories.

mod card;
mod choice;
mod listing;
mod matching;
mod naming;
mod pattern;
mod remote;
mod saved;
mod splits;

use std::path::Path;

use super::fault::Fault;
use super::input::InputError;
use crate::files::{name_of, path_of};
use card::Card;
use choice::choose;
use listing::Listing;
use matching::matching_files;
use pattern::{CardPattern, is_in_special_folder};
use splits::Splits;

pub use card::common_license;
pub use choice::DirectoryNote;
pub use remote::{RemoteFiles, describes_layout};

/// The files of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFiles {
    /// Their names, in the order in which they are read.
    pub files: Vec<String>,
    /// What is read of a directory and what is not, where people should know.
    pub note: Option<DirectoryNote>,
}

/// Returns the files that `name` refers to, in a fixed order. A plain file name refers to itself. Of a directory one
/// split is read: `split`, or else `train`.
pub fn input_files(name: &str, split: Option<&str>) -> Result<InputFiles, InputError> {
    let path = &*path_of(name);
    let fault = |fault: Fault| InputError::of(fault, name);
    if path.is_dir() {
        return files_of_directory(path, split).map_err(fault);
    }
    let files = if is_pattern(name) {
        let files = matching_files(name).map_err(|reason| fault(Fault::new(reason, Fault::NAME_FILES)))?;
        if files.is_empty() {
            return Err(fault(Fault::new("no file matches it", Fault::NAME_FILES)));
        }
        files.iter().map(name_of).collect()
    } else {
        vec![name.to_owned()]
    };
    Ok(InputFiles { files, note: None })
}

/// Returns every file that an input could refer to, whatever the split. What cannot be found is left out.
pub fn possible_files(name: &str) -> Vec<String> {
    let path = &*path_of(name);
    if path.is_dir() {
        let listing = Listing::of(path, false).unwrap_or_default();
        return listing.files.iter().map(|file| name_of(path.join(path_of(file)))).collect();
    }
    input_files(name, None).map(|input| input.files).unwrap_or_default()
}

fn files_of_directory(directory: &Path, wanted: Option<&str>) -> Result<InputFiles, Fault> {
    let list = |inside: &str, with_hidden: bool| Listing::of(&directory.join(inside), with_hidden);
    let (splits, listing) = splits_of(directory, None, list)?;
    let (inside, note) = choose(&name_of(directory), splits, &listing.unreadable, wanted)?;
    if let Some(file) = inside.iter().find(|file| !directory.join(path_of(file)).is_file()) {
        let reason = format!("{file} is not a file, or is a symbolic link to nothing");
        return Err(Fault::new(reason, "complete the download of the directory"));
    }
    let files = inside.iter().map(|file| name_of(directory.join(path_of(file)))).collect();
    Ok(InputFiles { files, note })
}

/// Returns the splits of a directory that is described by the files in it; `list` gives those of a folder of it.
fn splits_of(
    directory: &Path,
    config: Option<&str>,
    list: impl FnOnce(&str, bool) -> Result<Listing, String>,
) -> Result<(Splits, Listing), Fault> {
    if let Some(splits) = saved::splits(directory)? {
        return Ok((splits, Listing::default()));
    }
    let card = Card::read(directory)?;
    let found = card.as_ref().map(|card| card.config(config)).transpose()?.flatten();
    let config = match (found, config) {
        (None, Some(named)) if named != "default" => {
            let reason = format!("it has no configuration {named}: its README.md lists none");
            return Err(Fault::new(reason, "leave the configuration out"));
        }
        (found, _) => found.unwrap_or_default(),
    };
    let patterns = config.data_files.iter().flatten().flat_map(|(_, patterns)| patterns);
    let with_hidden = patterns.into_iter().any(CardPattern::is_hidden);
    let listing = list(&config.data_dir, with_hidden)
        .map_err(|reason| Fault::new(reason, "check the permissions, or name the files"))?;
    let mut splits = match &config.data_files {
        Some(data_files) => pattern::splits(data_files, &listing)?,
        None => {
            let (special, files): (Vec<String>, Vec<String>) =
                listing.files.iter().cloned().partition(|file| is_in_special_folder(file));
            let mut splits = naming::splits(&files);
            splits.unassigned.extend(special);
            splits
        }
    };
    if splits.is_empty() {
        let reason = format!("no file in it ends in {}", listing::ENDINGS.join(", "));
        return Err(Fault::new(reason, Fault::NAME_FILES));
    }
    if !config.others.is_empty() && config.data_files.is_some() {
        // They may be those of other configurations.
        splits.unassigned.clear();
    }
    splits.configurations_unread = config.others;
    Ok((splits.below(&config.data_dir), listing.below(&config.data_dir)))
}

fn is_pattern(name: &str) -> bool {
    name != "-" && !path_of(name).exists() && name.contains(['*', '?', '['])
}
