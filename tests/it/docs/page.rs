use std::path::{Path, PathBuf};

/// A page of the documentation.
pub struct Page {
    /// Its path from the root of the project.
    pub name: String,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// What follows the opening fence: `sh`, `output`, `toml`.
    pub kind: String,
    pub text: String,
    /// The file that it is written to, where a comment before it names one.
    pub file: Option<String>,
}

/// A table, head first; without the line that divides the two.
pub struct Table {
    /// The nearest heading above it.
    pub heading: String,
    pub rows: Vec<Vec<String>>,
}

/// Returns README.md and every page in `docs/`.
pub fn pages() -> Vec<Page> {
    let folder = root().join("docs");
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    names.sort();
    std::iter::once(root().join("README.md")).chain(names).map(|path| Page::at(&path)).collect()
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    pub fn read(name: &str) -> Self {
        Self::at(&root().join(name))
    }

    pub fn at(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: path.strip_prefix(root()).unwrap_or(path).display().to_string(), text }
    }

    pub fn path(&self) -> PathBuf {
        root().join(&self.name)
    }

    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open, mut file) = (Vec::new(), None::<Block>, None);
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(kind)) => {
                    open = Some(Block { kind: kind.to_owned(), text: String::new(), file: file.take() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.extend([line, "\n"]),
                (None, None) => {
                    let named = line.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->"));
                    file = named.map(str::to_owned).or(file.filter(|_| line.trim().is_empty()));
                }
            }
        }
        assert!(open.is_none(), "{}: a block is never closed", self.name);
        blocks
    }

    /// Returns the lines outside of fenced blocks.
    pub fn prose(&self) -> Vec<&str> {
        let mut is_inside = false;
        let lines = self.text.lines().filter(move |line| {
            let is_fence = line.starts_with("```");
            is_inside ^= is_fence;
            !is_inside && !is_fence
        });
        lines.collect()
    }

    pub fn tables(&self) -> Vec<Table> {
        let (mut tables, mut heading, mut was_row) = (Vec::<Table>::new(), String::new(), false);
        for line in self.prose() {
            if let Some(title) = line.strip_prefix('#') {
                title.trim_matches(['#', ' ']).clone_into(&mut heading);
            }
            let is_row = line.starts_with('|');
            if is_row && !was_row {
                tables.push(Table { heading: heading.clone(), rows: Vec::new() });
            }
            let is_divider = line.bytes().all(|byte| b"|- ".contains(&byte)) && line.contains("---");
            if let Some(table) = tables.last_mut().filter(|_| is_row && !is_divider) {
                let inner = line.trim().trim_start_matches('|');
                let inner = inner.strip_suffix('|').unwrap_or(inner);
                table.rows.push(inner.split('|').map(|cell| cell.trim().to_owned()).collect());
            }
            was_row = is_row;
        }
        tables
    }

    /// Returns the rows below the head of the first table under a heading.
    pub fn rows_under(&self, heading: &str) -> Vec<Vec<String>> {
        let table = self.tables().into_iter().find(|table| table.heading == heading);
        let table = table.unwrap_or_else(|| panic!("{} has no table under `{heading}`", self.name));
        table.rows[1..].to_vec()
    }

    /// Returns what is in backticks in the first cell of each row of that table.
    pub fn names_under(&self, heading: &str) -> Vec<String> {
        self.rows_under(heading).iter().flat_map(|row| code_in(&row[0])).collect()
    }

    pub fn links(&self) -> Vec<String> {
        let prose = self.prose().join("\n");
        let links = prose.match_indices("](").filter_map(|(at, _)| prose[at + 2..].split_once(')'));
        links.map(|(link, _)| link.to_owned()).collect()
    }

    /// Returns the anchors that GitHub makes of the headings.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let titles = prose.iter().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        let anchor = |title: &str| {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
        };
        titles.map(anchor).collect()
    }
}

/// Returns what is in single backticks.
pub fn code_in(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
