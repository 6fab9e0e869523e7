//! The other side of the socket, for programs that steer a job of another process. It blocks, and waits no longer than
//! its limits.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::kept::KeptLimits;
use super::place::{self, Place};
use super::verb::{SetLimits, Verb};
use crate::job::JobError;
use crate::job::open_store::exists;
use crate::store::StoreError;

/// How long a reply may take: longer than the job waits for its dispatcher.
const REPLY_MAX: Duration = Duration::from_secs(20);
/// The longest line of a reply.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// A connection to a job.
#[derive(Debug)]
pub struct ControlClient {
    stream: BufReader<UnixStream>,
    store: PathBuf,
}

impl ControlClient {
    /// Connects to the job that is at work on a store; `None` if no job is.
    pub fn connect(store: &Path) -> Result<Option<Self>, JobError> {
        if !exists(store) {
            return Err(StoreError::Missing { path: store.to_owned() }.into());
        }
        let place = Place::read(store);
        if let Some(place) = place.as_ref().filter(|place| !place.is_here()) {
            let message = format!("the run on {} is process {}", store.display(), place.process);
            return Err(JobError::usage(message, "run `cohobate ctl` on that host"));
        }
        let in_store = Some(place::in_store(store)).filter(|path| path.exists());
        let mut denied = None;
        for path in in_store.into_iter().chain(place.map(|place| place.socket)) {
            match connect(&path) {
                Ok(stream) => {
                    let limits = [stream.set_read_timeout(Some(REPLY_MAX)), stream.set_write_timeout(Some(REPLY_MAX))];
                    limits.into_iter().collect::<io::Result<()>>().map_err(|error| broken(store, &error))?;
                    return Ok(Some(Self { stream: BufReader::new(stream), store: store.to_owned() }));
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(error),
                // Its process was killed, or ends just now.
                Err(_) => {}
            }
        }
        match denied {
            None => Ok(None),
            Some(error) => {
                let message = format!("the run on {} cannot be reached: {error}", store.display());
                Err(JobError::usage(message, "only the user who started a run can steer it"))
            }
        }
    }

    /// Sends a verb and returns the reply: an object with `said` and `status`.
    pub fn ask(&mut self, verb: &Verb) -> Result<Value, JobError> {
        let request = format!("{}\n", verb.request());
        self.stream.get_mut().write_all(request.as_bytes()).map_err(|error| broken(&self.store, &error))?;
        let line = self.line()?.ok_or_else(|| broken(&self.store, &io::ErrorKind::UnexpectedEof.into()))?;
        let reply: Value = serde_json::from_str(&line).map_err(|error| {
            let message = format!("the run on {} sent what is no reply: {error}", self.store.display());
            JobError::usage(message, "use the version of cohobate that the run was started with")
        })?;
        if reply["ok"] == true {
            return Ok(reply);
        }
        let text = |field: &str| reply[field].as_str().map(str::to_owned);
        let message = text("error").unwrap_or_else(|| "the run refused without a reason".to_owned());
        Err(JobError { hint: text("hint"), ..JobError::usage(message, "") })
    }

    /// Returns the next line of what [`Verb::Tail`] has asked for; `None` at the end of the job. Waits as long as it takes.
    pub fn next_event(&mut self) -> Result<Option<String>, JobError> {
        let stream = self.stream.get_mut();
        stream.set_read_timeout(None).map_err(|error| broken(&self.store, &error))?;
        self.line()
    }

    fn line(&mut self) -> Result<Option<String>, JobError> {
        let mut line = String::new();
        let read = io::Read::take(&mut self.stream, LINE_BYTES_MAX).read_line(&mut line);
        match read {
            Ok(_) => Ok(Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(broken(&self.store, &error)),
        }
    }
}

/// Keeps limits for later runs of a store on which no job is at work.
pub fn keep_limits(store: &Path, limits: &SetLimits) -> Result<(), JobError> {
    KeptLimits::read(store)?.with(limits).write(store)
}

/// Connects to a socket whatever the length of its path: that to its directory can be as short as a number.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let name = path.file_name().unwrap_or_default();
    let open = path.parent().filter(|parent| !parent.as_os_str().is_empty()).and_then(|parent| File::open(parent).ok());
    let short = open.as_ref().map(|open| Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(name));
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => short.map_or(Err(error), UnixStream::connect),
        other => other,
    }
}

fn broken(store: &Path, error: &io::Error) -> JobError {
    let message = format!("the run on {} does not reply: {error}", store.display());
    JobError::usage(message, "it may be over: `cohobate status` shows what its store holds")
}
