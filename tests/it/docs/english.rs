//! Words that a tired reader stumbles over stay out of everything that people read.

use std::path::{Path, PathBuf};

use super::page::{pages, root};
use super::tables::{commands, help};

/// Whole words, in any case, with a better wording. Line ends count as spaces.
const BANNED: &[(&str, &str)] = &[
    ("anew", "again"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("in the air", "in flight"),
    ("so many", "N"),
    ("for ever", "forever, indefinitely"),
    ("stands still", "hangs"),
    ("stood still", "hung"),
    ("thoughts", "reasoning"),
    ("goes on", "continues, resumes"),
    ("is none", "there is no ..."),
    ("are none", "there are no ..."),
    ("were none", "there were no ..."),
    ("in passing", "transiently"),
    ("what is odd", "irregular rows"),
    ("behind the row", "after the row"),
    ("asked alike", "identical"),
    ("whole or not at all", "atomically"),
];

/// Commands whose help is not clean yet, the program's own as an empty name. The test says which can be taken out; the
/// list must become empty.
const HELP_TO_DO: &[&str] = &[];

/// Folders and files of `src/` whose doc comments are not clean yet. The same holds for them.
const SOURCE_TO_DO: &[&str] =
    &["conversation", "dataset", "export", "model", "quality", "recipe", "report", "statistics", "store", "worker"];

/// Returns the banned words of a text, each with its line.
fn banned_in(place: &str, text: &str) -> Vec<String> {
    // In lower case with single spaces, and the line that each of its bytes is from.
    let (mut flat, mut lines) = (String::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        for word in line.split_whitespace() {
            flat.extend([&word.to_lowercase(), " "]);
            lines.resize(flat.len(), number);
        }
    }
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for (word, better) in BANNED {
        for (at, _) in flat.match_indices(word) {
            let before = flat[..at].chars().next_back();
            let after = flat[at + word.len()..].chars().next();
            if ![before, after].iter().flatten().any(|letter| is_word(*letter)) {
                found.push(format!("{place}:{}: `{word}`; write: {better}", lines[at]));
            }
        }
    }
    found
}

#[test]
fn documents_are_in_plain_english() {
    let named = ["CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    let named =
        named.iter().filter_map(|name| Some(((*name).to_owned(), std::fs::read_to_string(root().join(name)).ok()?)));
    let pages = pages().into_iter().map(|page| (page.name, page.text));
    let found: Vec<String> = named.chain(pages).flat_map(|(name, text)| banned_in(&name, &text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Fails on words found in places that are not on the list; tells which places need not be on it any more.
fn assert_clean(found: &[(String, Vec<String>)], to_do: &[&str]) {
    let is_to_do = |place: &str| to_do.contains(&place);
    let faults: Vec<&String> =
        found.iter().filter(|(place, _)| !is_to_do(place)).flat_map(|(_, words)| words).collect();
    assert!(faults.is_empty(), "\n{faults:#?}");
    for place in to_do {
        let count: usize = found.iter().filter(|(other, _)| other == place).map(|(_, words)| words.len()).sum();
        println!(
            "`{place}`: {}",
            if count == 0 { "clean, take it out of the list".to_owned() } else { format!("{count} left") }
        );
    }
}

#[test]
fn help_is_in_plain_english() {
    let names = std::iter::once(String::new()).chain(commands());
    let found = names.map(|name| {
        let arguments: Vec<&str> = [name.as_str(), "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let words = banned_in(&format!("{name} --help"), &help(&arguments));
        (name, words)
    });
    assert_clean(&found.collect::<Vec<_>>(), HELP_TO_DO);
}

#[test]
fn doc_comments_are_in_plain_english() {
    let src = root().join("src");
    let found = rust_files(&src).into_iter().map(|path| {
        let inside = path.strip_prefix(&src).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        // Lines of code count as empty ones, so that line numbers are right.
        let comment = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix("///").or(line.strip_prefix("//!")).unwrap_or_default().trim_start().to_owned()
        };
        let comments: Vec<String> = text.lines().map(comment).collect();
        let words = banned_in(&inside, &comments.join("\n"));
        (inside.split('/').next().unwrap().to_owned(), words)
    });
    assert_clean(&found.collect::<Vec<_>>(), SOURCE_TO_DO);
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}
