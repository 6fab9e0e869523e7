//! Group commit against a bare loop of append and `fdatasync` over the same bytes in the same groups on the same disk.
//!
//! `cargo bench --bench durable -- [DIRECTORY]` (default: the target directory). The directory's disk is measured.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cohobate::conversation::{Answer, ConversationKey, Dice, Fingerprint, Finish, Message, Role, Slot, Usage};
use cohobate::store::{DiskStore, Entry, Store};

const ENTRIES: usize = 100_000;
const ANSWER_BYTES: usize = 1_024;

fn main() {
    let directory = std::env::args().skip(1).find(|argument| argument != "--bench");
    let directory = directory.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    println!(
        "{:>8}{:>14}{:>14}{:>9}{:>14}{:>14}{:>8}",
        "waiting", "store /s", "bare /s", "ratio", "wait, median", "fdatasync", "ratio"
    );
    for waiting in [64, 1_000, 4_096] {
        let place = tempfile::tempdir_in(&directory).expect("a directory that can be written");
        compare(place.path(), waiting);
    }
}

/// `waiting` clients hand in an answer each and wait for it to be durable before they hand in the next.
fn compare(place: &Path, waiting: usize) {
    let entries: Vec<Entry> = (0..ENTRIES).map(entry).collect();
    let (store, _) = DiskStore::open(&place.join("store"), &mut |_, _| {}).expect("a new store");
    let store = Arc::new(store);
    let (hand_in, arrivals) = channel::<(usize, Instant, Entry)>();
    let (acknowledge, acknowledged) = channel::<(usize, Instant)>();
    let committer = std::thread::spawn({
        let store = Arc::clone(&store);
        move || {
            let mut groups = Vec::new();
            while let Ok(first) = arrivals.recv() {
                let group: Vec<_> = std::iter::once(first).chain(arrivals.try_iter()).collect();
                groups.push(group.len());
                let (clients, entries): (Vec<_>, Vec<_>) =
                    group.into_iter().map(|(client, since, entry)| ((client, since), entry)).unzip();
                store.commit(entries).expect("a commit");
                for client in clients {
                    let _ = acknowledge.send(client);
                }
            }
            groups
        }
    });
    let mut entries = entries.into_iter();
    let started = Instant::now();
    for client in 0..waiting {
        entries.by_ref().take(1).for_each(|entry| drop(hand_in.send((client, Instant::now(), entry))));
    }
    let mut waits = Vec::new();
    while waits.len() < ENTRIES {
        let (client, since) = acknowledged.recv().expect("the committer lives");
        waits.push(since.elapsed());
        entries.by_ref().take(1).for_each(|entry| drop(hand_in.send((client, Instant::now(), entry))));
    }
    let elapsed = started.elapsed();
    drop(hand_in);
    let groups = committer.join().expect("no panic");
    let bytes = journal_bytes(&place.join("store/journal"));
    let (bare, sync) = bare_loop(&place.join("bare"), bytes, &groups);
    let wait = median(waits);
    println!(
        "{waiting:>8}{:>14.0}{:>14.0}{:>8.0} %{:>11.2} ms{:>11.2} ms{:>8.1}",
        ENTRIES as f64 / elapsed.as_secs_f64(),
        ENTRIES as f64 / bare.as_secs_f64(),
        100.0 * bare.as_secs_f64() / elapsed.as_secs_f64(),
        wait.as_secs_f64() * 1e3,
        sync.as_secs_f64() * 1e3,
        wait.as_secs_f64() / sync.as_secs_f64()
    );
}

/// Appends `bytes` in as many pieces as there were groups, each in proportion to its group. Returns the time for all
/// and the median time of a sync with its append.
fn bare_loop(path: &Path, bytes: u64, groups: &[usize]) -> (Duration, Duration) {
    let mut file = File::create(path).expect("a file");
    let mut dice = Dice::new("bytes", b"");
    let noise: Vec<u8> = (0..1 << 17).flat_map(|_| dice.next_bits().to_le_bytes()).collect();
    let mut syncs = Vec::new();
    let started = Instant::now();
    for group in groups {
        let began = Instant::now();
        let mut left = bytes * *group as u64 / ENTRIES as u64;
        while left > 0 {
            let piece = left.min(noise.len() as u64) as usize;
            file.write_all(&noise[..piece]).expect("a write");
            left -= piece as u64;
        }
        file.sync_data().expect("a sync");
        syncs.push(began.elapsed());
    }
    (started.elapsed(), median(syncs))
}

fn journal_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).expect("a journal");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).expect("a segment").len()).sum()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn entry(number: usize) -> Entry {
    let mut dice = Dice::new("entry", &number.to_le_bytes());
    let mut hash = || -> [u8; 32] { std::array::from_fn(|_| dice.next_bits() as u8) };
    let (conversation, fingerprint) = (ConversationKey(hash()), Fingerprint(hash()));
    // Words, so that compression finds what it finds in real answers.
    let words = ["the", "harbor", "was", "quiet", "when", "morning", "came", "and", "nobody", "asked", "why"];
    let mut text = String::new();
    while text.len() < ANSWER_BYTES {
        let _ = write!(text, "{} {} ", words[dice.below(words.len())], dice.below(10_000));
    }
    let answer = Answer {
        message: Message::new(Role::Assistant, text),
        reasoning: None,
        finish: Finish::Complete,
        finish_reason: "stop".to_owned(),
        model: "teacher".to_owned(),
        system_fingerprint: None,
        usage: Usage::default(),
        attempts: 1,
    };
    let (slot, model) = (Slot::main(0), "teacher".to_owned());
    Entry::Answered { run: 1, conversation, slot, fingerprint, model, answer: Arc::new(answer) }
}
