//! What a kill can cost at any moment: the calls in flight and what has come back and is not on disk yet count together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cohobate::conversation::{FailureCode, Sampling, Target};
use cohobate::model::{Call, Failure, FailureClass, Model, PaceLimits, PendingCall, Simulated};
use cohobate::recipe::{BestOf, Distill, Ranker};
use cohobate::store::{Entry, MemoryStore, Store, StoreError};
use cohobate::worker::{self, Admit, Ended, Event, Observer, Served, StopStage, Work};
use tokio::sync::watch;

use crate::support::{SeedList, reads_inner, seed, target};

/// A store whose disk takes no commit before it is told to.
#[derive(Default)]
struct SlowStore {
    inner: MemoryStore,
    is_ready: Mutex<bool>,
    ready: Condvar,
}

impl SlowStore {
    fn go_on(&self) {
        *self.is_ready.lock().unwrap() = true;
        self.ready.notify_all();
    }
}

impl Store for SlowStore {
    fn commit(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        drop(self.ready.wait_while(self.is_ready.lock().unwrap(), |is_ready| !*is_ready).unwrap());
        self.inner.commit(entries)
    }
}

reads_inner!(SlowStore);

/// Ends the first calls at once, in one of two ways, and keeps the others in flight until it is told to go on.
struct Server {
    /// How many of the first calls are answered, and how many more are paid for and fail for good.
    ends: [usize; 2],
    sent: AtomicUsize,
    go_on: watch::Receiver<bool>,
}

impl Model for Server {
    fn ask<'a>(&'a self, Call { question, attempt, .. }: Call<'a>) -> PendingCall<'a> {
        let number = self.sent.fetch_add(1, Ordering::SeqCst);
        let [answered, failed] = self.ends;
        let mut go_on = self.go_on.clone();
        Box::pin(async move {
            if number >= answered + failed {
                go_on.wait_for(|go_on| *go_on).await.unwrap();
            } else if number >= answered {
                let message = "paid for and broken";
                return Err(Failure::new(FailureClass::Permanent, FailureCode::Http(400), message)).into();
            }
            Ok(Simulated::answer(question, attempt)).into()
        })
    }
}

struct Quiet;

impl Observer for Quiet {
    fn on_event(&mut self, _: &Event) {}
}

/// Returns how many calls have been sent when nothing more happens while the disk takes nothing. Each turn asks for twenty
/// answers at once.
async fn sent_before_a_commit(ends: [usize; 2], concurrency: usize) -> usize {
    let (go_on, waits) = watch::channel(false);
    let server = Arc::new(Server { ends, sent: AtomicUsize::new(0), go_on: waits });
    let models = HashMap::from([("simulated".to_owned(), Served::by_one("simulated", Arc::clone(&server) as _))]);
    let ranker = Ranker::Scorer(Target::new("simulated", Simulated::DIALECT, Sampling::default()));
    let recipe = Distill::new(target(), None).with_best_of(BestOf { samples: 20, ranker, min_score: None });
    let store = Arc::new(SlowStore::default());
    let seeds = Arc::new(SeedList(vec![seed("one", &["hello".to_owned()])]));
    let rows = Box::new([Ok(Admit::Row(0))].into_iter());
    let work = Work {
        pace: PaceLimits { concurrency: Some(concurrency), ..PaceLimits::default() },
        ..Work::new(Arc::new(recipe), Arc::clone(&store) as _, models, seeds, rows)
    };
    let (_keep, stop) = watch::channel(StopStage::Go);
    let look = async {
        // The clock is simulated: it moves once nothing can be done.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let sent = server.sent.load(Ordering::SeqCst);
        store.go_on();
        go_on.send(true).unwrap();
        sent
    };
    let mut observer = Quiet;
    let (ended, sent) = tokio::join!(worker::run(work, stop, &mut observer), look);
    assert_eq!(ended.unwrap(), Ended::Finished);
    sent
}

#[tokio::test(start_paused = true)]
async fn calls_and_answers_that_are_not_on_disk_are_at_most_as_many_as_asked_for() {
    for concurrency in [1, 2, 8] {
        for answered in 0..=concurrency {
            let sent = sent_before_a_commit([answered, 0], concurrency).await;
            assert_eq!(sent, concurrency, "{answered} are answered");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_failed_and_are_not_booked_on_disk_count_as_well() {
    for failed in 1..=8 {
        let sent = sent_before_a_commit([0, failed], 8).await;
        assert_eq!(sent, 8, "{failed} failed");
    }
}
