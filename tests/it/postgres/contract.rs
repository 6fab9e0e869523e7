//! What every database of a shared store keeps, whatever it is: each test takes an empty one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cohobate::conversation::{
    Answer, ConversationKey, Fingerprint, Finish, Message, Role, Settings, Slot, TurnIndex, Usage,
};
use cohobate::store::shared::{
    Allowance, Batch, CapName, Caps, Database, DatabaseError, Done, Held, Joined, JoinedRun, NewAnswer, NewNote,
    NewSlot, Outbox, RunRequest, SlotRange, WorkerId, WorkerStart, Writer,
};
use cohobate::store::{ConversationState, Entry, LostCalls, Position, Spent, Status};

/// A lease that no test waits for.
pub const LONG: Duration = Duration::from_secs(600);
/// A lease that tests wait for.
const SHORT: Duration = Duration::from_millis(40);

/// A part of the contract, tried on an empty database. The second one lets time pass: it waits, or moves the clock.
pub type Part = fn(&dyn Database, &dyn Fn(Duration));

/// The contract.
pub const CONTRACT: &[(&str, Part)] = &[
    ("a_start_that_nobody_knows_has_published_nothing", a_start_that_nobody_knows_has_published_nothing),
    ("a_run_is_joined_by_name_or_digests", a_run_is_joined_by_name_or_digests),
    ("the_heaviest_free_slots_are_claimed_once", the_heaviest_free_slots_are_claimed_once),
    ("slots_of_a_lapsed_lease_are_free", slots_of_a_lapsed_lease_are_free),
    ("a_renewal_keeps_slots", a_renewal_keeps_slots),
    ("the_end_of_a_slot_is_fenced", the_end_of_a_slot_is_fenced),
    ("the_first_answer_counts", the_first_answer_counts),
    ("a_batch_may_be_sent_twice", a_batch_may_be_sent_twice),
    ("a_slot_is_split_and_given_back", a_slot_is_split_and_given_back),
    ("grants_stay_within_the_caps", grants_stay_within_the_caps),
    ("what_is_booked_counts_even_above_what_was_granted", what_is_booked_counts_even_above_what_was_granted),
    ("who_leaves_returns_slots_and_reserve", who_leaves_returns_slots_and_reserve),
    ("the_reserve_of_the_dead_is_held_until_it_is_settled", the_reserve_of_the_dead_is_held_until_it_is_settled),
    ("verbs_come_in_order_and_change_caps", verbs_come_in_order_and_change_caps),
    ("one_worker_writes", one_worker_writes),
    ("a_finished_run_opens_its_failures_again", a_finished_run_opens_its_failures_again),
    ("workers_know_their_places", workers_know_their_places),
    ("lost_calls_and_spending_only_grow", lost_calls_and_spending_only_grow),
    ("conversations_are_folded_in_the_order_of_commits", conversations_are_folded_in_the_order_of_commits),
    ("answers_of_no_run_are_stored", answers_of_no_run_are_stored),
    ("frames_come_in_the_order_of_commits", frames_come_in_the_order_of_commits),
    ("many_workers_share_slots_answers_and_caps", many_workers_share_slots_answers_and_caps),
];

pub fn id(number: u8) -> WorkerId {
    WorkerId([number; 16])
}

pub fn start(number: u8) -> WorkerStart {
    WorkerStart {
        id: id(number),
        host: format!("host{number}"),
        process: u32::from(number),
        version: "1.2.3".to_owned(),
    }
}

pub fn settings() -> Settings {
    Settings::default().with("recipe", "distill")
}

/// This many slots of equal size; the weight is the number from 1.
pub fn slots(count: u64) -> Vec<NewSlot> {
    let size = u64::MAX / count;
    let slot = |at: u64| NewSlot {
        range: SlotRange { low: at * size, high: if at + 1 == count { u64::MAX } else { (at + 1) * size - 1 } },
        weight: at as u32 + 1,
    };
    (0..count).map(slot).collect()
}

pub fn request<'a>(settings: &'a Settings, slots: &'a [NewSlot], caps: Caps) -> RunRequest<'a> {
    RunRequest { name: None, settings, rows: [1; 32], slots, caps, started_ms: 77 }
}

/// Joins workers to one run of this many slots.
pub fn joined(database: &dyn Database, workers: &[u8], count: u64, caps: Caps) -> u32 {
    let (settings, slots) = (settings(), slots(count));
    let mut number = 0;
    for worker in workers {
        database.join(&start(*worker), LONG).unwrap();
        number = run(database.run(id(*worker), &request(&settings, &slots, caps)).unwrap()).run.number;
    }
    number
}

fn run(joined: Joined) -> JoinedRun {
    match joined {
        Joined::Run(run) => run,
        Joined::Differs { .. } => panic!("{joined:?}"),
    }
}

pub fn answer(question: u8, frame: &[u8]) -> NewAnswer {
    NewAnswer {
        fingerprint: Fingerprint([question; 32]),
        conversation: ConversationKey([question / 2; 32]),
        run: 1,
        frame: frame.to_vec(),
    }
}

pub fn batch(answers: Vec<NewAnswer>) -> Batch {
    Batch { answers, ..Batch::default() }
}

fn requests(requests: u64) -> Allowance {
    Allowance { requests, ..Allowance::default() }
}

fn requests_cap(requests: u64) -> Caps {
    Caps { requests: Some(requests), ..Caps::default() }
}

fn done(slot: Held, has_failures: bool) -> Batch {
    Batch { done: vec![Done { slot, has_failures }], ..Batch::default() }
}

fn a_start_that_nobody_knows_has_published_nothing(database: &dyn Database, _: &dyn Fn(Duration)) {
    assert_eq!(database.published(id(1)).unwrap(), None);
    assert!(database.runs().unwrap().is_empty() && database.workers().unwrap().is_empty());
    assert!(database.spending().unwrap().is_empty());
    database.join(&start(1), LONG).unwrap();
    assert_eq!(database.published(id(1)).unwrap(), Some((Position::default(), vec![])));
    let error = database.publish(id(2), 1, &Batch::default(), LONG, 0).unwrap_err();
    assert!(matches!(error, DatabaseError::Refused { .. }), "{error}");
}

fn a_run_is_joined_by_name_or_digests(database: &dyn Database, _: &dyn Fn(Duration)) {
    let (settings, other, slots) = (settings(), settings().with("seed", "2"), slots(4));
    let caps = Caps { cost_nano: Some(5), ..requests_cap(10) };
    (1..=3).for_each(|worker| database.join(&start(worker), LONG).unwrap());
    let first = run(database.run(id(1), &request(&settings, &slots, caps)).unwrap());
    assert!(first.is_new && first.run.number == 1 && first.caps == caps && first.controls.is_empty());
    assert_eq!((first.run.started_ms, &first.run.settings, first.run.answers), (77, &settings, 0));
    // The same digests, another cap.
    let again = run(database.run(id(2), &request(&settings, &slots, requests_cap(20))).unwrap());
    assert!(!again.is_new && again.run.number == 1 && again.name == first.name);
    assert_eq!(again.caps, Caps { requests: Some(20), ..caps });
    // Other digests begin another run.
    let second = run(database.run(id(3), &request(&other, &slots, Caps::default())).unwrap());
    assert!(second.is_new && second.run.number == 2 && second.name != first.name && second.caps == Caps::default());
    // A name with other digests is refused.
    let by_name =
        |settings, rows| RunRequest { name: Some("night"), rows, ..request(settings, &slots, Caps::default()) };
    assert!(run(database.run(id(1), &by_name(&settings, [1; 32])).unwrap()).is_new);
    assert!(!run(database.run(id(2), &by_name(&settings, [1; 32])).unwrap()).is_new);
    let differs = database.run(id(3), &by_name(&other, [1; 32])).unwrap();
    assert_eq!(differs, Joined::Differs { settings: settings.clone(), same_rows: true });
    let differs = database.run(id(3), &by_name(&settings, [2; 32])).unwrap();
    assert_eq!(differs, Joined::Differs { settings, same_rows: false });
    let names: Vec<String> = database.runs().unwrap().into_iter().map(|run| run.name).collect();
    assert_eq!(names, [first.name, second.name, "night".to_owned()]);
}

fn the_heaviest_free_slots_are_claimed_once(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 5, Caps::default());
    let all = slots(5);
    let first = database.claim(id(1), run, 2).unwrap();
    let ranges: Vec<SlotRange> = first.slots.iter().map(|slot| slot.range).collect();
    assert_eq!(ranges, [all[4].range, all[3].range]);
    assert!(first.slots.iter().all(|slot| slot.epoch == 1) && first.undone == 5 && first.lapsed.is_empty());
    let second = database.claim(id(2), run, 9).unwrap();
    let ranges: Vec<SlotRange> = second.slots.iter().map(|slot| slot.range).collect();
    assert_eq!(ranges, [all[2].range, all[1].range, all[0].range]);
    assert!(database.claim(id(1), run, 9).unwrap().slots.is_empty());
    let held: BTreeSet<Held> = database.held(id(1), run).unwrap().into_iter().collect();
    assert_eq!(held, first.slots.into_iter().collect());
    let seen = &database.runs().unwrap()[0];
    assert_eq!((seen.slots, seen.done), (5, 0));
}

fn slots_of_a_lapsed_lease_are_free(database: &dyn Database, pass: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 3, Caps::default());
    database.publish(id(1), run, &Batch::default(), SHORT, 0).unwrap();
    let lost = database.claim(id(1), run, 2).unwrap().slots;
    pass(SHORT * 2);
    let claimed = database.claim(id(2), run, 9).unwrap();
    assert_eq!((claimed.slots.len(), claimed.lapsed), (3, vec![id(1)]));
    let taken = claimed.slots.iter().find(|slot| slot.range == lost[0].range).unwrap();
    assert!(taken.epoch > lost[0].epoch);
    // The one that was frozen comes back: it sees that it has lost them.
    let standing = database.publish(id(1), run, &done(lost[0], false), LONG, 0).unwrap().standing;
    assert!(standing.taken > 0 && standing.undone == 3);
    assert_eq!(database.held(id(1), run).unwrap(), []);
    assert_eq!(database.held(id(2), run).unwrap().len(), 3);
}

fn a_renewal_keeps_slots(database: &dyn Database, pass: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 2, Caps::default());
    database.publish(id(1), run, &Batch::default(), SHORT, 0).unwrap();
    let held = database.claim(id(1), run, 2).unwrap().slots;
    pass(SHORT * 2);
    // It comes late, and before anybody took them.
    assert_eq!(database.publish(id(1), run, &Batch::default(), LONG, 0).unwrap().standing.taken, 0);
    let claimed = database.claim(id(2), run, 2).unwrap();
    assert!(claimed.slots.is_empty() && claimed.lapsed.is_empty());
    let still: BTreeSet<Held> = database.held(id(1), run).unwrap().into_iter().collect();
    assert_eq!(still, held.into_iter().collect());
}

fn the_end_of_a_slot_is_fenced(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 2, Caps::default());
    let slot = database.claim(id(1), run, 1).unwrap().slots[0];
    let publish = |worker, batch: Batch| database.publish(id(worker), run, &batch, LONG, 0).unwrap().standing.undone;
    assert_eq!(publish(2, done(slot, false)), 2, "another worker's");
    assert_eq!(publish(1, done(Held { epoch: slot.epoch + 1, ..slot }, false)), 2, "another epoch's");
    assert_eq!(publish(1, done(slot, false)), 1);
    assert_eq!(publish(1, done(slot, true)), 1, "it has ended");
    assert_eq!(database.held(id(1), run).unwrap(), []);
    assert_eq!(database.runs().unwrap()[0].done, 1);
}

fn the_first_answer_counts(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 2, Caps::default());
    let first = batch(vec![answer(9, b"nine"), answer(1, b"one"), answer(5, b"five"), answer(1, b"another")]);
    let published = database.publish(id(1), run, &first, LONG, 0).unwrap();
    assert_eq!(published.winners, [], "nobody else has answered");
    let second = batch(vec![answer(1, b"later"), answer(2, b"two"), answer(9, b"later")]);
    let mut winners = database.publish(id(2), run, &second, LONG, 0).unwrap().winners;
    winners.sort();
    assert_eq!(winners, [(Fingerprint([1; 32]), b"one".to_vec()), (Fingerprint([9; 32]), b"nine".to_vec())]);
    let questions = [1, 2, 3, 5, 9].map(|question| Fingerprint([question; 32]));
    let answers: BTreeMap<Fingerprint, Vec<u8>> = database.answers(&questions).unwrap().into_iter().collect();
    let expected = [(1, "one"), (2, "two"), (5, "five"), (9, "nine")];
    let expected = expected.map(|(question, frame)| (Fingerprint([question; 32]), frame.as_bytes().to_vec()));
    assert_eq!(answers, expected.into_iter().collect());
    let stored: BTreeMap<WorkerId, u64> =
        database.workers().unwrap().into_iter().map(|worker| (worker.start.id, worker.answers)).collect();
    assert_eq!(stored, BTreeMap::from([(id(1), 3), (id(2), 1)]));
    assert_eq!(database.runs().unwrap()[0].run.answers, 4);
}

fn a_batch_may_be_sent_twice(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 2, Caps::default());
    let spent = Spent { calls: 2, prompt_tokens: 7, ..Spent::default() };
    let note = NewNote { number: 4, conversation: ConversationKey([3; 32]), run, frame: b"note".to_vec() };
    let whole = Batch {
        answers: vec![answer(1, b"one"), answer(2, b"two")],
        notes: vec![note],
        lost: vec![(Fingerprint([7; 32]), LostCalls { calls: 3, reason: "cut".to_owned() })],
        position: Position { segment: 2, offset: 1 << 40 },
        spent: vec![("teacher".to_owned(), spent)],
        booked: requests(2),
        done: vec![],
    };
    for _ in 0..2 {
        assert_eq!(database.publish(id(1), run, &whole, LONG, 0).unwrap().winners, []);
    }
    let mut frames = Vec::new();
    database
        .for_each_frame(&mut |frame| {
            frames.push(frame);
            true
        })
        .unwrap();
    assert_eq!(frames[..3], [b"one".to_vec(), b"two".to_vec(), b"note".to_vec()]);
    assert_eq!(frames.len(), 4, "and the lost calls");
    assert_eq!(database.spending().unwrap(), BTreeMap::from([("teacher".to_owned(), spent)]));
    let position = Position { segment: 2, offset: 1 << 40 };
    assert_eq!(database.published(id(1)).unwrap(), Some((position, whole.spent.clone())));
    assert_eq!(database.workers().unwrap().iter().find(|worker| worker.start.id == id(1)).unwrap().answers, 2);
    // An older batch moves nothing back.
    let older = Batch { position: Position { segment: 1, offset: u64::MAX }, ..Batch::default() };
    database.publish(id(1), run, &older, LONG, 0).unwrap();
    assert_eq!(database.published(id(1)).unwrap(), Some((position, whole.spent.clone())));
    let end = Batch { position: Position::MAX, ..Batch::default() };
    database.publish(id(1), run, &end, LONG, 0).unwrap();
    assert_eq!(database.published(id(1)).unwrap(), Some((Position::MAX, whole.spent)));
}

fn a_slot_is_split_and_given_back(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 1, Caps::default());
    let slot = database.claim(id(1), run, 1).unwrap().slots[0];
    let from = u64::MAX / 2;
    for _ in 0..2 {
        database.give_back(id(1), run, &[(slot, from)]).unwrap();
    }
    let lower = database.held(id(1), run).unwrap();
    assert_eq!(lower, [Held { range: SlotRange { low: 0, high: from - 1 }, epoch: slot.epoch }]);
    let upper = database.claim(id(2), run, 9).unwrap();
    assert_eq!(
        upper.slots.iter().map(|slot| slot.range).collect::<Vec<_>>(),
        [SlotRange { low: from, high: u64::MAX }]
    );
    assert_eq!(upper.undone, 2);
    // The end of what it was before the split does not count.
    assert_eq!(database.publish(id(1), run, &done(slot, false), LONG, 0).unwrap().standing.undone, 2);
    // Those of another worker or epoch, and those that begin above, stay.
    database.give_back(id(2), run, &[(lower[0], 0)]).unwrap();
    database.give_back(id(1), run, &[(Held { epoch: 9, ..lower[0] }, 0), (lower[0], from)]).unwrap();
    assert_eq!(database.held(id(1), run).unwrap(), lower);
    database.give_back(id(1), run, &[(lower[0], 0)]).unwrap();
    assert_eq!(database.held(id(1), run).unwrap(), []);
    let again = database.claim(id(2), run, 9).unwrap().slots;
    assert!(again.len() == 1 && again[0].range == lower[0].range && again[0].epoch > lower[0].epoch);
    // The end of a split slot is that of its lower part.
    assert_eq!(database.publish(id(2), run, &done(again[0], false), LONG, 0).unwrap().standing.undone, 1);
}

fn grants_stay_within_the_caps(database: &dyn Database, _: &dyn Fn(Duration)) {
    let caps = Caps { cost_nano: Some(1000), requests: Some(10), output_tokens: None };
    let run = joined(database, &[1, 2], 2, caps);
    let wanted = Allowance { cost_nano: 300, requests: 6, output_tokens: 1 << 50 };
    let least = Allowance { cost_nano: 100, requests: 1, output_tokens: 10 };
    let first = database.grant(id(1), run, &wanted, &least).unwrap();
    assert_eq!((first.granted, first.short, first.dead), (wanted, None, 0));
    let second = database.grant(id(2), run, &wanted, &least).unwrap();
    assert_eq!(second.granted, Allowance { requests: 4, ..wanted });
    assert_eq!((second.held_by_live, second.held_by_dead), (wanted, Allowance::default()));
    let third = database.grant(id(1), run, &wanted, &least).unwrap();
    assert_eq!((third.granted, third.short), (wanted, Some(CapName::Requests)));
    // What is returned can be granted again; what is spent cannot.
    let spent = Batch { booked: Allowance { cost_nano: 10, requests: 2, output_tokens: 5 }, ..Batch::default() };
    let standing = database.publish(id(1), run, &spent, LONG, 0).unwrap().standing;
    assert_eq!((standing.granted, standing.caps), (wanted, caps));
    let kept = database.release(id(1), &Allowance::default()).unwrap();
    assert_eq!(kept, spent.booked);
    assert_eq!(database.look(id(1), run, 0).unwrap().granted, spent.booked);
    let fourth = database.grant(id(2), run, &wanted, &least).unwrap();
    assert_eq!(fourth.granted.requests, 8);
    assert_eq!(fourth.granted.cost_nano, 600);
}

fn what_is_booked_counts_even_above_what_was_granted(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 2, requests_cap(10));
    let spent = Batch { booked: requests(7), ..Batch::default() };
    assert_eq!(database.publish(id(1), run, &spent, LONG, 0).unwrap().standing.granted, requests(7));
    let granted = database.grant(id(2), run, &requests(9), &requests(1)).unwrap();
    assert_eq!((granted.granted, granted.held_by_live), (requests(3), requests(0)));
    let granted = database.grant(id(1), run, &requests(9), &requests(1)).unwrap();
    assert_eq!((granted.granted, granted.short), (requests(7), Some(CapName::Requests)));
}

fn who_leaves_returns_slots_and_reserve(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 3, requests_cap(10));
    let held = database.claim(id(1), run, 2).unwrap().slots;
    database.grant(id(1), run, &requests(10), &requests(1)).unwrap();
    database.publish(id(1), run, &Batch { booked: requests(4), ..done(held[0], false) }, LONG, 0).unwrap();
    for _ in 0..2 {
        database.leave(id(1)).unwrap();
    }
    assert_eq!(database.grant(id(2), run, &requests(9), &requests(1)).unwrap().granted, requests(6));
    let claimed = database.claim(id(2), run, 9).unwrap();
    assert_eq!((claimed.slots.len(), claimed.undone, claimed.lapsed), (2, 2, vec![]));
    let workers = database.workers().unwrap();
    let left = workers.iter().find(|worker| worker.start.id == id(1)).unwrap();
    assert!(left.has_left && !left.is_live && left.slots == 0);
    assert_eq!((left.booked, left.granted, left.start.clone()), (requests(4), requests(4), start(1)));
    assert_eq!(database.look(id(2), run, 0).unwrap().live, 1);
    // What arrives later is stored and booked all the same.
    let late = Batch { answers: vec![answer(1, b"late")], booked: requests(5), ..Batch::default() };
    database.publish(id(1), run, &late, LONG, 0).unwrap();
    assert_eq!(database.answers(&[Fingerprint([1; 32])]).unwrap().len(), 1);
    assert_eq!(database.look(id(2), run, 0).unwrap().live, 1);
}

fn the_reserve_of_the_dead_is_held_until_it_is_settled(database: &dyn Database, pass: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 3, requests_cap(10));
    database.grant(id(1), run, &requests(8), &requests(1)).unwrap();
    database.publish(id(1), run, &Batch { booked: requests(3), ..Batch::default() }, SHORT, 0).unwrap();
    pass(SHORT * 2);
    let granted = database.grant(id(2), run, &requests(9), &requests(3)).unwrap();
    assert_eq!((granted.granted, granted.short), (requests(0), Some(CapName::Requests)));
    assert_eq!((granted.held_by_dead, granted.dead, granted.held_by_live), (requests(5), 1, requests(0)));
    assert_eq!(database.reconcile(LONG).unwrap(), [], "it was seen just now");
    let settled = database.reconcile(Duration::ZERO).unwrap();
    assert_eq!(settled.len(), 1);
    assert_eq!((settled[0].start.id, settled[0].granted, settled[0].booked), (id(1), requests(8), requests(3)));
    assert_eq!(database.reconcile(Duration::ZERO).unwrap(), []);
    let granted = database.grant(id(2), run, &requests(9), &requests(3)).unwrap();
    assert_eq!((granted.granted, granted.dead), (requests(7), 0));
    // It was not dead: what it spent meanwhile counts.
    let late = Batch { booked: requests(5), ..Batch::default() };
    assert_eq!(database.publish(id(1), run, &late, LONG, 0).unwrap().standing.granted, requests(5));
    let granted = database.grant(id(1), run, &requests(1), &requests(1)).unwrap();
    assert_eq!(granted.short, Some(CapName::Requests));
}

fn verbs_come_in_order_and_change_caps(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run_number = joined(database, &[1], 1, requests_cap(10));
    database.control(run_number, r#"{"verb":"pause"}"#, None).unwrap();
    database.control(run_number, r#"{"verb":"cap"}"#, Some(requests_cap(20))).unwrap();
    let standing = database.look(id(1), run_number, 0).unwrap();
    assert_eq!(standing.caps, requests_cap(20));
    let texts: Vec<&str> = standing.controls.iter().map(|verb| verb.text.as_str()).collect();
    assert_eq!(texts, [r#"{"verb":"pause"}"#, r#"{"verb":"cap"}"#]);
    let first = standing.controls[0].number;
    assert!(first > 0 && first < standing.controls[1].number);
    let published = database.publish(id(1), run_number, &Batch::default(), LONG, first).unwrap();
    assert_eq!(published.standing.controls, standing.controls[1..]);
    database.join(&start(2), LONG).unwrap();
    let (settings, slots) = (settings(), slots(1));
    let late = run(database.run(id(2), &request(&settings, &slots, Caps::default())).unwrap());
    assert_eq!((late.controls, late.caps), (standing.controls, requests_cap(20)));
}

fn end_all(database: &dyn Database, worker: u8, run: u32, has_failures: bool) {
    let slots = database.claim(id(worker), run, 99).unwrap().slots;
    let done = slots.into_iter().map(|slot| Done { slot, has_failures }).collect();
    let undone = database.publish(id(worker), run, &Batch { done, ..Batch::default() }, LONG, 0).unwrap();
    assert_eq!(undone.standing.undone, 0);
}

fn one_worker_writes(database: &dyn Database, pass: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2, 3], 2, Caps::default());
    end_all(database, 1, run, false);
    database.publish(id(1), run, &Batch::default(), SHORT, 0).unwrap();
    assert_eq!(database.writer(id(1), run, "/out.jsonl").unwrap(), Writer::Own);
    pass(SHORT * 2);
    // Its lease has passed before it has written.
    assert_eq!(database.writer(id(2), run, "/two.jsonl").unwrap(), Writer::Own);
    assert_eq!(database.writer(id(2), run, "/two.jsonl").unwrap(), Writer::Own);
    let Writer::Other(told) = database.writer(id(3), run, "/three.jsonl").unwrap() else { panic!("two writers") };
    assert!(told.contains("/two.jsonl"), "{told}");
    database.written(id(1), run).unwrap();
    assert!(!database.runs().unwrap()[0].is_written, "it was not the writer any longer");
    database.written(id(2), run).unwrap();
    let seen = &database.runs().unwrap()[0];
    assert!(seen.is_written && seen.writer.as_ref().is_some_and(|writer| writer.contains("/two.jsonl")), "{seen:?}");
    // It was written: it stays so, also once the writer has gone.
    database.leave(id(2)).unwrap();
    assert!(matches!(database.writer(id(3), run, "/three.jsonl").unwrap(), Writer::Other(_)));
}

fn a_finished_run_opens_its_failures_again(database: &dyn Database, _: &dyn Fn(Duration)) {
    let number = joined(database, &[1, 2], 3, Caps::default());
    let slots_held = database.claim(id(1), number, 3).unwrap().slots;
    let failed = slots_held[1];
    let done = slots_held.iter().map(|slot| Done { slot: *slot, has_failures: *slot == failed }).collect();
    database.publish(id(1), number, &Batch { done, ..Batch::default() }, LONG, 0).unwrap();
    assert_eq!(database.writer(id(1), number, "/out.jsonl").unwrap(), Writer::Own);
    database.written(id(1), number).unwrap();
    database.leave(id(1)).unwrap();
    let (settings, slots) = (settings(), slots(3));
    assert!(!run(database.run(id(2), &request(&settings, &slots, Caps::default())).unwrap()).is_new);
    let seen = &database.runs().unwrap()[0];
    assert!(!seen.is_written && seen.done == 2, "{seen:?}");
    let again = database.claim(id(2), number, 9).unwrap();
    assert_eq!(again.undone, 1);
    assert!(again.slots[0].range == failed.range && again.slots[0].epoch > failed.epoch);
    database.publish(id(2), number, &done_of(again.slots[0]), LONG, 0).unwrap();
    assert_eq!(database.writer(id(2), number, "/again.jsonl").unwrap(), Writer::Own);
    // Nothing has failed now: who asks for the run once more writes it once more, unless it is being written.
    let join = |worker: u8| {
        database.join(&start(worker), LONG).unwrap();
        run(database.run(id(worker), &request(&settings, &slots, Caps::default())).unwrap());
        database.writer(id(worker), number, "/third.jsonl").unwrap()
    };
    assert_eq!(join(3), Writer::Other("/again.jsonl".to_owned()));
    database.written(id(2), number).unwrap();
    assert_eq!(join(4), Writer::Own);
}

fn done_of(slot: Held) -> Batch {
    done(slot, false)
}

fn workers_know_their_places(database: &dyn Database, pass: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2, 3], 2, Caps::default());
    database.claim(id(1), run, 2).unwrap();
    database.claim(id(2), run, 2).unwrap();
    let standings = [1, 2, 3].map(|worker| database.look(id(worker), run, 0).unwrap());
    assert!(standings.iter().all(|standing| standing.live == 3 && standing.idle == 1 && standing.undone == 2));
    let ranks: BTreeSet<u32> = standings.iter().map(|standing| standing.rank).collect();
    assert_eq!(ranks, BTreeSet::from([0, 1, 2]));
    database.publish(id(3), run, &Batch::default(), SHORT, 0).unwrap();
    pass(SHORT * 2);
    let ranks: BTreeSet<u32> = [1, 2].map(|worker| database.look(id(worker), run, 0).unwrap().rank).into();
    assert_eq!(ranks, BTreeSet::from([0, 1]));
    assert_eq!(database.look(id(1), run, 0).unwrap().live, 2);
    let seen = database.workers().unwrap();
    let live: Vec<WorkerId> = seen.iter().filter(|worker| worker.is_live).map(|worker| worker.start.id).collect();
    assert_eq!(live.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([id(1), id(2)]));
    assert_eq!(seen.iter().map(|worker| worker.slots).sum::<u64>(), 2);
    assert!(seen.iter().all(|worker| worker.run == Some(run) && worker.seen_ago < LONG && worker.started_ago < LONG));
    // A slot that became free is claimed: nobody is idle any longer.
    let held = database.held(id(1), run).unwrap();
    database.give_back(id(1), run, &[(held[0], 0)]).unwrap();
    assert_eq!(database.claim(id(2), run, 1).unwrap().slots.len(), 1);
    assert_eq!(database.look(id(2), run, 0).unwrap().idle, 0);
}

fn lost_calls_and_spending_only_grow(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 1, Caps::default());
    let question = Fingerprint([1; 32]);
    let lost = |calls, reason: &str| (question, LostCalls { calls, reason: reason.to_owned() });
    let spent =
        |calls, unknown_calls| Spent { calls, unknown_calls, completion_tokens: calls * 10, ..Spent::default() };
    let batch = |lost, spent| Batch { lost, spent: vec![("m".to_owned(), spent)], ..Batch::default() };
    assert_eq!(database.lost(&question).unwrap(), LostCalls::default());
    let batches = [
        (1, batch(vec![lost(2, "two"), lost(1, "one")], spent(5, 1))),
        (2, batch(vec![lost(1, "one")], spent(3, 0))),
        (1, batch(vec![], spent(4, 0))),
    ];
    for (worker, batch) in batches {
        database.publish(id(worker), run, &batch, LONG, 0).unwrap();
    }
    assert_eq!(database.lost(&question).unwrap(), lost(2, "two").1);
    assert_eq!(database.spending().unwrap(), BTreeMap::from([("m".to_owned(), spent(8, 1))]));
    database.publish(id(2), run, &batch(vec![lost(3, "three")], spent(3, 0)), LONG, 0).unwrap();
    assert_eq!(database.lost(&question).unwrap(), lost(3, "three").1);
    assert_eq!(database.published(id(1)).unwrap().unwrap().1, [("m".to_owned(), spent(5, 1))]);
}

fn frames_come_in_the_order_of_commits(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1], 1, Caps::default());
    let mut expected = Vec::new();
    for commit in 0..30_u8 {
        // Questions fall while commits rise.
        let frame = |at: u8| vec![commit, at];
        let answers = (0..3).map(|at| answer(250 - commit * 4 - at, &frame(at))).collect();
        let note = NewNote { number: u64::from(commit), conversation: ConversationKey([1; 32]), run, frame: frame(3) };
        expected.extend((0..4).map(frame));
        database.publish(id(1), run, &Batch { notes: vec![note], ..batch(answers) }, LONG, 0).unwrap();
    }
    let mut frames = Vec::new();
    database
        .for_each_frame(&mut |frame| {
            frames.push(frame);
            true
        })
        .unwrap();
    assert_eq!(frames, expected);
    let mut count = 0;
    database
        .for_each_frame(&mut |_| {
            count += 1;
            count < 7
        })
        .unwrap();
    assert_eq!(count, 7, "it ends where it is told");
}

/// Several workers at once claim, ask for money, publish, split and end slots; each question is asked by two of them.
fn many_workers_share_slots_answers_and_caps(database: &dyn Database, _: &dyn Fn(Duration)) {
    const WORKERS: u8 = 5;
    const CAP: u64 = 60;
    let workers: Vec<u8> = (1..=WORKERS).collect();
    let run = joined(database, &workers, 12, requests_cap(CAP));
    let won: Vec<BTreeMap<Fingerprint, Vec<u8>>> = std::thread::scope(|scope| {
        let spawned = workers.iter().map(|worker| scope.spawn(|| work(database, *worker, run)));
        spawned.collect::<Vec<_>>().into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    // Whoever has an answer has the one that is stored.
    let questions: Vec<Fingerprint> = won.iter().flat_map(BTreeMap::keys).copied().collect();
    let stored: BTreeMap<Fingerprint, Vec<u8>> = database.answers(&questions).unwrap().into_iter().collect();
    for answers in &won {
        assert!(answers.iter().all(|(question, frame)| stored.get(question) == Some(frame)));
    }
    let seen = database.workers().unwrap();
    let granted: u64 = seen.iter().map(|worker| worker.granted.requests).sum();
    let booked: u64 = seen.iter().map(|worker| worker.booked.requests).sum();
    assert!(granted <= CAP && booked <= granted, "{booked} {granted}");
    assert_eq!(seen.iter().map(|worker| worker.answers).sum::<u64>(), stored.len() as u64);
    let held: Vec<Held> = workers.iter().flat_map(|worker| database.held(id(*worker), run).unwrap()).collect();
    let distinct: BTreeSet<SlotRange> = held.iter().map(|slot| slot.range).collect();
    assert_eq!(distinct.len(), held.len(), "a slot of two workers");
}

/// One worker's part; returns the answers that count for it.
fn work(database: &dyn Database, worker: u8, run: u32) -> BTreeMap<Fingerprint, Vec<u8>> {
    let (me, mut booked, mut answers) = (id(worker), 0, BTreeMap::new());
    // A sequence of its own, the same in each run of the test.
    let mut state = u64::from(worker) * 7919 + 17;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..25_u8 {
        match random(5) {
            0 => drop(database.claim(me, run, 1 + random(3) as u32).unwrap()),
            1 => {
                let held = database.held(me, run).unwrap();
                if let Some(slot) = held.first() {
                    let size = slot.range.high - slot.range.low;
                    let from = slot.range.low + random(3) * (size / 3);
                    database.give_back(me, run, &[(*slot, from)]).unwrap();
                }
            }
            2 => {
                let held = database.held(me, run).unwrap();
                let batch = held.first().map_or_else(Batch::default, |slot| done(*slot, false));
                database.publish(me, run, &batch, LONG, 0).unwrap();
            }
            3 => drop(database.release(me, &requests(booked)).unwrap()),
            _ => {
                let granted = database.grant(me, run, &requests(booked + 4), &requests(1)).unwrap().granted;
                let seen = database.workers().unwrap();
                let sum: u64 = seen.iter().map(|worker| worker.granted.requests).sum();
                assert!(sum <= 60, "{sum} are granted");
                let count = (granted.requests - booked).min(4);
                booked += count;
                let new: Vec<NewAnswer> = (0..count)
                    .map(|_| {
                        let question = random(200) as u8;
                        answer(question, &[worker, round, question])
                    })
                    .collect();
                let batch = Batch { answers: new, booked: requests(booked), ..Batch::default() };
                let winners = database.publish(me, run, &batch, LONG, 0).unwrap().winners;
                for answer in batch.answers {
                    answers.entry(answer.fingerprint).or_insert(answer.frame);
                }
                answers.extend(winners);
            }
        }
    }
    answers
}

fn answers_of_no_run_are_stored(database: &dyn Database, _: &dyn Fn(Duration)) {
    database.join(&start(1), LONG).unwrap();
    let late = Batch { answers: vec![answer(1, b"late")], booked: requests(3), ..Batch::default() };
    let standing = database.publish(id(1), 0, &late, LONG, 0).unwrap().standing;
    assert_eq!((standing.granted, standing.undone, standing.caps), (requests(3), 0, Caps::default()));
    assert_eq!(database.answers(&[Fingerprint([1; 32])]).unwrap().len(), 1);
}

/// Frames as a worker's outbox has them.
pub fn frames_of(entries: &[Entry]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (mut outbox, _) = Outbox::take(folder.path(), "host").unwrap();
    outbox.begin(id(1)).unwrap();
    outbox.append(entries).unwrap().into_iter().map(|(frame, _)| frame).collect()
}

fn answered(conversation: u8, slot: Slot, question: u8) -> Entry {
    let answer = Answer {
        message: Message::new(Role::Assistant, "yes ".repeat(300)),
        reasoning: None,
        finish: Finish::Complete,
        finish_reason: "stop".to_owned(),
        model: "m".to_owned(),
        system_fingerprint: None,
        usage: Usage::default(),
        attempts: 1,
        dropped: Vec::new(),
        tokens: None,
    };
    Entry::Answered {
        run: 1,
        conversation: ConversationKey([conversation; 32]),
        slot,
        fingerprint: Fingerprint([question; 32]),
        model: "m".to_owned(),
        answer: answer.into(),
    }
}

fn conversations_are_folded_in_the_order_of_commits(database: &dyn Database, _: &dyn Fn(Duration)) {
    let run = joined(database, &[1, 2], 1, Caps::default());
    let key = |conversation: u8| ConversationKey([conversation; 32]);
    let commit = |worker: u8, first_note: u64, entries: &[Entry]| {
        let mut batch = Batch::default();
        for (number, (entry, frame)) in (first_note..).zip(entries.iter().zip(frames_of(entries))) {
            match entry {
                Entry::Answered { conversation, fingerprint, .. } => {
                    batch.answers.push(NewAnswer {
                        fingerprint: *fingerprint,
                        conversation: *conversation,
                        run,
                        frame,
                    });
                }
                Entry::Linked { conversation, .. } | Entry::Closed { conversation, .. } => {
                    batch.notes.push(NewNote { number, conversation: *conversation, run, frame });
                }
                other => panic!("{other:?}"),
            }
        }
        database.publish(id(worker), run, &batch, LONG, 0).unwrap().winners
    };
    let linked = |conversation: u8, slot, question: u8| Entry::Linked {
        conversation: key(conversation),
        slot,
        fingerprint: Fingerprint([question; 32]),
    };
    let closed = |conversation: u8, status| Entry::Closed { conversation: key(conversation), status };
    // The first worker answers two turns; the second one has another answer to the first, and takes the one that counts.
    commit(1, 1, &[answered(1, Slot::main(0), 9), answered(1, Slot::main(1), 3), closed(1, Status::Complete)]);
    assert_eq!(commit(2, 1, &[answered(2, Slot::main(0), 9)]).len(), 1);
    commit(2, 2, &[linked(2, Slot::main(0), 9)]);
    let failed = Status::Failed { turn: TurnIndex::from_index(1), reason: "x".into(), permanent: false };
    commit(2, 3, &[answered(2, Slot::main(1), 4), closed(2, failed)]);
    // A later commit replaces the first turn: what was built on it is dropped.
    commit(1, 4, &[answered(3, Slot::main(0), 20), answered(3, Slot::main(1), 21)]);
    commit(1, 6, &[answered(3, Slot::main(0), 22)]);
    let states = database.states(&[1, 2, 3, 4].map(key)).unwrap();
    let states: BTreeMap<ConversationKey, ConversationState> = states.into_iter().collect();
    let state = |history: &[u8], status| ConversationState {
        history: (0..).zip(history).map(|(turn, question)| (Slot::main(turn), Fingerprint([*question; 32]))).collect(),
        cursor: history.len() as u32,
        status,
    };
    let failed = Status::Failed { turn: TurnIndex::from_index(1), reason: "x".into(), permanent: false };
    let expected = [(1, &[9, 3][..], Status::Complete), (2, &[9, 4], failed), (3, &[22], Status::Open)];
    let expected: BTreeMap<ConversationKey, ConversationState> = expected
        .into_iter()
        .map(|(conversation, history, status)| (key(conversation), state(history, status)))
        .collect();
    assert_eq!(states, expected);
    let mut all = BTreeMap::new();
    database.for_each_state(&mut |key, state| drop(all.insert(key, state))).unwrap();
    assert_eq!(all, expected);
    statuses_are_those_of_the_states(database);
    // What comes after an end opens a conversation again only where it changes its history.
    commit(1, 7, &[linked(1, Slot::main(1), 3)]);
    commit(1, 8, &[linked(2, Slot::main(1), 30)]);
    commit(1, 9, &[answered(3, Slot::main(1), 31), closed(3, Status::Complete)]);
    commit(1, 11, &[closed(4, Status::Complete)]);
    commit(1, 12, &[answered(4, Slot::main(0), 40)]);
    let states: BTreeMap<ConversationKey, ConversationState> =
        database.states(&[1, 2, 3, 4].map(key)).unwrap().into_iter().collect();
    let statuses: Vec<&Status> = states.values().map(|state| &state.status).collect();
    assert_eq!(statuses, [&Status::Complete, &Status::Open, &Status::Complete, &Status::Open]);
    statuses_are_those_of_the_states(database);
}

/// What is said of conversations without their histories is what their histories come to.
pub fn statuses_are_those_of_the_states(database: &dyn Database) {
    let (mut statuses, mut states) = (BTreeMap::new(), BTreeMap::new());
    database.for_each_status(&mut |key, status| assert_eq!(statuses.insert(key, status), None)).unwrap();
    database.for_each_state(&mut |key, state| drop(states.insert(key, state.status))).unwrap();
    assert_eq!(statuses, states);
}
