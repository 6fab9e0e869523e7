//! Databases and directories of one made-up world, merged in every way: all of them come to hold the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cohobate::conversation::{Answer, ConversationKey, Digest, Fingerprint, Settings, Slot, TurnIndex, Usage};
use cohobate::store::merge::{DirectorySource, DirectoryTarget, MergeSource, MergeTarget, Merged, PaidAnswer, merge};
use cohobate::store::postgres::PostgresDatabase;
use cohobate::store::shared::{
    Batch, Caps, Counters, Database, NewAnswer, NewNote, SharedReader, booked, verify_shared,
};
use cohobate::store::{
    ConversationState, DiskStore, Entry, FrameId, LostCalls, MemoryStore, OnLoss, Reader, Run, Snapshot, Spending,
    StartId, Status, Store, StoreError, verify,
};

use super::cluster::{Cluster, QUICK, open};
use super::contract::{LONG, frames_of, id, joined, settings, statuses_are_those_of_the_states};

/// Turns of the world's conversations. Two of them begin alike.
const TURNS: [u32; 5] = [3, 4, 1, 2, 3];

/// Numbers that look random; the seed repeats them.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }
}

fn key(conversation: usize) -> ConversationKey {
    ConversationKey([100 + conversation as u8; 32])
}

/// The question after these answers.
fn question(conversation: usize, said: &[String]) -> Fingerprint {
    let opening = if conversation == 1 { 0 } else { conversation };
    let turns = if said.is_empty() { String::new() } else { format!("{conversation} {}", said.join(" ")) };
    Fingerprint(Digest::of_text("test question", &format!("{opening} {turns}")).0)
}

/// What a start asks, as entries. `known` has what the store answered before.
fn asked(known: &MemoryStore, run: u32, dice: &mut Dice) -> Vec<Entry> {
    let mut all = Vec::new();
    for _ in 0..dice.below(6) {
        let conversation = dice.below(TURNS.len() as u64) as usize;
        let turns = (1 + dice.below(4) as u32).min(TURNS[conversation]);
        let mut said: Vec<String> = Vec::new();
        let mut new = Vec::new();
        for turn in 0..turns {
            let (fingerprint, slot) = (question(conversation, &said), Slot::main(turn));
            let entry = if let Some(stored) = known.answer(&fingerprint).unwrap() {
                said.push(stored.answer.text().to_owned());
                Entry::Linked { conversation: key(conversation), slot, fingerprint }
            } else {
                // Long enough to be compressed.
                let text = format!("answer {} {}", dice.below(2), "and so on ".repeat(80));
                let usage = Usage { completion_tokens: Some(u64::from(run)), ..Usage::default() };
                let answer = Arc::new(Answer { usage, ..Answer::complete("m", text.clone()) });
                said.push(text);
                Entry::Answered {
                    run,
                    conversation: key(conversation),
                    slot,
                    fingerprint,
                    model: "m".to_owned(),
                    answer,
                }
            };
            known.commit(vec![entry.clone()]).unwrap();
            new.push(entry);
        }
        let turn = TurnIndex::from_index(turns);
        let failed = |permanent| Status::Failed { turn, reason: "http_400: no".into(), permanent };
        let status = match dice.below(5) {
            _ if turns == TURNS[conversation] => Some(Status::Complete),
            1 => Some(failed(true)),
            2 => Some(failed(false)),
            _ => None,
        };
        new.extend(status.map(|status| Entry::Closed { conversation: key(conversation), status }));
        if dice.below(4) == 0 {
            let lost = LostCalls { calls: turns, reason: format!("gave up after {run}") };
            new.push(Entry::Lost { fingerprint: question(conversation, &said), lost });
        }
        known.commit(new.split_off(turns as usize)).unwrap();
        all.extend(new);
    }
    all.push(Entry::Unknown { model: "m".to_owned(), calls: 1, prompt_tokens: 2, completion_tokens: 3 });
    all
}

/// Writes a store of two starts into a directory.
fn write_directory(directory: &Path, number: u8, dice: &mut Dice) {
    let (store, _) = DiskStore::open(directory, &mut |_, _| {}).unwrap();
    let known = MemoryStore::new();
    for start in 0..2 {
        let run = u32::from(start) + 1;
        let began = 1_000 * u64::from(10 - number) + u64::from(run);
        let settings = Settings::default().with("recipe", "test");
        let first = [
            Entry::Start(StartId([10 * number + start; 16])),
            Entry::Run(Run { number: run, started_ms: began, settings, answers: 0 }),
        ];
        store.commit(first.into_iter().chain(asked(&known, run, dice)).collect()).unwrap();
    }
    store.close().unwrap();
}

/// Has two workers fill a database; they have ended.
fn write_database(database: &dyn Database, dice: &mut Dice) {
    let known = MemoryStore::new();
    let run = joined(database, &[81, 82], 1, Caps::default());
    for worker in [81, 82] {
        let entries = asked(&known, run, dice);
        let (mut batch, mut counters) = (Batch::default(), Counters::default());
        for (number, (entry, frame)) in (0..).zip(entries.iter().zip(frames_of(&entries))) {
            counters.add(entry);
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
                Entry::Lost { fingerprint, lost } => batch.lost.push((*fingerprint, lost.clone())),
                _ => {}
            }
            // One commit for each entry, so that their order is kept.
            database.publish(id(worker), run, &std::mem::take(&mut batch), LONG, 0).unwrap();
        }
        batch.spent = counters.by_model();
        batch.booked = counters.booked(&BTreeMap::new());
        database.publish(id(worker), run, &batch, LONG, 0).unwrap();
        database.leave(id(worker)).unwrap();
    }
}

/// Everything that a store holds, however it was put together.
#[derive(Debug, PartialEq)]
struct Content {
    spending: BTreeMap<StartId, Spending>,
    runs: BTreeMap<(StartId, u32), (u64, Digest)>,
    answers: BTreeMap<Fingerprint, BTreeMap<FrameId, (bool, Entry)>>,
    lost: BTreeMap<Fingerprint, (u32, String)>,
    states: BTreeMap<ConversationKey, ConversationState>,
}

fn content(source: &dyn MergeSource) -> Content {
    let runs = source.runs().unwrap().into_iter();
    let runs = runs.map(|(start, run)| ((start, run.number), (run.started_ms, run.settings.digest()))).collect();
    let mut answers: BTreeMap<Fingerprint, BTreeMap<FrameId, (bool, Entry)>> = BTreeMap::new();
    let mut visit = |paid: PaidAnswer| -> Result<(), StoreError> {
        let question = *paid.entry.question().unwrap();
        if paid.is_used {
            assert_eq!(source.used(&question)?.unwrap().frame, paid.frame);
        }
        assert!(!source.is_unsettled(&question)?);
        assert!(answers.entry(question).or_default().insert(paid.frame, (paid.is_used, paid.entry)).is_none());
        Ok(())
    };
    assert_eq!(source.for_each_answer(&mut visit).unwrap(), []);
    assert!(answers.values().all(|frames| frames.values().filter(|(is_used, _)| *is_used).count() == 1));
    let (mut lost, mut states) = (BTreeMap::new(), BTreeMap::new());
    source.for_each_lost(&mut |question, calls| drop(lost.insert(question, (calls.calls, calls.reason)))).unwrap();
    source.for_each_state(&mut |key, state| drop(states.insert(key, state))).unwrap();
    Content { spending: source.spending().unwrap(), runs, answers, lost, states }
}

/// A store of the test.
#[derive(Clone, Copy)]
enum Place<'a> {
    Directory(&'a PathBuf),
    Database(&'a PostgresDatabase),
}

impl Place<'_> {
    fn content(&self) -> Content {
        match self {
            Self::Directory(path) => {
                let verified = verify(path).unwrap();
                assert!(verified.damages.is_empty() && verified.disagreements.is_empty(), "{verified:?}");
                content(&DirectorySource::open(path, OnLoss::Refuse, &mut |_, _| {}).unwrap())
            }
            Self::Database(database) => {
                let content = content(&*database.merging().unwrap().source().unwrap());
                assert_sound(database, &content);
                content
            }
        }
    }
}

/// What workers and readers see of a database is what merges see of it.
fn assert_sound(database: &PostgresDatabase, content: &Content) {
    let verified = verify_shared(database).unwrap();
    assert_eq!((verified.missing, verified.disagreements), (0, Vec::new()));
    assert_eq!(verified.answers, content.answers.len() as u64);
    let mut seen = BTreeMap::new();
    database.for_each_state(&mut |key, state| drop(seen.insert(key, state))).unwrap();
    statuses_are_those_of_the_states(database);
    assert_eq!(seen, content.states);
    let runs: BTreeSet<u32> = database.runs().unwrap().iter().map(|seen| seen.run.number).collect();
    for (question, frames) in &content.answers {
        let found = database.answers(&[*question]).unwrap();
        let Some(Entry::Answered { run, answer, .. }) = cohobate::store::shared::entry_of(&found[0].1) else {
            panic!()
        };
        let (_, used) = frames.values().find(|(is_used, _)| *is_used).unwrap();
        assert!(matches!(used, Entry::Answered { answer: other, .. } if *other == answer));
        assert!(runs.contains(&run), "its run is known here");
    }
    let frames: usize = content.answers.values().map(BTreeMap::len).sum();
    let of_runs: u64 = database.runs().unwrap().iter().map(|seen| seen.run.answers).sum();
    assert_eq!(of_runs, frames as u64, "every answer has its run");
    let sum = content.spending.values().fold(0, |sum, own| sum + booked(own, &BTreeMap::new()).requests);
    let workers = database.workers().unwrap();
    assert_eq!(workers.iter().map(|worker| worker.booked.requests).sum::<u64>(), sum, "caps count all of it");
}

fn merged(sources: &[Place<'_>], into: Place<'_>) -> Vec<Merged> {
    let all = |target: &dyn MergeTarget| {
        let one = |source: &Place<'_>| {
            let merge = |source: &dyn MergeSource| merge(source, target, &mut |_| {}, &mut |_| {}).unwrap();
            match source {
                Place::Directory(path) => merge(&DirectorySource::open(path, OnLoss::Refuse, &mut |_, _| {}).unwrap()),
                Place::Database(database) => merge(&*database.merging().unwrap().source().unwrap()),
            }
        };
        sources.iter().map(one).collect()
    };
    match into {
        Place::Directory(path) => {
            let target = DirectoryTarget::new(DiskStore::open(path, &mut |_, _| {}).unwrap().0).unwrap();
            let merged = all(&target);
            target.into_store().close().unwrap();
            merged
        }
        Place::Database(database) => all(&*database.merging().unwrap().target(&BTreeMap::new()).unwrap()),
    }
}

/// Every row of the tables that a merge writes, as one text.
fn dump(cluster: &Cluster, schema: &str) -> String {
    let tables = ["answer", "note", "kept", "kept_run", "state", "unsettled", "lost", "spend", "run"];
    let of = |table: &&str| cluster.sql(&format!("SELECT t::text FROM {schema}.cohobate_{table} t ORDER BY 1"));
    tables.iter().map(of).collect::<Vec<_>>().join("\n")
}

#[test]
fn stores_of_both_kinds_are_the_same_in_whatever_order_they_are_merged() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let (mut replaced, mut cut, mut shared) = (0, 0, 0);
    for seed in 1..=6 {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let database = |name: &str| cluster.schema(&format!("{name}_{seed}"));
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let (a, b) = (path("a"), path("b"));
        write_directory(&a, 1, &mut dice);
        write_directory(&b, 2, &mut dice);
        let native = database("native");
        write_database(&native, &mut dice);
        let (a, b, c) = (Place::Directory(&a), Place::Directory(&b), Place::Database(&native));

        let whole = path("whole");
        let whole = Place::Directory(&whole);
        merged(&[a, b, c], whole);
        let expected = whole.content();
        let (left, right) = (database("left"), path("right"));
        let (left, right) = (Place::Database(&left), Place::Directory(&right));
        merged(&[a, b], left);
        merged(&[b, c], right);
        let databases = ["abc", "cba", "grouped", "copied"].map(database);
        let [abc, cba, grouped, copied] = databases.each_ref().map(Place::Database);
        let steps = merged(&[a, b, c], abc);
        replaced += steps.iter().map(|merged| merged.replaced).sum::<u64>();
        cut += steps.iter().map(|merged| merged.orphans).sum::<u64>();
        merged(&[c, b, a], cba);
        merged(&[right, left], grouped);
        merged(&[abc], copied);
        let back = path("back");
        let back = Place::Directory(&back);
        merged(&[cba], back);
        for (name, place) in [("abc", abc), ("cba", cba), ("grouped", grouped), ("copied", copied), ("back", back)] {
            assert_eq!(place.content(), expected, "{name} of seed {seed}");
        }
        // Once more changes nothing.
        let before = dump(&cluster, &format!("abc_{seed}"));
        let again = merged(&[a, right, c, cba, whole], abc);
        assert!(again.iter().all(|merged| merged.added == 0 && merged.states == 0), "{again:?}");
        assert_eq!(dump(&cluster, &format!("abc_{seed}")), before);
        // A database that has answers of its own takes in the others.
        merged(&[b, a], c);
        assert_eq!(c.content(), expected, "native of seed {seed}");
        shared += expected.answers.values().filter(|frames| frames.len() > 1).count();
        // And is read as the directory is.
        let Place::Directory(directory) = whole else { unreachable!() };
        let (snapshot, native) = (Snapshot::read(directory).unwrap(), Arc::new(native));
        let reader = SharedReader::new(native);
        assert_eq!(reader.spending().unwrap(), snapshot.spending().unwrap());
        for conversation in 0..TURNS.len() {
            assert_eq!(reader.state(&key(conversation)).unwrap(), snapshot.state(&key(conversation)).unwrap());
        }
        for question in expected.answers.keys() {
            let (one, other) = (reader.answer(question).unwrap().unwrap(), snapshot.answer(question).unwrap().unwrap());
            assert_eq!(one.answer, other.answer);
        }
    }
    println!("{shared} questions with several answers, {replaced} replaced, {cut} answers without their history");
    assert!(shared > 0 && replaced > 0 && cut > 0, "the world is too simple");
}

#[test]
fn nothing_is_merged_where_somebody_is_at_work() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let folder = tempfile::tempdir().unwrap();
    write_directory(folder.path(), 1, &mut Dice(7));
    let database = open(&cluster.address("")).unwrap();
    let merging = database.merging().unwrap();
    let target = merging.target(&BTreeMap::new()).unwrap();
    joined(&database, &[1], 1, Caps::default());
    let source = DirectorySource::open(folder.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
    let refused = |result: Result<(), StoreError>| match result {
        Err(StoreError::AtWork { worker }) => assert_eq!(worker, "host1 1"),
        other => panic!("{other:?}"),
    };
    refused(merge(&source, &*target, &mut |_| {}, &mut |_| {}).map(drop));
    refused(merging.target(&BTreeMap::new()).map(drop));
    assert_eq!(cluster.sql("SELECT count(*) FROM cohobate_spend"), "0");
    // Who is at work may be merged from.
    drop(content(&*merging.source().unwrap()));
    database.leave(id(1)).unwrap();
    assert!(merge(&source, &*target, &mut |_| {}, &mut |_| {}).unwrap().added > 0);
}

#[test]
fn merged_spending_counts_in_dollars_once_its_price_is_known() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let folder = tempfile::tempdir().unwrap();
    write_directory(folder.path(), 1, &mut Dice(7));
    let database = open(&cluster.address("")).unwrap();
    let merging = database.merging().unwrap();
    let source = DirectorySource::open(folder.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
    let cost = || database.workers().unwrap().iter().map(|worker| worker.booked.cost_nano).sum::<u64>();
    merge(&source, &*merging.target(&BTreeMap::new()).unwrap(), &mut |_| {}, &mut |_| {}).unwrap();
    assert_eq!(cost(), 0);
    let price = cohobate::conversation::Price { input: 1.0, output: 2.0, ..Default::default() };
    let prices = BTreeMap::from([("m".to_owned(), price)]);
    merge(&source, &*merging.target(&prices).unwrap(), &mut |_| {}, &mut |_| {}).unwrap();
    let spending = source.spending().unwrap();
    let expected: u64 = spending.values().map(|own| booked(own, &prices).cost_nano).sum();
    assert!(expected > 0 && cost() == expected, "{} of {expected}", cost());
}

#[test]
fn a_frame_that_cannot_be_read_is_named_and_the_rest_is_merged() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    let database = open(&cluster.address("")).unwrap();
    write_database(&database, &mut Dice(3));
    let all: u64 = cluster.sql("SELECT count(*) FROM cohobate_answer").parse().unwrap();
    cluster.sql(
        "UPDATE cohobate_answer SET frame = set_byte(frame, 40, get_byte(frame, 40) # 1) \
         WHERE question = (SELECT question FROM cohobate_answer ORDER BY question LIMIT 1)",
    );
    let source = database.merging().unwrap().source().unwrap();
    let mut read = 0;
    let damages = source
        .for_each_answer(&mut |_| {
            read += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((damages.len(), read), (1, all - 1));
    assert!(damages[0].path.to_string_lossy().starts_with("the answer to "), "{damages:?}");
}

#[test]
fn tables_of_version_1_are_brought_up_to_date() {
    let Some(cluster) = Cluster::start(QUICK) else { return };
    cluster.sql("CREATE TABLE cohobate_schema (version integer PRIMARY KEY, made timestamptz NOT NULL DEFAULT now())");
    cluster.sql(include_str!("../../../src/store/postgres/schema/1.sql"));
    cluster.sql("INSERT INTO cohobate_schema (version) VALUES (1)");
    cluster.sql("INSERT INTO cohobate_lost VALUES (decode(repeat('ab', 32), 'hex'), 3, 'gone')");
    let database = open(&cluster.address("")).unwrap();
    assert_eq!(cluster.sql("SELECT max(version) FROM cohobate_schema"), "2");
    assert_eq!(database.lost(&Fingerprint([0xab; 32])).unwrap().calls, 3);
    write_database(&database, &mut Dice(3));
    assert_eq!(settings().digest(), database.runs().unwrap()[0].run.settings.digest());
    drop(Place::Database(&database).content());
}
