//! A night of a shared run in a minute: workers of the real program are killed and frozen, and the database crashes.

use std::time::{Duration, Instant};

use super::cluster::{Cluster, QUICK};
use super::site::{IN_FLIGHT, Site, dice, pause, signal, wait_until};

const MACHINES: usize = 4;

#[test]
fn a_hundred_and_twenty_kills_end_no_run_whose_money_is_not_spent() {
    const KILLS: u64 = 120;
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 220, 12, 2_000);
    let mut dice = dice("kills of a shared run", 20_261_128);
    // Far above what is needed: every reserve of a killed worker counts until it is settled.
    let cap = ["--max-requests", "6000"];
    let mut workers = site.start_all(MACHINES, &cap);
    let mut kills = 0;
    while kills < KILLS {
        pause(&mut dice, 20, 400);
        let machine = dice.below(MACHINES);
        if workers[machine].try_wait().unwrap().is_some() {
            assert!(site.log(machine).contains("done: "), "machine {machine}: {}", site.log(machine));
            break;
        }
        workers[machine].kill().unwrap();
        workers[machine].wait().unwrap();
        kills += 1;
        workers[machine] = site.start(machine, &cap);
    }
    println!("{kills} kills, {} requests before the last start", site.server.count("requests"));
    assert!(kills >= KILLS / 2, "the run was over after {kills} kills");
    site.finish_all(workers);
    site.check(MACHINES, &cap, kills * IN_FLIGHT);
}

#[test]
fn workers_that_are_frozen_beyond_their_leases_leave_no_orphans() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 110, 12, 1_000);
    let mut dice = dice("freezes of a shared run", 20_261_129);
    let mut workers = site.start_all(MACHINES, &[]);
    let mut thaw: [Option<Instant>; MACHINES] = [None; MACHINES];
    let mut freezes = 0;
    loop {
        pause(&mut dice, 20, 250);
        let now = Instant::now();
        for (worker, until) in workers.iter_mut().zip(&mut thaw) {
            if until.is_some_and(|until| until <= now) {
                signal(worker, "CONT");
                *until = None;
            }
        }
        let is_over: Vec<bool> = workers.iter_mut().map(|worker| worker.try_wait().unwrap().is_some()).collect();
        let frozen = thaw.iter().flatten().count();
        if is_over.contains(&true) || freezes == 80 {
            break;
        }
        let machine = dice.below(MACHINES);
        // One of them goes on, so that what lapses is taken.
        if thaw[machine].is_none() && frozen < MACHINES - 1 {
            signal(&mut workers[machine], "STOP");
            thaw[machine] = Some(now + Duration::from_millis(1_100 + dice.below(2_500) as u64));
            freezes += 1;
        }
    }
    for (worker, until) in workers.iter_mut().zip(thaw) {
        if until.is_some() {
            signal(worker, "CONT");
        }
    }
    site.finish_all(workers);
    let taken = site.number("SELECT sum(taken) FROM cohobate_worker");
    println!("{freezes} freezes, {taken} leases taken over");
    assert!(freezes >= 10 && taken > 0, "{freezes} freezes, {taken} leases were taken over");
    // A call is in flight twice at most: where it was when the worker was frozen, and where its slot went.
    site.check(MACHINES, &[], freezes * IN_FLIGHT);
}

#[test]
fn a_database_that_crashes_costs_no_call() {
    // Durability is the subject: the settings are the server's own.
    let Some(cluster) = Cluster::start("") else { return };
    let site = Site::new(cluster, 80, 10, 20_000);
    let mut dice = dice("crashes of a database", 20_261_130);
    let mut workers = site.start_all(3, &[]);
    for crash in 1..=5 {
        site.wait_for_requests(crash * site.questions / 8);
        site.cluster.stop("immediate");
        pause(&mut dice, 0, 2_500);
        site.cluster.run("");
    }
    let is_at_work = workers.iter_mut().all(|worker| worker.try_wait().unwrap().is_none());
    assert!(is_at_work, "a worker has ended with the database: {} {} {}", site.log(0), site.log(1), site.log(2));
    site.finish_all(workers);
    site.check(3, &[], 0);
}

#[test]
fn what_was_in_flight_when_database_and_workers_died_is_uploaded() {
    let Some(cluster) = Cluster::start("") else { return };
    let site = Site::new(cluster, 40, 8, 1_500);
    let mut workers = site.start_all(3, &[]);
    site.wait_for_requests(site.questions / 3);
    site.cluster.stop("immediate");
    // What is in flight ends up in the outbox, and nothing more is asked.
    wait_until("calls in flight to end", || site.server.count("in_flight") == 0);
    let asked = site.server.count("requests");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(site.server.count("requests"), asked, "something was asked without a database");
    for worker in &mut workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    site.cluster.run("");
    let stored = site.number("SELECT count(*) FROM cohobate_answer");
    println!("{asked} asked, {stored} stored when the database was back");
    site.finish_all(site.start_all(3, &[]));
    // Every answer was on the disk of its worker: nothing is asked again.
    site.check(3, &[], 0);
    if stored < asked {
        let logs: String = (0..3).map(|machine| site.log(machine)).collect();
        assert!(logs.contains("that an earlier start had left here"), "{logs}");
    }
}
