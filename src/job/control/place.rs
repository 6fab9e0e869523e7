//! Where the socket of a run is. A file of the store says so, with the host and the process.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, OwnedDirectory, Owner};

/// The longest path of a socket, in bytes. Linux takes 107, other systems 103.
const PATH_BYTES_MAX: usize = 103;
/// The name of the socket.
const SOCKET: &str = "control.sock";
/// How directories of sockets in the runtime directory begin.
const PREFIX: &str = "cohobate-control-";

/// What the file of a store says about the run that is at work on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The host and the process, for people.
    pub process: String,
    /// The same for programs, as [`Owner`] writes it.
    owner: String,
    /// The path of the socket on that host.
    pub socket: PathBuf,
}

impl Place {
    /// A socket of this process.
    pub fn here(socket: PathBuf) -> Self {
        let owner = Owner::this();
        Self { process: owner.place(), owner: owner.to_string(), socket }
    }

    /// Reads the file of a store; `None` where no run has left one that can be read.
    pub fn read(store: &Path) -> Option<Self> {
        const FILE_BYTES_MAX: u64 = 16 << 10;
        let path = file(store);
        let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= FILE_BYTES_MAX);
        serde_json::from_slice(&fs::read(path).ok().filter(|_| is_small)?).ok()
    }

    /// Writes the file of a store.
    pub fn write(&self, store: &Path) -> io::Result<()> {
        files::replace_file(&file(store), &serde_json::to_vec(self)?)
    }

    /// True if the process runs on this machine.
    pub fn is_here(&self) -> bool {
        Owner::parse(&self.owner).is_none_or(|owner| owner.is_on_this_machine())
    }
}

/// Returns the file of a store.
pub fn file(store: &Path) -> PathBuf {
    store.join("control.json")
}

/// Returns the socket in a store.
pub fn in_store(store: &Path) -> PathBuf {
    store.join(SOCKET)
}

/// Chooses where the socket of a run is: in the store, or in the runtime directory where that path is too long or on
/// another machine.
pub fn choose(store: &Path, runtime: Option<&Path>) -> io::Result<(PathBuf, Option<OwnedDirectory>)> {
    let path = in_store(store);
    if fits(&path) && !files::is_remote(store) {
        return Ok((path, None));
    }
    in_runtime(runtime).map(|(path, directory)| (path, Some(directory)))
}

/// Makes a directory of its own for a socket, which goes with the run: in the runtime directory, else in that for temporary
/// files.
pub fn in_runtime(runtime: Option<&Path>) -> io::Result<(PathBuf, OwnedDirectory)> {
    let temporary = std::env::temp_dir();
    let mut fault = io::Error::other("there is no runtime directory");
    for parent in runtime.into_iter().chain([temporary.as_path()]) {
        OwnedDirectory::sweep(parent, PREFIX);
        match OwnedDirectory::create_temporary(parent, PREFIX) {
            Ok(directory) if fits(&directory.path().join(SOCKET)) => {
                return Ok((directory.path().join(SOCKET), directory));
            }
            Ok(directory) => fault = io::Error::other(format!("{} is too long", directory.path().display())),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= PATH_BYTES_MAX
}
