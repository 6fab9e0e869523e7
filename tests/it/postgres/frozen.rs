//! Workers of the real program that are frozen beyond their leases where something becomes durable: at each sync of a journal, and
//! before and after each message to the database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cohobate::conversation::Dice;

use super::cluster::{Cluster, QUICK};
use super::site::{IN_FLIGHT, Site, dice, signal_process, under, wait};

const LEASE_MS: u64 = 600;
/// How long a process is frozen.
const FREEZE: Duration = Duration::from_millis(LEASE_MS * 3 / 2);
/// Two are frozen again and again; the third one takes what lapses.
const MACHINES: usize = 3;

/// A worker that a tracer stops after syncs of files.
struct Traced {
    tracer: Child,
    /// What the tracer has seen.
    seen: PathBuf,
    freezes: u64,
}

impl Traced {
    /// Starts a worker that is stopped after its sync number `first`, and after every `step`-th one from there.
    fn start(site: &Site, machine: usize, first: u64, step: u64) -> Self {
        let seen = site.place.path(&format!("seen-{machine}"));
        let mut runner = Command::new("strace");
        runner.args(["-f", "-y", "-e", "trace=fsync,fdatasync", "-e"]);
        runner.arg(format!("inject=fsync,fdatasync:signal=STOP:when={first}+{step}")).arg("-o").arg(&seen);
        let mut command = under(runner, &site.worker(machine, &[]));
        let log = File::options().append(true).open(site.log_path(machine)).unwrap();
        let tracer = command.stdout(std::process::Stdio::null()).stderr(log).spawn().unwrap();
        Self { tracer, seen, freezes: 0 }
    }

    /// Lets the worker go on, each time it was stopped for long enough, until it ends. Returns how often it was stopped.
    fn attend(mut self, site: &Site, machine: usize) -> (u64, BTreeMap<String, u64>) {
        let end = Instant::now() + Duration::from_secs(240);
        loop {
            if let Some(status) = self.tracer.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "machine {machine}: {}", site.log(machine));
                return (self.freezes, self.files());
            }
            assert!(Instant::now() < end, "machine {machine} did not end in four minutes: {}", site.log(machine));
            let seen = fs::read_to_string(&self.seen).unwrap_or_default();
            let stops = seen.lines().filter(|line| line.contains("--- SIGSTOP {")).count() as u64;
            if stops > self.freezes {
                self.freezes = stops;
                std::thread::sleep(FREEZE);
                let process = child_of(self.tracer.id()).expect("the worker is stopped, and there");
                signal_process(process, "CONT");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How often files of each kind were synced.
    fn files(&self) -> BTreeMap<String, u64> {
        let mut files = BTreeMap::new();
        for line in fs::read_to_string(&self.seen).unwrap().lines() {
            if let Some((_, path)) = line.split_once("sync(").and_then(|(_, call)| call.split_once('<'))
                && let Some((path, _)) = path.split_once('>')
            {
                let ending = Path::new(path).extension().map_or("folder".into(), |ending| ending.to_string_lossy());
                *files.entry(ending.into_owned()).or_default() += 1;
            }
        }
        files
    }
}

/// The only child of a process.
fn child_of(process: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-e", "inject=fsync:signal=STOP:when=9", "true"]).output();
    traced.is_ok_and(|output| output.status.success())
}

#[test]
fn a_worker_that_is_frozen_after_a_sync_of_its_journal_loses_nothing() {
    if !can_trace() {
        println!("skipped: strace is not installed, or may not trace");
        return;
    }
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 70, 10, LEASE_MS);
    let traced = [Traced::start(&site, 0, 1, 1), Traced::start(&site, 1, 2, 3)];
    let free = site.start(2, &[]);
    let freezes = std::thread::scope(|scope| {
        let site = &site;
        let attended = traced.into_iter().enumerate().map(|(machine, traced)| {
            scope.spawn(move || {
                let (freezes, files) = traced.attend(site, machine);
                println!("machine {machine}: {freezes} freezes; synced {files:?}");
                freezes
            })
        });
        let attended: Vec<_> = attended.collect();
        attended.into_iter().map(|one| one.join().unwrap()).collect::<Vec<u64>>()
    });
    site.finish_all(vec![free]);
    let taken = site.number("SELECT sum(taken) FROM cohobate_worker");
    println!("{taken} leases taken over");
    assert!(freezes.iter().all(|freezes| *freezes >= 5) && taken > 0, "{freezes:?} freezes, {taken} leases taken over");
    site.check(MACHINES, &[], freezes.iter().sum::<u64>() * IN_FLIGHT);
}

/// What stands between a worker and its database, and freezes the worker.
struct Between {
    folder: tempfile::TempDir,
    state: Arc<Mutex<Freezing>>,
}

struct Freezing {
    worker: Option<u32>,
    dice: Dice,
    /// Freezes by what the message asks for.
    freezes: BTreeMap<(String, When), u64>,
}

/// Whether the database gets a message while its sender is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// It gets it when others have taken what the sender held.
    Late,
    /// It carries it out; the sender sees the result when others have taken what it held.
    AtOnce,
}

impl Between {
    fn start(server: PathBuf, port: u16, dice: Dice) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket(folder.path(), port)).unwrap();
        let state = Arc::new(Mutex::new(Freezing { worker: None, dice, freezes: BTreeMap::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // Where the database is gone, so is the connection.
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else { continue };
                let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut back, &mut forth);
                    let _ = forth.shutdown(Shutdown::Both);
                });
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || pass(client, server, &shared));
            }
        });
        Self { folder, state }
    }

    fn freezing(&self) -> std::sync::MutexGuard<'_, Freezing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// Passes what a worker sends on to the database. One message at a time freezes its worker.
fn pass(mut client: UnixStream, mut server: UnixStream, state: &Mutex<Freezing>) {
    let mut buffer = vec![0; 1 << 20];
    while let Some(read) = client.read(&mut buffer).ok().filter(|read| *read > 0) {
        let message = &buffer[..read];
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = state.choose(message);
        let worker = state.worker.filter(|_| chosen.is_some());
        if let Some(worker) = worker {
            signal_process(worker, "STOP");
            if chosen == Some(When::Late) {
                std::thread::sleep(FREEZE);
            }
        }
        let sent = server.write_all(message);
        if let Some(worker) = worker {
            if chosen == Some(When::AtOnce) {
                std::thread::sleep(FREEZE);
            }
            signal_process(worker, "CONT");
        }
        drop(state);
        if sent.is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

impl Freezing {
    /// Chooses whether to freeze: each kind of message twice at first, and then by chance.
    fn choose(&mut self, message: &[u8]) -> Option<When> {
        self.worker?;
        let kind = kind_of(message);
        let when = if self.dice.below(2) == 0 { When::Late } else { When::AtOnce };
        let times = self.freezes.get(&(kind.clone(), when)).copied().unwrap_or(0);
        if times >= 2 && self.dice.below(8) > 0 {
            return None;
        }
        *self.freezes.entry((kind, when)).or_default() += 1;
        Some(when)
    }
}

/// What a message asks for: the first statements and their tables.
fn kind_of(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut kinds: Vec<(usize, String)> = Vec::new();
    for verb in ["BEGIN", "COMMIT", "INSERT INTO cohobate_", "UPDATE cohobate_", "FROM cohobate_"] {
        for (at, _) in text.match_indices(verb) {
            let rest = &text[at + verb.len()..];
            let table = rest.split(|letter: char| !letter.is_alphabetic() && letter != '_').next().unwrap_or("");
            let table = if verb.ends_with('_') { table } else { "" };
            kinds.push((at, format!("{}{table}", verb.replace("cohobate_", "").to_lowercase())));
        }
    }
    kinds.sort_unstable();
    let mut kinds: Vec<String> = kinds.into_iter().map(|(_, kind)| kind).collect();
    kinds.dedup();
    kinds.truncate(5);
    kinds.join(", ")
}

#[test]
fn a_worker_that_is_frozen_around_a_message_to_the_database_loses_nothing() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 70, 10, LEASE_MS);
    let between: Vec<Between> = (0..2)
        .map(|machine| {
            let server = socket(site.cluster.folder(), site.cluster.port());
            Between::start(server, site.cluster.port(), dice("freezes around messages", 20_261_131 + machine))
        })
        .collect();
    let mut workers: Vec<Child> = Vec::new();
    for (machine, between) in between.iter().enumerate() {
        let mut command = site.worker_by(between.folder.path(), machine, &[]);
        // The first message waits until it is known whom to freeze.
        let mut freezing = between.freezing();
        let worker = command.spawn().unwrap();
        freezing.worker = Some(worker.id());
        workers.push(worker);
    }
    workers.push(site.start(2, &[]));
    let mut freezes = 0;
    let finished: Vec<Option<i32>> = (0..MACHINES)
        .map(|machine| wait(&mut workers[machine], &format!("machine {machine}"), || site.log(machine)))
        .collect();
    for between in &between {
        let mut freezing = between.freezing();
        freezing.worker = None;
        freezes += freezing.freezes.values().sum::<u64>();
        for ((kind, when), times) in &freezing.freezes {
            println!("{times:4} × {when:?}: {kind}");
        }
    }
    let taken = site.number("SELECT sum(taken) FROM cohobate_worker");
    println!("{freezes} freezes, {taken} leases taken over");
    for (machine, code) in finished.into_iter().enumerate() {
        assert_eq!(code, Some(0), "machine {machine}: {}", site.log(machine));
    }
    assert!(freezes >= 20 && taken > 0, "{freezes} freezes, {taken} leases taken over");
    site.check(MACHINES, &[], freezes * IN_FLIGHT);
}
