//! A question whose call failed in doubt waits for a proof by the same server, even where another one is free: a call that
//! may have been paid for would be paid for again there, and an answer of another server shows nothing. A server that is drained
//! gives no proof any more: its call then counts among those that were probably paid for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::FailureCode;
use cohobate::model::{Call, Failure, FailureClass, Model, PaceLimits, PendingCall, Routing, Simulated};
use cohobate::recipe::Distill;
use cohobate::store::MemoryStore;
use cohobate::worker::{
    self, Admit, COMMANDS_MAX, Command, CommitMode, Control, Controls, Ended, Served, Silent, StopStage, Work,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::support::{SeedList, seed, target};

/// What two servers share: the one that gets the first row's question first fails it, and answers others slowly.
struct World {
    failure: fn() -> Failure,
    /// The other server fails it too, each time.
    fails_always: bool,
    began: Instant,
    /// When the first row's question was sent, and to which server.
    asked: Mutex<Vec<(Duration, usize)>>,
    /// When each server answered first.
    answered: [Mutex<Option<Duration>>; 2],
}

struct Server {
    index: usize,
    world: Arc<World>,
}

impl Model for Server {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        let world = &self.world;
        let (fails, is_slow) = {
            let mut asked = world.asked.lock().unwrap();
            let is_first_row = question.messages[0].content() == "row 0";
            if is_first_row {
                asked.push((world.began.elapsed(), self.index));
            }
            let fails = is_first_row && (asked.len() == 1 || world.fails_always);
            (fails, asked.first().is_some_and(|(_, failing)| *failing == self.index))
        };
        Box::pin(async move {
            // The other server answers before the call fails: it is not the first call of the run.
            let time = Duration::from_millis(if fails {
                1_500
            } else if is_slow {
                100_000
            } else {
                1_000
            });
            tokio::time::sleep(time).await;
            if fails {
                return Err((world.failure)()).into();
            }
            world.answered[self.index].lock().unwrap().get_or_insert_with(|| world.began.elapsed());
            Ok(Simulated::answer(question, attempt)).into()
        })
    }
}

/// Two servers of a world, named `a` and `b`, and eight rows of two questions.
fn work(world: &Arc<World>) -> Work {
    let replica = |index| Arc::new(Server { index, world: Arc::clone(world) }) as Arc<dyn Model>;
    let labels = ["a".to_owned(), "b".to_owned()].to_vec();
    let served = Served {
        replicas: [0, 1].map(replica).to_vec(),
        routing: Routing::RoundRobin,
        hosts: labels.clone(),
        labels,
        concurrency: None,
    };
    let seeds = (0..8).map(|row| seed(&row.to_string(), &[format!("row {row}"), "and then?".to_owned()]));
    Work {
        pace: PaceLimits { concurrency: Some(6), ..PaceLimits::default() },
        commit_mode: CommitMode::Inline,
        ..Work::new(
            Arc::new(Distill::new(target(), None)),
            Arc::new(MemoryStore::default()),
            HashMap::from([("simulated".to_owned(), served)]),
            Arc::new(SeedList(seeds.collect())),
            Box::new((0..8).map(|row| Ok(Admit::Row(row)))),
        )
    }
}

fn world(failure: fn() -> Failure, fails_always: bool) -> Arc<World> {
    let (asked, answered) = Default::default();
    Arc::new(World { failure, fails_always, began: Instant::now(), asked, answered })
}

fn gave_up_waiting() -> Failure {
    Failure::new(FailureClass::Transient, FailureCode::Http(504), "gave up waiting")
}

#[tokio::test(start_paused = true)]
async fn a_question_in_doubt_waits_for_its_own_server_while_another_is_free() {
    let failures: [fn() -> Failure; 3] = [
        gave_up_waiting,
        || Failure::new(FailureClass::Transient, FailureCode::Cut, "cut in the middle"),
        || Failure::new(FailureClass::Refused, FailureCode::Http(400), "not like this"),
    ];
    for failure in failures {
        let world = world(failure, false);
        let (_keep, stop) = watch::channel(StopStage::Go);
        assert_eq!(worker::run(work(&world), stop, &mut Silent).await.unwrap(), Ended::Finished);
        let asked = world.asked.lock().unwrap().clone();
        let failing = asked[0].1;
        let [proof, elsewhere] = [failing, 1 - failing].map(|index| world.answered[index].lock().unwrap().unwrap());
        assert!(elsewhere < Duration::from_millis(1_500) && proof >= Duration::from_secs(100));
        // The first row has two questions.
        assert!(asked.len() >= 3 && asked[1].0 >= proof, "{:?}: {asked:?}, {proof:?}", failure());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_doubt_of_a_drained_server_counts_among_those_that_were_probably_paid_for() {
    let world = world(gave_up_waiting, true);
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    let work = Work { controls: Controls { held: Vec::new(), commands: Some(receiver) }, ..work(&world) };
    let (_keep, stop) = watch::channel(StopStage::Go);
    let run = tokio::spawn(async move { worker::run(work, stop, &mut Silent).await });
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let servers = || world.asked.lock().unwrap().iter().map(|(_, server)| *server).collect::<Vec<_>>();
    let first = servers()[0];
    assert_eq!(servers(), [first], "the question waits for a proof");
    let (reply, state) = oneshot::channel();
    let host = ["a", "b"][first].to_owned();
    commands.send(Command { control: Control::Drain { host }, reply }).await.map_err(drop).unwrap();
    assert!(state.await.unwrap().is_ok());
    assert_eq!(run.await.unwrap().unwrap(), Ended::Finished);
    assert_eq!(
        servers(),
        [first, 1 - first, 1 - first, 1 - first],
        "four calls that may have been paid for, over all servers"
    );
}
