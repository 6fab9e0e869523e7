//! The recorder that is preloaded into the real program, and its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, finish};

/// The recorder, compiled.
pub struct Recorder {
    library: PathBuf,
}

/// Something that the program did, in the order of its effects. Files and directories are named by their inode.
#[derive(Clone, Debug)]
pub enum Event {
    Create { parent: u64, inode: u64, name: String },
    Write { inode: u64, offset: u64, bytes: Vec<u8> },
    Truncate { inode: u64, length: u64 },
    SyncBegin { inode: u64, thread: u32 },
    SyncEnd { inode: u64, thread: u32 },
    Rename { from: u64, to: u64, swaps: bool, from_name: String, to_name: String },
    Link { inode: u64, parent: u64, name: String },
    Remove { parent: u64, name: String },
    MakeDirectory { parent: u64, inode: u64, name: String },
    Send { socket: u64, bytes: Vec<u8> },
    Print { text: String },
}

impl Event {
    /// True for what changes files, or makes them durable: between two of these, no power cut differs.
    pub fn is_on_disk(&self) -> bool {
        !matches!(self, Self::Send { .. } | Self::Print { .. })
    }

    /// True for what changes a directory.
    pub fn changes_names(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Truncate { .. } | Self::SyncBegin { .. } | Self::SyncEnd { .. })
            && self.is_on_disk()
    }
}

impl Recorder {
    /// Compiles the recorder. `None`, and a line that says why, where that cannot be done.
    pub fn build(place: &Place) -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            println!("skipped: calls are recorded through the GNU C library's symbols, on Linux");
            return None;
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/chaos/recorder.c");
        let library = place.path("recorder.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-pthread", "-o"]).arg(&library).arg(source);
        let Ok(output) = compiler.output() else {
            println!("skipped: there is no C compiler `cc` for the recorder");
            return None;
        };
        assert!(output.status.success(), "recorder.c: {}", String::from_utf8_lossy(&output.stderr));
        Some(Self { library })
    }

    /// Has a command write what it does to `log`.
    pub fn record<'a>(&self, command: &'a mut Command, log: &Path) -> &'a mut Command {
        let _ = fs::remove_file(log);
        command.env("LD_PRELOAD", &self.library).env("COHOBATE_RECORD", log)
    }

    /// The same without waiting for the disk, for runs that are not cut off.
    pub fn record_fast<'a>(&self, command: &'a mut Command, log: &Path) -> &'a mut Command {
        self.record(command, log).env("COHOBATE_RECORD_SYNC", "skip")
    }

    /// Gives a command a disk with room for this many bytes more.
    pub fn fill_up<'a>(&self, command: &'a mut Command, log: &Path, bytes: u64) -> &'a mut Command {
        self.record_fast(command, log).env("COHOBATE_RECORD_SPACE", bytes.to_string())
    }

    /// Runs a command without waiting for the disk and without a log.
    pub fn run_fast(&self, command: &mut Command) -> crate::support::Finished {
        finish(command.env("LD_PRELOAD", &self.library).env("COHOBATE_RECORD_SYNC", "skip"))
    }
}

/// `struct record` in `recorder.c`: kind, thread, three numbers, the lengths of two texts.
const HEADER_BYTES: usize = 40;

/// Reads a log. A record that a kill cut short ends it.
pub fn read_log(path: &Path) -> Vec<Event> {
    let bytes = fs::read(path).unwrap_or_default();
    let (mut events, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let short = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().unwrap());
        let (first, second) = (short(32) as usize, short(36) as usize);
        let Some((texts, after)) = behind.split_at_checked(first + second) else { break };
        rest = after;
        events.push(event(short(0), short(4), [long(8), long(16), long(24)], &texts[..first], &texts[first..]));
    }
    events
}

fn event(kind: u32, thread: u32, [a, b, c]: [u64; 3], first: &[u8], second: &[u8]) -> Event {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match kind {
        1 => Event::Create { parent: a, inode: b, name: text(first) },
        2 => Event::Write { inode: a, offset: b, bytes: first.to_vec() },
        3 => Event::Truncate { inode: a, length: b },
        4 => Event::SyncBegin { inode: a, thread },
        5 => Event::SyncEnd { inode: a, thread },
        6 => {
            let swaps = c & 2 != 0;
            Event::Rename { from: a, to: b, swaps, from_name: text(first), to_name: text(second) }
        }
        7 => Event::Link { inode: a, parent: b, name: text(first) },
        8 | 10 => Event::Remove { parent: a, name: text(first) },
        9 => Event::MakeDirectory { parent: a, inode: b, name: text(first) },
        11 => Event::Send { socket: a, bytes: first.to_vec() },
        12 => Event::Print { text: text(first) },
        13 => panic!("the recorder cannot follow `{}`; teach it to", text(first)),
        _ => panic!("the log is full or not a log: a record of kind {kind}"),
    }
}
