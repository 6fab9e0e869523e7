//! Resolves input names to files: directories in the hub's layout, and patterns.

use std::fs;
use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

use super::input::InputError;

/// Extensions of files with rows, optionally followed by one for compression.
const ENDINGS: [&str; 8] = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather"];
const PACKINGS: [&str; 3] = [".gz", ".zst", ".bz2"];
/// JSON files in a dataset directory that do not contain rows.
const NO_ROWS: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "state.json", "metadata.json"];
/// Directories are searched to this depth.
const DEPTH_MAX: usize = 4;

/// Returns the files that `name` refers to, in a fixed order. A plain file name refers to itself.
pub fn input_files(name: &str) -> Result<Vec<String>, InputError> {
    let path = Path::new(name);
    let fault = |reason: String| InputError { name: name.to_owned(), reason };
    let files = if path.is_dir() {
        let files = match files_of_card(path).map_err(fault)? {
            Some(files) => files,
            None => files_below(path, 0),
        };
        if files.is_empty() {
            return Err(fault(format!("no file in it ends in {}", ENDINGS.join(", "))));
        }
        files
    } else if name != "-" && !path.exists() && name.contains(['*', '?', '[']) {
        let files = matching_files(name).map_err(fault)?;
        if files.is_empty() {
            return Err(fault("no file matches it".to_owned()));
        }
        files
    } else {
        return Ok(vec![name.to_owned()]);
    };
    Ok(files.into_iter().map(|path| path.display().to_string()).collect())
}

/// Returns the files that the dataset card lists: from the configuration `default`, or else the first, the split `train`,
/// or else all splits.
///
/// The card is `README.md` with YAML between two lines of `---`, `configs: [{config_name, data_files}]`, where
/// `data_files` is a pattern, a list of patterns, a list of `{split, path}`, or `{split: patterns}` (Hugging Face Hub, "Manual
/// Configuration").
fn files_of_card(directory: &Path) -> Result<Option<Vec<PathBuf>>, String> {
    let Some(card) = card_front_matter(directory)? else { return Ok(None) };
    let Some(configs) = card["configs"].as_vec() else { return Ok(None) };
    let is_default =
        |config: &&Yaml| config["config_name"].as_str() == Some("default") || config["default"] == Yaml::Boolean(true);
    let Some(config) = configs.iter().find(is_default).or(configs.first()) else { return Ok(None) };
    let mut files = Vec::new();
    for pattern in data_file_patterns(&config["data_files"]) {
        let base = glob::Pattern::escape(&directory.display().to_string());
        let found = matching_files(&format!("{base}/{pattern}"))?;
        if found.is_empty() {
            return Err(format!("its README.md lists {pattern}, and no file matches"));
        }
        files.extend(found);
    }
    // Without files in the card the directory is searched.
    Ok(Some(files).filter(|files| !files.is_empty()))
}

/// Returns the licence in the cards of these directories, if all of them name the same one.
pub fn common_license(names: &[String]) -> Option<String> {
    let each =
        names.iter().map(|name| card_front_matter(Path::new(name)).ok()??["license"].as_str().map(str::to_owned));
    let mut licenses = each.collect::<Option<Vec<String>>>()?;
    licenses.dedup();
    let license = licenses.pop().filter(|_| licenses.is_empty())?;
    let is_plain = license.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
    is_plain.then_some(license)
}

/// Returns the front matter of a directory's dataset card.
fn card_front_matter(directory: &Path) -> Result<Option<Yaml>, String> {
    let Ok(card) = fs::read_to_string(directory.join("README.md")) else { return Ok(None) };
    let card = card.replace("\r\n", "\n");
    let Some(front) = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---")) else { return Ok(None) };
    let front =
        YamlLoader::load_from_str(front.0).map_err(|error| format!("its README.md is not a dataset card: {error}"))?;
    Ok(front.into_iter().next())
}

fn data_file_patterns(data_files: &Yaml) -> Vec<String> {
    let texts = |value: &Yaml| match value {
        Yaml::String(text) => vec![text.clone()],
        Yaml::Array(items) => items.iter().filter_map(Yaml::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if let Yaml::Hash(splits) = data_files {
        let train = splits.get(&Yaml::String("train".to_owned()));
        return train.map_or_else(|| splits.values().flat_map(texts).collect(), texts);
    }
    let Yaml::Array(items) = data_files else { return texts(data_files) };
    let split = |name: Option<&str>| -> Vec<String> {
        let wanted = items.iter().filter(|item| name.is_none() || item["split"].as_str() == name);
        wanted.flat_map(|item| texts(&item["path"])).collect()
    };
    let train = split(Some("train"));
    let all = if train.is_empty() { split(None) } else { train };
    if all.is_empty() { texts(data_files) } else { all }
}

/// Returns the files below a directory that appear to contain rows, sorted by path.
fn files_below(directory: &Path, depth: usize) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let below = paths.into_iter().filter(|path| !is_hidden(path));
    below
        .flat_map(|path| match () {
            () if path.is_dir() && depth < DEPTH_MAX => files_below(&path, depth + 1),
            () if holds_rows(&path) => vec![path],
            () => Vec::new(),
        })
        .collect()
}

fn holds_rows(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
    let stem = PACKINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    path.is_file() && !NO_ROWS.contains(&stem) && ENDINGS.iter().any(|ending| stem.ends_with(ending))
}

fn matching_files(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let paths = glob::glob(pattern).map_err(|error| format!("it is not a valid pattern: {error}"))?;
    let mut files: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}
