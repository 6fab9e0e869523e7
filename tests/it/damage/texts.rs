use std::path::{Path, PathBuf};

use serde_json::Value;

/// A good answer with its question.
#[derive(Clone)]
pub struct Text {
    pub language: String,
    pub user: String,
    pub answer: String,
}

pub const LANGUAGES: [&str; 12] = ["en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "ko", "ar", "hi"];

/// The project's texts: in each language, every question with its answer and the next, and with the next two.
pub fn good_texts() -> Vec<Text> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/prose");
    let texts = LANGUAGES.iter().flat_map(|language| {
        let file = std::fs::read_to_string(folder.join(format!("{language}.txt"))).unwrap();
        let entries: Vec<(String, String)> = file.split("? ").skip(1).filter_map(entry).collect();
        assert_eq!(entries.len(), 6, "{language}");
        let answers = |first: usize, count: usize| -> Vec<&str> {
            (first..first + count).map(|entry| entries[entry % entries.len()].1.as_str()).collect()
        };
        let texts: Vec<Text> = (0..2 * entries.len())
            .map(|number| Text {
                language: (*language).to_owned(),
                user: entries[number % entries.len()].0.clone(),
                answer: answers(number, 2 + number / entries.len()).join("\n\n"),
            })
            .collect();
        texts
    });
    texts.collect()
}

fn entry(text: &str) -> Option<(String, String)> {
    let (question, answer) = text.split_once('\n')?;
    Some((question.to_owned(), answer.trim().to_owned()))
}

/// The texts of `COHOBATE_TEXTS`, at most `most` of a language; or the project's.
pub fn texts_for_tables(most: usize) -> Vec<Text> {
    let folder = std::env::var_os("COHOBATE_TEXTS").filter(|folder| !folder.is_empty());
    let Some(folder) = folder.map(PathBuf::from) else { return good_texts() };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut texts = Vec::new();
    for language in LANGUAGES {
        let ending = format!("-{language}.jsonl");
        let named = files.iter().filter(|path| path.to_string_lossy().ends_with(&ending));
        let rows: Vec<Text> = named
            .flat_map(|path| {
                let text = std::fs::read_to_string(path).unwrap();
                let rows: Vec<Text> = text.lines().map(|line| row(language, line)).collect();
                rows
            })
            .collect();
        texts.extend(rows.into_iter().take(most));
    }
    texts
}

fn row(language: &str, line: &str) -> Text {
    let row: Value = serde_json::from_str(line).unwrap();
    let words = |at: usize| row["messages"][at]["content"].as_str().unwrap().to_owned();
    Text { language: language.to_owned(), user: words(0), answer: words(1) }
}

/// Reproducible draws (`SplitMix64`).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }

    pub fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
