//! The worker in simulated time over the memory store and a teacher that fails in every way, from a seed. In every seventh world
//! the worker that is harmed has a shared store, and must end where a calm one with the memory store ends. A failing seed is
//! printed and replays: `COHOBATE_TEST_SEED=N cargo test simulation`. `COHOBATE_TEST_SEEDS` sets how many.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::{
    Answer, AnswerTokens, Dice, FailureCode, Fingerprint, Finish, Outcome, Question, Sampling, Seed, Target,
    TokenDetail,
};
use cohobate::model::{Call, CallResult, Failure, FailureClass, Model, PaceLimits, PendingCall, Routing, Simulated};
use cohobate::recipe::{CallRules, Distill, Recipe, Replay, ReplayEnd};
use cohobate::store::Sequences;
use cohobate::worker::{
    self, Admit, COMMANDS_MAX, Command, CommitMode, Control, Controls, Deadline, Ended, Event, Observer, RunLimit,
    RunStop, Served, StopStage, Work,
};
use tokio::sync::{oneshot, watch};

use crate::shared::keeper::{Crash, Harm, Keeper, answered};
use crate::support::{SeedList, seed, tool_seed};

/// A teacher in simulated time: slow, failing, refusing, sometimes gone, always the same for the same seed.
struct Teacher {
    /// Decides which questions it refuses for good and which answers it cuts.
    nature: u64,
    /// Decides everything that passes.
    seed: u64,
    world: Mutex<World>,
    /// Calls that it takes at a time; more are refused.
    slots: Option<usize>,
    /// The server is away between these moments of the run.
    away: Option<Away>,
    started: tokio::time::Instant,
}

/// A time in which nothing is answered.
#[derive(Clone, Copy)]
struct Away {
    from: Duration,
    to: Duration,
    kind: AwayKind,
}

#[derive(Clone, Copy)]
enum AwayKind {
    /// Connections are refused.
    Gone,
    /// A forwarder accepts connections and closes them.
    Closing,
    /// Everything is refused.
    Refusing,
    /// A gateway gives up waiting.
    TimingOut,
}

impl Away {
    /// From some moment of the first half second, for at most 200 seconds.
    fn at_random(dice: &mut Dice) -> Self {
        let from = Duration::from_millis(dice.below(500) as u64);
        let to = from + Duration::from_secs(dice.below(200) as u64);
        let kind = [AwayKind::Gone, AwayKind::Closing, AwayKind::Refusing, AwayKind::TimingOut][dice.below(4)];
        Self { from, to, kind }
    }
}

#[derive(Default)]
struct World {
    asked: u64,
    probes: u64,
    present: usize,
    present_max: usize,
    refused: u64,
    /// Everything that was answered, and so paid for.
    answered: Vec<Fingerprint>,
    /// Every call that was probably paid for and brought no answer.
    lost: Vec<Fingerprint>,
}

impl Teacher {
    async fn answer(&self, question: &Question, attempt: u32) -> Result<Answer, Failure> {
        let fingerprint = question.fingerprint();
        let (number, present) = {
            let mut world = self.world.lock().unwrap();
            world.asked += 1;
            world.probes += u64::from(is_probe(question));
            world.present += 1;
            world.present_max = world.present_max.max(world.present);
            (world.asked, world.present)
        };
        let mut key = self.seed.to_le_bytes().to_vec();
        key.extend_from_slice(&number.to_le_bytes());
        let mut dice = Dice::new("teacher", &key);
        let result = self.reply(question, attempt, present, &mut dice).await;
        let mut world = self.world.lock().unwrap();
        world.present -= 1;
        match &result {
            _ if is_probe(question) => {}
            Ok(_) => world.answered.push(fingerprint),
            Err(failure) if failure.class == FailureClass::RateLimited => world.refused += 1,
            Err(failure) if failure.is_probably_paid() => world.lost.push(fingerprint),
            Err(_) => {}
        }
        result
    }

    async fn reply(
        &self,
        question: &Question,
        attempt: u32,
        present: usize,
        dice: &mut Dice,
    ) -> Result<Answer, Failure> {
        let fail = |class, code| Err(Failure::new(class, code, "simulated"));
        let now = self.started.elapsed();
        if let Some(away) = self.away.filter(|away| now >= away.from && now < away.to) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            return match away.kind {
                AwayKind::Gone => fail(FailureClass::Outage, FailureCode::Connect),
                AwayKind::Closing => fail(FailureClass::RetryNow, FailureCode::Closed),
                AwayKind::Refusing => fail(FailureClass::Refused, FailureCode::Http(404)),
                AwayKind::TimingOut => fail(FailureClass::Transient, FailureCode::Http(504)),
            };
        }
        if self.slots.is_some_and(|slots| present > slots) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            return fail(FailureClass::RateLimited, FailureCode::RateLimit);
        }
        // Roughly lognormal: most are quick, some take long.
        let latency = 0.02 * (1.0 + dice.fraction()).powi(6);
        tokio::time::sleep(Duration::from_secs_f64(latency)).await;
        // A probe that fails by chance would show an outage that there is not.
        if is_probe(question) {
            return Ok(Simulated::answer(question, attempt));
        }
        // What a question itself brings does not depend on when it is asked.
        let own = question.fingerprint().prefix() ^ self.nature;
        if own.is_multiple_of(41) {
            return fail(FailureClass::Permanent, FailureCode::Http(400));
        }
        if own % 41 == 1 {
            return fail(FailureClass::Transient, FailureCode::Http(504));
        }
        match dice.below(20) {
            0 => fail(FailureClass::Transient, FailureCode::Http(500)),
            1 => fail(FailureClass::RetryNow, FailureCode::Closed),
            2 => {
                let mut failure = Failure::new(FailureClass::RateLimited, FailureCode::RateLimit, "simulated");
                failure.retry_after = Some(Duration::from_millis(dice.below(3_000) as u64));
                Err(failure)
            }
            3 if dice.below(8) == 0 => fail(FailureClass::Transient, FailureCode::Cut),
            4 => fail(FailureClass::Refused, FailureCode::Auth),
            _ => {
                let mut answer = Simulated::answer(question, attempt);
                if own.is_multiple_of(37) {
                    answer.finish = Finish::Length;
                }
                Ok(answer)
            }
        }
    }
}

fn is_probe(question: &Question) -> bool {
    question.messages.iter().all(|message| message.content() == "Hi")
}

impl Model for Teacher {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        Box::pin(async move { self.answer(question, attempt).await.into() })
    }
}

/// A server that is not there.
struct Dead;

impl Model for Dead {
    fn ask<'a>(&'a self, _: Call<'a>) -> PendingCall<'a> {
        let refused = Failure::new(FailureClass::Outage, FailureCode::Connect, "refused");
        Box::pin(async move { CallResult::from(Err(refused)) })
    }
}

/// Counts what a run says of itself.
#[derive(Default)]
struct Counts {
    sent: u64,
    returned: u64,
    closed: u64,
    reopened: u64,
}

impl Observer for Counts {
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Sent => self.sent += 1,
            Event::Answered { .. } | Event::Failed { .. } => self.returned += 1,
            Event::Closed(_) => self.closed += 1,
            Event::Reopened { .. } => self.reopened += 1,
            _ => {}
        }
    }
}

/// One world: a dataset, a recipe, a store, and runs over them.
struct Scenario {
    seed: u64,
    recipe: Arc<dyn Recipe>,
    seeds: Vec<Seed>,
    keeper: Keeper,
    pace: PaceLimits,
    slots: Option<usize>,
    answered: Vec<Fingerprint>,
    lost: Vec<Fingerprint>,
    /// Requests in all runs that a server has heard of, probes included.
    asked: u64,
    /// Questions that were sent in all runs, and probes that a server has heard of.
    sent: u64,
}

const MAX_TOKENS: u32 = 500;

impl Scenario {
    /// The scenario in which something is to go wrong.
    fn harmed(number: u64) -> Self {
        let keeper = if is_shared(number) { Keeper::shared() } else { Keeper::default() };
        Self { keeper, ..Self::new(number) }
    }

    fn new(number: u64) -> Self {
        let mut dice = Dice::new("scenario", &number.to_le_bytes());
        let has_calls = number % 4 == 3;
        let words = ["a", "b", "c", "你好", "harbor"];
        let seeds = (0..=dice.below(24)).map(|row| {
            let turns: Vec<String> = (0..=dice.below(6)).map(|_| words[dice.below(words.len())].to_owned()).collect();
            if has_calls { tool_seed(&row.to_string(), &turns) } else { seed(&row.to_string(), &turns) }
        });
        let seeds = seeds.collect();
        let concurrency = (dice.below(3) > 0).then(|| 1 + dice.below(12));
        let sampling = Sampling { max_tokens: Some(MAX_TOKENS), ..Sampling::default() };
        let detail = number.is_multiple_of(3).then_some(TokenDetail::Ids);
        let target = Target::new("simulated", Simulated::DIALECT, sampling).with_detail(detail, &[]);
        let distill = Distill::new(target, None);
        Self {
            seed: number,
            recipe: Arc::new(if has_calls { distill.with_calls(CallRules::default()) } else { distill }),
            seeds,
            keeper: Keeper::default(),
            pace: PaceLimits { concurrency, ..PaceLimits::default() },
            slots: (dice.below(4) == 0).then(|| 2 + dice.below(6)),
            answered: Vec::new(),
            lost: Vec::new(),
            asked: 0,
            sent: 0,
        }
    }

    /// One server, or some that are one world, of which in some scenarios one is dead from the beginning to the end.
    fn served(&self, teacher: &Arc<Teacher>) -> Served {
        let count = 1 + self.seed as usize % 3;
        let mut replicas = vec![Arc::clone(teacher) as Arc<dyn Model>; count];
        if count == 3 && self.seed.is_multiple_of(4) {
            replicas[1] = Arc::new(Dead);
        }
        let routing = if self.seed.is_multiple_of(5) { Routing::RoundRobin } else { Routing::Affine };
        let labels: Vec<String> = (0..count).map(|index| format!("simulated {index}")).collect();
        Served { replicas, routing, hosts: labels.clone(), labels, concurrency: None }
    }

    /// Runs once. The store fails after `crash_after` entries or operations; `shape` sets what else is special.
    fn run(
        &mut self,
        number: u32,
        crash_after: Option<u64>,
        shape: impl FnOnce(&mut Work),
        away: Option<Away>,
    ) -> Result<Ended, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let seed = self.seed.wrapping_mul(31).wrapping_add(u64::from(number));
        let inside = runtime.enter();
        let started = tokio::time::Instant::now();
        drop(inside);
        let (nature, slots) = (self.seed, self.slots);
        let teacher = Arc::new(Teacher { nature, seed, world: Mutex::default(), slots, away, started });
        let crash = crash_after.map(|at| Crash { at, keeps_the_last: self.seed.is_multiple_of(2), seed });
        let (mut is_cut, mut counts) = (false, Counts::default());
        let ended = self.keeper.run(crash, |store, ledger| {
            let run = async {
                let models = HashMap::from([("simulated".to_owned(), self.served(&teacher))]);
                let seeds = Arc::new(SeedList(self.seeds.clone()));
                let rows = Box::new((0..self.seeds.len() as u64).map(|row| Ok(Admit::Row(row))));
                let mut work = Work {
                    run: number,
                    pace: self.pace,
                    commit_mode: CommitMode::Inline,
                    ledger,
                    ..Work::new(Arc::clone(&self.recipe), store, models, seeds, rows)
                };
                shape(&mut work);
                let limit = work.deadline.as_ref().map(|deadline| deadline.after);
                let began = tokio::time::Instant::now();
                let (_keep, stop) = watch::channel(StopStage::Go);
                let ended =
                    tokio::time::timeout(Duration::from_secs(48 * 3600), worker::run(work, stop, &mut counts)).await;
                let ended = ended.expect("two simulated days are enough for a few calls: the worker hangs");
                if matches!(ended, Ok(Ended::Finished)) {
                    let closed = counts.closed - counts.reopened;
                    assert_eq!(closed, self.seeds.len() as u64, "a conversation was lost");
                }
                if let Some(limit) = limit {
                    // The wait for calls in flight is inside the limit.
                    let timer = Duration::from_millis(5);
                    assert!(began.elapsed() <= limit + timer, "{:?} of {limit:?}", began.elapsed());
                }
                // What is in flight at the end of the time is lost.
                is_cut = limit.is_some() && matches!(ended, Ok(Ended::Stopped(_)));
                if ended.is_ok() && !is_cut {
                    assert_eq!(counts.sent, counts.returned, "a slot was leaked");
                }
                ended
            };
            runtime.block_on(run)
        });
        // What is left of a worker that has died holds its store.
        drop(runtime);
        let world = std::mem::take(&mut *teacher.world.lock().unwrap());
        if ended.is_ok() && !is_cut {
            let committed: HashSet<_> = self.committed().into_iter().collect();
            let missing = world.answered.iter().find(|answered| !committed.contains(answered));
            assert_eq!(missing, None, "an answer was paid for and is not stored");
        }
        let calls_max = self.pace.concurrency.unwrap_or(usize::MAX);
        assert!(world.present_max <= calls_max, "{} calls in flight of {calls_max}", world.present_max);
        self.asked += world.asked;
        self.sent += counts.sent + world.probes;
        self.answered.extend(world.answered);
        self.lost.extend(world.lost);
        ended
    }

    /// Runs until nothing is left. A run that is refused before its first answer ends, and is started again.
    fn run_to_the_end(&mut self, first: u32) {
        for number in first..first + 50 {
            match self.run(number, None, |_| {}, None) {
                Ok(Ended::Finished) => return,
                Ok(Ended::Stopped(RunStop::Refused { after_answers: false, .. })) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("refused in fifty runs");
    }

    /// Returns how often the question that lost the most calls was sent in vain.
    fn most_lost(&self) -> usize {
        let mut lost: HashMap<Fingerprint, usize> = HashMap::new();
        self.lost.iter().for_each(|fingerprint| *lost.entry(*fingerprint).or_default() += 1);
        lost.into_values().max().unwrap_or_default()
    }

    fn committed(&self) -> Vec<Fingerprint> {
        self.keeper.entries().iter().filter_map(answered).collect()
    }

    fn outcomes(&self) -> Vec<Option<Outcome>> {
        let store = self.keeper.reader();
        let outcome = |seed| {
            let mut replay = Replay::new(&*self.recipe, seed);
            let stored =
                |fingerprint: &_, _| store.answer(fingerprint).map(|stored| stored.map(|stored| stored.answer));
            match replay.advance(stored).unwrap() {
                ReplayEnd::Done(outcome) => Some(self.with_whole_tokens(without_attempts(outcome))),
                ReplayEnd::Open(_) => None,
            }
        };
        self.seeds.iter().map(outcome).collect()
    }

    /// Asserts that each answer has the tokens that were asked for, and returns the outcome with whole prompts: on which
    /// earlier answer a prompt leans may depend on the order of answers.
    fn with_whole_tokens(&self, mut outcome: Outcome) -> Outcome {
        let (Outcome::Complete(dialogue) | Outcome::Stopped { dialogue, .. }) = &mut outcome;
        let asks = self.seed.is_multiple_of(3);
        let store = self.keeper.reader();
        let mut sequences = Sequences::default();
        for answer in dialogue.spoken.iter_mut().filter_map(|spoken| spoken.answer.as_mut()) {
            let line = sequences.line_of(&*store, answer).unwrap();
            assert_eq!(line.is_some(), asks, "tokens were lost");
            let tokens = line.map(|line| Arc::new(AnswerTokens::whole(line.prompt, line.completion)));
            *answer = Arc::new(Answer { tokens, ..(**answer).clone() });
        }
        for rejected in &mut dialogue.rejected {
            rejected.answer = Arc::new(Answer { tokens: None, ..(*rejected.answer).clone() });
        }
        outcome
    }

    /// The invariants that hold after any number of runs, however they ended.
    fn check(&self) {
        let committed = self.committed();
        let distinct: HashSet<_> = committed.iter().copied().collect();
        assert_eq!(committed.len(), distinct.len(), "an answer was committed twice");
    }

    /// Asserts that a shared store has booked what was paid, and each request once, whoever has died. It holds once a later run
    /// has settled what was in flight.
    fn check_books(&self) {
        if let Keeper::Memory(_) = self.keeper {
            return;
        }
        let spending = self.keeper.reader().spending().unwrap();
        let booked: u64 = spending.values().map(|spent| spent.calls + spent.unknown_calls).sum();
        let (paid, sent) = ((self.answered.len() + self.lost.len()) as u64, self.sent);
        // Of each death: the request that was being booked, and a probe of each replica that no server has heard of.
        let twice_max = 4 * self.keeper.harm().deaths;
        assert!(paid <= booked && booked <= sent + twice_max, "{booked} booked, {paid} paid, {sent} sent");
    }
}

/// True for the worlds with a shared store. Every other property of a world occurs among them.
fn is_shared(number: u64) -> bool {
    number % 7 == 3
}

fn without_attempts(mut outcome: Outcome) -> Outcome {
    let (Outcome::Complete(dialogue) | Outcome::Stopped { dialogue, .. }) = &mut outcome;
    let accepted = dialogue.spoken.iter_mut().filter_map(|spoken| spoken.answer.as_mut());
    for answer in accepted.chain(dialogue.rejected.iter_mut().map(|rejected| &mut rejected.answer)) {
        *answer = Arc::new(Answer { attempts: 0, ..(**answer).clone() });
    }
    outcome
}

/// Crashes at random commits, an outage now and then, and in the end the same as a calm run.
fn crashes_end_where_a_calm_run_ends(number: u64) -> Harm {
    let mut calm = Scenario::new(number);
    calm.run_to_the_end(1);
    calm.check();
    assert!(calm.most_lost() <= 4, "a question was paid for {} times", calm.most_lost());
    let mut dice = Dice::new("crashes", &number.to_le_bytes());
    let mut stormy = Scenario::harmed(number);
    let crashes = stormy.keeper.crashes(calm.keeper.entries().len());
    let mut run = 0;
    for _ in 0..dice.below(4) {
        run += 1;
        let committed = stormy.keeper.kept();
        let answered_before = stormy.answered.len();
        let away = (dice.below(2) == 0).then(|| Away::at_random(&mut dice));
        let _ = stormy.run(run, Some(dice.below(crashes) as u64), |_| {}, away);
        stormy.check();
        let again = stormy.answered[answered_before..].iter().filter(|asked| committed.contains(*asked)).count();
        assert_eq!(again, 0, "a committed answer was paid again");
    }
    stormy.run_to_the_end(run + 1);
    stormy.check();
    stormy.check_books();
    let differing = stormy.outcomes().iter().zip(calm.outcomes()).position(|(stormy, calm)| *stormy != calm);
    assert_eq!(differing, None, "a row differs from the calm run's");
    stormy.keeper.harm()
}

/// A person who pauses, limits, drains, adds a dead server and retries at random moments changes nothing about the end.
fn steered_runs_end_where_a_calm_run_ends(number: u64) {
    let mut calm = Scenario::new(number);
    calm.run_to_the_end(1);
    let mut steered = Scenario::harmed(number);
    let most = steered.pace.concurrency;
    let _ = steered.run(1, None, |work| work.controls = at_random(number, most), None);
    steered.check();
    steered.run_to_the_end(2);
    steered.check();
    steered.check_books();
    let differing = steered.outcomes().iter().zip(calm.outcomes()).position(|(steered, calm)| *steered != calm);
    assert_eq!(differing, None, "a row differs from the calm run's");
}

/// Sends controls at random moments of the first seconds, and ends every pause.
fn at_random(number: u64, most: Option<usize>) -> Controls {
    let (sender, commands) = tokio::sync::mpsc::channel(COMMANDS_MAX);
    tokio::spawn(async move {
        let mut dice = Dice::new("steering", &number.to_le_bytes());
        for _ in 0..dice.below(12) {
            tokio::time::sleep(Duration::from_millis(dice.below(700) as u64)).await;
            let calls = Some(1 + dice.below(most.unwrap_or(12)));
            let control = match dice.below(8) {
                0 | 1 => Control::Pause,
                2 => Control::Resume,
                3 => Control::Limit(RunLimit::Concurrency(calls)),
                4 => Control::Limit(RunLimit::RequestsPerMinute(Some(60 + dice.below(6_000) as u32))),
                5 => Control::Drain { host: "simulated 1".to_owned() },
                6 => Control::RetryFailed,
                _ => {
                    let (model, host) = ("simulated".to_owned(), format!("dead {}", dice.below(2)));
                    Control::AddReplica { model, host, replica: Arc::new(Dead) }
                }
            };
            let (reply, state) = oneshot::channel();
            // The run may be over.
            if sender.send(Command { control: control.clone(), reply }).await.is_err() {
                return;
            }
            if let (Ok(Ok(state)), Control::Limit(RunLimit::Concurrency(_))) = (state.await, control) {
                assert_eq!(state.concurrency, calls);
            }
        }
        let (reply, _) = oneshot::channel();
        let _ = sender.send(Command { control: Control::Resume, reply }).await;
    });
    Controls { held: Vec::new(), commands: Some(commands) }
}

/// No cap is passed, whatever happens; raised, the run goes on to the end.
fn budgets_are_kept(number: u64) {
    let mut dice = Dice::new("budget", &number.to_le_bytes());
    let mut scenario = Scenario::harmed(number);
    let mut cap = 1 + dice.below(40) as u64;
    for run in 1.. {
        let limit = cap;
        let by_tokens = number.is_multiple_of(2);
        let ended = scenario.run(
            run,
            None,
            |work| {
                if by_tokens {
                    work.budget.output_tokens = Some(limit * u64::from(MAX_TOKENS));
                } else {
                    work.budget.requests = Some(limit);
                }
            },
            None,
        );
        let spent = scenario.keeper.reader().spending().unwrap().get("simulated").copied().unwrap_or_default();
        if by_tokens {
            assert!(spent.completion_tokens <= limit * u64::from(MAX_TOKENS), "{} tokens", spent.completion_tokens);
        } else {
            assert!(spent.calls <= limit, "{} answers for {limit} requests", spent.calls);
            assert!(scenario.asked <= limit, "{} requests of {limit}", scenario.asked);
        }
        match ended.unwrap() {
            Ended::Finished => break,
            Ended::Stopped(RunStop::Budget(_)) => cap += 20 + cap / 2,
            Ended::Stopped(RunStop::Refused { after_answers: false, .. }) => {}
            other @ Ended::Stopped(_) => panic!("{other:?}"),
        }
    }
    scenario.check();
    scenario.check_books();
}

/// A run that is to end at some time does, and one whose server stays away gives up.
fn time_limits_are_kept(number: u64) {
    let mut scenario = Scenario::harmed(number);
    let ended = scenario.run(
        1,
        None,
        |work| {
            work.deadline = Some(Deadline { after: Duration::from_millis(300), name: "--time-limit".to_owned() });
        },
        None,
    );
    let is_expected = |stop: &RunStop| matches!(stop, RunStop::Budget(_) | RunStop::Refused { .. });
    assert!(
        matches!(&ended, Ok(Ended::Finished)) || matches!(&ended, Ok(Ended::Stopped(stop)) if is_expected(stop)),
        "{ended:?}"
    );
    let always = Some(Away { from: Duration::ZERO, to: Duration::MAX, kind: AwayKind::Gone });
    let open = scenario.outcomes().iter().any(Option::is_none);
    let ended = scenario.run(2, None, |work| work.give_up_after = Some(Duration::from_secs(7200)), always);
    let failed_for_good = !open || ended == Ok(Ended::Finished);
    assert!(failed_for_good || matches!(ended, Ok(Ended::Stopped(RunStop::GaveUp(_)))), "{ended:?}");
    scenario.run_to_the_end(3);
    scenario.check();
    scenario.check_books();
}

#[test]
fn a_thousand_worlds() {
    let chosen: Option<u64> = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("COHOBATE_TEST_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000);
    let seeds: Vec<u64> = chosen.map_or_else(|| (0..count).collect(), |seed| vec![seed]);
    let (mut shared, mut harm) = (0, Harm::default());
    for number in &seeds {
        let number = *number;
        let world = move || {
            let harm = crashes_end_where_a_calm_run_ends(number);
            budgets_are_kept(number);
            time_limits_are_kept(number);
            steered_runs_end_where_a_calm_run_ends(number);
            harm
        };
        match std::panic::catch_unwind(world) {
            Ok(own) => {
                shared += u64::from(is_shared(number));
                harm = Harm { deaths: harm.deaths + own.deaths, failures: harm.failures + own.failures };
            }
            Err(panic) => {
                println!("failing seed: COHOBATE_TEST_SEED={number}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(shared < 10 || harm.deaths > shared / 2 && harm.failures > shared / 2, "{harm:?} in {shared} worlds");
    println!("{} worlds, {shared} of them over a shared store, {harm:?}", seeds.len());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |number| {
        let mut scenario = Scenario::harmed(number);
        scenario.run(1, None, |_| {}, None).unwrap();
        format!("{:?}\n{:?}", scenario.answered, scenario.keeper.entries())
    };
    for number in 0..20 {
        assert_eq!(trace(number), trace(number), "seed {number}");
    }
}
