//! A cap holds over all workers at every moment, whoever dies.

use std::process::Child;
use std::time::Duration;

use super::cluster::{Cluster, QUICK};
use super::site::{IN_FLIGHT, Site, dice, wait, wait_until};

const CAP: u64 = 400;

#[test]
fn a_cap_holds_at_every_moment_and_names_what_the_dead_have_reserved() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::new(cluster, 80, 12, 1_500);
    let mut dice = dice("kills below a cap", 20_261_131);
    let text = CAP.to_string();
    let cap = ["--max-requests", &text];
    let mut workers: Vec<Option<Child>> = site.start_all(4, &cap).into_iter().map(Some).collect();
    let mut kills = 0;
    loop {
        let requests = site.server.count("requests");
        assert!(requests <= CAP, "{requests} requests");
        let is_over = |worker: &mut Option<Child>| worker.as_mut().is_none_or(|one| one.try_wait().unwrap().is_some());
        let over = workers.iter_mut().map(is_over).filter(|over| *over).count();
        if over == workers.len() {
            break;
        }
        // Machines that do not come back; another one comes instead.
        if requests >= (kills + 1) * CAP / 8 && kills < 4 {
            let seen =
                "SELECT process FROM cohobate_worker WHERE left_at IS NULL AND granted_requests > booked_requests";
            let seen = site.cluster.sql(seen);
            let is_at_work = |worker: &Option<Child>| {
                worker.as_ref().is_some_and(|one| seen.lines().any(|process| process == one.id().to_string()))
            };
            let at_work: Vec<usize> = (0..workers.len()).filter(|machine| is_at_work(&workers[*machine])).collect();
            if !at_work.is_empty()
                && let Some(mut worker) = workers[at_work[dice.below(at_work.len())]].take()
            {
                worker.kill().unwrap();
                if worker.wait().unwrap().code().is_none() {
                    kills += 1;
                    workers.push(Some(site.start(workers.len(), &cap)));
                }
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let granted = "SELECT sum(greatest(granted_requests, booked_requests)) FROM cohobate_worker";
    assert!(site.number(granted) <= CAP);
    let mut machines = workers.len();
    for (machine, worker) in workers.iter_mut().enumerate().filter_map(|(at, one)| Some((at, one.as_mut()?))) {
        let code = wait(worker, "a worker", || site.log(machine));
        assert_eq!(code, Some(75), "machine {machine}: {}", site.log(machine));
    }
    // A worker that comes now finds nothing but the reserves of the dead.
    wait_until("leases to pass", || {
        site.number("SELECT count(*) FROM cohobate_worker WHERE left_at IS NULL AND until > now()") == 0
    });
    let reserved =
        site.number("SELECT sum(granted_requests - booked_requests) FROM cohobate_worker WHERE left_at IS NULL");
    println!("{kills} kills, {} requests, {reserved} reserved by the dead", site.server.count("requests"));
    assert!(kills > 0 && reserved > 0, "{kills} kills, {reserved} reserved");
    let mut late = site.start(machines, &cap);
    assert_eq!(wait(&mut late, "a late worker", || site.log(machines)), Some(75));
    let said = site.log(machines);
    assert!(said.contains("reserved") && said.contains("`cohobate store reconcile`"), "{said}");
    assert!(site.complete(&["status"]).stdout.contains("`cohobate store reconcile` returns it"));
    let asked = site.server.count("requests");
    let returned = site.complete(&["store", "reconcile", "--unseen-for", "1s"]).stdout;
    assert!(returned.contains("returned"), "{returned}");
    let mut after = site.start(machines, &cap);
    assert_eq!(wait(&mut after, "a worker", || site.log(machines)), Some(75), "{}", site.log(machines));
    // To the last unit, and what the dead had in flight is all that can come to more.
    let (_, booked) = site.booked();
    assert_eq!(booked, CAP);
    let requests = site.server.count("requests");
    assert!(requests > asked && requests <= CAP + kills * IN_FLIGHT, "{requests} requests");
    // With a higher cap the run ends, and the dead book what they had in flight once they are back.
    machines += 1;
    site.check(machines, &["--max-requests", "3000"], kills * IN_FLIGHT);
}

#[test]
fn workers_that_wait_for_each_others_reserves_end_at_a_cap_on_cost() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let site = Site::with_latency(cluster, (200, 6), 60_000, 40);
    let profile = format!(
        "[models.sim]\nurl = \"http://{}/v1\"\nprice = {{ input = 10.0, output = 100.0 }}\n",
        site.server.address
    );
    site.place.write("cohobate.toml", profile);
    // Sums of costs are rounded: a billionth of a dollar that nobody can use is nothing to wait for.
    for (round, cap) in ["0.5", "0.9", "1.3", "1.7"].into_iter().enumerate() {
        let mut workers: Vec<Child> = (0..3)
            .map(|machine| {
                let (outbox, output) = (format!("box-{round}-{machine}"), format!("out-{machine}.jsonl"));
                let capped = ["--max-cost", cap, "--max-tokens", "200", "--concurrency", "8"];
                let input = ["distill", "in.jsonl", "--teacher", "sim", "-o", &output, "--outbox", &outbox];
                let mut command = site.command(&[&input[..], &capped].concat());
                let log = std::fs::File::create(site.log_path(machine)).unwrap();
                command.stdin(std::process::Stdio::null()).stderr(log).spawn().unwrap()
            })
            .collect();
        for (machine, worker) in workers.iter_mut().enumerate() {
            let code = wait(worker, "a worker", || site.log(machine));
            assert_eq!(code, Some(75), "machine {machine}: {}", site.log(machine));
            assert!(site.log(machine).contains("--max-cost is reached"), "machine {machine}: {}", site.log(machine));
        }
        let nano = cap.parse::<f64>().unwrap() * 1e9;
        let spent = site.number("SELECT sum(booked_cost_nano)::bigint FROM cohobate_worker");
        println!("{cap}: {spent} of {nano} spent");
        assert!(spent as f64 <= nano && spent as f64 > nano * 0.9, "{spent} of {nano}");
    }
}
