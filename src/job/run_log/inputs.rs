//! The content hash of each input, found while the run is at work.
//!
//! Hashing costs one sequential reading, on a thread of its own, and begins only when the first call may be sent: the
//! first pass has just read the file, so that a small one comes from memory. A file whose length, times and inode are those
//! of an earlier run is not read: its hash is in the log.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::history::RunHistory;
use super::line::LogInput;
use crate::conversation::ContentHasher;
use crate::dataset::SourceFile;

/// Inputs of a run that are recorded.
const INPUTS_MAX: usize = 1_000;
/// Bytes that are read at a time, between looks at whether the run has ended.
const READ_BYTES: usize = 1 << 20;
/// How long the end of a run waits for hashes. A larger input gets its hash in a longer run.
const HASH_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long the end waits for the thread after it was told to stop.
const STOP_WAIT_MAX: Duration = Duration::from_millis(200);

/// An input that the first pass has opened.
#[derive(Clone, Debug)]
pub struct SeenInput {
    /// Its name in messages.
    pub name: String,
    /// The file; none where its bytes cannot be read again.
    pub file: Option<SourceFile>,
}

impl SeenInput {
    /// Returns what is known without reading it.
    pub fn unhashed(&self) -> LogInput {
        let path = self.file.as_ref().map(SourceFile::path);
        let path = path.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let stamp = self.file.as_ref().map(SourceFile::stamp);
        LogInput {
            name: self.name.clone(),
            path: path.map(|path| path.to_string_lossy().into_owned()),
            bytes: stamp.map_or(0, |stamp| stamp.bytes()),
            stamp: stamp.map(|stamp| stamp.to_string()),
            blake3: None,
        }
    }
}

/// The thread that hashes.
#[derive(Debug)]
pub struct InputHashing {
    stop: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl InputHashing {
    /// Begins to hash; each input is passed to `record` once.
    pub fn begin(inputs: Vec<SeenInput>, store: PathBuf, record: impl Fn(LogInput) + Send + 'static) -> Option<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, done) = channel();
        let thread = std::thread::Builder::new().name("input-hash".to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                let known = known_hashes(&store);
                for input in inputs.iter().take(INPUTS_MAX) {
                    let mut found = input.unhashed();
                    found.blake3 = known.get(&(found.path.clone(), found.stamp.clone())).cloned();
                    if let (None, Some(file)) = (&found.blake3, &input.file) {
                        found.blake3 = hash_of(file, &stop);
                    }
                    record(found);
                }
                drop(sender);
            }
        });
        thread.ok().map(|_| Self { stop, done })
    }

    /// Waits for a moment until all is hashed, then stops. What has no hash is recorded without one.
    pub fn finish(self) {
        if self.done.recv_timeout(HASH_WAIT_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            self.stop.store(true, Ordering::Relaxed);
            let _ = self.done.recv_timeout(STOP_WAIT_MAX);
        }
    }
}

/// What became of an input since a run read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputNow {
    /// It has the same bytes, as far as that can be told without reading a large file.
    Same,
    /// It has other bytes.
    Changed,
    /// It cannot be opened.
    Missing,
}

/// Bytes of a file that is read to find out whether it was changed.
const COMPARED_BYTES_MAX: u64 = 4 << 30;

impl LogInput {
    /// Compares the input with what the run has read; nothing for standard input and rows of the calling program.
    pub fn now(&self) -> Option<InputNow> {
        let path = self.path.as_ref()?;
        let Ok(file) = SourceFile::open(Path::new(path), 0) else { return Some(InputNow::Missing) };
        let stamp = file.stamp();
        if self.stamp.as_deref() == Some(stamp.to_string().as_str()) {
            return Some(InputNow::Same);
        }
        if stamp.bytes() != self.bytes {
            return Some(InputNow::Changed);
        }
        // A copy, or a file that was only touched, has the same bytes.
        let Some(then) = self.blake3.as_ref().filter(|_| self.bytes <= COMPARED_BYTES_MAX) else {
            return Some(InputNow::Same);
        };
        let now = hash_of(&file, &AtomicBool::new(false));
        Some(if now.as_ref() == Some(then) { InputNow::Same } else { InputNow::Changed })
    }
}

/// Returns the hashes that the log has, by path and stamp.
fn known_hashes(store: &Path) -> HashMap<(Option<String>, Option<String>), String> {
    let runs = RunHistory::read(store, 0).runs;
    let inputs = runs.into_iter().flat_map(|run| run.inputs).filter(|input| input.stamp.is_some());
    inputs.filter_map(|input| Some(((input.path, input.stamp), input.blake3?))).collect()
}

/// Returns the hash of a file; nothing where it was changed meanwhile, cannot be read, or the run has ended.
fn hash_of(file: &SourceFile, stop: &AtomicBool) -> Option<String> {
    let (mut reader, mut buffer) = (file.reader().ok()?, vec![0; READ_BYTES]);
    let mut hasher = ContentHasher::default();
    loop {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        match reader.read(&mut buffer).ok()? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    file.is_unchanged().then(|| hasher.finish().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_compared_by_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in");
        std::fs::write(&path, "abc").unwrap();
        let file = SourceFile::open(&path, 0).unwrap();
        let seen = SeenInput { name: "in".to_owned(), file: Some(file) }.unhashed();
        let hash = hash_of(&SourceFile::open(&path, 0).unwrap(), &AtomicBool::new(false));
        let seen = LogInput { blake3: hash, ..seen };
        assert_eq!(seen.now(), Some(InputNow::Same));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen.now(), Some(InputNow::Missing));
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(seen.now(), Some(InputNow::Same), "a copy");
        std::fs::write(&path, "abd").unwrap();
        assert_eq!(seen.now(), Some(InputNow::Changed));
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(seen.now(), Some(InputNow::Changed));
        assert_eq!(LogInput::default().now(), None, "standard input");
    }

    #[test]
    fn the_hash_is_that_of_the_bytes_and_none_of_a_file_that_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in");
        std::fs::write(&path, "abc").unwrap();
        let file = SourceFile::open(&path, 0).unwrap();
        let go = AtomicBool::new(false);
        let hash = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(hash_of(&file, &go).as_deref(), Some(hash));
        assert_eq!(hash_of(&file, &AtomicBool::new(true)), None);
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(hash_of(&file, &go), None);
    }
}
