//! The database's clock jumps, for the database alone.

use std::path::Path;
use std::time::Duration;

use super::cluster::{Cluster, QUICK};
use super::site::{IN_FLIGHT, Site};

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

#[test]
fn a_clock_of_the_database_that_jumps_by_an_hour_costs_at_most_what_is_in_flight() {
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
        println!("skipped: libfaketime is not installed");
        return;
    };
    let Some(cluster) = Cluster::made() else { return };
    let clock = cluster.write("clock", b"+0");
    let variables = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        // Only the time of day: what a server waits for has a clock of its own.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    cluster.run_with(QUICK, &variables);
    let hour =
        |cluster: &Cluster| cluster.sql("SELECT round(extract(epoch FROM now()) / 3600)").parse::<i64>().unwrap();
    let before = hour(&cluster);
    let site = Site::new(cluster, 100, 10, 2_000);
    let workers = site.start_all(3, &[]);
    let jumps = ["+3600", "-3600", "+0", "+3600", "+0"];
    for (number, offset) in (1..).zip(jumps) {
        site.wait_for_requests(number * site.questions / 8);
        site.cluster.write("clock", offset.as_bytes());
        let seconds: i64 = offset.parse().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let shift = hour(&site.cluster) - before;
        assert!((shift - seconds / 3600).abs() <= 1, "the clock is {shift} hours off");
    }
    site.finish_all(workers);
    let taken = site.number("SELECT sum(taken) FROM cohobate_worker");
    println!("{taken} leases were taken over");
    // With each jump all leases may pass at once.
    site.check(3, &[], jumps.len() as u64 * 3 * IN_FLIGHT);
}
