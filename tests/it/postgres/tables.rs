//! The tables are made once, are never older or newer than the program, and need no more rights than they must.

use cohobate::store::postgres::{Create, PostgresAddress, PostgresDatabase, Surroundings};
use cohobate::store::shared::{Caps, Database as _, DatabaseError};

use super::cluster::{Cluster, QUICK, open};
use super::contract::joined;

fn refused(result: Result<PostgresDatabase, DatabaseError>) -> (String, String) {
    match result.err() {
        Some(DatabaseError::Refused { message, hint }) => (message, hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn workers_that_start_together_make_the_tables_once() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let address = PostgresAddress::parse(&cluster.address(""), &Surroundings::default()).unwrap();
    let (_, hint) = refused(PostgresDatabase::open(&address, Create::Never));
    assert!(hint.contains("cohobate store init"), "{hint}");
    std::thread::scope(|scope| {
        let open = || drop(PostgresDatabase::open(&address, Create::IfMissing).unwrap());
        (0..4).map(|_| scope.spawn(open)).collect::<Vec<_>>().into_iter().for_each(|opened| opened.join().unwrap());
    });
    assert_eq!(cluster.sql("SELECT count(*), max(version) FROM cohobate_schema"), "2|2");
    PostgresDatabase::open(&address, Create::Never).unwrap();
}

#[test]
fn tables_of_a_newer_program_are_refused() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    drop(open(&cluster.address("")).unwrap());
    cluster.sql("INSERT INTO cohobate_schema (version) VALUES (7)");
    let (message, hint) = refused(open(&cluster.address("")));
    assert!(message.contains("version 7") && hint.contains("newer program"), "{message} ({hint})");
}

#[test]
fn rights_that_are_missing_are_named() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    cluster.sql("CREATE ROLE guest LOGIN");
    let guest = cluster.address("").replace("user=worker", "user=guest");
    let (message, hint) = refused(open(&guest));
    assert!(message.contains("permission denied") && hint.contains("CREATE"), "{message} ({hint})");
    let (message, hint) = refused(open(&cluster.address("options='-c search_path=nothing'")));
    assert!(message.contains("no schema") && hint.contains("search_path"), "{message} ({hint})");
    // Whoever only looks needs no right to write.
    drop(open(&cluster.address("")).unwrap());
    cluster.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest");
    let database = open(&guest).unwrap();
    assert_eq!(database.runs().unwrap(), []);
    assert!(matches!(database.leave(super::contract::id(1)), Err(DatabaseError::Refused { .. })));
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_the_leases_of_the_dead() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let database = open(&cluster.address("")).unwrap();
    let run = joined(&database, &[1, 2], 2, Caps::default());
    assert_eq!(database.claim(super::contract::id(1), run, 9).unwrap().slots.len(), 2);
    // To the rows, a clock that goes back an hour is an hour that is added to them.
    cluster.sql("UPDATE cohobate_worker SET until = until + interval '1 hour', seen = seen + interval '1 hour'");
    let claimed = database.claim(super::contract::id(2), run, 9).unwrap();
    assert_eq!((claimed.slots.len(), claimed.lapsed), (2, vec![super::contract::id(1)]));
    assert!(matches!(database.control(99, "{}", None), Err(DatabaseError::Refused { .. })), "there is no such run");
}
