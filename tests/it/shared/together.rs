//! Several workers do the work of one, and the output is that of one.

use std::sync::Arc;

use cohobate::store::shared::{Database, MemoryDatabase};
use cohobate::worker::RunStop;

use super::worker::{Start, Teacher, distil_alone, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn one_worker_writes_what_a_directory_would_have_written() {
    let directory = tempfile::tempdir().unwrap();
    let alone = distil_alone(rows(40), &Teacher::with_latency(0), directory.path()).await;
    let database: Arc<dyn Database> = Arc::new(MemoryDatabase::default());
    let start = Start::new(database, &directory.path().join("base"));
    let (teacher, output) = (Teacher::with_latency(0), directory.path().join("out.jsonl"));
    let report = start.distil(rows(40), &teacher, &output).await.unwrap();
    assert!(report.end.is_ok(), "{:?}", report.end);
    assert_eq!(std::fs::read(&output).unwrap(), alone);
    let (calls, questions) = teacher.counts();
    assert_eq!(calls, questions);
    // Once more: nothing is asked.
    let again = start.distil(rows(40), &teacher, &output).await.unwrap();
    assert_eq!((teacher.counts().0, again.tally.answered), (calls, 0));
    assert_eq!(std::fs::read(&output).unwrap(), alone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn four_workers_ask_each_question_once_and_one_writes() {
    let directory = tempfile::tempdir().unwrap();
    let alone = distil_alone(rows(200), &Teacher::with_latency(0), directory.path()).await;
    let database: Arc<dyn Database> = Arc::new(MemoryDatabase::default());
    let teacher = Teacher::with_latency(5);
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let start = Start::new(Arc::clone(&database), &directory.path().join("base"));
        let (teacher, output) = (Arc::clone(&teacher), directory.path().join(format!("out-{number}.jsonl")));
        workers.spawn(async move {
            let report = start.distil(rows(200), &teacher, &output).await.unwrap();
            (output, report)
        });
    }
    let (mut written, mut answered) = (Vec::new(), Vec::new());
    while let Some(ended) = workers.join_next().await {
        let (output, report) = ended.unwrap();
        answered.push(report.tally.answered);
        match report.end {
            Ok(_) => written.push(output),
            Err(RunStop::WrittenElsewhere(_)) => assert!(!output.exists()),
            Err(other) => panic!("{other}"),
        }
    }
    let [written] = &written[..] else { panic!("one of them writes: {written:?}, {answered:?}") };
    assert!(std::fs::read(written).unwrap() == alone, "{}", written.display());
    let (calls, questions) = teacher.counts();
    assert_eq!(calls, questions, "{answered:?}");
    assert!(answered.iter().all(|own| *own > 0), "each has a part: {answered:?}");
}
