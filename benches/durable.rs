//! Group commit against a bare loop of append and `fdatasync` over the same answers in the same groups on the same disk;
//! once with the answers as they are, once with each compressed as the journal does it. Where the disk is so fast that
//! the second is far from the first, the processor is the limit and not the disk.
//!
//! `cargo bench --bench durable -- [DIRECTORY]` (default: the target directory). The directory's disk is measured.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::fs::File;
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
    println!("answers of {ANSWER_BYTES} bytes, durable a second; waits in ms");
    println!(
        "{:>8}{:>10}{:>12}{:>8}{:>14}{:>8}{:>13}{:>11}",
        "waiting", "store", "bare", "ratio", "bare, zstd", "ratio", "median wait", "fdatasync"
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
    let (bare, sync) = bare_loop(&place.join("bare"), &groups, &mut |answer, out| out.extend_from_slice(answer));
    let mut compressor = zstd::bulk::Compressor::new(1).expect("level 1");
    let (compressing, _) = bare_loop(&place.join("compressed"), &groups, &mut |answer, out| {
        out.extend(compressor.compress(answer).expect("memory"));
    });
    let rate = |time: Duration| ENTRIES as f64 / time.as_secs_f64();
    println!(
        "{waiting:>8}{:>10.0}{:>12.0}{:>6.0} %{:>14.0}{:>6.0} %{:>13.2}{:>11.2}",
        rate(elapsed),
        rate(bare),
        100.0 * rate(elapsed) / rate(bare),
        rate(compressing),
        100.0 * rate(elapsed) / rate(compressing),
        median(waits).as_secs_f64() * 1e3,
        sync.as_secs_f64() * 1e3,
    );
}

/// Appends and syncs group by group. Returns the time for all and the median time of one append and sync.
fn bare_loop(path: &Path, groups: &[usize], write: &mut dyn FnMut(&[u8], &mut Vec<u8>)) -> (Duration, Duration) {
    let answers: Vec<String> = (0..ENTRIES).map(text).collect();
    let mut answers = answers.iter();
    let mut file = File::create(path).expect("a file");
    let (mut syncs, mut buffer) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for group in groups {
        buffer.clear();
        answers.by_ref().take(*group).for_each(|answer| write(answer.as_bytes(), &mut buffer));
        let began = Instant::now();
        file.write_all(&buffer).expect("a write");
        file.sync_data().expect("a sync");
        syncs.push(began.elapsed());
    }
    (started.elapsed(), median(syncs))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Words, so that compression finds what it finds in real answers.
fn text(number: usize) -> String {
    const WORDS: [&str; 11] =
        ["the", "harbor", "was", "quiet", "when", "morning", "came", "and", "nobody", "asked", "why"];
    let mut dice = Dice::new("text", &number.to_le_bytes());
    let mut text = String::new();
    while text.len() < ANSWER_BYTES {
        let bits = dice.next_bits();
        let _ = write!(text, "{} {} {} ", WORDS[bits as usize % 11], WORDS[(bits >> 8) as usize % 11], bits >> 50);
    }
    text
}

fn entry(number: usize) -> Entry {
    let mut dice = Dice::new("entry", &number.to_le_bytes());
    let mut hash = || -> [u8; 32] { std::array::from_fn(|_| dice.next_bits() as u8) };
    let (conversation, fingerprint) = (ConversationKey(hash()), Fingerprint(hash()));
    let answer = Answer {
        message: Message::new(Role::Assistant, text(number)),
        reasoning: None,
        finish: Finish::Complete,
        finish_reason: "stop".to_owned(),
        model: "teacher".to_owned(),
        system_fingerprint: None,
        usage: Usage::default(),
        attempts: 1,
        dropped: Vec::new(),
        tokens: None,
    };
    let (slot, model) = (Slot::main(0), "teacher".to_owned());
    Entry::Answered { run: 1, conversation, slot, fingerprint, model, answer: Arc::new(answer) }
}
