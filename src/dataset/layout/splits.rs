/// The splits of a directory, with their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits {
    /// The splits in order, by name. Where a directory has no split information, one that is called `train`.
    pub named: Vec<(String, Vec<String>)>,
    /// The directory names its splits itself.
    pub is_explicit: bool,
    /// The directory is one split, and its caller has named it.
    pub is_single: bool,
    /// Files that belong to no split.
    pub unassigned: Vec<String>,
    /// Patterns of the card that no file matches.
    pub patterns_unmatched: Vec<String>,
    /// Configurations of the card that are not read.
    pub configurations_unread: Vec<String>,
}

impl Splits {
    /// All files as one split.
    pub fn whole(files: Vec<String>) -> Self {
        Self { named: vec![("train".to_owned(), files)], ..Self::default() }
    }

    /// Splits with names. Those of `all` that are in none of them are unassigned.
    pub fn explicit(named: Vec<(String, Vec<String>)>, all: &[String]) -> Self {
        let assigned: std::collections::BTreeSet<&String> = named.iter().flat_map(|(_, files)| files).collect();
        let unassigned = all.iter().filter(|file| !assigned.contains(file)).cloned().collect();
        Self { named, is_explicit: true, unassigned, ..Self::default() }
    }

    /// Marks a directory that is one split as a whole.
    pub fn single(self) -> Self {
        Self { is_single: true, ..self }
    }

    /// True where there is no file.
    pub fn is_empty(&self) -> bool {
        self.named.iter().all(|(_, files)| files.is_empty())
    }

    /// Puts a directory before each file's name.
    pub fn below(mut self, base: &str) -> Self {
        let files = self.named.iter_mut().flat_map(|(_, files)| files).chain(&mut self.unassigned);
        if !base.is_empty() {
            files.for_each(|file| *file = format!("{base}/{file}"));
        }
        self
    }
}
