//! The dataset card: `README.md` with YAML between two lines of `---` (Hugging Face Hub, "Manual Configuration"), and
//! `.huggingface.yaml`, whose fields take precedence.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::{Yaml, YamlLoader};

use super::super::fault::Fault;
use super::super::foreign;
use super::pattern::{CardPattern, DataFiles};
use crate::files::path_of;

/// Most bytes that the aliases of a card stand for.
const COPIED_BYTES_MAX: usize = 1 << 20;
/// Bytes that count for a value beside its text.
const VALUE_BYTES: usize = 16;
/// Deepest nesting of a card: the parser is recursive.
const DEPTH_MAX: usize = 64;

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

    /// Returns the configuration that is read: the wanted one; else the only one, the one that is called `default`, or the
    /// one with `default: true`. Without one of them there is no choice, as in `datasets`.
    pub fn config(&self, wanted: Option<&str>) -> Result<Option<CardConfig>, Fault> {
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
        let is_meant = |config: &&Yaml| wanted.map_or_else(|| is_default(config), |wanted| name_of(config) == wanted);
        let mut meant = configs.iter().filter(is_meant);
        let config = match (meant.next(), meant.next()) {
            (Some(config), None) => config,
            (_, _) if wanted.is_some() => {
                let wanted = wanted.unwrap_or_default();
                let reason = format!("it has no configuration {wanted}; its README.md lists {}", names.join(", "));
                return Err(Fault::new(reason, "choose one of them"));
            }
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
    let each = names.iter().map(|name| front_matter(&path_of(name)).ok()??["license"].as_str().map(str::to_owned));
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
    let read = foreign::decode(|| {
        Ok(check_sizes(text).and_then(|()| YamlLoader::load_from_str(text).map_err(|error| error.to_string())))
    });
    let documents = read.unwrap_or_else(|fault| Err(fault.reason));
    let documents = documents.map_err(|reason| format!("its {file} is not a dataset card: {reason}"))?;
    Ok(documents.into_iter().next())
}

/// Fails for a card that is small as it is written and endless as it is read: an alias stands for a copy of its anchor, which
/// may hold aliases too.
fn check_sizes(text: &str) -> Result<(), String> {
    let mut parser = Parser::new_from_str(text);
    let (mut open, mut anchors, mut copied) = (Vec::<(usize, usize)>::new(), HashMap::new(), 0_usize);
    loop {
        let (event, _) = parser.next_token().map_err(|error| error.to_string())?;
        let (anchor, bytes) = match event {
            Event::StreamEnd => return Ok(()),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push((anchor, VALUE_BYTES));
                if open.len() > DEPTH_MAX {
                    return Err(format!("it has more than {DEPTH_MAX} lists and mappings in each other"));
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap_or_default(),
            Event::Scalar(text, _, anchor, _) => (anchor, text.len() + VALUE_BYTES),
            Event::Alias(anchor) => {
                let bytes = anchors.get(&anchor).copied().unwrap_or(VALUE_BYTES);
                copied = copied.saturating_add(bytes);
                if copied > COPIED_BYTES_MAX {
                    return Err(format!("its aliases stand for more than {} MB", COPIED_BYTES_MAX >> 20));
                }
                (0, bytes)
            }
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, bytes);
        }
        if let Some((_, outer)) = open.last_mut() {
            *outer = outer.saturating_add(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn aliases_are_read_up_to_a_megabyte_and_nesting_up_to_a_depth() {
        let mut bomb = "a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n".to_owned();
        for level in 1..30 {
            let copies = vec![format!("*a{}", level - 1); 9].join(",");
            writeln!(bomb, "a{level}: &a{level} [{copies}]").unwrap();
        }
        let reason = parsed(&bomb, "README.md").unwrap_err();
        assert!(reason.contains("more than 1 MB"), "{reason}");
        let few: String = bomb.lines().take(4).fold(String::new(), |few, line| few + line + "\n");
        assert!(parsed(&few, "README.md").unwrap().unwrap()["a3"][0][0][0][0].as_str() == Some("lol"));
        for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
            assert!(parsed(&deep, "README.md").is_err());
        }
        assert!(parsed("a: &a [*a]\nb: *c", "README.md").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_card_makes_reading_it_panic(text in "[-?:&*!|>'\"%@`{}\\[\\],#ab \n\t]{0,60}") {
            let _ = parsed(&text, "README.md");
        }
    }
}
