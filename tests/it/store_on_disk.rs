//! The store on disk against the store in memory, and against everything that happens to files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cohobate::conversation::{
    Answer, AnswerTokens, ConversationKey, Digest, Fingerprint, Finish, Lane, Message, Role, ServiceTier, Settings,
    Slot, ToolCall, TopLogprobs, TurnIndex, Usage,
};
use cohobate::store::{
    ConversationState, Disk, DiskStore, Entry, FrameId, KeptAnswer, KeptStanding, LostCalls, MemoryStore, OnLoss,
    Opened, Reader, Run, Snapshot, Spending, Spent, StartId, Status, Store, StoreError,
};
use proptest::prelude::*;

pub fn hash(number: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes
}

pub fn answered(number: u32, conversation: u32, turn: u32, length: usize) -> Entry {
    let answer = Answer {
        message: Message::new(Role::Assistant, format!("answer {number} 🙂 ").repeat(1 + length / 12)),
        reasoning: number.is_multiple_of(3).then(|| "because".to_owned()),
        finish: if number.is_multiple_of(5) { Finish::Length } else { Finish::Complete },
        finish_reason: "stop".to_owned(),
        model: "m".to_owned(),
        system_fingerprint: None,
        usage: Usage { prompt_tokens: Some(10), completion_tokens: Some(5), ..Usage::default() },
        attempts: 1,
        dropped: Vec::new(),
        tokens: None,
    };
    Entry::Answered {
        run: 1,
        conversation: ConversationKey(hash(conversation)),
        slot: Slot::main(turn),
        fingerprint: Fingerprint(hash(number)),
        model: "m".to_owned(),
        answer: Arc::new(answer),
    }
}

fn run_entry(number: u32) -> Entry {
    let settings = Settings::default().with("recipe", "distill").with("temperature", number);
    Entry::Run(Run { number, started_ms: 1_700_000_000_000, settings, answers: 0 })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let status = prop_oneof![
        Just(Status::Complete),
        Just(Status::Stopped { turn: TurnIndex::from_index(1), reason: "length".into() }),
        Just(Status::Failed { turn: TurnIndex::FIRST, reason: "http_400: no".into(), permanent: true }),
    ];
    let entry = prop_oneof![
        6 => (0..40u32, 0..6u32, 0..5u32, 0..3_000usize).prop_map(|(n, c, t, l)| answered(n, c, t, l)),
        2 => (0..40u32, 0..6u32, 0..5u32).prop_map(|(number, conversation, turn)| Entry::Linked {
            conversation: ConversationKey(hash(conversation)),
            slot: Slot::main(turn),
            fingerprint: Fingerprint(hash(number)),
        }),
        1 => (0..6u32, status).prop_map(|(conversation, status)| Entry::Closed {
            conversation: ConversationKey(hash(conversation)),
            status,
        }),
        1 => (1..9u32).prop_map(run_entry),
    ];
    prop::collection::vec(entry, 1..60)
}

fn open(directory: &Path) -> (DiskStore, Opened) {
    // Small segments, so that a few entries already make several.
    DiskStore::open_with(directory, 8_000, Arc::new(Disk), &mut |_, _| {}).unwrap()
}

/// Everything that a reader can say.
fn all(reader: &dyn Reader) -> String {
    let mut states = BTreeMap::new();
    reader.for_each_state(&mut |key, state| drop(states.insert(key, state))).unwrap();
    let answers: Vec<_> = (0..40).map(|number| reader.answer(&Fingerprint(hash(number))).unwrap()).collect();
    let mut runs = reader.runs().unwrap();
    runs.sort_by_key(|run| run.number);
    runs.dedup();
    format!("{states:#?}\n{answers:#?}\n{runs:#?}\n{:#?}", reader.spending().unwrap())
}

fn journal_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory.join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_says_what_the_memory_says(entries in entries(), group in 1..7usize, damage in 0..5u8) {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        for (count, entries) in entries.chunks(group).enumerate() {
            let (store, _) = open(directory.path());
            store.commit(entries.to_vec()).unwrap();
            memory.commit(entries.to_vec()).unwrap();
            // Now and then it is closed in order, else just dropped.
            if count % 2 == 0 { store.close().unwrap() }
        }
        damage_index(directory.path(), damage);
        let looking = Snapshot::open(directory.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
        prop_assert_eq!(all(&looking), all(&memory));
        let (store, _) = open(directory.path());
        prop_assert_eq!(all(&store), all(&memory));
        let snapshot = Snapshot::read(directory.path()).unwrap();
        prop_assert_eq!(all(&snapshot), all(&memory));
    }
}

/// Does to the index what happens to files.
fn damage_index(directory: &Path, kind: u8) {
    let index = directory.join("index");
    match kind {
        1 => fs::remove_dir_all(&index).unwrap(),
        2 => {
            for file in fs::read_dir(&index).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
                fs::write(file, b"scribbled over").unwrap();
            }
        }
        3 => fs::write(index.join("db"), b"").unwrap(),
        4 => fs::write(directory.join("index.state"), "another boot").unwrap(),
        _ => {}
    }
}

/// A store with five answers of two conversations, closed in order.
fn five_answers() -> (tempfile::TempDir, MemoryStore) {
    let directory = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
    for number in 0..5 {
        let entry = answered(number, number % 2, number / 2, 100);
        store.commit(vec![entry.clone()]).unwrap();
        memory.commit(vec![entry]).unwrap();
    }
    store.close().unwrap();
    (directory, memory)
}

#[test]
fn a_journal_cut_at_any_byte_keeps_every_whole_answer() {
    let (directory, _) = five_answers();
    let path = journal_files(directory.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let starts: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"cohf")).collect();
    assert_eq!(starts.len(), 5);
    // The first segment's header is synced before anything is appended.
    for length in (0..=bytes.len()).filter(|length| *length == 0 || *length >= starts[0]) {
        fs::write(&path, &bytes[..length]).unwrap();
        // As after a crash of the machine in the first run: nothing says how far the journal was durable.
        fs::write(directory.path().join("index.state"), "another boot").unwrap();
        let (store, opened) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        let ends = starts[1..].iter().copied().chain([bytes.len()]);
        let whole = ends.filter(|end| *end <= length).count() as u32;
        for number in 0..5 {
            let is_there = store.answer(&Fingerprint(hash(number))).unwrap().is_some();
            assert_eq!(is_there, number < whole, "cut to {length} bytes, answer {number}");
        }
        let at_a_boundary = length == bytes.len() || starts.contains(&length);
        assert_eq!(opened.cut.is_none(), at_a_boundary || length == 0, "cut to {length} bytes: {opened:?}");
        assert!(opened.damages.is_empty(), "{opened:?}");
        // What is appended to a cut journal can be read again.
        store.commit(vec![answered(9, 0, 9, 10)]).unwrap();
        assert!(store.answer(&Fingerprint(hash(9))).unwrap().is_some());
        store.close().unwrap();
    }
}

#[test]
fn a_flipped_byte_costs_its_own_answer_and_no_other() {
    let (directory, _) = five_answers();
    let path = journal_files(directory.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let starts: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"cohf")).collect();
    let state = fs::read(directory.path().join("index.state")).unwrap();
    for at in (starts[1]..starts[2]).step_by(3) {
        fs::write(directory.path().join("index.state"), &state).unwrap();
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        fs::write(&path, &damaged).unwrap();
        let expected = |number| number != 1;
        let check = |store: &DiskStore, what: &str| {
            for number in 0..5 {
                let is_there = store.answer(&Fingerprint(hash(number))).unwrap().is_some();
                assert_eq!(is_there, expected(number), "byte {at} flipped, {what}, answer {number}");
            }
        };
        // With the index from before, and with one that is built anew.
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        check(&store, "old index");
        store.close().unwrap();
        fs::remove_dir_all(directory.path().join("index")).unwrap();
        let (store, opened) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        check(&store, "new index");
        assert_eq!(opened.damages.len(), 1);
        assert!(opened.rebuilt.is_some());
        // The answer that is got anew takes the place of the damaged one, for good.
        store.commit(vec![answered(1, 1, 0, 100)]).unwrap();
        assert!(store.answer(&Fingerprint(hash(1))).unwrap().is_some());
        store.close().unwrap();
        let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
        assert!(store.answer(&Fingerprint(hash(1))).unwrap().is_some());
        store.close().unwrap();
    }
}

#[test]
fn a_second_process_is_told_who_holds_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let (_store, _) = open(directory.path());
    match DiskStore::open(directory.path(), &mut |_, _| {}) {
        Err(StoreError::Locked { holder, .. }) => {
            assert!(holder.starts_with(&format!("{} on host ", std::process::id())), "{holder}");
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn a_store_of_format_version_1_opens_for_ever() {
    let directory = opened_frozen("store-v1", frozen_entries());
    let (store, _) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
    insta::assert_snapshot!(all(&store));
}

#[test]
fn a_store_of_format_version_2_opens_for_ever() {
    opened_frozen("store-v2", newer_frozen_entries());
}

/// The first one whose segments have headers that name them and the segment before.
#[test]
fn a_store_with_segments_of_version_2_opens_for_ever() {
    let directory = opened_frozen("store-v3", newer_frozen_entries());
    assert!(journal_files(directory.path()).len() > 3);
}

/// The first one with token ids, log-probabilities and calls to tools.
#[test]
fn a_store_with_tokens_and_calls_opens_for_ever() {
    opened_frozen("store-v4", frozen_entries_with_tokens());
}

/// The first one with answers of other stores.
#[test]
fn a_store_that_others_were_merged_into_opens_for_ever() {
    opened_frozen("store-v5", frozen_entries_of_several_stores());
}

/// Opens a frozen store, checks that it holds these entries, and returns where its copy is.
fn opened_frozen(name: &str, entries: Vec<Entry>) -> tempfile::TempDir {
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("journal");
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("journal")).unwrap();
    for file in fs::read_dir(frozen).unwrap().map(|file| file.unwrap()) {
        fs::copy(file.path(), directory.path().join("journal").join(file.file_name())).unwrap();
    }
    let (store, opened) = DiskStore::open(directory.path(), &mut |_, _| {}).unwrap();
    assert!(opened.damages.is_empty() && opened.cut.is_none(), "{opened:?}");
    let memory = MemoryStore::new();
    memory.commit(entries).unwrap();
    assert_eq!(all(&store), all(&memory));
    store.close().unwrap();
    directory
}

/// What stands in `fixtures/store-v1`.
fn frozen_entries() -> Vec<Entry> {
    let conversation = ConversationKey(hash(1));
    vec![
        run_entry(1),
        answered(1, 1, 0, 10),
        answered(3, 1, 1, 2_000),
        answered(5, 2, 0, 10),
        Entry::Linked {
            conversation: ConversationKey(hash(2)),
            slot: Slot::main(1),
            fingerprint: Fingerprint(hash(3)),
        },
        Entry::Closed { conversation, status: Status::Complete },
        Entry::Closed {
            conversation: ConversationKey(hash(2)),
            status: Status::Stopped { turn: TurnIndex::FIRST, reason: "length".into() },
        },
        answered(6, 3, 0, 10),
        Entry::Closed {
            conversation: ConversationKey(hash(3)),
            status: Status::Failed { turn: TurnIndex::from_index(1), reason: "http_400: no".into(), permanent: true },
        },
    ]
}

/// What is in `fixtures/store-v2`: the same, and what only records of version 2 hold: tokens that were written to a
/// server's cache, fields that were not sent, an answer of the flex tier, and lost calls.
fn newer_frozen_entries() -> Vec<Entry> {
    let mut entries = frozen_entries();
    let mut cached = answered(7, 4, 0, 10);
    if let Entry::Answered { answer, .. } = &mut cached {
        Arc::make_mut(answer).usage.cache_write_tokens = Some(6);
    }
    let mut adjusted = answered(8, 5, 0, 11);
    if let Entry::Answered { answer, .. } = &mut adjusted {
        Arc::make_mut(answer).dropped = vec!["seed".to_owned(), "max_tokens above 16384".to_owned()];
    }
    let lost = LostCalls { calls: 2, reason: "http_504: the gateway gave up".to_owned() };
    let mut flex = answered(10, 6, 0, 12);
    if let Entry::Answered { answer, .. } = &mut flex {
        Arc::make_mut(answer).usage.tier = ServiceTier::Flex;
    }
    entries.extend([cached, adjusted, flex, Entry::Lost { fingerprint: Fingerprint([9; 32]), lost }]);
    entries
}

/// What is in `fixtures/store-v4`: the same, and what only records of version 3 hold: the tokens of two turns, of which the
/// second leans on the first, log-probabilities, and a call to a tool.
fn frozen_entries_with_tokens() -> Vec<Entry> {
    let mut entries = newer_frozen_entries();
    let (prompt, completion): (Vec<u32>, Vec<u32>) = ((0..40).collect(), vec![7, 300, 151_643, u32::MAX]);
    let sequence = [&prompt[..], &completion].concat();
    let first = AnswerTokens::whole(prompt, completion);
    let top = TopLogprobs { count: 2, sampled: vec![512], ids: vec![9, TopLogprobs::NO_TOKEN], steps: vec![3, 65_535] };
    let next =
        AnswerTokens::whole([&sequence[..], &[1, 2, 3]].concat(), vec![9]).after(Fingerprint(hash(11)), &sequence);
    let next = AnswerTokens { logprobs: Some(top), ..next };
    assert!(next.prompt.shared.is_some());
    for (question, turn, tokens) in [(11, 0, first), (12, 1, next)] {
        let mut entry = answered(question, 7, turn, 10);
        if let Entry::Answered { answer, .. } = &mut entry {
            Arc::make_mut(answer).tokens = Some(Arc::new(tokens));
        }
        entries.push(entry);
    }
    let mut calling = answered(13, 8, 0, 10);
    if let Entry::Answered { answer, .. } = &mut calling {
        let call = ToolCall { id: "c1".to_owned(), name: "tide".to_owned(), arguments: "{\"at\":6}".to_owned() };
        Arc::make_mut(answer).message = Message::with_fields(Role::Assistant, "", ToolCall::fields(&[call]));
    }
    let asked = Slot { lane: Lane::Tool, turn: 0, attempt: 0 };
    let linked =
        Entry::Linked { conversation: ConversationKey(hash(8)), slot: asked, fingerprint: Fingerprint(hash(1)) };
    entries.extend([calling, linked]);
    entries
}

/// What is in `fixtures/store-v5`: the same, and what only records of version 4 hold: a start, and what comes from other stores.
fn frozen_entries_of_several_stores() -> Vec<Entry> {
    let mut entries = frozen_entries_with_tokens();
    let (own, other) = (StartId([1; 16]), StartId([2; 16]));
    let kept = |number: u32, standing| {
        let Entry::Answered { run, conversation, slot, fingerprint, model, answer } = answered(number, 9, 0, 10) else {
            unreachable!()
        };
        let kept = KeptAnswer { start: other, standing, run, conversation, slot, fingerprint, model, answer };
        Entry::Kept(Box::new(kept))
    };
    let spent = Spent { calls: 3, prompt_tokens: 30, unknown_calls: 1, ..Spent::default() };
    let history = vec![(Slot::main(0), Fingerprint(hash(14)))];
    let state = ConversationState { history, cursor: 1, status: Status::Complete };
    let replaced = FrameId { record: Digest([3; 32]), start: own };
    entries.extend([
        Entry::Start(own),
        run_entry(2),
        answered(15, 10, 0, 10),
        Entry::KeptSpending { start: other, spending: Spending::from([("m".to_owned(), spent)]) },
        Entry::KeptRun { start: other, run: Run { number: 1, started_ms: 5, ..Run::default() } },
        kept(14, KeptStanding::Used),
        kept(14, KeptStanding::Unused),
        kept(15, KeptStanding::InPlaceOf(replaced)),
        Entry::KeptState { conversation: ConversationKey(hash(9)), state },
        Entry::Settled,
    ]);
    entries
}

/// Writes the frozen store of the current version; run once for each version, by hand:
/// `COHOBATE_FREEZE=fixtures/store-vN cargo test freeze`.
#[test]
fn freeze() {
    let Some(path) = std::env::var_os("COHOBATE_FREEZE") else { return };
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = DiskStore::open_with(directory.path(), 300, Arc::new(Disk), &mut |_, _| {}).unwrap();
    for entry in frozen_entries_of_several_stores() {
        store.commit(vec![entry]).unwrap();
    }
    store.close().unwrap();
    let to = PathBuf::from(path).join("journal");
    fs::create_dir_all(&to).unwrap();
    for file in journal_files(directory.path()) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}
