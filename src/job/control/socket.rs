//! The socket of a store: one JSON object a line, a request and its reply.
//!
//! Only processes of the same user may connect: the socket has the mode 0600, and the user of every client is looked up.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::handle::{RunControl, missed};
use super::lines::{LINE_BYTES_MAX, Lines, NoLine};
use super::place::{self, Place};
use super::verb::Verb;
use crate::files::OwnedDirectory;

/// Clients at a time; further ones are turned away.
const CLIENTS_MAX: usize = 16;
/// How long clients may take to read what is left for them, when the job is over.
const FAREWELL_MAX: Duration = Duration::from_millis(300);
/// The wait after a connection could not be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A socket on which a job can be steered, until it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    inode: u64,
    file: PathBuf,
    task: AbortHandle,
    /// Tells the clients that the job is over.
    over: watch::Sender<bool>,
    /// Disconnected once the last client has been served.
    served: Mutex<Receiver<()>>,
    _directory: Option<OwnedDirectory>,
}

impl ControlSocket {
    /// Listens in a store that this process has locked: what listened there before is dead. Must be called inside the
    /// runtime.
    pub fn listen(store: &Path, runtime: Option<&Path>, control: RunControl) -> io::Result<Self> {
        let (path, directory) = place::choose(store, runtime)?;
        let (path, directory) = match bind(&path) {
            Ok(listener) => return Self::serve(listener, path, directory, store, control),
            // Some file systems have no sockets, and some stores belong to somebody else.
            Err(_) if directory.is_none() => place::in_runtime(runtime)?,
            Err(error) => return Err(error),
        };
        let listener = bind(&path)?;
        Self::serve(listener, path, Some(directory), store, control)
    }

    fn serve(
        listener: StdListener,
        path: PathBuf,
        directory: Option<OwnedDirectory>,
        store: &Path,
        control: RunControl,
    ) -> io::Result<Self> {
        let metadata = fs::metadata(&path)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let (over, is_over) = watch::channel(false);
        let (last, served) = channel();
        let accepting = accept(listener, metadata.uid(), control, is_over);
        let task = tokio::spawn(async move {
            accepting.await;
            drop::<Sender<()>>(last);
        });
        let (inode, file, task) = (metadata.ino(), place::file(store), task.abort_handle());
        let socket = Self { path, inode, file, task, over, served: Mutex::new(served), _directory: directory };
        Place::here(fs::canonicalize(&socket.path)?).write(store)?;
        Ok(socket)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Followers get the last events, if they read.
        self.over.send_replace(true);
        let served = self.served.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = served.recv_timeout(FAREWELL_MAX);
        self.task.abort();
        let _ = fs::remove_file(&self.file);
        // Whatever else may be there by now.
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket for this user alone, in the place of one that nobody listens on.
fn bind(path: &Path) -> io::Result<StdListener> {
    if StdStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Accepts clients until the job is over, and serves those who are connected to their end.
async fn accept(listener: UnixListener, user: u32, control: RunControl, mut is_over: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = is_over.wait_for(|is_over| *is_over) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Between bind and the change of the mode, others could have connected. Root may.
        let is_own = stream.peer_cred().is_ok_and(|peer| peer.uid() == user || peer.uid() == 0);
        let Some(place) = Arc::clone(&places).try_acquire_owned().ok().filter(|_| is_own) else {
            let reason = if is_own { "there are too many clients" } else { "the run belongs to another user" };
            // The buffer of a new connection has room for it.
            let _ = stream.try_write(format!("{}\n", refusal(reason, Some("try again in a moment"))).as_bytes());
            continue;
        };
        let (control, is_over) = (control.clone(), is_over.clone());
        clients.spawn(async move {
            serve(stream, &control, is_over).await;
            drop(place);
        });
    }
    while clients.join_next().await.is_some() {}
}

/// Serves one client.
async fn serve(stream: UnixStream, control: &RunControl, mut is_over: watch::Receiver<bool>) {
    let mut lines = Lines::new(stream);
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            _ = is_over.wait_for(|is_over| *is_over) => return,
        };
        let verb = match line {
            Ok(line) => Verb::parse(&line).map_err(|error| error.to_string()),
            Err(NoLine::Gone) => return,
            Err(NoLine::TooLong) => {
                let _ = lines
                    .write(&refusal(&format!("a line has more than {LINE_BYTES_MAX} bytes"), None).to_string())
                    .await;
                return;
            }
            Err(NoLine::NotText) => Err("this is no UTF-8".to_owned()),
        };
        let reply = match &verb {
            Ok(Verb::Tail) => return follow(lines, control, is_over).await,
            Ok(verb) => match control.apply(verb).await {
                Ok(reply) => json!({"ok": true, "said": reply.said, "status": reply.status}),
                Err(error) => refusal(&error.message, error.hint.as_deref()),
            },
            Err(reason) => refusal(reason, Some("docs/steering.md lists the verbs and their fields")),
        };
        if lines.write(&reply.to_string()).await.is_err() {
            return;
        }
    }
}

/// Sends the events of the job until the client goes.
async fn follow(mut lines: Lines, control: &RunControl, mut is_over: watch::Receiver<bool>) {
    let mut events = control.follow();
    let begun = json!({"ok": true, "said": "following", "status": control.status().await});
    if lines.write(&begun.to_string()).await.is_err() {
        return;
    }
    loop {
        let line = tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(line) => line,
                Err(RecvError::Lagged(count)) => Arc::from(missed(count).to_string()),
                Err(RecvError::Closed) => return,
            },
            () = lines.closed() => return,
            // Only where no event is left.
            _ = is_over.wait_for(|is_over| *is_over) => return,
        };
        if lines.write(&line).await.is_err() {
            return;
        }
    }
}

fn refusal(message: &str, hint: Option<&str>) -> Value {
    json!({"ok": false, "error": message, "hint": hint})
}
