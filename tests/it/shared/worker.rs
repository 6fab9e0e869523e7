//! Workers in this process, over any database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohobate::conversation::{Answer, Fingerprint, Usage};
use cohobate::job::{
    self, Context, DistillReport, DistillSettings, InputSettings, JobError, ModelChoice, SharedAccess,
};
use cohobate::model::{Call, Model, PendingCall};
use cohobate::store::shared::{Database, Defences, WorkerId};
use serde_json::{Value, json};

/// A teacher that always answers the same, and counts what it is asked.
#[derive(Default)]
pub struct Teacher {
    pub latency: Duration,
    asked: Mutex<BTreeMap<Fingerprint, u64>>,
    pub calls: AtomicU64,
}

impl Teacher {
    pub fn with_latency(latency_ms: u64) -> Arc<Self> {
        Arc::new(Self { latency: Duration::from_millis(latency_ms), ..Self::default() })
    }

    /// Returns calls, and distinct questions.
    pub fn counts(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.asked.lock().unwrap().len() as u64)
    }
}

/// Makes a model of a teacher that several workers share.
pub struct Shared(pub Arc<Teacher>);

impl Model for Shared {
    fn ask<'a>(&'a self, call: Call<'a>) -> PendingCall<'a> {
        let fingerprint = call.question.fingerprint();
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        *self.0.asked.lock().unwrap().entry(fingerprint).or_default() += 1;
        let said = call.question.messages.last().map_or("", |message| message.content()).len();
        let text = format!("Answer {} to {said} bytes.", &fingerprint.to_string()[..12]);
        let usage = Usage { prompt_tokens: Some(10), completion_tokens: Some(5), ..Usage::default() };
        let answer = Answer { attempts: call.attempt, usage, ..Answer::complete("teacher", text) };
        let latency = self.0.latency;
        Box::pin(async move {
            tokio::time::sleep(latency).await;
            Ok(answer).into()
        })
    }
}

/// Returns rows of one to five turns; every fifth begins as the one before it.
pub fn rows(count: usize) -> Vec<Value> {
    let row = |row: usize| {
        let opening = if row % 5 == 4 { row - 1 } else { row };
        let turn = |turn: usize| {
            let number = if turn == 0 { opening } else { row };
            [
                json!({"role": "user", "content": format!("Question {turn} of row {number}?")}),
                json!({"role": "assistant", "content": "old"}),
            ]
        };
        json!({"id": format!("row-{row}"), "messages": (0..=(row % 5)).flat_map(turn).collect::<Vec<_>>()})
    };
    (0..count).map(row).collect()
}

/// Returns a new id: no two are the same in one test process.
pub fn new_id() -> WorkerId {
    static STARTS: AtomicU64 = AtomicU64::new(1);
    let number = STARTS.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    WorkerId(id)
}

/// How a worker is started.
#[derive(Clone)]
pub struct Start {
    pub database: Arc<dyn Database>,
    pub base: PathBuf,
    pub run: Option<String>,
    pub lease: Duration,
    pub defences: Defences,
}

impl Start {
    pub fn new(database: Arc<dyn Database>, base: &Path) -> Self {
        Self {
            database,
            base: base.to_owned(),
            run: None,
            lease: Duration::from_secs(60),
            defences: Defences::default(),
        }
    }

    pub fn context(&self) -> Context {
        let shared = SharedAccess {
            database: Arc::clone(&self.database),
            shown: "memory".to_owned(),
            host: "host".to_owned(),
            run: self.run.clone(),
            new_id,
            lease: self.lease,
            defences: self.defences,
        };
        Context { shared: Some(shared), ..Context::default() }
    }

    /// Distils rows to a file as one of the workers.
    pub async fn distil(
        &self,
        rows: Vec<Value>,
        teacher: &Arc<Teacher>,
        output: &Path,
    ) -> Result<DistillReport, JobError> {
        self.distil_with(rows, teacher, output, |_| {}).await
    }

    pub async fn distil_with(
        &self,
        rows: Vec<Value>,
        teacher: &Arc<Teacher>,
        output: &Path,
        change: impl FnOnce(&mut DistillSettings),
    ) -> Result<DistillReport, JobError> {
        let choice = ModelChoice::local("teacher", Arc::new(Shared(Arc::clone(teacher))));
        let input = InputSettings::rows(rows);
        let mut settings = DistillSettings::new(input, choice, &self.base, output.display().to_string());
        settings.run.pace.concurrency = Some(4);
        change(&mut settings);
        job::distill(&settings, &self.context()).await
    }
}

/// Distils rows with a store of its own.
pub async fn distil_alone(rows: Vec<Value>, teacher: &Arc<Teacher>, directory: &Path) -> Vec<u8> {
    let choice = ModelChoice::local("teacher", Arc::new(Shared(Arc::clone(teacher))));
    let output = directory.join("alone.jsonl");
    let input = InputSettings::rows(rows);
    let settings = DistillSettings::new(input, choice, directory.join("alone"), output.display().to_string());
    job::distill(&settings, &Context::default()).await.unwrap();
    std::fs::read(output).unwrap()
}

/// A directory in memory where there is one: a world syncs thousands of commits.
pub fn quick_directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
