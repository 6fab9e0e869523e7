//! Keeps the replies that were rejected as unusable beside the journal, so that a person can look at them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::conversation::FailureCode;
use crate::model::RejectedReply;

/// Replies that are kept; the oldest goes when another comes.
const REPLIES_MAX: u64 = 100;

/// The directory of the rejected replies of a store.
pub struct RejectedReplies {
    directory: PathBuf,
    /// The number of the newest reply; `None` before the directory was read.
    newest: Option<u64>,
    /// Replies of this run.
    kept: u64,
}

impl RejectedReplies {
    pub fn of(store: &Path) -> Self {
        Self { directory: store.join("rejected"), newest: None, kept: 0 }
    }

    /// Writes a reply. It is for people alone, so that a full disk fails here without a word; the next commit reports it.
    pub fn keep(&mut self, code: &FailureCode, message: &str, reply: &RejectedReply) {
        let _ = fs::create_dir_all(&self.directory);
        let newest = self.newest.get_or_insert_with(|| numbers(&self.directory).into_iter().max().unwrap_or(0));
        *newest = newest.saturating_add(1);
        let text = [format!("{code}: {message}\n\n").as_bytes(), reply.bytes()].concat();
        let is_written = fs::write(path(&self.directory, *newest), text).is_ok();
        self.kept += u64::from(is_written);
        if let Some(oldest) = newest.checked_sub(REPLIES_MAX) {
            let _ = fs::remove_file(path(&self.directory, oldest));
        }
    }

    /// Returns the line for people about this run's replies.
    pub fn line(&self) -> Option<String> {
        let directory = self.directory.display();
        match self.kept {
            0 => None,
            1 => Some(format!("a rejected reply is kept in {directory}")),
            kept => Some(format!("{} rejected replies are kept in {directory}", kept.min(REPLIES_MAX))),
        }
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}.txt"))
}

fn numbers(directory: &Path) -> Vec<u64> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.path().file_stem()?.to_str()?.parse().ok()).collect()
}
