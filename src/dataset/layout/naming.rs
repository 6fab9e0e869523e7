//! Splits by the names of files and folders, with the patterns of `datasets` (`data_files.py`).

use super::splits::Splits;

/// The words for each split, in the order in which `datasets` tries them.
const WORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// Characters between words.
const BETWEEN: &[u8] = b"-._ 0123456789";

/// Returns the splits of files, given by their paths inside the directory. The first way of naming that any file has is
/// the way of all: shards in `data/`, folders, file names; else all files are one split.
pub fn splits(files: &[String]) -> Splits {
    let sharded = sharded(files);
    if !sharded.is_empty() {
        return Splits::explicit(sharded, files);
    }
    for is_named in [folder_has as fn(&str, &str, Position) -> bool, file_has] {
        let named: Vec<(String, Vec<String>)> = WORDS
            .iter()
            .map(|(split, words)| ((*split).to_owned(), files_with(files, words, is_named)))
            .filter(|(_, files)| !files.is_empty())
            .collect();
        if !named.is_empty() {
            return Splits::explicit(named, files);
        }
    }
    Splits::whole(files.to_vec())
}

/// Where a word stands in a name.
#[derive(Clone, Copy)]
enum Position {
    /// It is the whole name.
    Whole,
    /// At the beginning, before a character between words.
    Begins,
    /// At the end, behind one.
    Ends,
    /// Between two of them.
    Inside,
}

/// Returns the files with one of these words, each once, in the order of the patterns of `datasets`.
fn files_with(files: &[String], words: &[&str], is_named: fn(&str, &str, Position) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for word in words {
        for position in [Position::Whole, Position::Begins, Position::Ends, Position::Inside] {
            for file in files.iter().filter(|file| is_named(file, word, position)) {
                if seen.insert(file) {
                    found.push(file.clone());
                }
            }
        }
    }
    found
}

fn folder_has(file: &str, word: &str, position: Position) -> bool {
    let mut folders = file.split('/').rev().skip(1);
    folders.any(|folder| has_word(folder, word, position))
}

fn file_has(file: &str, word: &str, position: Position) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    matches!(position, Position::Begins | Position::Inside) && has_word(name, word, position)
}

fn has_word(name: &str, word: &str, position: Position) -> bool {
    let is_between = |byte: Option<&u8>| byte.is_some_and(|byte| BETWEEN.contains(byte));
    let bytes = name.as_bytes();
    match position {
        Position::Whole => name == word,
        Position::Begins => name.starts_with(word) && is_between(bytes.get(word.len())),
        Position::Ends => {
            name.ends_with(word) && name.len() > word.len() && is_between(bytes.get(name.len() - word.len() - 1))
        }
        Position::Inside => name
            .match_indices(word)
            .any(|(at, _)| at > 0 && is_between(bytes.get(at - 1)) && is_between(bytes.get(at + word.len()))),
    }
}

/// Returns the splits of files such as `data/train-00000-of-00002.parquet`: the three known ones first.
fn sharded(files: &[String]) -> Vec<(String, Vec<String>)> {
    let mut named: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let Some(split) = file.strip_prefix("data/").and_then(shard_split) else { continue };
        match named.iter_mut().find(|(name, _)| name == split) {
            Some((_, files)) => files.push(file.clone()),
            None => named.push((split.to_owned(), vec![file.clone()])),
        }
    }
    let rank = |name: &str| WORDS.iter().position(|(split, _)| *split == name).unwrap_or(WORDS.len());
    named.sort_by(|(left, _), (right, _)| rank(left).cmp(&rank(right)).then_with(|| left.cmp(right)));
    named
}

/// Returns what stands before `-ddddd-of-ddddd` in a file's name, the last one where there are several.
fn shard_split(name: &str) -> Option<&str> {
    const TAIL_BYTES: usize = "-00000-of-00000".len();
    if name.contains('/') {
        return None;
    }
    let is_tail = |tail: &[u8]| {
        let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
        tail[0] == b'-' && is_number(&tail[1..6]) && &tail[6..10] == b"-of-" && is_number(&tail[10..15])
    };
    let bytes = name.as_bytes();
    let at = (1..=bytes.len().checked_sub(TAIL_BYTES)?).rev().find(|at| is_tail(&bytes[*at..at + TAIL_BYTES]))?;
    bytes[at + TAIL_BYTES..].contains(&b'.').then(|| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `split: file file; …`.
    fn named(files: &[&str]) -> String {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let splits = splits(&files);
        let words = splits.named.iter().map(|(name, files)| format!("{name}: {}", files.join(" ")));
        let text = words.collect::<Vec<_>>().join("; ");
        if splits.is_explicit { text } else { format!("({text})") }
    }

    #[test]
    fn words_have_boundaries() {
        assert_eq!(named(&["train.jsonl", "test.jsonl"]), "train: train.jsonl; test: test.jsonl");
        assert_eq!(named(&["my-dev.csv", "a/my train 1.csv"]), "train: a/my train 1.csv; validation: my-dev.csv");
        assert_eq!(
            named(&["training.csv", "eval0.csv", "valid_1.csv"]),
            "train: training.csv; validation: valid_1.csv; test: eval0.csv"
        );
        assert_eq!(named(&["trainer.csv", "latest.csv", "Train.csv"]), "(train: trainer.csv latest.csv Train.csv)");
        assert_eq!(named(&["mytrain.csv"]), "(train: mytrain.csv)");
    }

    #[test]
    fn folders_come_before_file_names_and_shards_before_both() {
        assert_eq!(
            named(&["a/test/train.csv", "b/train-x/test.csv"]),
            "train: b/train-x/test.csv; test: a/test/train.csv"
        );
        assert_eq!(named(&["en-train/0.csv", "en_test_1/0.csv"]), "train: en-train/0.csv; test: en_test_1/0.csv");
        assert_eq!(
            named(&["data/random-00000-of-00001.csv", "data/train-00000-of-00001-ab12.csv", "test/x.csv"]),
            "train: data/train-00000-of-00001-ab12.csv; random: data/random-00000-of-00001.csv"
        );
        assert_eq!(named(&["x/data/b-00000-of-00001.csv"]), "(train: x/data/b-00000-of-00001.csv)");
    }
}
