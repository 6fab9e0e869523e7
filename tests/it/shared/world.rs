//! A world: some workers over one database, of which each dies, freezes or loses its database as planned, and starts again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cohobate::job::{self, DistillSettings, InputSettings, JobError, ModelChoice};
use cohobate::store::Entry;
use cohobate::store::shared::{Database, Defences, entry_of};
use cohobate::worker::RunStop;
use serde_json::Value;

use super::link::{Asked, Hub, Link, Plan};
use super::worker::{Start, quick_directory};

pub const CONCURRENCY: usize = 4;

pub struct World {
    pub hub: Arc<Hub>,
    pub directory: tempfile::TempDir,
    pub rows: Vec<Value>,
    pub lease: Duration,
    pub defences: Defences,
    pub run: Option<String>,
    pub retry_failed: bool,
}

/// How one start of a worker ended.
#[derive(Debug)]
pub enum Ended {
    /// It was killed.
    Died,
    /// It ended, and has written the output or not; answers that it was given.
    Stopped(Option<RunStop>, u64),
    /// It ended with an error.
    Failed(JobError),
}

/// How often workers of a world were killed or frozen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Harm {
    pub kills: u64,
    pub freezes: u64,
}

impl World {
    pub fn new(hub: Hub, rows: Vec<Value>, lease_ms: u64) -> Self {
        Self {
            hub: Arc::new(hub),
            directory: quick_directory(),
            rows,
            lease: Duration::from_millis(lease_ms),
            defences: Defences::default(),
            run: None,
            retry_failed: false,
        }
    }

    pub fn output(&self, worker: usize) -> PathBuf {
        self.directory.path().join(format!("out-{worker}.jsonl"))
    }

    /// Runs one start of a worker, and returns once nothing of it is left.
    pub async fn start(&self, worker: usize, plan: Plan) -> (Ended, Arc<Link>) {
        let link = Link::new(&self.hub, plan);
        let base = self.directory.path().join(format!("worker-{worker}"));
        let mut start = Start::new(Arc::clone(&link) as Arc<dyn Database>, &base);
        (start.lease, start.defences, start.run) = (self.lease, self.defences, self.run.clone());
        let choice = ModelChoice::local("teacher", Arc::new(Asked(Arc::clone(&link))));
        let input = InputSettings::rows(self.rows.clone());
        let mut settings = DistillSettings::new(input, choice, &base, self.output(worker).display().to_string());
        settings.run.pace.concurrency = Some(CONCURRENCY);
        settings.run.max_requests = self.hub.cap;
        settings.run.retry_failed = self.retry_failed;
        let mut died = link.died.subscribe();
        let job = async move {
            let context = start.context();
            job::distill(&settings, &context).await
        };
        let mut task = tokio::spawn(job);
        let ended = tokio::select! {
            ended = &mut task => Some(ended),
            _ = died.wait_for(|died| *died) => None,
        };
        let ended = match ended {
            Some(Ok(_) | Err(_)) | None if link.is_dead() => {
                task.abort();
                if !task.is_finished() {
                    let _ = task.await;
                }
                Ended::Died
            }
            Some(Ok(Ok(report))) => Ended::Stopped(report.end.err(), report.tally.answered),
            Some(Ok(Err(error))) => Ended::Failed(error),
            Some(Err(error)) => panic!("{error}"),
            None => unreachable!("it is dead"),
        };
        // The directory's lock is free once the last thread is gone.
        while Arc::strong_count(&link) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (ended, link)
    }

    /// Starts a worker again and again until it has come to its end: as planned, and at last without harm.
    pub async fn work(&self, worker: usize, plans: Vec<Plan>) -> (Option<RunStop>, Harm) {
        let mut harm = Harm::default();
        let calm = std::iter::repeat(Plan::default());
        for (number, plan) in plans.into_iter().chain(calm).enumerate() {
            assert!(number < 50, "worker {worker} does not come to its end");
            let (ended, link) = self.start(worker, plan).await;
            harm.freezes += u64::from(link.has_frozen.load(Ordering::SeqCst));
            match ended {
                Ended::Stopped(stop, _) => return (stop, harm),
                // What was in flight is lost.
                Ended::Died => harm.kills += 1,
                Ended::Failed(error) => {
                    assert!(error.message.contains("the shared store cannot be reached"), "{error:?}");
                    harm.kills += 1;
                }
            }
        }
        unreachable!("there is always one more plan")
    }

    /// Runs workers until all of them have come to their ends.
    pub async fn work_all(self: &Arc<Self>, plans: Vec<Vec<Plan>>) -> (Vec<Option<RunStop>>, Harm) {
        let mut tasks = tokio::task::JoinSet::new();
        for (worker, plans) in plans.into_iter().enumerate() {
            let world = Arc::clone(self);
            tasks.spawn(async move { (worker, world.work(worker, plans).await) });
        }
        let (mut stops, mut harm) = (Vec::new(), Harm::default());
        while let Some(ended) = tasks.join_next().await {
            let (worker, (stop, own)) = ended.unwrap();
            stops.push((worker, stop));
            harm = Harm { kills: harm.kills + own.kills, freezes: harm.freezes + own.freezes };
        }
        stops.sort_by_key(|(worker, _)| *worker);
        (stops.into_iter().map(|(_, stop)| stop).collect(), harm)
    }

    /// Returns what a single machine writes.
    pub async fn alone(&self) -> Vec<u8> {
        let directory = quick_directory();
        let hub = Arc::new(Hub::default());
        let link = Link::new(&hub, Plan::default());
        let choice = ModelChoice::local("teacher", Arc::new(Asked(link)));
        let output = directory.path().join("alone.jsonl");
        let input = InputSettings::rows(self.rows.clone());
        let settings = DistillSettings::new(input, choice, directory.path().join("s"), output.display().to_string());
        job::distill(&settings, &cohobate::job::Context::default()).await.unwrap();
        std::fs::read(output).unwrap()
    }

    /// Returns the texts of all answers in the database.
    pub fn answers(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let visit = &mut |frame: Vec<u8>| {
            if let Some(Entry::Answered { answer, .. }) = entry_of(&frame) {
                texts.push(answer.text().to_owned());
            }
            true
        };
        self.hub.database.for_each_frame(visit).unwrap();
        texts
    }

    /// Returns answers that are in no conversation of the output: their histories are in no store.
    pub fn orphans(&self, output: &[u8]) -> Vec<String> {
        let output = std::str::from_utf8(output).unwrap();
        self.answers().into_iter().filter(|text| !output.contains(text.as_str())).collect()
    }

    /// Returns what the workers have written, which is the same wherever there is something.
    pub fn written(&self, workers: usize) -> Vec<u8> {
        let outputs = (0..workers).filter_map(|worker| std::fs::read(self.output(worker)).ok());
        let outputs: Vec<Vec<u8>> = outputs.collect();
        assert!(outputs.windows(2).all(|two| two[0] == two[1]), "two workers wrote different outputs");
        outputs.into_iter().next().expect("somebody has written")
    }

    /// Asserts what holds after every end, whatever has happened.
    pub fn check(&self, output: &[u8], harm: Harm, name: &str) {
        let broken = self.hub.broken();
        assert!(broken.is_empty(), "{name}: {broken:?}");
        let orphans = self.orphans(output);
        assert!(orphans.is_empty(), "{name}: {} orphans: {orphans:?}", orphans.len());
        let (bills, answers) = (self.hub.bills(), self.answers().len() as u64);
        let in_flight = (harm.kills + harm.freezes) * CONCURRENCY as u64;
        assert!(bills <= answers + in_flight, "{name}: {bills} bills for {answers} answers, {harm:?}");
        let spending = self.hub.database.spending().unwrap();
        let booked: u64 = spending.values().map(|spent| spent.calls + spent.unknown_calls).sum();
        assert!(booked >= bills, "{name}: {booked} booked, {bills} paid, {harm:?}");
        let twice_max = harm.kills * CONCURRENCY as u64;
        assert!(booked <= bills + twice_max, "{name}: {booked} booked, {bills} paid, {harm:?}");
        let workers = self.hub.database.workers().unwrap();
        assert!(workers.iter().all(|worker| worker.has_left), "{name}: all have left: {workers:?}");
        let reserved = workers.iter().find(|worker| worker.granted != worker.booked);
        assert!(reserved.is_none(), "{name}: a reserve is left: {reserved:?}");
        let answered: u64 = spending.values().map(|spent| spent.calls).sum();
        assert!(answered >= answers, "{name}: {answered} answers booked of {answers}");
    }
}
