//! Stores of one made-up world, merged in every way: conversations whose next question follows from the answers so far, as it does
//! in a recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::{DirectorySource, DirectoryTarget, MergeTarget, Merged, Orphan, merge};
use crate::conversation::{
    Answer, ConversationKey, ConversationStop, Digest, Fingerprint, Settings, Slot, TurnIndex, Usage,
};
use crate::store::entry::{ConversationState, Entry, LostCalls, Run, Spending, Status, Stored};
use crate::store::origins::KeptRunId;
use crate::store::snapshot::{OnLoss, Snapshot};
use crate::store::start::{FrameId, StartId};
use crate::store::{DiskStore, Reader, Store, verify};

/// Conversations of the world, and how many turns each has. Two of them begin alike.
const TURNS: [u32; 5] = [3, 4, 1, 2, 3];
/// Different answers that a model may give.
const VARIANTS: u8 = 2;

/// What one start asks: which conversations, how far, and which variant of an answer it gets, in order.
#[derive(Clone, Debug)]
struct Visit {
    conversation: usize,
    turns: u32,
    variants: Vec<u8>,
    ends: u8,
}

/// A store that is not merged from others: what its starts ask, one after the other.
#[derive(Clone, Debug)]
struct Leaf {
    starts: Vec<Vec<Visit>>,
    /// What its first start asks was recorded before starts had names.
    is_old: bool,
}

fn visit() -> impl Strategy<Value = Visit> {
    let variants = prop::collection::vec(0..VARIANTS, 4);
    (0..TURNS.len(), 1..5u32, variants, 0..6u8).prop_map(|(conversation, turns, variants, ends)| Visit {
        conversation,
        turns,
        variants,
        ends,
    })
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let starts = prop::collection::vec(prop::collection::vec(visit(), 0..5), 1..3);
    (starts, any::<bool>()).prop_map(|(starts, is_old)| Leaf { starts, is_old })
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

impl Leaf {
    /// Writes the store. `number` tells its starts from those of other leaves.
    fn write(&self, directory: &Path, number: u8) {
        let (store, _) = DiskStore::open(directory, &mut |_, _| {}).unwrap();
        for (at, visits) in self.starts.iter().enumerate() {
            if at > 0 || !self.is_old {
                store.commit(vec![Entry::Start(StartId([10 * number + at as u8; 16]))]).unwrap();
            }
            let run = at as u32 + 1;
            let settings = Settings::default().with("recipe", "test");
            let started_ms = 1_000 * u64::from(10 - number) + u64::from(run);
            store.commit(vec![Entry::Run(Run { number: run, started_ms, settings, answers: 0 })]).unwrap();
            for visit in visits {
                ask(&store, run, visit);
            }
            let unknown = Entry::Unknown { model: "m".to_owned(), calls: 1, prompt_tokens: 2, completion_tokens: 3 };
            store.commit(vec![unknown]).unwrap();
        }
        store.close().unwrap();
    }
}

/// Asks a conversation as far as a visit goes.
fn ask(store: &DiskStore, run: u32, visit: &Visit) {
    let (conversation, mut said) = (visit.conversation, Vec::new());
    let turns = visit.turns.min(TURNS[conversation]);
    for turn in 0..turns {
        let (fingerprint, slot) = (question(conversation, &said), Slot::main(turn));
        let entry = match store.answer(&fingerprint).unwrap() {
            Some(Stored { answer, .. }) => {
                said.push(answer.text().to_owned());
                Entry::Linked { conversation: key(conversation), slot, fingerprint }
            }
            None => {
                let text = format!("answer {}", visit.variants[turn as usize]);
                let usage = Usage { completion_tokens: Some(u64::from(run)), ..Usage::default() };
                let answer = Arc::new(Answer { usage, ..Answer::complete("m", text.clone()) });
                said.push(text);
                let model = "m".to_owned();
                Entry::Answered { run, conversation: key(conversation), slot, fingerprint, model, answer }
            }
        };
        store.commit(vec![entry.clone()]).unwrap();
        if visit.ends == 5 && matches!(entry, Entry::Answered { .. }) {
            // A second answer to the same question, as two processes may leave it: the first one is used.
            let Entry::Answered { answer, .. } = &entry else { unreachable!() };
            let answer = Arc::new(Answer { attempts: 9, ..(**answer).clone() });
            let Entry::Answered { run, conversation, slot, fingerprint, model, .. } = entry else { unreachable!() };
            store.commit(vec![Entry::Answered { run, conversation, slot, fingerprint, model, answer }]).unwrap();
        }
    }
    let turn = TurnIndex::from_index(turns);
    let status = match visit.ends {
        _ if turns == TURNS[conversation] => Some(Status::Complete),
        1 => Some(Status::Stopped { turn, reason: ConversationStop::from("length".to_owned()) }),
        2 => Some(Status::Failed { turn, reason: "http_400: no".into(), permanent: true }),
        3 => Some(Status::Failed { turn, reason: "http_500: down".into(), permanent: false }),
        _ => None,
    };
    store.settle();
    if let Some(status) = status {
        store.commit(vec![Entry::Closed { conversation: key(conversation), status }]).unwrap();
    }
    if visit.ends == 4 {
        let lost = LostCalls { calls: visit.turns, reason: format!("gave up after {run}") };
        store.commit(vec![Entry::Lost { fingerprint: question(conversation, &said), lost }]).unwrap();
    }
}

/// Everything that a store holds, however it was put together.
#[derive(Debug, PartialEq)]
struct Content {
    spending: BTreeMap<StartId, Spending>,
    sum: Spending,
    runs: Vec<Run>,
    run_ids: BTreeSet<KeptRunId>,
    /// By question: what is used, all that is kept, and the run of the answer.
    answers: BTreeMap<Fingerprint, (FrameId, BTreeSet<FrameId>, u32)>,
    lost: BTreeMap<Fingerprint, LostCalls>,
    states: BTreeMap<ConversationKey, ConversationState>,
}

/// Every question that may be asked in the world.
fn questions() -> BTreeSet<Fingerprint> {
    let mut all = BTreeSet::new();
    for (conversation, turns) in TURNS.into_iter().enumerate() {
        let mut histories = vec![Vec::new()];
        for _ in 0..=turns {
            all.extend(histories.iter().map(|said| question(conversation, said)));
            let longer = |said: &Vec<String>| {
                let said = said.clone();
                (0..VARIANTS).map(move |variant| [said.clone(), vec![format!("answer {variant}")]].concat())
            };
            histories = histories.iter().flat_map(longer).collect();
        }
    }
    all
}

fn content(directory: &Path) -> Content {
    let verified = verify(directory).unwrap();
    assert!(verified.damages.is_empty() && verified.disagreements.is_empty(), "{verified:?}");
    let snapshot = Snapshot::open(directory, OnLoss::Refuse, &mut |_, _| {}).unwrap();
    assert_eq!(snapshot.findings().without_index, None);
    let read = Snapshot::read(directory).unwrap();
    let target = DirectoryTarget::new(DiskStore::open(directory, &mut |_, _| {}).unwrap().0).unwrap();
    let mut answers = BTreeMap::new();
    for fingerprint in questions() {
        let Some(used) = target.used(&fingerprint).unwrap() else { continue };
        let mut frames = target.unused(&fingerprint).unwrap();
        frames.insert(used.frame);
        let stored = snapshot.answer(&fingerprint).unwrap().unwrap();
        assert_eq!(read.answer(&fingerprint).unwrap().as_ref(), Some(&stored), "with and without an index");
        assert_eq!(target.reader().answer(&fingerprint).unwrap(), Some(stored.clone()));
        answers.insert(fingerprint, (used.frame, frames, stored.run));
    }
    assert!(!target.has_unsettled().unwrap());
    let mut states = BTreeMap::new();
    snapshot.for_each_state(&mut |key, state| drop(states.insert(key, state))).unwrap();
    let lost = questions().into_iter().map(|question| (question, snapshot.lost(&question).unwrap()));
    let found = Content {
        spending: target.spending().unwrap(),
        sum: snapshot.spending().unwrap(),
        runs: snapshot.runs().unwrap(),
        run_ids: target.run_ids().unwrap(),
        answers,
        lost: lost.filter(|(_, lost)| lost.calls > 0).collect(),
        states,
    };
    target.into_store().close().unwrap();
    found
}

/// Merges stores into one, and returns what that did.
fn merged(sources: &[&PathBuf], into: &Path) -> (Vec<Merged>, Vec<Orphan>) {
    let (mut all, mut orphans) = (Vec::new(), Vec::new());
    let target = DirectoryTarget::new(DiskStore::open(into, &mut |_, _| {}).unwrap().0).unwrap();
    for source in sources {
        let source = DirectorySource::open(source, OnLoss::Refuse, &mut |_, _| {}).unwrap();
        all.push(merge(&source, &target, &mut |orphan| orphans.push(orphan), &mut |_| {}).unwrap());
    }
    target.into_store().close().unwrap();
    (all, orphans)
}

/// Every history of the store is one that its used answers make.
fn assert_consistent(content: &Content, directory: &Path) {
    let snapshot = Snapshot::read(directory).unwrap();
    for (conversation, _) in TURNS.into_iter().enumerate() {
        let Some(state) = content.states.get(&key(conversation)) else { continue };
        let mut said = Vec::new();
        for (at, (slot, fingerprint)) in state.history.iter().enumerate() {
            assert_eq!((*slot, *fingerprint), (Slot::main(at as u32), question(conversation, &said)));
            said.push(snapshot.answer(fingerprint).unwrap().unwrap().answer.text().to_owned());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stores_are_the_same_in_whatever_order_and_grouping_they_are_merged(leaves in prop::collection::vec(leaf(), 3)) {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let leaf_places: Vec<PathBuf> = (0..3).map(|number| place(&format!("leaf {number}"))).collect();
        for (number, leaf) in leaves.iter().enumerate() {
            leaf.write(&leaf_places[number], number as u8 + 1);
        }
        let [a, b, c] = &leaf_places[..] else { unreachable!() };
        let (left, right) = (place("a and b"), place("b and c"));
        merged(&[a, b], &left);
        merged(&[b, c], &right);
        let mut contents = Vec::new();
        for (name, sources) in [
            ("abc", vec![a, b, c]),
            ("cba", vec![c, b, a]),
            ("bca", vec![b, c, a]),
            ("(ab)c", vec![&left, c]),
            ("a(bc)", vec![a, &right]),
            ("(bc)(ab)", vec![&right, &left]),
            ("aabbc", vec![a, a, b, b, c]),
        ] {
            merged(&sources, &place(name));
            contents.push((name, content(&place(name))));
        }
        let (first, others) = contents.split_first().unwrap();
        for (name, other) in others {
            prop_assert_eq!(&first.1, other, "{} and {}", &first.0, name);
        }
        assert_consistent(&first.1, &place("abc"));
        let answers_of_runs: u64 = first.1.runs.iter().map(|run| run.answers).sum();
        let frames: usize = first.1.answers.values().map(|(_, frames, _)| frames.len()).sum();
        prop_assert_eq!(answers_of_runs, frames as u64, "every answer has its run");
        // Once more changes nothing, byte for byte.
        let journal = std::fs::read(place("abc/journal/00000001.journal")).unwrap();
        let (again, _) = merged(&[a, &right, &place("cba")], &place("abc"));
        prop_assert!(again.iter().all(|merged| merged.added == 0 && merged.states == 0), "{:?}", again);
        prop_assert_eq!(journal, std::fs::read(place("abc/journal/00000001.journal")).unwrap());
        // A store that has answers of its own takes in the others.
        merged(&[b, c], a);
        let mut own = content(a);
        prop_assert_eq!(&own.spending, &first.1.spending);
        prop_assert_eq!(&own.sum, &first.1.sum);
        prop_assert_eq!(&own.run_ids, &first.1.run_ids);
        prop_assert_eq!(&own.states, &first.1.states);
        prop_assert_eq!(&own.lost, &first.1.lost);
        let used = |content: &Content| content.answers.iter().map(|(question, (used, ..))| (*question, *used)).collect::<Vec<_>>();
        prop_assert_eq!(used(&own), used(&first.1));
        own.runs.sort_by_key(|run| run.started_ms);
        prop_assert_eq!(own.runs.len(), first.1.runs.len());
    }
}
