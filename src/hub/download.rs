//! One file into the cache: resumed where an earlier download ended, checked, and put in its place whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use ring::digest::{Context as Hasher, SHA256};

use super::cache::Cache;
use super::client::{Client, TRIES_MAX, backoff};
use super::error::HubError;
use super::revision::{HubFile, HubRevision};
use crate::files::{Locking, parent_of, try_lock};

/// How long another process may take to download the same file.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(6 * 3600);
const LOCK_INTERVAL: Duration = Duration::from_millis(500);
const READ_BYTES: usize = 1 << 20;

/// Downloads a file, unless the cache has it, and returns its path there.
pub async fn file(
    client: &Client<'_>,
    cache: &Cache,
    revision: &HubRevision,
    file: &HubFile,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<PathBuf, HubError> {
    let blob = cache.blob(&file.hash);
    let named = cache.snapshot(&revision.commit).join(&file.path);
    if has_length(&named, file.bytes) {
        return Ok(named);
    }
    if !has_length(&blob, file.bytes) {
        let _lock = lock(client, &cache.lock(&file.hash)).await?;
        if !has_length(&blob, file.bytes) {
            let download = Download { client, revision, file, incomplete: cache.incomplete(&file.hash) };
            download.run(on_bytes).await?;
            fs::rename(&download.incomplete, &blob).map_err(|error| HubError::cache(&blob, &error))?;
        }
    }
    cache.link(&revision.commit, &file.path, &file.hash)
}

fn has_length(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
}

/// Locks a file as the Hub's other clients do. Where locks do not work, nobody waits.
async fn lock(client: &Client<'_>, path: &Path) -> Result<Option<File>, HubError> {
    let fault = |error: io::Error| HubError::cache(path, &error);
    fs::create_dir_all(parent_of(path)).map_err(fault)?;
    let begun = tokio::time::Instant::now();
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(fault)?;
        match try_lock(file).map_err(fault)? {
            Locking::Held(file) | Locking::Unsupported(file) => return Ok(Some(file)),
            Locking::Busy if begun.elapsed() < LOCK_WAIT_MAX => client.wait(LOCK_INTERVAL).await?,
            Locking::Busy => {
                let message = format!("another process holds {} for too long", path.display());
                return Err(HubError::unavailable(message));
            }
        }
    }
}

struct Download<'a> {
    client: &'a Client<'a>,
    revision: &'a HubRevision,
    file: &'a HubFile,
    incomplete: PathBuf,
}

impl Download<'_> {
    /// Downloads until the file is whole. A try that has brought something begins the count of tries again.
    async fn run(&self, on_bytes: &(dyn Fn(u64) + Sync)) -> Result<(), HubError> {
        if self.client.is_offline() {
            let hint = "unset HF_HUB_OFFLINE to download it";
            return Err(HubError::refused(format!("{} is not in the cache", self.file.path), hint));
        }
        fs::create_dir_all(parent_of(&self.incomplete)).map_err(|error| self.fault(&error))?;
        let (mut tries, mut was_damaged) = (0, false);
        loop {
            let before = self.length();
            if before > self.file.bytes {
                self.discard()?;
                continue;
            }
            let result =
                if before == self.file.bytes && before > 0 { Ok(()) } else { self.go_on(before, on_bytes).await };
            let now = self.length();
            match result {
                Ok(()) if now == self.file.bytes => {
                    if self.is_intact()? {
                        return Ok(());
                    }
                    self.discard()?;
                    if std::mem::replace(&mut was_damaged, true) {
                        let what = format!("{} arrives with another content than the Hub's list says", self.file.path);
                        return Err(HubError::unavailable(what));
                    }
                }
                Err(error) if error.kind != super::HubErrorKind::Unavailable => return Err(error),
                other => {
                    self.client.check_stop()?;
                    tries = if now > before { 1 } else { tries + 1 };
                    if tries >= TRIES_MAX {
                        let short = || {
                            let (path, bytes) = (&self.file.path, self.file.bytes);
                            HubError::unavailable(format!("{path} has {bytes} bytes, and the Hub sends {now}"))
                        };
                        return Err(other.err().unwrap_or_else(short));
                    }
                    self.client.wait(backoff(tries)).await?;
                }
            }
        }
    }

    /// Asks for what is missing, and appends it.
    async fn go_on(&self, from: u64, on_bytes: &(dyn Fn(u64) + Sync)) -> Result<(), HubError> {
        let reference = self.client.reference();
        let segments = ["datasets", &reference.owner, &reference.name, "resolve", &self.revision.commit];
        let url = self.client.url(segments.into_iter().chain(self.file.path.split('/')));
        let mut response = self.client.get(url, (from > 0).then_some(from)).await?;
        let continues = response.status() == StatusCode::PARTIAL_CONTENT && first_byte(&response) == Some(from);
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            self.discard()?;
            return Err(HubError::unavailable(format!("{} is shorter on the Hub than what is here", self.file.path)));
        }
        let mut options = OpenOptions::new();
        options.create(true).append(continues).write(true).truncate(!continues);
        let mut out = options.open(&self.incomplete).map_err(|error| self.fault(&error))?;
        let mut bytes = if continues { from } else { 0 };
        while let Some(piece) = self.client.piece(&mut response).await? {
            bytes += piece.len() as u64;
            if bytes > self.file.bytes {
                drop(out);
                self.discard()?;
                let what = format!("{} is longer than the {} bytes of the Hub's list", self.file.path, self.file.bytes);
                return Err(HubError::unavailable(what));
            }
            out.write_all(&piece).map_err(|error| self.fault(&error))?;
            on_bytes(bytes);
        }
        out.sync_all().map_err(|error| self.fault(&error))
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.incomplete).map_or(0, |metadata| metadata.len())
    }

    fn discard(&self) -> Result<(), HubError> {
        match fs::remove_file(&self.incomplete) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.fault(&error)),
            _ => Ok(()),
        }
    }

    fn fault(&self, error: &io::Error) -> HubError {
        HubError::cache(&self.incomplete, error)
    }

    /// True for the content that the Hub has listed, as far as it tells.
    fn is_intact(&self) -> Result<bool, HubError> {
        let Some(sha256) = self.file.sha256() else { return Ok(true) };
        let found = sha256_of(&self.incomplete).map_err(|error| self.fault(&error))?;
        Ok(found.eq_ignore_ascii_case(sha256))
    }
}

fn first_byte(response: &reqwest::Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn sha256_of(path: &Path) -> io::Result<String> {
    use std::fmt::Write as _;
    let (mut file, mut hasher, mut buffer) = (File::open(path)?, Hasher::new(&SHA256), vec![0; READ_BYTES]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hasher.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
