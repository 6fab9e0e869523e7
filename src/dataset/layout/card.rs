//! The dataset card: `README.md` with YAML between two lines of `---` (Hugging Face Hub, "Manual Configuration"), and
//! `.huggingface.yaml`, whose fields take precedence.

use std::fs;
use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use super::super::fault::Fault;
use super::pattern::{CardPattern, DataFiles};

const HINT: &str = "correct the card, or name the files instead of the directory";

/// The front matter of a card.
pub struct Card {
    front: Yaml,
    /// The content of `.huggingface.yaml`.
    beside: Yaml,
}

/// The configuration that is read.
#[derive(Clone, Debug, Default)]
pub struct CardConfig {
    /// The directory that it is in; empty for the card's own.
    pub data_dir: String,
    /// The patterns of each split, in order; none where its files are found by their names.
    pub data_files: Option<DataFiles>,
    /// The names of the other configurations.
    pub others: Vec<String>,
}

impl Card {
    /// Reads the card of a directory, if it has one.
    pub fn read(directory: &Path) -> Result<Option<Self>, Fault> {
        let front = front_matter(directory).map_err(|reason| Fault::new(reason, HINT))?;
        let beside = match fs::read_to_string(directory.join(".huggingface.yaml")) {
            Ok(text) => parsed(&text, ".huggingface.yaml").map_err(|reason| Fault::new(reason, HINT))?,
            Err(_) => None,
        };
        if front.is_none() && beside.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { front: front.unwrap_or(Yaml::Null), beside: beside.unwrap_or(Yaml::Null) }))
    }

    fn field(&self, name: &str) -> &Yaml {
        let beside = &self.beside[name];
        if beside.is_badvalue() { &self.front[name] } else { beside }
    }

    /// Returns the configuration that is read: the only one, the one that is called `default`, or the one with
    /// `default: true`. Without one of them there is no choice, as in `datasets`.
    pub fn config(&self) -> Result<Option<CardConfig>, Fault> {
        let configs = match self.field("configs") {
            Yaml::BadValue | Yaml::Null => return Ok(None),
            Yaml::Array(configs) if configs.is_empty() => return Ok(None),
            Yaml::Array(configs) => configs,
            _ => return Err(Fault::new("`configs` of its README.md is not a list", HINT)),
        };
        let names: Vec<String> = configs.iter().map(name_of).collect();
        let is_default = |config: &&Yaml| {
            configs.len() == 1 || name_of(config) == "default" || config["default"] == Yaml::Boolean(true)
        };
        let mut defaults = configs.iter().filter(is_default);
        let config = match (defaults.next(), defaults.next()) {
            (Some(config), None) => config,
            (first, _) => {
                let which = if first.is_some() { "more than one of them is" } else { "none of them is" };
                let reason =
                    format!("its README.md has the configurations {}, and {which} the default", names.join(", "));
                return Err(Fault::new(reason, "name the files of one of them, such as 'DIRECTORY/NAME/*.jsonl'"));
            }
        };
        let own = name_of(config);
        let others = names.into_iter().filter(|name| *name != own).collect();
        let data_dir = match &config["data_dir"] {
            Yaml::String(text) => text.trim_start_matches("./").trim_end_matches('/').to_owned(),
            _ => String::new(),
        };
        // Checked as a pattern is.
        CardPattern::new(&glob::Pattern::escape(&data_dir))?;
        Ok(Some(CardConfig { data_dir, data_files: data_files(&config["data_files"])?, others }))
    }
}

/// Returns the patterns of each split: of a pattern, a list of patterns, a list of `{split, path}`, or `{split: patterns}`.
/// Patterns without a split are `train`.
fn data_files(value: &Yaml) -> Result<Option<DataFiles>, Fault> {
    let unclear = || {
        let reason = "`data_files` of its README.md is neither a pattern, nor a list of patterns, nor a list of `split` and `path`";
        Fault::new(reason, HINT)
    };
    let mut splits = DataFiles::new();
    match value {
        Yaml::BadValue | Yaml::Null => return Ok(None),
        Yaml::Hash(map) => {
            for (split, paths) in map {
                splits.push((text(split).ok_or_else(unclear)?, patterns(paths)?.ok_or_else(unclear)?));
            }
        }
        Yaml::Array(items) if items.iter().any(|item| matches!(item, Yaml::Hash(_))) => {
            for item in items {
                let split = text(&item["split"]).ok_or_else(unclear)?;
                if splits.iter().any(|(name, _)| *name == split) {
                    return Err(Fault::new(format!("its README.md lists the split {split} twice"), HINT));
                }
                splits.push((split, patterns(&item["path"])?.ok_or_else(unclear)?));
            }
        }
        _ => splits.push(("train".to_owned(), patterns(value)?.ok_or_else(unclear)?)),
    }
    if splits.is_empty() { Err(unclear()) } else { Ok(Some(splits)) }
}

fn patterns(value: &Yaml) -> Result<Option<Vec<CardPattern>>, Fault> {
    let texts: Option<Vec<String>> = match value {
        Yaml::Array(items) => items.iter().map(text).collect(),
        _ => text(value).map(|text| vec![text]),
    };
    texts.map(|texts| texts.iter().map(|text| CardPattern::new(text)).collect()).transpose()
}

/// Returns a text, or a number as it is written.
fn text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) | Yaml::Real(text) if !text.is_empty() => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

fn name_of(config: &Yaml) -> String {
    text(&config["config_name"]).unwrap_or_else(|| "without a name".to_owned())
}

/// Returns the licence in the cards of these directories, if all of them name the same one.
pub fn common_license(names: &[String]) -> Option<String> {
    let each = names.iter().map(|name| front_matter(Path::new(name)).ok()??["license"].as_str().map(str::to_owned));
    let mut licenses = each.collect::<Option<Vec<String>>>()?;
    licenses.dedup();
    let license = licenses.pop().filter(|_| licenses.is_empty())?;
    let is_plain = license.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
    is_plain.then_some(license)
}

fn front_matter(directory: &Path) -> Result<Option<Yaml>, String> {
    let Ok(card) = fs::read(directory.join("README.md")) else { return Ok(None) };
    // The front matter has to be right, not the rest.
    let card = String::from_utf8_lossy(&card).replace("\r\n", "\n");
    let card = card.trim_start_matches('\u{feff}');
    let Some((front, _)) = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---")) else {
        return Ok(None);
    };
    parsed(front, "README.md")
}

fn parsed(text: &str, file: &str) -> Result<Option<Yaml>, String> {
    let documents =
        YamlLoader::load_from_str(text).map_err(|error| format!("its {file} is not a dataset card: {error}"))?;
    Ok(documents.into_iter().next())
}
