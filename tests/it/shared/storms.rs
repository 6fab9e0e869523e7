//! Workers die, freeze and lose their database at random moments, and the end is that of a calm run. A failing world is printed
//! and replays: `COHOBATE_TEST_SEED=N`; `COHOBATE_TEST_WORLDS` sets how many.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cohobate::conversation::Dice;

use super::link::{Hub, Plan};
use super::worker::rows;
use super::world::{Ended, Harm, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn plan(dice: &mut Dice, lease: Duration) -> Plan {
    let mut plan = Plan { seed: dice.below(1 << 30) as u64, ..Plan::default() };
    (plan.fails_before, plan.fails_after) = (dice.below(60), dice.below(60));
    plan.outages = dice.below(4) * 5;
    let far = lease * 2 + lease / 2;
    match dice.below(6) {
        0 => plan.dies_at = Some((dice.below(60) as u64, false)),
        1 => plan.dies_at = Some((dice.below(60) as u64, true)),
        2 => plan.dies_at_call = Some(dice.below(12) as u64),
        3 => plan.freezes_at = Some((dice.below(60) as u64, far, dice.below(2) == 0)),
        4 => plan.freezes_at_call = Some((dice.below(12) as u64, far)),
        _ => {}
    }
    plan
}

async fn storm(number: u64) -> (u64, Harm) {
    let mut dice = Dice::new("shared storm", &number.to_le_bytes());
    let hub = Hub {
        is_sampling: number.is_multiple_of(2),
        latency: Duration::from_millis(dice.below(8) as u64),
        ..Hub::default()
    };
    let lease_ms = 400;
    let is_sampling = hub.is_sampling;
    let world = Arc::new(World::new(hub, rows(6 + dice.below(30)), lease_ms));
    let workers = 1 + dice.below(3);
    let plans = (0..workers).map(|_| (0..dice.below(4)).map(|_| plan(&mut dice, world.lease)).collect()).collect();
    let (stops, harm) = world.work_all(plans).await;
    let output = world.written(workers);
    let name = format!("world {number}, {workers} workers, {stops:?}");
    world.check(&output, harm, &name);
    if !is_sampling {
        assert!(output == world.alone().await, "{name}: the output differs");
    }
    (world.hub.bills(), harm)
}

/// Runs worlds of these numbers, some at once, each with a minute: that is enough for a few calls. The environment chooses other
/// numbers than the first `count`.
pub fn run_storms<World: Future<Output = (u64, Harm)>>(count: u64, storm: impl Fn(u64) -> World + Copy + Send) {
    let chosen = number("COHOBATE_TEST_SEED");
    let count = number("COHOBATE_TEST_WORLDS").unwrap_or(count);
    let seeds: Vec<u64> = chosen.map_or_else(|| (0..count).collect(), |seed| vec![seed]);
    let (mut bills, mut kills, mut freezes) = (0, 0, 0);
    let run = move |seed: u64| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), storm(seed)).await });
        ended.unwrap_or_else(|_| panic!("world {seed}: the workers hang"))
    };
    for seeds in seeds.chunks(6) {
        std::thread::scope(|scope| {
            let worlds: Vec<_> = seeds.iter().map(|seed| (*seed, scope.spawn(move || run(*seed)))).collect();
            for (seed, world) in worlds {
                match world.join() {
                    Ok((paid, harm)) => {
                        (bills, kills, freezes) = (bills + paid, kills + harm.kills, freezes + harm.freezes);
                    }
                    Err(panic) => {
                        println!("failing world: COHOBATE_TEST_SEED={seed}");
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        });
    }
    println!("{} worlds, {bills} calls, {kills} kills, {freezes} freezes", seeds.len());
}

#[test]
fn storms_end_where_a_calm_run_ends() {
    run_storms(24, storm);
}

/// A worker dies at each operation of the database, before and after it was carried out, and the same one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_dies_at_any_operation_goes_on() {
    let world = || Arc::new(World::new(Hub::default(), rows(4), 400));
    let calm = world();
    let (ended, link) = calm.start(0, Plan::default()).await;
    assert!(matches!(ended, Ended::Stopped(None, _)), "{ended:?}");
    let operations = link.operations.load(Ordering::SeqCst);
    let alone = calm.alone().await;
    let mut tasks = tokio::task::JoinSet::new();
    let (mut killed, mut trials) = (0, 0);
    for at in 0..operations + 2 {
        for is_after in [false, true] {
            while tasks.len() >= 8 {
                killed += tasks.join_next().await.unwrap().unwrap();
            }
            let (world, alone) = (world(), alone.clone());
            trials += 1;
            tasks.spawn(async move {
                let plan = Plan { dies_at: Some((at, is_after)), ..Plan::default() };
                let (stop, harm) = world.work(0, vec![plan]).await;
                let name = format!("operation {at}, after it {is_after}, {stop:?}");
                let output = world.written(1);
                assert!(output == alone, "{name}: the output differs");
                world.check(&output, harm, &name);
                harm.kills
            });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        killed += ended.unwrap();
    }
    assert!(killed >= operations, "{killed} kills at {operations} operations");
    println!("{trials} trials, {killed} kills");
}
