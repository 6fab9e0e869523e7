use std::path::Path;

use super::super::fault::Fault;
use super::super::input::InputError;
use super::choice::choose;
use super::listing::Listing;
use super::{InputFiles, splits_of};

/// The files of a dataset directory that is elsewhere. Those that describe it are in `directory` already.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFiles<'a> {
    /// What the dataset is called in messages.
    pub name: &'a str,
    /// Where those of its files are that [`describes_layout`].
    pub directory: &'a Path,
    /// All its files, by their paths inside it, in order.
    pub files: &'a [String],
    /// The configuration of the card that is read. Default: its default.
    pub config: Option<&'a str>,
    /// The split that is read. Default: as in [`input_files`](super::input_files).
    pub split: Option<&'a str>,
}

impl RemoteFiles<'_> {
    /// Returns the files that are read, by their paths inside the dataset.
    pub fn chosen(&self) -> Result<InputFiles, InputError> {
        self.choose().map_err(|fault| InputError::of(fault, self.name))
    }

    fn choose(&self) -> Result<InputFiles, Fault> {
        let list = |folder: &str, with_hidden: bool| Ok(Listing::named(self.files, folder, with_hidden));
        let (splits, listing) = splits_of(self.directory, self.config, list)?;
        let (files, note) = choose(self.name, splits, &listing.unreadable, self.split)?;
        match files.iter().find(|file| self.files.binary_search(file).is_err()) {
            Some(missing) => Err(Fault::new(format!("it names the file {missing}, which it has not"), Fault::DAMAGED)),
            None => Ok(InputFiles { files, note }),
        }
    }
}

/// True for a file that says which files of its directory are read.
pub fn describes_layout(file: &str) -> bool {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    match name {
        "README.md" | ".huggingface.yaml" | "dataset_dict.json" => folder.is_empty(),
        "state.json" => !folder.contains('/'),
        _ => false,
    }
}
