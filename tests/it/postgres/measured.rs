//! How many answers a second are committed, next to plain inserts of the same bytes over as many connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cohobate::conversation::{ConversationKey, Fingerprint};
use cohobate::store::shared::{Caps, Database, NewAnswer};
use tokio_postgres::NoTls;
use tokio_postgres::types::Type;

use super::cluster::{Cluster, open};
use super::contract::{LONG, batch, id, joined};

const WORKERS: u8 = 4;
const ANSWERS: u64 = 64;
const FRAME_BYTES: usize = 2048;
const TIME: Duration = Duration::from_secs(4);

fn key(worker: u8, number: u64) -> [u8; 32] {
    *spread(u64::from(worker) << 40 | number).first_chunk().unwrap()
}

/// Bytes that are spread as fingerprints are.
fn spread(mut state: u64) -> Vec<u8> {
    let step = |_| {
        state = (state ^ (state >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x7f4a_7c15);
        (state ^ (state >> 29)).to_be_bytes()
    };
    (0..4).flat_map(step).collect()
}

/// Answers a second of all workers.
fn rate(work: impl Fn(u8, &AtomicU64, Instant) + Sync) -> f64 {
    let (count, begin) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for worker in 1..=WORKERS {
            let (count, work) = (&count, &work);
            scope.spawn(move || work(worker, count, begin + TIME));
        }
    });
    count.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

#[test]
#[ignore = "it measures; run it alone"]
fn commits_are_measured() {
    let Some(cluster) = Cluster::start("-c max_wal_size=4GB -c shared_buffers=256MB") else { return };
    let store = open(&cluster.address("")).unwrap();
    let workers: Vec<u8> = (1..=WORKERS).collect();
    let run = joined(&store, &workers, 16_384, Caps::default());
    cluster.sql("CREATE TABLE plain (key bytea PRIMARY KEY, frame bytea NOT NULL)");
    cluster.sql("ALTER TABLE plain ALTER COLUMN frame SET STORAGE EXTERNAL");
    let frame: Vec<u8> = (0..FRAME_BYTES as u64 / 32).flat_map(spread).collect();
    for round in 0..2_u64 {
        let first = round << 30;
        let committed = rate(|worker, count, until| {
            for group in 0.. {
                if Instant::now() > until {
                    return;
                }
                let answer = |at: u64| {
                    let key = key(worker, first + group * ANSWERS + at);
                    let (fingerprint, conversation) = (Fingerprint(key), ConversationKey(key));
                    NewAnswer { fingerprint, conversation, run, frame: frame.clone() }
                };
                store.publish(id(worker), run, &batch((0..ANSWERS).map(answer).collect()), LONG, 0).unwrap();
                count.fetch_add(ANSWERS, Ordering::Relaxed);
            }
        });
        let plain = rate(|worker, count, until| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let address = cluster.address("");
                let (client, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
                tokio::spawn(async move { drop(connection.await) });
                for group in 0.. {
                    if Instant::now() > until {
                        return;
                    }
                    let keys: Vec<Vec<u8>> =
                        (0..ANSWERS).map(|at| key(worker, first + group * ANSWERS + at).to_vec()).collect();
                    let frames = vec![&frame[..]; ANSWERS as usize];
                    let sql = "INSERT INTO plain SELECT * FROM unnest($1::bytea[], $2::bytea[])";
                    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                        [(&keys, Type::BYTEA_ARRAY), (&frames, Type::BYTEA_ARRAY)];
                    client.execute_typed(sql, &values).await.unwrap();
                    count.fetch_add(ANSWERS, Ordering::Relaxed);
                }
            });
        });
        println!(
            "answers a second: {committed:.0} committed, {plain:.0} as plain inserts ({:.0} %)",
            committed / plain * 100.0
        );
    }
    assert_eq!(store.look(id(1), run, 0).unwrap().undone, 16_384);
}
