//! Workers that are told to stop, with and without a database; machines that are new, shared or full.

use std::process::{Child, Command, Stdio};

use super::cluster::{Cluster, QUICK};
use super::site::{IN_FLIGHT, Site, signal, wait, wait_until};

fn code(site: &Site, worker: &mut Child, machine: usize) -> Option<i32> {
    wait(worker, &format!("machine {machine}"), || site.log(machine))
}

#[test]
fn a_signal_ends_a_worker_in_order_and_the_others_go_on() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 40, 8, 60_000);
    let mut workers = site.start_all(3, &[]);
    site.wait_for_requests(site.questions / 4);
    for (machine, (name, expected)) in [("INT", 130), ("TERM", 143)].into_iter().enumerate() {
        signal(&mut workers[machine], name);
        assert_eq!(code(&site, &mut workers[machine], machine), Some(expected), "{}", site.log(machine));
        // It has left: nobody waits for its lease.
        let live = site.number("SELECT count(*) FROM cohobate_worker WHERE left_at IS NULL");
        assert_eq!(live, 2 - machine as u64);
    }
    assert_eq!(code(&site, &mut workers[2], 2), Some(0), "{}", site.log(2));
    site.check(3, &[], 0);
}

#[test]
fn a_signal_without_a_database_leaves_paid_answers_for_the_next_start() {
    for (name, expected) in [("INT", 130), ("TERM", 143)] {
        let Some(cluster) = Cluster::start("") else { return };
        let site = Site::new(cluster, 40, 8, 2_000);
        let mut worker = site.start(0, &[]);
        site.wait_for_requests(site.questions / 3);
        site.cluster.stop("immediate");
        wait_until("calls in flight to end", || site.server.count("in_flight") == 0);
        signal(&mut worker, name);
        let ended = code(&site, &mut worker, 0);
        let said = site.log(0);
        println!("{name}: {ended:?}: {}", said.lines().rev().take(3).collect::<Vec<_>>().join(" | "));
        assert!([Some(expected), Some(75)].contains(&ended), "{said}");
        site.cluster.run("");
        site.check(1, &[], 0);
    }
}

#[test]
fn a_machine_that_is_new_continues_a_run_and_two_workers_share_a_directory() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 60, 8, 1_500);
    let mut workers = vec![site.start(0, &[]), site.start(0, &[])];
    site.wait_for_requests(site.questions / 4);
    let directories = || std::fs::read_dir(site.place.path("machine-0")).unwrap().count();
    assert_eq!(directories(), 2, "each has a directory of its own");
    let mut kills = 0;
    for worker in &mut workers {
        worker.kill().unwrap();
        kills += u64::from(worker.wait().unwrap().code().is_none());
    }
    // The machine is gone for good.
    std::fs::rename(site.place.path("machine-0"), site.place.path("gone")).unwrap();
    let mut fresh = site.start(1, &[]);
    assert_eq!(code(&site, &mut fresh, 1), Some(0), "{}", site.log(1));
    assert_eq!(site.server.count("distinct"), site.questions);
    assert!(site.server.count("requests") <= site.questions + kills * IN_FLIGHT);
    site.check_output(2);
    // It comes back after all: two starts upload what the two had left, and book what is unknown.
    std::fs::rename(site.place.path("gone"), site.place.path("machine-0")).unwrap();
    site.finish_all(vec![site.start(0, &[])]);
    let again = vec![site.start(0, &[]), site.start(0, &[])];
    for (number, mut worker) in again.into_iter().enumerate() {
        assert_eq!(code(&site, &mut worker, 0), Some(0), "{number}: {}", site.log(0));
    }
    let (_, booked) = site.booked();
    assert!(booked >= site.server.count("requests"), "{booked}");
    assert_eq!(directories(), 2);
}

#[test]
fn a_full_disk_below_the_outbox_stops_a_worker_and_the_others_go_on() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 120, 8, 1_500);
    let disk = site.place.path("machine-0");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=160k", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small file system is not allowed here");
        return;
    }
    let unmount = || Command::new("umount").arg("-l").arg(&disk).stderr(Stdio::null()).status();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut workers = site.start_all(2, &[]);
        let ended = code(&site, &mut workers[0], 0);
        assert!(ended != Some(0), "{}", site.log(0));
        assert_eq!(code(&site, &mut workers[1], 1), Some(0), "{}", site.log(1));
        // With room it uploads what it has, and books what is unknown.
        let grown = Command::new("mount").args(["-o", "remount,size=16m"]).arg(&disk).status();
        assert!(grown.unwrap().success());
        site.check(2, &[], 2 * IN_FLIGHT);
        ended
    }));
    let _ = unmount();
    let said = site.log(0);
    println!("{:?}: {}", ended.as_ref().ok(), said.lines().find(|line| line.contains("error: ")).unwrap_or_default());
    assert_eq!(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), Some(4), "{said}");
    assert!(said.contains("No space left on device") && said.contains("hint: "), "{said}");
}
