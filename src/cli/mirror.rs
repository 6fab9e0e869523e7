//! A directory that follows a shared store, so that the page can look at it as at any other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cohobate::job::{Context, ErrorKind, JobError, MergeSettings, SharedAccess, merge};

use super::output::tell;

/// How soon the directory is brought up to date again, at least.
const FOLLOW_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// The same, as a multiple of what it takes: a large store is read seldom.
const FOLLOW_INTERVAL_FACTOR: u32 = 10;

/// Merges a shared store into a directory below `base`, and follows it from then on, until the program ends. A merge that is
/// cut off is completed by the next one. Where another page follows already, that one does it for both.
pub fn follow(access: SharedAccess, base: &Path, context: &Context) -> Result<PathBuf, JobError> {
    let directory = base.join("mirror");
    let settings = MergeSettings::new([access], directory.clone());
    let began = Instant::now();
    match merge(&settings, context) {
        Err(error) if error.kind == ErrorKind::InUse => return Ok(directory),
        other => drop(other?),
    }
    let mut wait = interval(began.elapsed());
    let follow = move || {
        let mut is_told = false;
        loop {
            std::thread::sleep(wait);
            let began = Instant::now();
            let merged = merge(&settings, &Context::default());
            if let (Err(error), false) = (merged, is_told) {
                tell(format!("caution: the page is not up to date: {error}"));
                is_told = true;
            }
            wait = interval(began.elapsed());
        }
    };
    let thread = std::thread::Builder::new().name("mirror".to_owned()).spawn(follow);
    thread.map_err(|error| JobError::unexpected(format!("cannot start a thread: {error}")))?;
    Ok(directory)
}

fn interval(took: Duration) -> Duration {
    FOLLOW_INTERVAL_MIN.max(took.saturating_mul(FOLLOW_INTERVAL_FACTOR))
}
