//! While nothing is sent, the observer is told once what the next call waits for, and that it waits no more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::{FailureCode, Sampling, Target};
use cohobate::model::{Call, Failure, FailureClass, Model, PaceLimits, PendingCall, Simulated};
use cohobate::recipe::Distill;
use cohobate::store::MemoryStore;
use cohobate::worker::{self, Admit, CommitMode, Ended, Event, Observer, Served, StopStage, Wait, WaitCause, Work};
use tokio::sync::watch;

use crate::support::{SeedList, seed};

/// Answers the first call, then fails some calls in one way, then answers again.
struct Server {
    failures: u64,
    failure: fn() -> Failure,
    asked: AtomicU64,
}

impl Model for Server {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let fails = (1..=self.failures).contains(&number);
        let result = if fails { Err((self.failure)()) } else { Ok(Simulated::answer(question, attempt)) };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            result.into()
        })
    }
}

struct Waits(Arc<Mutex<Vec<Option<Wait>>>>);

impl Observer for Waits {
    fn on_event(&mut self, event: &Event) {
        if let Event::Waiting(wait) = event {
            self.0.lock().unwrap().push(wait.clone());
        }
    }
}

/// The waits of a run of one conversation of four turns, as causes and whole seconds.
async fn waits(failures: u64, failure: fn() -> Failure, pace: PaceLimits) -> Vec<Option<(WaitCause, Option<u64>)>> {
    let server = Arc::new(Server { failures, failure, asked: AtomicU64::new(0) });
    let models = HashMap::from([("simulated".to_owned(), Served::by_one("simulated", server))]);
    let words: Vec<String> = (0..4).map(|turn| format!("turn {turn}")).collect();
    let seeds = Arc::new(SeedList(vec![seed("one", &words)]));
    let recipe = Distill::new(Target::new("simulated", Simulated::DIALECT, Sampling::default()), None);
    let rows = Box::new([Ok(Admit::Row(0))].into_iter());
    let work = Work {
        pace,
        commit_mode: CommitMode::Inline,
        ..Work::new(Arc::new(recipe), Arc::new(MemoryStore::default()), models, seeds, rows)
    };
    let (_keep, stop) = watch::channel(StopStage::Go);
    let told = Arc::default();
    assert_eq!(worker::run(work, stop, &mut Waits(Arc::clone(&told))).await.unwrap(), Ended::Finished);
    let told = told.lock().unwrap();
    assert!(told.iter().flatten().all(|wait| wait.model == "simulated"), "{told:?}");
    told.iter().map(|wait| wait.as_ref().map(|wait| (wait.cause, wait.time.map(|time| time.as_secs())))).collect()
}

fn limited() -> Failure {
    let limited = Failure::new(FailureClass::RateLimited, FailureCode::RateLimit, "too many");
    Failure { retry_after: Some(Duration::from_secs(30)), ..limited }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_repeated_later_is_told() {
    let told = waits(1, limited, PaceLimits::default()).await;
    assert_eq!(told, [Some((WaitCause::Retry, Some(30))), None]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_until_a_probe_is_answered() {
    let gone = || Failure::new(FailureClass::Outage, FailureCode::Connect, "refused");
    let told = waits(6, gone, PaceLimits::default()).await;
    assert!(told.len() > 2 && told.last() == Some(&None), "{told:?}");
    assert!(told.iter().flatten().all(|(cause, _)| *cause == WaitCause::Outage), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_ones_own_is_told() {
    let never = || Failure::new(FailureClass::Transient, FailureCode::Http(500), "told to fail");
    let told = waits(0, never, PaceLimits { requests_per_minute: Some(2), ..PaceLimits::default() }).await;
    let pause = Some((WaitCause::Pace, Some(29)));
    assert_eq!(told, [pause, None, pause, None, pause, None]);
}
