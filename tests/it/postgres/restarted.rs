//! A database that crashes, restarts or ends connections costs nothing that it has acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cohobate::conversation::{ConversationKey, Fingerprint};
use cohobate::store::shared::{Allowance, Batch, Caps, Database, DatabaseError, NewAnswer};

use super::cluster::{Cluster, QUICK, open};
use super::contract::{LONG, answer, batch, id, joined};

/// Publishes the answer until the database has it; counts how often it was away.
fn publish(database: &dyn Database, worker: u8, run: u32, batch: &Batch, away: &AtomicU64) {
    loop {
        match database.publish(id(worker), run, batch, LONG, 0) {
            Ok(published) => return assert_eq!(published.winners, [], "its own answers came back as another's"),
            Err(DatabaseError::Away(_)) => {
                away.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn numbered(worker: u8, number: u32) -> NewAnswer {
    let mut key = [worker; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    NewAnswer {
        fingerprint: Fingerprint(key),
        conversation: ConversationKey(key),
        run: 1,
        frame: vec![worker; 100 + number as usize % 5000],
    }
}

#[test]
fn a_crash_of_the_database_loses_nothing_that_it_acknowledged() {
    // Durability is the subject: the settings are the server's own, and the role's wish for less is not heard.
    let Some(cluster) = Cluster::start("") else { return };
    cluster.sql("ALTER ROLE worker SET synchronous_commit = off");
    let database = open(&cluster.address("")).unwrap();
    let run = joined(&database, &[1, 2, 3], 4, Caps::default());
    let (is_over, away) = (AtomicBool::new(false), AtomicU64::new(0));
    let written: Vec<BTreeMap<Fingerprint, Vec<u8>>> = std::thread::scope(|scope| {
        let work = |worker: u8| {
            let (database, is_over, away) = (&database, &is_over, &away);
            scope.spawn(move || {
                let mut acknowledged = BTreeMap::new();
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let answers = vec![numbered(worker, number * 2), numbered(worker, number * 2 + 1)];
                    let booked = Allowance { requests: u64::from(number) * 2 + 2, ..Allowance::default() };
                    publish(database, worker, run, &Batch { booked, ..batch(answers.clone()) }, away);
                    acknowledged.extend(answers.into_iter().map(|answer| (answer.fingerprint, answer.frame)));
                }
                acknowledged
            })
        };
        let workers: Vec<_> = (1..=3).map(work).collect();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(400));
            cluster.stop("immediate");
            std::thread::sleep(Duration::from_millis(100));
            cluster.run("");
        }
        std::thread::sleep(Duration::from_millis(400));
        is_over.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(away.load(Ordering::Relaxed) > 0, "nobody noticed");
    let questions: Vec<Fingerprint> = written.iter().flat_map(BTreeMap::keys).copied().collect();
    let stored: BTreeMap<Fingerprint, Vec<u8>> = database.answers(&questions).unwrap().into_iter().collect();
    let all: BTreeMap<Fingerprint, Vec<u8>> = written.into_iter().flatten().collect();
    println!("{} answers, {} times away", all.len(), away.load(Ordering::Relaxed));
    assert!(stored == all, "{} of {} answers are stored", stored.len(), all.len());
    let seen = database.workers().unwrap();
    assert!(seen.iter().all(|worker| worker.answers == worker.booked.requests), "{seen:?}");
}

#[test]
fn a_connection_that_the_server_ends_is_replaced() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let database = open(&cluster.address("")).unwrap();
    let run = joined(&database, &[1], 1, Caps::default());
    let away = AtomicU64::new(0);
    for question in 0..5 {
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cohobate'");
        publish(&database, 1, run, &batch(vec![answer(question, b"x")]), &away);
    }
    assert_eq!(cluster.sql("SELECT count(*) FROM cohobate_answer"), "5");
    cluster.stop("fast");
    assert!(matches!(database.runs(), Err(DatabaseError::Away(_))));
    cluster.run(QUICK);
    publish(&database, 1, run, &batch(vec![answer(9, b"x")]), &away);
}

#[test]
fn a_lock_that_is_held_for_long_is_waited_for_in_a_bounded_time() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    // The role allows less than this program does; the smaller bound of the two that apply here is the lock's.
    cluster.sql("ALTER ROLE worker SET lock_timeout = '100ms'");
    let database = open(&cluster.address("")).unwrap();
    let run = joined(&database, &[1], 1, Caps::default());
    std::thread::scope(|scope| {
        scope.spawn(|| cluster.sql("BEGIN; LOCK TABLE cohobate_worker; SELECT pg_sleep(4); COMMIT"));
        while cluster.sql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'") == "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
        let error = database.publish(id(1), run, &Batch::default(), LONG, 0).unwrap_err();
        assert!(matches!(&error, DatabaseError::Away(message) if message.contains("lock timeout")), "{error:?}");
    });
    database.publish(id(1), run, &Batch::default(), LONG, 0).unwrap();
}

#[test]
fn any_thread_may_ask_also_one_of_another_runtime() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let count = runtime.block_on(async {
        let database = open(&cluster.address("")).unwrap();
        joined(&database, &[1, 2], 1, Caps::default());
        let count = database.workers().unwrap().len();
        drop(database);
        count
    });
    assert_eq!(count, 2);
}
