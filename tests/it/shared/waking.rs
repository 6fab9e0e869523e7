//! A worker that was told that it may not ask is told when it may again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cohobate::conversation::Settings;
use cohobate::store::shared::{
    Caps, Database, Defences, MemoryDatabase, NewSlot, RunRequest, SharedSettings, SharedStore, SlotRange, WorkerId,
    WorkerStart,
};

#[test]
fn a_renewal_that_comes_too_late_wakes_whoever_waits_for_the_lease() {
    let directory = tempfile::tempdir().unwrap();
    let database: Arc<dyn Database> = Arc::new(MemoryDatabase::default());
    let start = WorkerStart { id: WorkerId([1; 16]), host: "host".to_owned(), process: 1, version: "1".to_owned() };
    let settings = SharedSettings {
        base: directory.path().to_owned(),
        start,
        prices: BTreeMap::new(),
        lease: Duration::from_millis(50),
        defences: Defences::default(),
    };
    let (store, _) = SharedStore::open(database, settings, &|_| String::new()).unwrap();
    let settings = Settings::default().with("recipe", "distill");
    let slots = [NewSlot { range: SlotRange { low: 0, high: u64::MAX }, weight: 1 }];
    let request = RunRequest {
        name: None,
        settings: &settings,
        rows: [1; 32],
        slots: &slots,
        caps: Caps::default(),
        started_ms: 1,
    };
    store.join_run(&request).unwrap();
    // From here on nothing changes but the lease.
    store.renew().unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&told);
    store.watch(Box::new(move || _ = heard.fetch_add(1, Ordering::Relaxed)));
    std::thread::sleep(Duration::from_millis(80));
    assert!(!store.may_ask(), "its lease has passed");
    store.renew().unwrap();
    assert!(store.may_ask());
    assert!(told.load(Ordering::Relaxed) > 0, "nobody was told that it may ask again");
    // The same where others have taken something, and the run has taken note of it.
    let before = told.load(Ordering::Relaxed);
    store.know_taken(7);
    assert!(told.load(Ordering::Relaxed) > before, "nobody was told that something was noted");
}
