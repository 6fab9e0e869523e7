//! A shared store in PostgreSQL: what its commits reach, what many workers reach, and what it costs beside a directory. Starts
//! a server of its own from the packages of the distribution.
//!
//! `cargo bench --bench shared_store -- [commits] [workers] [cost]`; `workers` takes eight minutes.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures and ends where it cannot go on"
)]

#[allow(dead_code, clippy::expect_used, reason = "the tests need more of it")]
#[path = "../tests/it/postgres/cluster.rs"]
mod cluster;

#[allow(dead_code, unused_imports, reason = "the tests need more of it")]
#[path = "../tests/it/support.rs"]
mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, open};
use cohobate::conversation::{ConversationKey, Fingerprint, Settings};
use cohobate::store::shared::{
    Batch, Caps, Database, Joined, NewAnswer, NewSlot, RunRequest, SlotRange, WorkerId, WorkerStart,
};
use serde_json::Value;
use support::{MockServer, Place, conversation, jsonl};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

/// Durability is part of what is measured; the rest is as it is on a server that is used for this.
const SERVER: &str = "-c max_wal_size=4GB -c shared_buffers=256MB";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in [("commits", commits as fn(&Cluster)), ("workers", workers), ("cost", cost)] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let Some(cluster) = Cluster::start(SERVER) else { return };
            part(&cluster);
        }
    }
}

/// Connections that commit at the same time.
const CONNECTIONS: u8 = 4;
/// Answers in a commit.
const GROUP: u64 = 64;
const FRAME_BYTES: usize = 2048;
const LEASE: Duration = Duration::from_secs(600);

/// Answers committed a second against plain inserts of the same bytes, over as many connections.
fn commits(cluster: &Cluster) {
    let store = Arc::new(open(&cluster.address("")).unwrap());
    let run = run_of(&*store);
    cluster.sql("CREATE TABLE plain (key bytea PRIMARY KEY, frame bytea NOT NULL)");
    cluster.sql("ALTER TABLE plain ALTER COLUMN frame SET STORAGE EXTERNAL");
    let frame: Vec<u8> = (0..FRAME_BYTES as u64 / 32).flat_map(spread).collect();
    println!("answers of {FRAME_BYTES} bytes, {GROUP} in a commit, {CONNECTIONS} workers; a second");
    println!("{:>12}{:>12}{:>8}", "committed", "inserted", "ratio");
    for round in 0..6_u64 {
        let key = |worker: u8, number: u64| key(worker, (round << 30) + number);
        let committed = rate(|worker, count, until| {
            for group in 0.. {
                if Instant::now() > until {
                    return;
                }
                let answer = |at: u64| {
                    let key = key(worker, group * GROUP + at);
                    let (fingerprint, conversation) = (Fingerprint(key), ConversationKey(key));
                    NewAnswer { fingerprint, conversation, run, frame: frame.clone() }
                };
                let batch = Batch { answers: (0..GROUP).map(answer).collect(), ..Batch::default() };
                store.publish(id(worker), run, &batch, LEASE, 0).unwrap();
                count.fetch_add(GROUP, Ordering::Relaxed);
            }
        });
        let inserted = rate(|worker, count, until| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&cluster.address(""), NoTls).await.unwrap();
                tokio::spawn(async move { drop(connection.await) });
                for group in 0.. {
                    if Instant::now() > until {
                        return;
                    }
                    let keys = (0..GROUP).map(|at| key(worker, group * GROUP + at).to_vec()).collect();
                    insert(&client, keys, &frame).await;
                    count.fetch_add(GROUP, Ordering::Relaxed);
                }
            });
        });
        println!("{committed:>12.0}{inserted:>12.0}{:>8.2}", committed / inserted);
    }
}

async fn insert(client: &Client, keys: Vec<Vec<u8>>, frame: &[u8]) {
    let frames = vec![frame; keys.len()];
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&keys, Type::BYTEA_ARRAY), (&frames, Type::BYTEA_ARRAY)];
    client.execute_typed("INSERT INTO plain SELECT * FROM unnest($1::bytea[], $2::bytea[])", &values).await.unwrap();
}

/// Answers a second of all workers.
fn rate(work: impl Fn(u8, &AtomicU64, Instant) + Sync) -> f64 {
    let (count, begin) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for worker in 1..=CONNECTIONS {
            let (count, work) = (&count, &work);
            scope.spawn(move || work(worker, count, begin + Duration::from_secs(4)));
        }
    });
    count.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

/// Begins a run that all workers of a process work on.
fn run_of(store: &dyn Database) -> u32 {
    let settings = Settings::default().with("recipe", "distill");
    let slots = [NewSlot { range: SlotRange { low: 0, high: u64::MAX }, weight: 1 }];
    let mut number = 0;
    for worker in 1..=CONNECTIONS {
        let start = WorkerStart { id: id(worker), host: "bench".to_owned(), process: 1, version: "1".to_owned() };
        store.join(&start, LEASE).unwrap();
        let (rows, caps) = ([1; 32], Caps::default());
        let request = RunRequest { name: None, settings: &settings, rows, slots: &slots, caps, started_ms: 1 };
        match store.run(id(worker), &request).unwrap() {
            Joined::Run(joined) => number = joined.run.number,
            other @ Joined::Differs { .. } => panic!("{other:?}"),
        }
    }
    number
}

fn id(worker: u8) -> WorkerId {
    WorkerId([worker; 16])
}

fn key(worker: u8, number: u64) -> [u8; 32] {
    *spread(u64::from(worker) << 56 | number).first_chunk().unwrap()
}

/// Bytes that are spread as fingerprints are.
fn spread(mut state: u64) -> Vec<u8> {
    let step = |_| {
        state = (state ^ (state >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x7f4a_7c15);
        (state ^ (state >> 29)).to_be_bytes()
    };
    (0..4).flat_map(step).collect()
}

/// Calls that each worker has in flight.
const IN_FLIGHT: u64 = 16;
const LATENCY_MS: u64 = 2_000;
const TURNS: u64 = 4;

/// Eight workers against one, each with the same number of rows, on a server that takes its time.
fn workers(cluster: &Cluster) {
    const ROWS: u64 = 240;
    let ideal = (ROWS * TURNS).div_ceil(IN_FLIGHT) * LATENCY_MS / 1000;
    println!(
        "{ROWS} conversations of {TURNS} turns for each worker, {IN_FLIGHT} in flight, {LATENCY_MS} ms each: {ideal} s at best"
    );
    println!("{:>12}{:>12}{:>8}", "one, s", "eight, s", "ratio");
    for round in 0..2 {
        let place = Place::new();
        let server = MockServer::start(&["--latency", &LATENCY_MS.to_string()]);
        let wall = |count: u64| {
            let name = format!("w{round}x{count}");
            cluster.sql(&format!("CREATE DATABASE {name}"));
            let input = input(&place, &name, ROWS * count, TURNS);
            let begin = Instant::now();
            let worker = |worker| {
                let mut command = distill(&place, &input, &server, &format!("{name}-{worker}"));
                let outbox = format!("{name}-{worker}-box");
                command.args(["--store", &url(cluster, &name), "--outbox", &outbox, "--concurrency", "16"]);
                command.stderr(Stdio::null()).spawn().unwrap()
            };
            let workers: Vec<Child> = (0..count).map(worker).collect();
            for mut worker in workers {
                assert!(worker.wait().unwrap().success());
            }
            begin.elapsed().as_secs_f64()
        };
        let (one, eight) = (wall(1), wall(8));
        println!("{one:>12.1}{eight:>12.1}{:>8.3}", one / eight);
    }
}

/// Processor time of one worker with a database and with a directory.
fn cost(cluster: &Cluster) {
    println!(
        "{:>10}{:>8}{:>14}{:>14}{:>8}{:>14}{:>14}",
        "latency", "calls", "directory, us", "database, us", "ratio", "directory, s", "database, s"
    );
    for (latency_ms, rows) in [(50, 2_000), (500, 1_500)] {
        let place = Place::new();
        let server = MockServer::start(&["--latency", &latency_ms.to_string()]);
        let input = input(&place, "in", rows, TURNS);
        let name = format!("c{latency_ms}");
        cluster.sql(&format!("CREATE DATABASE {name}"));
        let measured = |store: &[&str]| {
            let mut command = distill(&place, &input, &server, &format!("out-{}", store.len()));
            command.args(["--concurrency", "64", "--progress", "json"]).args(store);
            let begin = Instant::now();
            let output = command.output().unwrap();
            let wall = begin.elapsed().as_secs_f64();
            let events = String::from_utf8(output.stderr).unwrap();
            let mut events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let summary = events.find(|event| event["event"] == "summary").unwrap();
            (summary["cpu_s"].as_f64().unwrap() / (rows * TURNS) as f64 * 1e6, wall)
        };
        let (directory, one_wall) = measured(&["--store", "store"]);
        let (database, two_wall) = measured(&["--store", &url(cluster, &name), "--outbox", "box"]);
        let (calls, ratio) = (rows * TURNS, database / directory);
        println!(
            "{latency_ms:>7} ms{calls:>8}{directory:>14.0}{database:>14.0}{ratio:>8.2}{one_wall:>14.1}{two_wall:>14.1}"
        );
    }
}

fn distill(place: &Place, input: &str, server: &MockServer, output: &str) -> Command {
    let output = format!("{output}.jsonl");
    let mut command = place.command(&["distill", input, "--teacher", &server.model(), "-o", &output]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn url(cluster: &Cluster, database: &str) -> String {
    format!("postgres://worker@/{database}?host={}&port={}", cluster.folder().display(), cluster.port())
}

/// Writes an input and returns its name.
fn input(place: &Place, name: &str, rows: u64, turns: u64) -> String {
    let rows: Vec<Value> =
        (0..rows).map(|row| conversation(&format!("subject {row} of {name}"), turns as usize)).collect();
    let input = format!("{name}-in.jsonl");
    place.write(&input, jsonl(&rows));
    input
}
