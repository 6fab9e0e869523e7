//! Directories that `save_to_disk` of `datasets` has written.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::super::fault::Fault;
use super::splits::Splits;

/// The largest file that is read here. It names files and splits only.
const STATE_BYTES_MAX: u64 = 64 << 20;

/// Returns the splits of a directory that was saved: those that `dataset_dict.json` names, or the files that `state.json`
/// names. `None` where it was not saved.
pub fn splits(directory: &Path) -> Result<Option<Splits>, Fault> {
    if let Some(names) = split_names(directory) {
        let mut named = Vec::new();
        for name in names {
            if !is_inside(&name) {
                return Err(damaged(format!("its dataset_dict.json names the split {name:?}")));
            }
            let Some(saved) = Saved::read(&directory.join(&name))? else {
                return Err(damaged(format!(
                    "its dataset_dict.json names the split {name}, and {name}/state.json is missing"
                )));
            };
            named.push((name.clone(), saved.files.iter().map(|file| format!("{name}/{file}")).collect()));
        }
        return Ok(Some(Splits::explicit(named, &[])));
    }
    let Some(saved) = Saved::read(directory)? else { return Ok(None) };
    Ok(Some(match saved.split {
        // One dataset, which the caller has named. That it is another split is said.
        Some(split) => Splits::explicit(vec![(split, saved.files)], &[]).single(),
        None => Splits::whole(saved.files),
    }))
}

/// Returns the files that `state.json` of a directory names, if there is one.
pub fn files_named_by_state(directory: &Path) -> Option<Vec<String>> {
    Saved::read(directory).ok()?.map(|saved| saved.files)
}

/// What `state.json` says.
struct Saved {
    files: Vec<String>,
    split: Option<String>,
}

impl Saved {
    fn read(directory: &Path) -> Result<Option<Self>, Fault> {
        let Some(state) = json(&directory.join("state.json")) else { return Ok(None) };
        let Some(entries) = state["_data_files"].as_array() else { return Ok(None) };
        if state["_indices_data_files"].as_array().is_some_and(|files| !files.is_empty()) {
            let reason = "it was saved with a selection of its rows, which is not read";
            return Err(Fault::new(reason, "save it again with a current version of `datasets`"));
        }
        let mut files = Vec::new();
        for entry in entries {
            match entry["filename"].as_str() {
                Some(name) if is_inside(name) => files.push(name.to_owned()),
                _ => return Err(damaged(format!("its state.json names {}", entry["filename"]))),
            }
        }
        let split = state["_split"].as_str().filter(|split| !split.is_empty()).map(str::to_owned);
        Ok(Some(Self { files, split }))
    }
}

fn split_names(directory: &Path) -> Option<Vec<String>> {
    let names = json(&directory.join("dataset_dict.json"))?;
    let names = names["splits"].as_array()?.iter();
    Some(names.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn json(path: &Path) -> Option<Value> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.len() <= STATE_BYTES_MAX)?;
    metadata.is_file().then(|| fs::read(path).ok())?.and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// True for a name that stays in its directory.
fn is_inside(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('/') && !name.split('/').any(|part| part == "..")
}

fn damaged(reason: String) -> Fault {
    Fault::new(reason, "save the dataset again, or name the files instead of the directory")
}
