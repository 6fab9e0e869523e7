//! An answer whose history is in no store comes about only where a worker neither honours its lease nor adopts the answer that
//! counts.

use std::sync::Arc;
use std::time::Duration;

use cohobate::store::shared::Defences;
use serde_json::{Value, json};

use super::link::{Hub, Plan};
use super::world::World;

fn long_rows(count: usize) -> Vec<Value> {
    let turn = |row: usize, turn: usize| {
        [
            json!({"role": "user", "content": format!("Question {turn} of row {row}?")}),
            json!({"role": "assistant", "content": "old"}),
        ]
    };
    let row = |row| json!({"messages": (0..6).flat_map(|number| turn(row, number)).collect::<Vec<_>>()});
    (0..count).map(row).collect()
}

/// A worker freezes with calls in flight for longer than its lease; another one takes its conversations over.
async fn orphans_with(defences: Defences) -> usize {
    let hub = Hub { is_sampling: true, latency: Duration::from_millis(40), ..Hub::default() };
    let world = Arc::new(World { defences, ..World::new(hub, long_rows(12), 400) });
    let frozen = |call| Plan { freezes_at_call: Some((call, Duration::from_millis(1_500))), ..Plan::default() };
    let (_, harm) = world.work_all(vec![vec![frozen(6)], vec![]]).await;
    assert_eq!(harm.freezes, 1);
    let output = world.written(2);
    if defences == Defences::default() {
        world.check(&output, harm, "both defences");
    }
    world.orphans(&output).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn either_defence_suffices() {
    let both = Defences::default();
    let (leases, winners) = (Defences { adopts_winners: false, ..both }, Defences { honours_leases: false, ..both });
    for defences in [both, leases, winners] {
        assert_eq!(orphans_with(defences).await, 0, "{defences:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_both_defences_there_are_orphans() {
    let none = Defences { honours_leases: false, adopts_winners: false };
    let orphans = orphans_with(none).await;
    assert!(orphans > 0, "the tests of the defences would show nothing");
    println!("{orphans} orphans");
}
