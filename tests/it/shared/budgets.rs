//! One cap over many workers: never exceeded, spent to its last unit, and whoever has died with a part of it is named.

use std::sync::Arc;
use std::time::Duration;

use cohobate::conversation::Dice;
use cohobate::store::shared::Database;
use cohobate::worker::RunStop;

use super::link::{Hub, Plan};
use super::storms::run_storms;
use super::worker::rows;
use super::world::{Ended, World};

fn world(cap: u64, rows_count: usize, latency_ms: u64) -> Arc<World> {
    let latency = Duration::from_millis(latency_ms);
    Arc::new(World::new(Hub { cap: Some(cap), latency, ..Hub::default() }, rows(rows_count), 400))
}

fn booked(world: &World) -> u64 {
    let spending = world.hub.database.spending().unwrap();
    spending.values().map(|spent| spent.calls + spent.unknown_calls).sum()
}

fn is_at_cap(stop: Option<&RunStop>) -> bool {
    matches!(stop, Some(RunStop::Budget(reason)) if reason.starts_with("--max-requests is reached"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_of_workers_spends_a_cap_to_its_last_unit() {
    for (workers, cap) in [(1, 7), (2, 1), (3, 2), (4, 23), (8, 5), (8, 61)] {
        let world = world(cap, 40, 3);
        let (stops, _) = world.work_all(vec![vec![]; workers]).await;
        let name = format!("{workers} workers, a cap of {cap}: {stops:?}");
        assert!(stops.iter().all(|stop| is_at_cap(stop.as_ref())), "{name}");
        assert!(world.hub.broken().is_empty(), "{name}: {:?}", world.hub.broken());
        assert_eq!((world.hub.bills(), booked(&world), world.hub.granted()), (cap, cap, cap), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cap_that_is_not_reached_stops_nobody() {
    let world = world(400, 40, 2);
    let (stops, harm) = world.work_all(vec![vec![]; 3]).await;
    assert!(!stops.iter().any(|stop| is_at_cap(stop.as_ref())), "{stops:?}");
    let output = world.written(3);
    world.check(&output, harm, "a large cap");
    assert!(output == world.alone().await);
}

#[test]
fn a_cap_holds_in_storms() {
    let storm = |seed: u64| async move {
        let mut dice = Dice::new("shared budget", &seed.to_le_bytes());
        let cap = 1 + dice.below(90) as u64;
        let world = world(cap, 40, dice.below(6) as u64);
        let workers = 1 + dice.below(8);
        let far = Duration::from_secs(1);
        let plans = |dice: &mut Dice| {
            let plan = |dice: &mut Dice| {
                let mut plan = Plan { seed: dice.below(1 << 30) as u64, ..Plan::default() };
                (plan.fails_before, plan.fails_after) = (dice.below(40), dice.below(40));
                match dice.below(5) {
                    0 => plan.dies_at = Some((dice.below(50) as u64, dice.below(2) == 0)),
                    1 | 2 => plan.dies_at_call = Some(dice.below(8) as u64),
                    3 => plan.freezes_at_call = Some((dice.below(8) as u64, far)),
                    _ => plan.freezes_at = Some((dice.below(50) as u64, far, dice.below(2) == 0)),
                }
                plan
            };
            (0..dice.below(3)).map(|_| plan(dice)).collect::<Vec<_>>()
        };
        let plans = (0..workers).map(|_| plans(&mut dice)).collect();
        let (stops, mut harm) = world.work_all(plans).await;
        let name = format!("world {seed}, a cap of {cap}, {workers} workers, {harm:?}: {stops:?}");
        // Some had stopped when others were still dead: what they left is spent now.
        let (last, more) = world.work(0, vec![]).await;
        harm.kills += more.kills;
        assert!(world.hub.broken().is_empty(), "{name}: {:?}", world.hub.broken());
        let (bills, spent) = (world.hub.bills(), booked(&world));
        assert!(bills <= spent && spent <= cap, "{name}: {bills} bills, {spent} booked");
        if is_at_cap(last.as_ref()) {
            assert_eq!(spent, cap, "{name}: it is spent to its last unit; {last:?}");
        } else {
            let output = world.written(workers);
            assert!(output == world.alone().await, "{name}: the output differs");
        }
        (bills, harm)
    };
    run_storms(16, storm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_workers_reserve_is_named_and_settled_by_its_return() {
    let world = world(30, 40, 3);
    let (ended, _) = world.start(0, Plan { dies_at_call: Some(9), ..Plan::default() }).await;
    assert!(matches!(ended, Ended::Died), "{ended:?}");
    let (stop, _) = world.work(1, vec![]).await;
    let Some(RunStop::Budget(reason)) = &stop else { panic!("{stop:?}") };
    assert!(reason.contains("1 worker that ended without leaving still has"), "{reason}");
    assert!(reason.contains("`cohobate store reconcile`"), "{reason}");
    let unspent = 30 - booked(&world);
    assert!(unspent > 0 && reason.contains(&format!("{unspent} requests reserved")), "{unspent}: {reason}");
    // It returns: what it had in flight is booked, and the rest is spent.
    let (stop, _) = world.work(0, vec![]).await;
    assert!(is_at_cap(stop.as_ref()) && !format!("{stop:?}").contains("reconcile"), "{stop:?}");
    assert!(world.hub.broken().is_empty(), "{:?}", world.hub.broken());
    assert_eq!((booked(&world), world.hub.granted()), (30, 30));
    assert!(world.hub.bills() <= 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_workers_reserve_is_returned_by_reconcile() {
    let world = world(30, 40, 3);
    let (ended, _) = world.start(0, Plan { dies_at_call: Some(9), ..Plan::default() }).await;
    assert!(matches!(ended, Ended::Died), "{ended:?}");
    assert!(world.work(1, vec![]).await.0.is_some());
    let before = booked(&world);
    world.hub.tick();
    let settled = world.hub.database.reconcile(Duration::ZERO).unwrap();
    assert_eq!(settled.len(), 1);
    // A person who does so takes it upon them that its calls in flight were paid, too.
    let (stop, _) = world.work(1, vec![]).await;
    assert!(is_at_cap(stop.as_ref()), "{stop:?}");
    assert!(booked(&world) == 30 && before < 30);
}
