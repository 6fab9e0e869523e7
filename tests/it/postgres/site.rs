//! Workers of the real program on several machines, each of which is a directory: one database, one server, one input.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cohobate::conversation::Dice;
use serde_json::Value;

use super::cluster::Cluster;
use crate::support::{Finished, MockServer, Place, conversation, finish, jsonl};

/// Calls that each worker may have in flight.
pub const IN_FLIGHT: u64 = 4;

/// Whatever runs the workers of a test.
pub struct Site {
    pub cluster: Cluster,
    pub place: Place,
    pub server: MockServer,
    /// Questions of the input.
    pub questions: u64,
    /// How long a lease lasts, in milliseconds.
    pub lease_ms: u64,
}

impl Site {
    /// A site whose model takes 150 ms on average: orphans show where answers are slow.
    pub fn new(cluster: Cluster, rows: usize, turns: usize, lease_ms: u64) -> Self {
        Self::with_latency(cluster, (rows, turns), lease_ms, 150)
    }

    pub fn with_latency(cluster: Cluster, (rows, turns): (usize, usize), lease_ms: u64, latency_ms: u64) -> Self {
        let place = Place::new();
        let rows: Vec<Value> = (0..rows).map(|row| conversation(&format!("subject {row}"), turns)).collect();
        place.write("in.jsonl", jsonl(&rows));
        let server = MockServer::start(&["--latency", &latency_ms.to_string()]);
        Self { cluster, place, server, questions: (rows.len() * turns) as u64, lease_ms }
    }

    /// The database's address by the socket in a folder.
    fn url_by(&self, folder: &Path) -> String {
        format!("postgres://worker@/postgres?host={}&port={}", folder.display(), self.cluster.port())
    }

    /// The program with these arguments and the shared store.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(self.cluster.folder(), arguments)
    }

    /// The same, by another socket.
    fn command_by(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.args(["--store", &self.url_by(folder)]).env("COHOBATE_TEST_LEASE_MS", self.lease_ms.to_string());
        command
    }

    /// Runs a command over the shared store.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Runs what must succeed.
    pub fn complete(&self, arguments: &[&str]) -> Finished {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}\n{finished:?}");
        finished
    }

    /// A worker on a machine.
    pub fn worker(&self, machine: usize, more: &[&str]) -> Command {
        self.worker_by(self.cluster.folder(), machine, more)
    }

    /// The same, by another socket.
    pub fn worker_by(&self, folder: &Path, machine: usize, more: &[&str]) -> Command {
        let (output, outbox) = (format!("out-{machine}.jsonl"), format!("machine-{machine}"));
        let (model, calls) = (self.server.model(), IN_FLIGHT.to_string());
        let arguments = ["distill", "in.jsonl", "--teacher", &model, "-o", &output, "--outbox", &outbox];
        let mut command = self.command_by(folder, &[&arguments[..], &["--concurrency", &calls], more].concat());
        let log = File::options().create(true).append(true).open(self.log_path(machine)).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Starts a worker on a machine.
    pub fn start(&self, machine: usize, more: &[&str]) -> Child {
        self.worker(machine, more).spawn().unwrap()
    }

    /// Starts a worker on each of these machines.
    pub fn start_all(&self, machines: usize, more: &[&str]) -> Vec<Child> {
        (0..machines).map(|machine| self.start(machine, more)).collect()
    }

    /// Waits until the server has had so many requests.
    pub fn wait_for_requests(&self, count: u64) {
        wait_until(&format!("{count} requests"), || self.server.count("requests") >= count);
    }

    /// What a machine's workers have said.
    pub fn log(&self, machine: usize) -> String {
        fs::read_to_string(self.log_path(machine)).unwrap()
    }

    pub fn log_path(&self, machine: usize) -> PathBuf {
        self.place.path(&format!("log-{machine}"))
    }

    /// Waits for workers, all of which must finish the run.
    pub fn finish_all(&self, workers: Vec<Child>) {
        for (machine, mut worker) in workers.into_iter().enumerate() {
            let status = wait(&mut worker, &format!("machine {machine}"), || self.log(machine));
            assert_eq!(status, Some(0), "machine {machine}: {}", self.log(machine));
        }
    }

    /// A number that a query gives.
    pub fn number(&self, sql: &str) -> u64 {
        let text = self.cluster.sql(sql);
        text.parse().unwrap_or_else(|_| panic!("{sql}: {text}"))
    }

    /// Starts every machine once more, so that its outbox is empty, and looks at what is there: the output of one machine, each
    /// answer once, nothing asked that nobody booked, and no more than `repeated_max` questions asked again. Returns how many
    /// were.
    pub fn check(&self, machines: usize, more: &[&str], repeated_max: u64) -> u64 {
        self.finish_all(self.start_all(machines, more));
        let requests = self.server.count("requests");
        assert_eq!(self.server.count("distinct"), self.questions);
        let repeated = requests - self.questions;
        println!("{repeated} of {} calls repeated, at most {repeated_max} may be", self.questions);
        assert!(repeated <= repeated_max, "{repeated} calls repeated, {repeated_max} may be");
        assert_eq!(self.number("SELECT count(*) FROM cohobate_answer"), self.questions);
        let (known, booked) = self.booked();
        assert!(known <= requests && requests <= booked, "{known} answers, {requests} requests, {booked} booked");
        // A request that was written down and never sent is booked all the same.
        assert!(booked <= requests + repeated_max, "{booked} booked for {requests} requests");
        assert_eq!(self.number("SELECT sum(booked_requests) FROM cohobate_worker"), booked);
        assert_eq!(self.number("SELECT count(*) FROM cohobate_worker WHERE left_at IS NULL"), 0, "outboxes are empty");
        assert_eq!(self.number("SELECT count(*) FROM cohobate_slot WHERE NOT is_done"), 0);
        self.check_output(machines);
        self.complete(&["verify"]);
        repeated
    }

    /// Answers, and answers with calls of unknown outcome, as the workers have booked them.
    pub fn booked(&self) -> (u64, u64) {
        let known = self.number("SELECT coalesce(sum(calls), 0) FROM cohobate_spend");
        (known, self.number("SELECT coalesce(sum(calls + unknown_calls), 0) FROM cohobate_spend"))
    }

    /// The output is that of a machine alone, wherever it was written, and so is that of `export`.
    pub fn check_output(&self, machines: usize) {
        // A server of its own: this one's counts are looked at.
        let server = MockServer::start(&[]);
        let alone = server.model();
        let calm = ["distill", "in.jsonl", "--teacher", &alone, "-o", "calm.jsonl", "--store", "calm"];
        self.place.complete(&calm);
        let calm = self.place.read("calm.jsonl");
        let names: Vec<String> = (0..machines).map(|machine| format!("out-{machine}.jsonl")).collect();
        let written: Vec<&String> = names.iter().filter(|name| self.place.exists(name)).collect();
        assert!(!written.is_empty(), "nobody has written the output");
        assert!(written.iter().all(|name| self.place.read(name) == calm), "{written:?}");
        let model = self.server.model();
        self.complete(&["export", "in.jsonl", "--teacher", &model, "-o", "exported.jsonl", "--outbox", "exporting"]);
        assert!(self.place.read("exported.jsonl") == calm, "the exported output");
    }
}

/// A command that another program runs: the same arguments, folder and variables.
pub fn under(mut runner: Command, inside: &Command) -> Command {
    runner.arg(inside.get_program()).args(inside.get_args()).current_dir(inside.get_current_dir().unwrap());
    for (name, value) in inside.get_envs() {
        match value {
            Some(value) => runner.env(name, value),
            None => runner.env_remove(name),
        };
    }
    runner
}

/// Sends a signal to a process that has not been waited for.
pub fn signal(child: &mut Child, name: &str) {
    if child.try_wait().unwrap().is_none() {
        assert!(signal_process(child.id(), name));
    }
}

/// Sends a signal to a process. Returns false if there is none.
pub fn signal_process(process: u32, name: &str) -> bool {
    Command::new("kill")
        .args([format!("-{name}"), process.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

/// Waits until something is so; fails after two minutes.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < end, "waited two minutes for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a process that ends; fails after three minutes. Returns its exit code.
pub fn wait(child: &mut Child, what: &str, log: impl Fn() -> String) -> Option<i32> {
    let end = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("{what} did not end in three minutes: {}", log());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Dice of a seed that is printed and can be given.
pub fn dice(name: &'static str, usual: u64) -> Dice {
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(usual);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    Dice::new(name, &seed.to_le_bytes())
}

/// Sleeps for a random time between two numbers of milliseconds.
pub fn pause(dice: &mut Dice, from_ms: u64, to_ms: u64) {
    std::thread::sleep(Duration::from_millis(from_ms + dice.below((to_ms - from_ms) as usize) as u64));
}
