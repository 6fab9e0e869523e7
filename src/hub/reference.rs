use std::fmt;
use std::str::FromStr;

/// A dataset of the Hub: `hf://datasets/OWNER/NAME[@REVISION][#CONFIG/SPLIT]`, or one file or folder of it,
/// `hf://datasets/OWNER/NAME[@REVISION]/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubReference {
    /// The user or organisation.
    pub owner: String,
    /// The name of the repository.
    pub name: String,
    /// A branch, a tag or a commit. Default: the branch `main`.
    pub revision: Option<String>,
    /// The file or folder that is read. Default: what the dataset card names.
    pub path: Option<String>,
    /// The configuration of the dataset card. Default: its default.
    pub config: Option<String>,
    /// The split. Default: `train`.
    pub split: Option<String>,
}

/// The text is not a reference to a dataset of the Hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseReferenceError(&'static str);

/// Longest name of an owner or a repository (the Hub's own limit).
const NAME_CHARS_MAX: usize = 96;
/// Most characters of a revision and of a path.
const TEXT_CHARS_MAX: usize = 1_000;

impl HubReference {
    /// How a reference begins.
    pub const SCHEME: &str = "hf://";
    /// How one is written.
    pub const FORM: &str = "write hf://datasets/OWNER/NAME, with @REVISION, and with #CONFIG, #CONFIG/SPLIT or #/SPLIT";

    /// True for an input that names something on the Hub.
    pub fn is_one(name: &str) -> bool {
        name.starts_with(Self::SCHEME)
    }

    /// Returns the repository, as `OWNER/NAME`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Returns the revision that is resolved.
    pub fn revision_or_main(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// Returns the repository at its revision.
    pub fn at_revision(&self) -> String {
        format!("{}@{}", self.repository(), self.revision_or_main())
    }

    /// Returns the name of a file of a commit, for messages, the run log and the rows.
    pub fn shown(&self, commit: &str, file: &str) -> String {
        format!("{}datasets/{}@{commit}/{file}", Self::SCHEME, self.repository())
    }
}

impl FromStr for HubReference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(Self::SCHEME).ok_or(ParseReferenceError("it does not begin with hf://"))?;
        let rest =
            rest.strip_prefix("datasets/").ok_or(ParseReferenceError("only datasets of the Hub are read as input"))?;
        let (place, fragment) = rest.split_once('#').map_or((rest, None), |(place, fragment)| (place, Some(fragment)));
        let (owner, rest) = place.split_once('/').ok_or(ParseReferenceError("it has no OWNER/NAME"))?;
        let end = rest.find(['@', '/']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        if !is_name(owner) || !is_name(name) {
            return Err(ParseReferenceError("OWNER and NAME are letters, digits, `-`, `_` and `.`"));
        }
        let (revision, path) = match rest.strip_prefix('@') {
            Some(rest) => {
                let (revision, path) = split_revision(rest);
                (Some(revision.replace("%2F", "/").replace("%2f", "/")), path)
            }
            None => (None, rest),
        };
        if revision.as_deref().is_some_and(|revision| !is_inside(revision)) {
            return Err(ParseReferenceError("@REVISION is no branch, tag or commit"));
        }
        let path = Some(path.trim_matches('/')).filter(|path| !path.is_empty());
        if path.is_some_and(|path| !is_inside(path)) {
            return Err(ParseReferenceError("the path leads out of the dataset"));
        }
        let (config, split) = match fragment {
            None => (None, None),
            Some(_) if path.is_some() => return Err(ParseReferenceError("a path has no #CONFIG/SPLIT")),
            Some(fragment) => {
                let (mut config, mut split) = fragment.split_once('/').unwrap_or((fragment, ""));
                (config, split) = (config.trim(), split.trim());
                if (config.is_empty() && split.is_empty()) || split.contains('/') {
                    return Err(ParseReferenceError("#CONFIG/SPLIT names neither a configuration nor a split"));
                }
                let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
                (text(config), text(split))
            }
        };
        let path = path.map(str::to_owned);
        Ok(Self { owner: owner.to_owned(), name: name.to_owned(), revision, path, config, split })
    }
}

impl fmt::Display for HubReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}datasets/{}", Self::SCHEME, self.repository())?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{}", revision.replace('/', "%2F")))?;
        self.path.iter().try_for_each(|path| write!(f, "/{path}"))?;
        if self.config.is_some() || self.split.is_some() {
            write!(f, "#{}", self.config.as_deref().unwrap_or_default())?;
        }
        self.split.iter().try_for_each(|split| write!(f, "/{split}"))
    }
}

/// Splits what follows `@` into the revision and the path. The Hub's own references have slashes.
fn split_revision(text: &str) -> (&str, &str) {
    let slashes = if text.starts_with("refs/convert/") || text.starts_with("refs/pr/") { 2 } else { 0 };
    match text.match_indices('/').nth(slashes) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_short = (1..=NAME_CHARS_MAX).contains(&text.len());
    is_short
        && text.chars().all(is_plain)
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
        && !text.contains("--")
}

/// True for a path that stays in its directory.
pub(super) fn is_inside(path: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.len() <= TEXT_CHARS_MAX && path.split('/').all(is_part) && !path.contains(|letter: char| letter.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<HubReference, String> {
        text.parse().map_err(|error: ParseReferenceError| error.to_string())
    }

    #[test]
    fn each_part_is_read_and_written_again() {
        for text in [
            "hf://datasets/a/b",
            "hf://datasets/allenai/WildChat-1M@v1.0",
            "hf://datasets/a/b@0123456789abcdef0123456789abcdef01234567#default/test_sft",
            "hf://datasets/a/b#en",
            "hf://datasets/a/b#/test",
            "hf://datasets/a/b@main/data/train-00000.parquet",
            "hf://datasets/a/b@feature%2Fx",
        ] {
            assert_eq!(parsed(text).unwrap().to_string(), text);
        }
        let branch = parsed("hf://datasets/a/b@refs/convert/parquet/en/train").unwrap();
        assert_eq!(
            (branch.revision.as_deref(), branch.path.as_deref()),
            (Some("refs/convert/parquet"), Some("en/train"))
        );
        let split = parsed("hf://datasets/a/b#en/test").unwrap();
        assert_eq!((split.config.as_deref(), split.split.as_deref()), (Some("en"), Some("test")));
    }

    #[test]
    fn what_is_no_dataset_or_leads_out_of_one_is_refused() {
        for text in [
            "hf://models/a/b",
            "hf://datasets/a",
            "hf://datasets//b",
            "hf://datasets/a/",
            "hf://datasets/../b",
            "hf://datasets/a/..",
            "hf://datasets/a/b@",
            "hf://datasets/a/b@../x",
            "hf://datasets/a/b/../c",
            "hf://datasets/a/b#",
            "hf://datasets/a/b#/",
            "hf://datasets/a/b#c/s/x",
            "hf://datasets/a/b/data#c",
            "hf://datasets/a b/c",
            "hf://datasets/a--x/c",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
