//! When a failed question is sent again while its server answers others, and what is recorded of one that was never decided.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::{FailureCode, Sampling, Target};
use cohobate::model::{Call, Failure, FailureClass, Model, PaceLimits, PendingCall, Simulated};
use cohobate::recipe::Distill;
use cohobate::store::{Entry, LostCalls, MemoryStore};
use cohobate::worker::{self, Admit, CommitMode, Ended, Event, Observer, RunStop, Served, StopStage, Work};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::support::{SeedList, seed};

/// Fails the first call for the first row in one way and answers everything else, each after a while.
struct Server {
    failure: fn() -> Failure,
    began: Instant,
    /// When the first row's first question was sent.
    asked: Mutex<Vec<Duration>>,
    answered: AtomicU64,
    /// How long the failing call takes, and every other call.
    times: [Duration; 2],
}

impl Model for Server {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        let is_first = question.messages.len() == 1 && question.messages[0].content() == "row 0";
        let fails = is_first && {
            let mut asked = self.asked.lock().unwrap();
            asked.push(self.began.elapsed());
            asked.len() == 1
        };
        Box::pin(async move {
            tokio::time::sleep(self.times[usize::from(!fails)]).await;
            if fails {
                return Err((self.failure)()).into();
            }
            self.answered.fetch_add(1, Ordering::SeqCst);
            Ok(Simulated::answer(question, attempt)).into()
        })
    }
}

/// Notes the pause of the first failure; may stop the run then.
struct Pauses {
    told: Arc<Mutex<Vec<Option<Duration>>>>,
    stop: Option<watch::Sender<StopStage>>,
}

impl Observer for Pauses {
    fn on_event(&mut self, event: &Event) {
        if let Event::Failed { again_after, .. } = event {
            self.told.lock().unwrap().push(*again_after);
            self.stop.iter().for_each(|stop| assert_eq!(stop.send_replace(StopStage::Drain), StopStage::Go));
        }
    }
}

struct Seen {
    ended: Ended,
    /// The pause that was told after the failure.
    pause: Option<Duration>,
    /// The time from the failure until the question was sent again.
    again: Option<Duration>,
    /// What is recorded of lost calls.
    lost: Vec<LostCalls>,
}

/// A run of one conversation of one turn beside one of forty, two calls at a time.
async fn run(failure: fn() -> Failure, times: [u64; 2], stops: bool) -> Seen {
    let times = times.map(Duration::from_millis);
    let server = Arc::new(Server {
        failure,
        began: Instant::now(),
        asked: Mutex::default(),
        answered: AtomicU64::new(0),
        times,
    });
    let models = HashMap::from([("simulated".to_owned(), Served::by_one("simulated", Arc::clone(&server) as _))]);
    let words: Vec<String> = (0..40).map(|turn| format!("turn {turn}")).collect();
    let seeds = Arc::new(SeedList(vec![seed("one", &["row 0".to_owned()]), seed("two", &words)]));
    let recipe = Distill::new(Target::new("simulated", Simulated::DIALECT, Sampling::default()), None);
    let store = Arc::new(MemoryStore::default());
    let rows = Box::new((0..2).map(|row| Ok(Admit::Row(row))));
    let work = Work {
        pace: PaceLimits { concurrency: Some(2), ..PaceLimits::default() },
        commit_mode: CommitMode::Inline,
        ..Work::new(Arc::new(recipe), Arc::clone(&store) as _, models, seeds, rows)
    };
    let (keep, stop) = watch::channel(StopStage::Go);
    let told = Arc::default();
    let mut observer = Pauses { told: Arc::clone(&told), stop: stops.then(|| keep.clone()) };
    let ended = worker::run(work, stop, &mut observer).await.unwrap();
    let asked = server.asked.lock().unwrap().clone();
    let lost = store.entries().into_iter().filter_map(|entry| match entry {
        Entry::Lost { lost, .. } => Some(lost),
        _ => None,
    });
    let pause = told.lock().unwrap().first().copied().flatten();
    Seen {
        ended,
        pause,
        again: asked.get(1).map(|again| again.saturating_sub(asked[0] + times[0])),
        lost: lost.collect(),
    }
}

fn failed(class: FailureClass, code: FailureCode) -> Failure {
    Failure::new(class, code, "told to fail")
}

#[tokio::test(start_paused = true)]
async fn a_question_keeps_its_pause_whatever_its_server_answers_meanwhile() {
    let keeps: [fn() -> Failure; 4] = [
        || failed(FailureClass::Transient, FailureCode::Http(500)),
        || Failure {
            retry_after: Some(Duration::from_secs(1)),
            ..failed(FailureClass::Transient, FailureCode::Http(503))
        },
        || Failure {
            retry_after: Some(Duration::from_millis(300)),
            ..failed(FailureClass::RateLimited, FailureCode::RateLimit)
        },
        || failed(FailureClass::RateLimited, FailureCode::FlexFull),
    ];
    for failure in keeps {
        let seen = run(failure, [10, 20], false).await;
        let (pause, again) = (seen.pause.unwrap(), seen.again.unwrap());
        assert_eq!(seen.ended, Ended::Finished);
        // Nothing but the timer of the runtime comes between.
        assert!(again >= pause && again <= pause + Duration::from_millis(2), "{:?}: {pause:?}, {again:?}", failure());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_without_a_time_is_over_once_the_server_answers_again() {
    let seen = run(|| failed(FailureClass::RateLimited, FailureCode::RateLimit), [10, 20], false).await;
    assert_eq!(seen.ended, Ended::Finished);
    assert!(seen.pause.unwrap() >= Duration::from_millis(250), "{:?}", seen.pause);
    assert!(seen.again.unwrap() <= Duration::from_millis(40), "{:?}", seen.again);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_doubt_is_recorded_at_a_stop_only_where_its_server_has_answered_something() {
    let gave_up = || failed(FailureClass::Transient, FailureCode::Http(504));
    for (times, calls) in [([50, 20], 1), ([10, 20], 0)] {
        let seen = run(gave_up, times, true).await;
        assert_eq!(seen.ended, Ended::Stopped(RunStop::Requested));
        let calls_recorded: Vec<u32> = seen.lost.iter().map(|lost| lost.calls).collect();
        assert_eq!(calls_recorded, vec![1; calls], "{times:?}");
        assert!(seen.lost.iter().all(|lost| lost.reason == "http_504: told to fail"), "{:?}", seen.lost);
    }
}
