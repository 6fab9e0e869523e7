//! The store of one worker beside that of another: what each hands on, and what is left of a worker that has died.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cohobate::conversation::{Answer, ConversationKey, Fingerprint, Settings, Slot};
use cohobate::store::shared::{Caps, Database, NewSlot, RunRequest, SharedOpened, SharedStore, SlotRange};
use cohobate::store::{Entry, Ledger, Reader, Staged, Status, Store, Unsettled};

use super::link::{Hub, Link, Plan};
use super::worker::quick_directory;

struct Pair {
    hub: Arc<Hub>,
    link: Arc<Link>,
    directory: tempfile::TempDir,
    lease: Duration,
}

impl Pair {
    fn new(lease_ms: u64) -> Self {
        let hub = Arc::new(Hub::default());
        let link = Link::new(&hub, Plan::default());
        Self { hub, link, directory: quick_directory(), lease: Duration::from_millis(lease_ms) }
    }

    fn one(&self) -> (SharedStore, SharedOpened) {
        self.link.open(&self.directory.path().join("one"), self.lease, "m").unwrap()
    }

    fn other(&self) -> SharedStore {
        Link::new(&self.hub, Plan::default()).open(&self.directory.path().join("other"), self.lease, "m").unwrap().0
    }
}

fn question(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

fn conversation(number: u8) -> ConversationKey {
    ConversationKey([number; 32])
}

fn answered(number: u8, text: &str) -> Entry {
    Entry::Answered {
        run: 1,
        conversation: conversation(number),
        slot: Slot::main(0),
        fingerprint: question(number),
        model: "m".to_owned(),
        answer: Arc::new(Answer::complete("m", text)),
    }
}

fn closed(number: u8) -> Entry {
    Entry::Closed { conversation: conversation(number), status: Status::Complete }
}

fn text(store: &SharedStore, number: u8) -> Option<String> {
    store.answer_at_hand(&question(number)).unwrap().map(|stored| stored.answer.text().to_owned())
}

#[test]
fn an_answer_is_handed_on_once_it_is_certain_that_it_counts() {
    let pair = Pair::new(60_000);
    let ((one, _), other) = (pair.one(), pair.other());
    let staged = one.stage(vec![answered(1, "late")]).unwrap();
    other.commit(vec![answered(1, "first")]).unwrap();
    pair.link.is_cut.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| one.publish(vec![staged]));
        let tried = pair.link.operations.load(Ordering::SeqCst);
        while pair.link.operations.load(Ordering::SeqCst) == tried {
            std::thread::yield_now();
        }
        assert_eq!(text(&one, 1), None, "the database is away: nobody knows whether it counts");
        pair.link.is_cut.store(false, Ordering::SeqCst);
        publishing.join().unwrap().unwrap();
    });
    assert_eq!(text(&one, 1).as_deref(), Some("first"));
    assert_eq!(one.winner(&question(1)).map(|answer| answer.text().to_owned()).as_deref(), Some("first"));
    assert_eq!(text(&other, 1).as_deref(), Some("first"));
}

#[test]
fn a_call_in_flight_at_a_death_is_booked_though_another_worker_has_answered_meanwhile() {
    let pair = Pair::new(60_000);
    let (one, _) = pair.one();
    let (mut ledger, _) = Ledger::open(one.directory()).unwrap();
    let request = |number| Unsettled {
        fingerprint: question(number),
        prompt_tokens: 10,
        completion_tokens: 5,
        model: Unsettled::tag("m"),
    };
    for number in [1, 2] {
        ledger.begin(&request(number)).unwrap();
    }
    // The answer to the second one is in its own journal.
    let _: Staged = one.stage(vec![answered(2, "own")]).unwrap();
    drop(one);
    pair.other().commit(vec![answered(1, "of another")]).unwrap();
    let (one, opened) = pair.one();
    assert_eq!(opened.unknown, [request(1)]);
    let spent = one.spending().unwrap()["m"];
    assert_eq!((spent.calls, spent.unknown_calls), (2, 1));
    assert!(one.answer(&question(2)).unwrap().is_some(), "what was in the journal is uploaded");
}

#[test]
fn notes_of_a_dead_worker_are_not_taken_for_others_that_it_had_sent() {
    let pair = Pair::new(60_000);
    let (one, _) = pair.one();
    pair.other().commit(vec![answered(1, "first")]).unwrap();
    one.commit(vec![closed(3)]).unwrap();
    // It loses, and the link to the answer that counts is a note from memory.
    one.commit(vec![answered(1, "late")]).unwrap();
    one.renew().unwrap();
    let _: Staged = one.stage(vec![closed(2), closed(4)]).unwrap();
    drop(one);
    let (one, opened) = pair.one();
    assert_eq!(opened.uploaded, 2);
    for number in [2, 3, 4] {
        let state = one.state(&conversation(number)).unwrap();
        assert!(
            state.is_some_and(|state| state.status == Status::Complete),
            "the end of conversation {number} is lost"
        );
    }
}

fn request<'a>(settings: &'a Settings, slots: &'a [NewSlot]) -> RunRequest<'a> {
    RunRequest { name: None, settings, rows: [0; 32], slots, caps: Caps::default(), started_ms: 0 }
}

#[test]
fn a_second_run_of_a_process_waits_for_its_database_as_the_first_one_did() {
    let pair = Pair::new(60_000);
    let (one, _) = pair.one();
    let settings = Settings::default();
    one.join_run(&request(&settings, &[])).unwrap();
    one.stop_publishing();
    one.join_run(&request(&settings, &[])).unwrap();
    pair.link.is_cut.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| one.commit(vec![answered(1, "a")]));
        let tried = pair.link.operations.load(Ordering::SeqCst);
        while pair.link.operations.load(Ordering::SeqCst) == tried && !committing.is_finished() {
            std::thread::yield_now();
        }
        pair.link.is_cut.store(false, Ordering::SeqCst);
        committing.join().unwrap().unwrap();
    });
    assert_eq!((one.waiting(), text(&one, 1).as_deref()), (0, Some("a")));
}

#[test]
fn a_worker_asks_nothing_until_it_knows_what_was_taken_from_it() {
    let pair = Pair::new(1_000);
    let ((one, _), other) = (pair.one(), pair.other());
    let settings = Settings::default();
    let slots = [NewSlot { range: SlotRange { low: 0, high: u64::MAX }, weight: 1 }];
    one.join_run(&request(&settings, &slots)).unwrap();
    assert_eq!(one.claim(1).unwrap().slots.len(), 1);
    assert!(one.may_ask());
    *pair.hub.began.lock().unwrap() = std::time::Instant::now().checked_sub(Duration::from_secs(5));
    other.join_run(&request(&settings, &slots)).unwrap();
    assert_eq!(other.claim(1).unwrap().lapsed, [one.worker()]);
    one.renew().unwrap();
    assert!(!one.may_ask(), "its lease holds again, and its slot is another worker's");
    one.know_taken(one.standing().taken);
    assert!(one.may_ask());
}

#[test]
fn what_a_closing_worker_has_not_published_is_said_and_uploaded_by_the_next_start() {
    let pair = Pair::new(60_000);
    let (one, _) = pair.one();
    pair.link.is_cut.store(true, Ordering::SeqCst);
    let staged = one.stage(vec![answered(1, "a"), closed(1)]).unwrap();
    one.stop_publishing();
    assert!(one.publish(vec![staged]).is_err());
    let said = one.close().unwrap_err().hint().clone();
    assert!(said.contains('2'), "{said}");
    drop(one);
    pair.link.is_cut.store(false, Ordering::SeqCst);
    let (one, opened) = pair.one();
    assert_eq!(opened.uploaded, 2);
    assert!(one.answer(&question(1)).unwrap().is_some());
    assert_eq!(one.spending().unwrap()["m"].calls, 1);
    one.close().unwrap();
    let workers = pair.hub.database.workers().unwrap();
    assert!(workers.iter().all(|worker| worker.has_left), "{workers:?}");
}
