//! What a run does, call by call and event by event, in virtual time: a pause, an order or a count that changes is seen.
//!
//! Each test is a small world whose servers follow a script. Its whole log is compared with a snapshot.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::{FailureCode, Price, Question, Role, Seed, TimeoutKind};
use cohobate::model::{Call, CallResult, Capacity, Failure, FailureClass, Model, PaceLimits, PendingCall, Simulated};
use cohobate::recipe::{BestOf, Distill, Ranker};
use cohobate::store::{Entry, MemoryStore, Store};
use cohobate::worker::{
    self, Admit, COMMANDS_MAX, Command, CommitMode, Control, Controls, Deadline, Event, Observer, RunLimit, Seeds,
    Served, StopStage, Work,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::support::{SeedList, seed, target};

/// Everything that was seen, a line each.
#[derive(Clone)]
struct Log {
    began: Instant,
    lines: Arc<Mutex<String>>,
}

impl Log {
    fn add(&self, line: &str) {
        let at = self.began.elapsed().as_secs_f64();
        writeln!(self.lines.lock().unwrap(), "{at:9.3} {line}").unwrap();
    }
}

impl Observer for Log {
    fn on_event(&mut self, event: &Event) {
        match event {
            // The server tells of it.
            Event::Sent => {}
            Event::Answered { model, usage, history_cut, is_counted, finish, latency, .. } => {
                let tokens = (usage.prompt_tokens, usage.completion_tokens);
                let of = format!("{tokens:?} {finish:?} {latency:?} cut {history_cut} counted {is_counted}");
                self.add(&format!("answered by {model}: {of}"));
            }
            event => self.add(&format!("{event:?}")),
        }
    }
}

/// How a call ends: after this many milliseconds, and with what. `None` is an answer.
type Script = Box<dyn Fn(&Asked) -> (u64, Option<Failure>) + Send + Sync>;

/// A call as a script sees it.
struct Asked {
    /// Of this server, from 1.
    number: u64,
    /// The last words of the user.
    words: String,
    avoids_flex: bool,
}

struct Server {
    host: &'static str,
    script: Script,
    asked: AtomicU64,
    log: Log,
    /// The pause that the server announces with its fifth reply, and its size with the first.
    tells: (Option<Duration>, Option<Capacity>),
}

impl Model for Server {
    fn ask<'a>(&'a self, Call { question, attempt, avoids_flex, .. }: Call<'a>) -> PendingCall<'a> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let words = last_words(question);
        let (time, failure) = (self.script)(&Asked { number, words: words.clone(), avoids_flex });
        let more = if avoids_flex { ", not at the flex tier" } else { "" };
        let slot = question.slot;
        let tokens = question.target.sampling().max_tokens;
        self.log.add(&format!(
            "{} is asked {words:?} {:?}-{}-{}, attempt {attempt}, {tokens:?} tokens{more}",
            self.host, slot.lane, slot.turn, slot.attempt
        ));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(time)).await;
            let result = failure.map_or_else(|| Ok(Simulated::answer(question, attempt)), Err);
            let reset = self.tells.0.filter(|_| number == 5);
            let capacity = self.tells.1.filter(|_| number == 1);
            CallResult { limit_reset: reset, capacity, ..CallResult::from(result) }
        })
    }
}

fn last_words(question: &Question) -> String {
    let users = question.messages.iter().rev().find(|message| message.role() == Role::User);
    let words = users.map(|message| message.content()).unwrap_or_default();
    words.chars().take(20).collect()
}

/// Rows of which the shortest are known.
struct Rows(SeedList);

impl Seeds for Rows {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        self.0.seed(row)
    }

    fn shortest(&self, count: usize) -> Vec<u64> {
        let length = |row: &u64| self.0.0[*row as usize].turns[0].messages[0].content().len();
        let mut rows: Vec<u64> = (0..self.0.0.len() as u64).collect();
        rows.sort_by_key(length);
        rows.truncate(count);
        rows
    }
}

struct World {
    servers: Vec<(&'static str, Script)>,
    tells: (Option<Duration>, Option<Capacity>),
    seeds: Vec<Seed>,
    store: Arc<MemoryStore>,
}

impl World {
    /// Rows of this many turns before servers that follow these scripts.
    fn new(rows: usize, turns: usize, scripts: Vec<Script>) -> Self {
        let words = |row: usize| (0..turns).map(move |turn| format!("row {row} turn {turn}")).collect::<Vec<_>>();
        let seeds = (0..rows).map(|row| seed(&row.to_string(), &words(row))).collect();
        let servers = ["gpu0", "gpu1", "gpu2"].into_iter().zip(scripts).collect();
        Self { servers, tells: (None, None), seeds, store: Arc::default() }
    }

    /// Runs, and returns what was seen. `steps` are sent at their seconds.
    async fn run(self, shape: impl FnOnce(&mut Work), steps: Vec<(f64, Step)>) -> String {
        let log = Log { began: Instant::now(), lines: Arc::default() };
        let server = |host: &'static str, script: Script| {
            Arc::new(Server { host, script, asked: AtomicU64::new(0), log: log.clone(), tells: self.tells })
        };
        let (mut replicas, mut hosts, mut models) = (Vec::new(), Vec::new(), HashMap::new());
        for (host, script) in self.servers {
            let server = server(host, script);
            // A server called `judge` is a model of its own.
            if host == "judge" {
                models.insert(host.to_owned(), Served::by_one(host, server));
            } else {
                replicas.push(server as Arc<dyn Model>);
                hosts.push(host.to_owned());
            }
        }
        let of_one = Served::by_one("simulated", Arc::new(Simulated));
        models.insert("simulated".to_owned(), Served { replicas, labels: hosts.clone(), hosts, ..of_one });
        let rows = Box::new((0..self.seeds.len() as u64).map(|row| Ok(Admit::Row(row))));
        let seeds = Arc::new(Rows(SeedList(self.seeds)));
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let mut work = Work {
            pace: PaceLimits { concurrency: Some(3), ..PaceLimits::default() },
            commit_mode: CommitMode::Inline,
            controls: Controls { held: Vec::new(), commands: Some(receiver) },
            ..Work::new(Arc::new(Distill::new(target(), None)), Arc::clone(&self.store) as _, models, seeds, rows)
        };
        shape(&mut work);
        let (keep, stop) = watch::channel(StopStage::Go);
        let mut observer = log.clone();
        let ended = tokio::spawn(async move { worker::run(work, stop, &mut observer).await });
        for (at, step) in steps {
            tokio::time::sleep_until(log.began + Duration::from_secs_f64(at)).await;
            match step {
                Step::Interrupt => {
                    keep.send_modify(|stage| *stage = StopStage::Drain);
                    log.add("> interrupted");
                }
                Step::Send(control) => {
                    let shown = name_of(&control);
                    let (reply, state) = oneshot::channel();
                    let is_there = commands.send(Command { control, reply }).await.is_ok();
                    let told = if is_there { state.await.ok() } else { None };
                    let told = told.map_or("the run is over".to_owned(), |told| {
                        told.map_or_else(|error| error.to_string(), |state| format!("{state:?}"))
                    });
                    log.add(&format!("> {shown}: {told}"));
                }
                Step::Add(host, script) => {
                    let replica = server(host, script) as Arc<dyn Model>;
                    let (reply, state) = oneshot::channel();
                    let control = Control::AddReplica { model: "simulated".to_owned(), host: host.to_owned(), replica };
                    let is_there = commands.send(Command { control, reply }).await.is_ok();
                    let is_added = is_there && state.await.is_ok_and(|state| state.is_ok());
                    log.add(&format!("> {host} is added: {is_added}"));
                }
            }
        }
        let ended = ended.await.unwrap();
        log.add(&format!("{ended:?}"));
        let mut lines = log.lines.lock().unwrap().clone();
        let mut answers = 0;
        for entry in self.store.entries() {
            match entry {
                Entry::Answered { .. } => answers += 1,
                Entry::Lost { lost, .. } => writeln!(lines, "{lost:?}").unwrap(),
                Entry::Unknown { .. } => writeln!(lines, "{entry:?}").unwrap(),
                Entry::Closed { status, .. } => writeln!(lines, "{status:?}").unwrap(),
                Entry::Run(_) | Entry::Linked { .. } | Entry::Start(_) => {}
                Entry::Kept(_)
                | Entry::KeptRun { .. }
                | Entry::KeptSpending { .. }
                | Entry::KeptState { .. }
                | Entry::Settled => {}
            }
        }
        writeln!(lines, "{answers} answers").unwrap();
        lines
    }
}

fn name_of(control: &Control) -> String {
    match control {
        Control::Look => "look".to_owned(),
        Control::Pause => "pause".to_owned(),
        Control::Resume => "resume".to_owned(),
        Control::Stop(stage) => format!("stop {stage:?}"),
        Control::Limit(limit) => format!("limit {limit:?}"),
        Control::AddReplica { host, .. } => format!("add {host}"),
        Control::Drain { host } => format!("drain {host}"),
        Control::RetryFailed => "retry what failed".to_owned(),
    }
}

/// What a person does.
enum Step {
    Send(Control),
    Interrupt,
    Add(&'static str, Script),
}

fn script(ends: impl Fn(&Asked) -> (u64, Option<Failure>) + Send + Sync + 'static) -> Script {
    Box::new(ends)
}

fn good(time: u64) -> Script {
    script(move |_| (time, None))
}

fn failed(class: FailureClass, code: FailureCode) -> Failure {
    Failure::new(class, code, "told to fail")
}

/// Fails the calls with these numbers.
fn fails(numbers: std::ops::RangeInclusive<u64>, failure: Failure) -> Script {
    script(move |asked| (1_000, numbers.contains(&asked.number).then(|| failure.clone())))
}

/// Fails this row's calls.
fn fails_row(row: &'static str, failure: Failure) -> Script {
    script(move |asked| (1_000, asked.words.starts_with(row).then(|| failure.clone())))
}

fn limited(seconds: Option<u64>) -> Failure {
    let retry_after = seconds.map(Duration::from_secs);
    Failure { retry_after, ..failed(FailureClass::RateLimited, FailureCode::RateLimit) }
}

fn refused(words: &str) -> Failure {
    Failure::new(FailureClass::Refused, FailureCode::Http(400), words)
}

fn timeout() -> Failure {
    failed(FailureClass::Transient, FailureCode::Timeout(TimeoutKind::Total))
}

fn gone() -> Failure {
    failed(FailureClass::Outage, FailureCode::Connect)
}

fn nothing(_: &mut Work) {}

macro_rules! narrated {
    ($name:ident, $world:expr, $shape:expr, $steps:expr) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            insta::assert_snapshot!($world.run($shape, $steps).await);
        }
    };
}

narrated!(a_calm_run_of_two_servers, World::new(4, 2, vec![good(1_000), good(1_500)]), nothing, vec![]);

narrated!(
    a_server_that_asks_for_a_pause_beside_another,
    World::new(5, 2, vec![fails(2..=3, limited(Some(5))), good(1_500)]),
    nothing,
    vec![]
);

narrated!(
    the_only_server_asks_for_a_pause_and_names_no_time,
    World::new(6, 2, vec![fails(3..=6, limited(None))]),
    |work| work.pace.concurrency = None,
    vec![]
);

narrated!(
    a_server_tells_when_its_limit_ends_and_how_large_it_is,
    {
        let tells = (Some(Duration::from_secs(20)), Some(Capacity::Slots(2)));
        World { tells, ..World::new(5, 3, vec![good(1_000), good(1_100)]) }
    },
    |work| work.pace.concurrency = None,
    vec![]
);

narrated!(an_outage_that_ends, World::new(3, 3, vec![fails(4..=11, gone())]), nothing, vec![]);

narrated!(an_outage_of_one_of_two_servers, World::new(4, 3, vec![fails(3..=7, gone()), good(2_000)]), nothing, vec![]);

narrated!(
    an_outage_that_is_given_up,
    World::new(3, 2, vec![fails(3..=999, gone())]),
    |work| work.give_up_after = Some(Duration::from_secs(90)),
    vec![]
);

narrated!(a_question_that_is_refused, World::new(4, 3, vec![fails_row("row 2", refused("no"))]), nothing, vec![]);

narrated!(everything_is_refused_for_a_while, World::new(4, 3, vec![fails(5..=16, refused("paused"))]), nothing, vec![]);

narrated!(
    everything_is_refused_for_ever,
    World::new(3, 3, vec![fails(4..=9_999, refused("paused"))]),
    |work| work.give_up_after = Some(Duration::from_secs(120)),
    vec![]
);

narrated!(everything_is_refused_from_the_start, World::new(5, 2, vec![fails(1..=99, refused("no"))]), nothing, vec![]);

narrated!(
    a_long_question_is_refused_before_the_first_answer,
    {
        let mut world = World::new(4, 1, vec![fails_row("too long", refused("the prompt is too long"))]);
        world.seeds[0] = seed("long", &[format!("too long {}", "x".repeat(3_000))]);
        world
    },
    nothing,
    vec![]
);

narrated!(
    a_judge_refuses_while_the_teacher_is_at_work,
    {
        // Row by row the teacher takes a second longer.
        let slow = script(|asked| (1_000 * (1 + u64::from(asked.words.as_bytes()[4] - b'0')), None));
        let mut world = World::new(4, 2, vec![slow]);
        world.servers.push(("judge", fails(1..=1, refused("not yet"))));
        world
    },
    |work| {
        let judge = cohobate::conversation::Target::new("judge", "scorer", cohobate::conversation::Sampling::default());
        work.pace.concurrency = Some(8);
        let best = BestOf { samples: 2, ranker: Ranker::Scorer(judge), min_score: None };
        work.recipe = Arc::new(Distill::new(target(), None).with_best_of(best));
    },
    vec![]
);

narrated!(
    the_flex_tier_has_no_room,
    World::new(
        3,
        2,
        vec![script(|asked| {
            let fails = asked.words.starts_with("row 1") && !asked.avoids_flex;
            (1_000, fails.then(|| failed(FailureClass::RateLimited, FailureCode::FlexFull)))
        })]
    ),
    nothing,
    vec![]
);

narrated!(
    a_question_whose_calls_are_paid_for_and_lost,
    World::new(3, 8, vec![fails_row("row 1", timeout()), good(800)]),
    nothing,
    vec![]
);

narrated!(
    calls_are_in_doubt_when_a_run_stops,
    World::new(
        3,
        8,
        vec![script(|asked| {
            let fails = asked.words == "row 1 turn 2";
            (if fails { 1_300 } else { 1_000 }, fails.then(timeout))
        })]
    ),
    nothing,
    vec![(4.8, Step::Interrupt)]
);

narrated!(
    replies_that_cannot_be_used,
    World::new(3, 8, vec![fails_row("row 0", failed(FailureClass::Transient, FailureCode::Garbage))]),
    nothing,
    vec![]
);

narrated!(
    a_server_error_that_passes,
    World::new(3, 2, vec![fails(2..=9, failed(FailureClass::Transient, FailureCode::Http(500)))]),
    nothing,
    vec![]
);

narrated!(
    every_second_connection_is_closed,
    World::new(
        2,
        3,
        vec![script(|asked| {
            let is_closed = asked.number.is_multiple_of(2);
            (500, is_closed.then(|| failed(FailureClass::RetryNow, FailureCode::Closed)))
        })]
    ),
    nothing,
    vec![]
);

narrated!(
    a_setting_of_the_server_is_learned,
    World::new(2, 1, vec![fails(1..=1, failed(FailureClass::Learned, FailureCode::Http(400)))]),
    nothing,
    vec![]
);

narrated!(
    no_credit_is_left,
    World::new(3, 2, vec![fails(3..=9, failed(FailureClass::Fatal, FailureCode::Quota))]),
    nothing,
    vec![]
);

narrated!(
    a_cap_on_requests_with_failures,
    World::new(4, 4, vec![fails(2..=3, failed(FailureClass::Transient, FailureCode::Cut))]),
    |work| work.budget.requests = Some(9),
    vec![]
);

narrated!(
    a_cap_on_dollars_is_changed,
    World::new(4, 4, vec![good(1_000)]),
    |work| {
        let price = Price { input: 1e4, output: 1e5, ..Price::default() };
        work.budget.prices.extend([("simulated".to_owned(), price)]);
        work.budget.cost = Some(1e6);
    },
    vec![(1.5, Step::Send(Control::Limit(RunLimit::Cost(Some(1.0)))))]
);

narrated!(
    a_time_limit_leaves_time_for_calls_in_flight,
    World::new(4, 9, vec![good(1_700)]),
    |work| work.deadline = Some(Deadline { after: Duration::from_secs(9), name: "--time-limit".to_owned() }),
    vec![]
);

narrated!(
    a_second_interrupt_waits_for_nothing,
    World::new(4, 4, vec![good(30_000)]),
    nothing,
    vec![(40.0, Step::Interrupt), (45.0, Step::Interrupt)]
);

narrated!(
    calls_that_do_not_end_are_left_after_a_minute,
    World::new(2, 4, vec![script(|asked| (if asked.number > 3 { 600_000 } else { 1_000 }, None))]),
    nothing,
    vec![(5.0, Step::Interrupt)]
);

narrated!(
    a_run_is_paused_and_limited,
    World::new(5, 4, vec![good(1_000)]),
    nothing,
    vec![
        (1.5, Step::Send(Control::Pause)),
        (1.6, Step::Send(Control::Pause)),
        (60.0, Step::Send(Control::Look)),
        (61.0, Step::Send(Control::Resume)),
        (61.5, Step::Send(Control::Limit(RunLimit::Concurrency(Some(1))))),
        (66.5, Step::Send(Control::Limit(RunLimit::RequestsPerMinute(Some(20))))),
        (80.5, Step::Send(Control::Limit(RunLimit::RequestsPerMinute(None)))),
        (81.5, Step::Send(Control::Limit(RunLimit::Concurrency(None)))),
    ]
);

narrated!(
    a_server_is_added_and_the_first_one_drained,
    World::new(6, 3, vec![good(1_000)]),
    nothing,
    vec![
        (1.5, Step::Send(Control::Drain { host: "gpu0".to_owned() })),
        (1.6, Step::Add("gpu9", good(700))),
        (1.7, Step::Send(Control::Look)),
        (4.5, Step::Send(Control::Drain { host: "gpu0".to_owned() })),
        (4.6, Step::Send(Control::Drain { host: "gpu7".to_owned() })),
        (5.9, Step::Send(Control::Look)),
    ]
);

narrated!(
    an_added_server_refuses_its_probe,
    World::new(4, 4, vec![good(1_000)]),
    nothing,
    vec![
        (1.5, Step::Add("gpu8", fails(1..=9, failed(FailureClass::Fatal, FailureCode::Auth)))),
        (1.6, Step::Add("gpu9", fails(1..=9, refused("who are you")))),
        (4.5, Step::Send(Control::Look)),
    ]
);

narrated!(
    failed_conversations_are_opened_again,
    World::new(
        3,
        6,
        vec![script(|asked| {
            let fails = asked.number == 5;
            (1_000, fails.then(|| failed(FailureClass::Permanent, FailureCode::Context)))
        })]
    ),
    nothing,
    vec![(3.5, Step::Send(Control::Look)), (3.6, Step::Send(Control::RetryFailed)), (3.7, Step::Send(Control::Look))]
);

narrated!(
    a_pace_of_requests_and_tokens,
    World::new(3, 3, vec![good(1_000)]),
    |work| {
        work.pace.requests_per_minute = Some(12);
        work.pace.tokens_per_minute = Some(2_000);
    },
    vec![]
);

narrated!(
    the_same_conversation_is_asked_once,
    {
        let mut world = World::new(4, 2, vec![good(1_000)]);
        world.seeds[1] = world.seeds[0].clone();
        world.seeds[3] = world.seeds[0].clone();
        world
    },
    nothing,
    vec![]
);

narrated!(
    a_probe_that_is_not_answered_is_given_up_after_a_minute,
    World::new(
        2,
        2,
        vec![script(|asked| match asked.number {
            1 => (500, None),
            2..=4 => (500, Some(gone())),
            5 => (600_000, None),
            _ => (500, None),
        })]
    ),
    nothing,
    vec![]
);

/// An answer that the store cannot hold fails its question alone.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_a_failure_of_its_question() {
    /// Answers the second row with more than a record holds.
    struct Huge(Log);
    impl Model for Huge {
        fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
            let words = last_words(question);
            self.0.add(&format!("asked {words:?}"));
            let mut answer = Simulated::answer(question, attempt);
            if words == "row 1 turn 0" {
                answer.reasoning = Some("x".repeat(17 << 20));
            }
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(answer).into()
            })
        }
    }
    let log = Log { began: Instant::now(), lines: Arc::default() };
    let world = World::new(3, 2, Vec::new());
    let models = HashMap::from([("simulated".to_owned(), Served::by_one("simulated", Arc::new(Huge(log.clone()))))]);
    let store = Arc::new(MemoryStore::default());
    let rows = Box::new((0..3).map(|row| Ok(Admit::Row(row))));
    let work = Work {
        pace: PaceLimits { concurrency: Some(2), ..PaceLimits::default() },
        commit_mode: CommitMode::Inline,
        ..Work::new(
            Arc::new(Distill::new(target(), None)),
            Arc::clone(&store) as Arc<dyn Store>,
            models,
            Arc::new(SeedList(world.seeds)),
            rows,
        )
    };
    let (_keep, stop) = watch::channel(StopStage::Go);
    let ended = worker::run(work, stop, &mut log.clone()).await;
    log.add(&format!("{ended:?}"));
    let entries = store.entries().into_iter().filter(|entry| !matches!(entry, Entry::Answered { .. }));
    entries.for_each(|entry| {
        let shown = match entry {
            Entry::Closed { status, .. } => format!("{status:?}"),
            other => format!("{other:?}"),
        };
        log.add(&shown);
    });
    insta::assert_snapshot!(log.lines.lock().unwrap().clone());
}

/// A second run on the same store takes what is there, and asks a question no more that was paid for four times.
#[tokio::test(start_paused = true)]
async fn a_second_run_takes_what_is_there() {
    let store = Arc::new(MemoryStore::default());
    let world = |script: Script| World { store: Arc::clone(&store), ..World::new(3, 4, vec![script]) };
    let script = || fails_row("row 1 turn 2", timeout());
    let first = world(script()).run(nothing, vec![(5.5, Step::Interrupt)]).await;
    let second = world(script()).run(|work| work.run = 2, vec![]).await;
    let third = world(script()).run(|work| work.run = 3, vec![]).await;
    let again = |work: &mut Work| {
        work.run = 4;
        work.retry_failed = true;
    };
    let fourth = world(good(1_000)).run(again, vec![]).await;
    insta::assert_snapshot!([first, second, third, fourth].join("\n"));
}
