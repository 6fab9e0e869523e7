//! The same run once more, another run over the same answers, and what a tail of one slot comes to.

use std::sync::Arc;
use std::time::Duration;

use super::link::{Hub, Plan};
use super::worker::rows;
use super::world::{Ended, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_finished_run_is_written_again_without_a_call() {
    let world = World::new(Hub::default(), rows(20), 2_000);
    world.work(0, vec![]).await;
    let bills = world.hub.bills();
    // Another worker, another place.
    let (stop, _) = world.work(1, vec![]).await;
    assert!(stop.is_none(), "{stop:?}");
    assert_eq!(world.hub.bills(), bills);
    assert_eq!(std::fs::read(world.output(0)).unwrap(), std::fs::read(world.output(1)).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_rows_are_refused_under_the_same_name_and_begin_a_run_without_one() {
    let mut world = World { run: Some("night".to_owned()), ..World::new(Hub::default(), rows(20), 2_000) };
    world.work(0, vec![]).await;
    let bills = world.hub.bills();
    world.rows = rows(24);
    let (ended, _) = world.start(0, Plan::default()).await;
    let Ended::Failed(error) = ended else { panic!("{ended:?}") };
    assert!(error.message.contains("the run night of the shared store asks something else"), "{error:?}");
    assert!(error.message.contains("the rows of the input are others"), "{error:?}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("leave out --run")), "{error:?}");
    world.run = None;
    let (stop, harm) = world.work(0, vec![]).await;
    assert!(stop.is_none(), "{stop:?}");
    // Rows 20 to 23 have one to four questions, and share none with others.
    assert_eq!(world.hub.bills(), bills + 1 + 2 + 3 + 4);
    let output = world.written(1);
    world.check(&output, harm, "more rows");
    assert!(output == world.alone().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failed_conversations_are_asked_again_on_a_rerun() {
    let mut world = World::new(Hub::default(), rows(10), 2_000);
    *world.hub.refuses.lock().unwrap() = Some("of row 7?".to_owned());
    world.work(0, vec![]).await;
    let (bills, before) = (world.hub.bills(), std::fs::read_to_string(world.output(0)).unwrap());
    assert_eq!(before.lines().count(), 9, "{before}");
    *world.hub.refuses.lock().unwrap() = None;
    // What was refused for good stays so until somebody says otherwise.
    let (ended, _) = world.start(0, Plan::default()).await;
    assert!(matches!(ended, Ended::Stopped(None, 0)), "{ended:?}");
    world.retry_failed = true;
    let (ended, _) = world.start(1, Plan::default()).await;
    assert!(matches!(ended, Ended::Stopped(None, 3)), "row 7 has three questions: {ended:?}");
    assert_eq!(world.hub.bills(), bills + 3);
    assert!(std::fs::read(world.output(1)).unwrap() == world.alone().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_idle_while_another_has_rows_that_are_not_opened() {
    // The first worker takes slots while it is alone; answers come once all have joined.
    let hub = Hub { latency: Duration::from_millis(20), waits_for: 4, ..Hub::default() };
    let world = Arc::new(World::new(hub, rows(300), 60_000));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let world = Arc::clone(&world);
        workers.spawn(async move { world.start(worker, Plan::default()).await.0 });
    }
    let mut answered = Vec::new();
    while let Some(ended) = workers.join_next().await {
        match ended.unwrap() {
            Ended::Stopped(_, own) => answered.push(own),
            other => panic!("{other:?}"),
        }
    }
    let sum: u64 = answered.iter().sum();
    println!("{answered:?}");
    assert!(answered.iter().all(|own| *own >= sum / 8), "each has its part: {answered:?}");
    assert_eq!(world.hub.bills(), sum);
}
