//! What a person changes about a run while it is at work, in virtual time: nothing is sent during a pause, limits hold
//! from the moment of the reply, a server is emptied or added, and what has failed is asked again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cohobate::conversation::{FailureCode, Price, Sampling, Target};
use cohobate::model::{Call, Failure, FailureClass, Model, PaceLimits, PendingCall, Simulated};
use cohobate::recipe::{BestOf, Distill, Ranker};
use cohobate::store::{Entry, MemoryStore, Store, StoreError};
use cohobate::worker::{
    self, Admit, COMMANDS_MAX, Command, CommitMode, Control, ControlError, Controls, Deadline, Ended, ReplicaCondition,
    RunLimit, RunSnapshot, RunStop, Served, Silent, StopStage, Work, WorkerError,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{SeedList, reads_inner, seed, target};

/// A server that takes a second for each answer, and can be told to fail.
#[derive(Default)]
struct Server {
    asked: AtomicUsize,
    present: AtomicUsize,
    fails: Mutex<Option<FailureClass>>,
    /// The moments at which calls arrived, and how many were present then.
    arrivals: Mutex<Vec<(Instant, usize)>>,
    has_failed: AtomicBool,
}

impl Server {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn fail(&self, class: Option<FailureClass>) {
        *self.fails.lock().unwrap() = class;
    }

    /// The most calls that were present when one arrived after `since`.
    fn most_since(&self, since: Instant) -> usize {
        let arrivals = self.arrivals.lock().unwrap();
        arrivals.iter().filter(|(at, _)| *at > since).map(|(_, present)| *present).max().unwrap_or_default()
    }
}

impl Model for Server {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let present = self.present.fetch_add(1, Ordering::SeqCst) + 1;
            self.arrivals.lock().unwrap().push((Instant::now(), present));
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.present.fetch_sub(1, Ordering::SeqCst);
            let fails = *self.fails.lock().unwrap();
            match fails {
                Some(class) => {
                    self.has_failed.store(true, Ordering::SeqCst);
                    Err(Failure::new(class, FailureCode::Http(500), "told to fail")).into()
                }
                None => Ok(Simulated::answer(question, attempt)).into(),
            }
        })
    }
}

/// A run of 40 conversations of four turns, eight calls at a time.
struct Run {
    commands: mpsc::Sender<Command>,
    ended: JoinHandle<Result<Ended, WorkerError>>,
    _stop: watch::Sender<StopStage>,
}

impl Run {
    fn start(servers: &[&Arc<Server>], shape: impl FnOnce(&mut Work)) -> Self {
        let sampling = Sampling { max_tokens: Some(1_000), ..Sampling::default() };
        let recipe = Distill::new(Target::new("simulated", Simulated::DIALECT, sampling), None);
        let words: Vec<String> = (0..4).map(|turn| format!("turn {turn}")).collect();
        let seeds = (0..40).map(|row| seed(&row.to_string(), &[vec![format!("row {row}")], words.clone()].concat()));
        let hosts: Vec<String> = (0..servers.len()).map(|index| format!("gpu{index}")).collect();
        let served = Served {
            replicas: servers.iter().map(|server| Arc::clone(server) as Arc<dyn Model>).collect(),
            labels: hosts.clone(),
            hosts,
            ..Served::by_one("simulated", Arc::new(Simulated))
        };
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let models = HashMap::from([("simulated".to_owned(), served)]);
        let seeds = Arc::new(SeedList(seeds.collect()));
        let rows = Box::new((0..40).map(|row| Ok(Admit::Row(row))));
        let mut work = Work {
            pace: PaceLimits { concurrency: Some(8), ..PaceLimits::default() },
            commit_mode: CommitMode::Inline,
            controls: Controls { held: Vec::new(), commands: Some(receiver) },
            ..Work::new(Arc::new(recipe), Arc::new(MemoryStore::default()), models, seeds, rows)
        };
        shape(&mut work);
        let (keep, stop) = watch::channel(StopStage::Go);
        Self { commands, ended: tokio::spawn(worker::run(work, stop, Box::leak(Box::new(Silent)))), _stop: keep }
    }

    async fn send(&self, control: Control) -> Result<RunSnapshot, ControlError> {
        let (reply, state) = oneshot::channel();
        self.commands.send(Command { control, reply }).await.map_err(drop).expect("the run is over");
        state.await.expect("the run has ended without a reply")
    }

    async fn end(self) -> Ended {
        self.ended.await.unwrap().unwrap()
    }
}

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everything_until_it_is_resumed() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |_| {});
    seconds(2.5).await;
    let state = run.send(Control::Pause).await.unwrap();
    assert_eq!((state.in_flight, state.sent, server.asked()), (8, 24, 24));
    seconds(3_600.0).await;
    let state = run.send(Control::Look).await.unwrap();
    assert_eq!((server.asked(), state.in_flight, state.uncommitted, state.is_paused), (24, 0, 0, true));
    assert_eq!((state.open, state.waiting), (8, 8), "the conversations wait where they are");
    run.send(Control::Resume).await.unwrap();
    assert_eq!(run.end().await, Ended::Finished);
    assert_eq!(server.asked(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_retries_and_probes() {
    for class in [FailureClass::Transient, FailureClass::Outage] {
        let server = Arc::new(Server::default());
        let run = Run::start(&[&server], |work| work.give_up_after = Some(Duration::from_secs(600)));
        seconds(1.5).await;
        server.fail(Some(class));
        seconds(1.0).await;
        assert!(server.has_failed.load(Ordering::SeqCst));
        run.send(Control::Pause).await.unwrap();
        // The calls that were in flight end.
        seconds(1.5).await;
        let asked = server.asked();
        seconds(7_200.0).await;
        assert_eq!(server.asked(), asked, "{class:?}: nothing is tried again during a pause");
        server.fail(None);
        run.send(Control::Resume).await.unwrap();
        assert_eq!(run.end().await, Ended::Finished, "{class:?}: a server that was not asked is not given up");
    }
}

#[tokio::test(start_paused = true)]
async fn deadlines_run_on_during_a_pause() {
    let server = Arc::new(Server::default());
    let deadline = Deadline { after: Duration::from_secs(60), name: "--time-limit".to_owned() };
    let run = Run::start(&[&server], |work| work.deadline = Some(deadline));
    let start = Instant::now();
    seconds(2.5).await;
    run.send(Control::Pause).await.unwrap();
    assert_eq!(run.end().await, Ended::Stopped(RunStop::Budget("--time-limit is reached".to_owned())));
    assert!(start.elapsed() < Duration::from_secs(62));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_paused_before_it_begins_sends_nothing() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |work| work.controls.held = vec![Control::Pause]);
    seconds(60.0).await;
    assert_eq!(server.asked(), 0);
    let state = run.send(Control::Stop(StopStage::Drain)).await.unwrap();
    assert_eq!(state.stopping.as_deref(), Some("stop requested"));
    assert_eq!(run.end().await, Ended::Stopped(RunStop::Requested));
    assert_eq!(server.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_calls_finish_and_a_second_one_does_not_hurry_it() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |_| {});
    seconds(2.5).await;
    run.send(Control::Stop(StopStage::Drain)).await.unwrap();
    assert_eq!(run.send(Control::Pause).await, Err(ControlError::Stopping));
    run.send(Control::Stop(StopStage::Drain)).await.unwrap();
    let start = Instant::now();
    assert_eq!(run.end().await, Ended::Stopped(RunStop::Requested));
    assert!(start.elapsed() >= Duration::from_millis(400), "the calls in flight were waited for");
    assert_eq!(server.asked(), 24);
}

#[tokio::test(start_paused = true)]
async fn a_lower_number_of_calls_holds_once_the_calls_in_flight_have_ended() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |_| {});
    seconds(2.5).await;
    let state = run.send(Control::Limit(RunLimit::Concurrency(Some(3)))).await.unwrap();
    let lowered = Instant::now();
    assert_eq!((state.concurrency, state.slots), (Some(3), 3));
    seconds(10.0).await;
    assert_eq!(server.most_since(lowered), 3);
    run.send(Control::Limit(RunLimit::Concurrency(Some(20)))).await.unwrap();
    let raised = Instant::now();
    assert_eq!(run.end().await, Ended::Finished);
    assert_eq!(server.most_since(raised), 20);
    assert_eq!(server.asked(), 200);
}

#[tokio::test(start_paused = true)]
async fn without_a_number_the_search_continues_from_the_one_that_was_set() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |work| work.pace.concurrency = None);
    seconds(2.5).await;
    run.send(Control::Limit(RunLimit::Concurrency(Some(2)))).await.unwrap();
    seconds(5.0).await;
    let state = run.send(Control::Limit(RunLimit::Concurrency(None))).await.unwrap();
    assert_eq!((state.concurrency, state.slots), (None, 2));
    assert_eq!(run.end().await, Ended::Finished);
}

#[tokio::test(start_paused = true)]
async fn requests_a_minute_hold_from_the_reply_on() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |_| {});
    seconds(2.5).await;
    run.send(Control::Limit(RunLimit::RequestsPerMinute(Some(30)))).await.unwrap();
    let asked = server.asked();
    seconds(60.0).await;
    assert!((29..=31).contains(&(server.asked() - asked)), "{} in a minute", server.asked() - asked);
    run.send(Control::Limit(RunLimit::RequestsPerMinute(None))).await.unwrap();
    let start = Instant::now();
    assert_eq!(run.end().await, Ended::Finished);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn tokens_a_minute_count_the_prompt_and_the_longest_answer() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |work| work.pace.tokens_per_minute = Some(60_000));
    seconds(60.0).await;
    // Each call may write a thousand tokens, and a second has a thousand. The prompts cost the rest.
    assert!((45..=55).contains(&server.asked()), "{} in a minute", server.asked());
    assert_eq!(run.end().await, Ended::Finished);
    assert_eq!(server.asked(), 200);
}

/// A store whose disk takes no answers until it is told to.
#[derive(Default)]
struct StuckStore {
    inner: MemoryStore,
    takes_answers: (Mutex<bool>, Condvar),
}

impl Store for StuckStore {
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let (takes_answers, told) = &self.takes_answers;
        if entries.iter().any(|entry| matches!(entry, Entry::Answered { .. })) {
            drop(told.wait_while(takes_answers.lock().unwrap(), |takes_answers| !*takes_answers).unwrap());
        }
        self.inner.commit(entries)
    }
}

reads_inner!(StuckStore);

/// A kill would repeat them as well as the calls in flight.
#[tokio::test(start_paused = true)]
async fn answers_that_are_not_on_disk_count_among_the_calls_that_were_asked_for() {
    let (server, store) = (Arc::new(Server::default()), Arc::new(StuckStore::default()));
    let run = Run::start(&[&server], |work| {
        // Each conversation has more questions at once than calls were asked for.
        let ranker = Ranker::Scorer(target());
        work.recipe =
            Arc::new(Distill::new(target(), None).with_best_of(BestOf { samples: 3, ranker, min_score: None }));
        work.store = Arc::clone(&store) as Arc<dyn Store>;
        work.commit_mode = CommitMode::Thread;
    });
    seconds(60.0).await;
    let (state, asked) = (run.send(Control::Look).await.unwrap(), server.asked());
    *store.takes_answers.0.lock().unwrap() = true;
    store.takes_answers.1.notify_all();
    assert_eq!((asked, state.in_flight, state.uncommitted), (8, 0, 8));
    assert_eq!(run.end().await, Ended::Finished);
}

#[tokio::test(start_paused = true)]
async fn a_lower_cap_stops_the_run_before_it_is_passed() {
    let server = Arc::new(Server::default());
    let price = Price { input: 0.0, output: 1e3, ..Price::default() };
    let run = Run::start(&[&server], |work| work.budget.prices.extend([("simulated".to_owned(), price)]));
    seconds(2.5).await;
    let state = run.send(Control::Look).await.unwrap();
    assert!(state.cost_max.is_none() && state.spent.cost > 0.0, "{state:?}");
    // Each call costs one dollar at most, and eight are in flight.
    let cap = state.spent.cost + 10.0;
    run.send(Control::Limit(RunLimit::Cost(Some(cap)))).await.unwrap();
    assert_eq!(run.end().await, Ended::Stopped(RunStop::Budget("--max-cost is reached".to_owned())));
    assert!(server.asked() < 200);
}

#[tokio::test(start_paused = true)]
async fn a_drained_server_is_emptied_and_the_others_answer_its_questions() {
    let servers = [Arc::new(Server::default()), Arc::new(Server::default())];
    let run = Run::start(&[&servers[0], &servers[1]], |_| {});
    seconds(2.5).await;
    let state = run.send(Control::Drain { host: "gpu1".to_owned() }).await.unwrap();
    let [first, second] = &state.models[0].replicas[..] else { panic!("{state:?}") };
    assert_eq!((first.condition, second.condition), (ReplicaCondition::Up, ReplicaCondition::Drained));
    assert_eq!(second.waiting, 0);
    let asked = servers[1].asked();
    let last = run.send(Control::Drain { host: "gpu0".to_owned() }).await;
    assert_eq!(last, Err(ControlError::LastReplica { host: "gpu0".to_owned(), model: "simulated".to_owned() }));
    let unknown = run.send(Control::Drain { host: "gpu7".to_owned() }).await.unwrap_err();
    assert!(unknown.to_string().ends_with("its servers are gpu0, gpu1"), "{unknown}");
    seconds(1.5).await;
    let state = run.send(Control::Look).await.unwrap();
    assert_eq!(state.models[0].replicas[1].in_flight, 0);
    assert_eq!(run.end().await, Ended::Finished);
    assert_eq!((servers[1].asked(), servers[0].asked()), (asked, 200 - asked));
}

#[tokio::test(start_paused = true)]
async fn questions_that_a_drained_server_has_failed_are_not_left_behind() {
    let servers = [Arc::new(Server::default()), Arc::new(Server::default())];
    let run = Run::start(&[&servers[0], &servers[1]], |_| {});
    seconds(1.5).await;
    // Its refusals wait until it has answered something else, which it never does.
    servers[1].fail(Some(FailureClass::Refused));
    seconds(1.0).await;
    run.send(Control::Drain { host: "gpu1".to_owned() }).await.unwrap();
    assert_eq!(run.end().await, Ended::Finished);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_added_gets_its_share_once_it_has_answered_a_probe() {
    let (first, second) = (Arc::new(Server::default()), Arc::new(Server::default()));
    let run = Run::start(&[&first], |work| work.pace.concurrency = Some(4));
    let add = |server: &Arc<Server>| Control::AddReplica {
        model: "simulated".to_owned(),
        host: "gpu9".to_owned(),
        replica: Arc::clone(server) as Arc<dyn Model>,
    };
    seconds(2.5).await;
    let state = run.send(add(&second)).await.unwrap();
    assert_eq!(state.models[0].replicas[1].condition, ReplicaCondition::Suspected);
    assert!(matches!(run.send(add(&second)).await, Err(ControlError::KnownReplica { .. })));
    let unknown = Control::AddReplica { model: "other".to_owned(), host: "gpu9".to_owned(), replica: second.clone() };
    assert!(matches!(run.send(unknown).await, Err(ControlError::UnknownModel { .. })));
    assert_eq!(run.end().await, Ended::Finished);
    // One of its calls is the probe.
    assert!(second.asked() > 40, "{} calls", second.asked());
    assert_eq!(first.asked() + second.asked(), 201);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_added_and_cannot_be_used_does_not_end_the_run() {
    for class in [FailureClass::Fatal, FailureClass::Refused, FailureClass::Outage] {
        let (first, second) = (Arc::new(Server::default()), Arc::new(Server::default()));
        second.fail(Some(class));
        let run = Run::start(&[&first], |_| {});
        seconds(2.5).await;
        let replica = Arc::clone(&second) as Arc<dyn Model>;
        let add = Control::AddReplica { model: "simulated".to_owned(), host: "gpu9".to_owned(), replica };
        run.send(add).await.unwrap();
        assert_eq!(run.end().await, Ended::Finished, "{class:?}");
        assert_eq!(first.asked(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn conversations_that_failed_are_opened_again() {
    let server = Arc::new(Server::default());
    let run = Run::start(&[&server], |_| {});
    seconds(1.5).await;
    server.fail(Some(FailureClass::Permanent));
    seconds(1.0).await;
    server.fail(None);
    let state = run.send(Control::RetryFailed).await.unwrap();
    assert_eq!((state.failed, state.reopening), (0, 8));
    assert_eq!(run.end().await, Ended::Finished);
    assert_eq!(server.asked(), 208, "eight calls failed, and nothing else was asked twice");
}
