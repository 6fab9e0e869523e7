//! Words that a tired reader stumbles over stay out of everything that people read.

use super::page::{Page, pages};
use super::tables::{commands, help};
use crate::support::source_files;

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
    let named = ["CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(Page::read);
    assert_clean(named.into_iter().chain(pages()).flat_map(|page| banned_in(&page.name, &page.text)));
}

fn assert_clean(found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn help_is_in_plain_english() {
    let names = std::iter::once(String::new()).chain(commands());
    assert_clean(names.flat_map(|name| banned_in(&format!("{name} --help"), &help(&name, "100"))));
}

#[test]
fn doc_comments_are_in_plain_english() {
    let found = source_files().into_iter().flat_map(|(inside, text)| {
        // Lines of code count as empty ones, so that line numbers are right.
        let comment = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix("///").or(line.strip_prefix("//!")).unwrap_or_default().trim_start().to_owned()
        };
        let comments: Vec<String> = text.lines().map(comment).collect();
        banned_in(&inside, &comments.join("\n"))
    });
    assert_clean(found);
}
