//! Who only looks keeps no run from starting, and changes no byte of journal and index.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use cohobate::conversation::Fingerprint;
use cohobate::store::{DiskStore, OnLoss, Reader, Snapshot, Store, verify};

use crate::losses::{known, several_segments};
use crate::store_on_disk::{answered, hash};
use crate::support::{MockServer, Place, conversation, files_below, jsonl};

/// A command that has opened the store and waits for the end of its standard input.
struct Waiting {
    child: Child,
    input: ChildStdin,
}

impl Waiting {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let before = spools(place).len();
        let mut command = place.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(place.read("in.jsonl").as_bytes()).unwrap();
        // The store is opened before the input is spooled.
        while spools(place).len() == before {
            assert!(child.try_wait().unwrap().is_none(), "{arguments:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self { child, input }
    }

    fn end(self) -> (Option<i32>, String) {
        drop(self.input);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

/// The spools of inputs; copies of an index are in directories like theirs.
fn spools(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.path(".cohobate/spool")).into_iter().flatten().flatten();
    let is_spool = |path: &PathBuf| path.join("lock").exists() && !path.join("index").exists();
    entries.map(|entry| entry.path()).filter(is_spool).collect()
}

/// Everything in a store that a reader must leave alone.
fn bytes_of(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(store).into_iter().filter(|path| {
        !["spool", "rows", "control.sock"].iter().any(|name| path.strip_prefix(store).unwrap().starts_with(name))
    });
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_run_that_starts_while_others_look_is_not_kept_from_it() {
    let (place, server) = (Place::with_conversations(6, 3), MockServer::start(&[]));
    let model = server.model();
    let asked = ["--teacher", &model];
    place.complete(&[&["distill", "in.jsonl", "-o", "out.jsonl"], &asked[..]].concat());
    place.write("more.jsonl", jsonl(&[conversation("boats", 4)]));
    let looking = [
        Waiting::start(&place, &[&["plan", "-"], &asked[..]].concat()),
        Waiting::start(&place, &[&["export", "-", "-o", "first.jsonl"], &asked[..]].concat()),
        Waiting::start(&place, &[&["export", "-", "-o", "second.jsonl"], &asked[..]].concat()),
        Waiting::start(&place, &[&["verify", "-", "-o", "out.jsonl"], &asked[..]].concat()),
    ];
    let statuses: Vec<Child> = (0..6)
        .map(|_| place.command(&["status"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    place.complete(&[&["distill", "more.jsonl", "-o", "more-out.jsonl"], &asked[..]].concat());
    assert_eq!(server.count("requests"), 18 + 4);
    for mut status in statuses {
        assert_eq!(status.wait().unwrap().code(), Some(0));
    }
    for looking in looking {
        let (code, stderr) = looking.end();
        assert_eq!(code, Some(0), "{stderr}");
    }
    for name in ["first.jsonl", "second.jsonl"] {
        assert_eq!(place.read(name), place.read("out.jsonl"), "{name}");
    }
    assert_eq!(server.count("requests"), 18 + 4, "nobody else asks");
    place.complete(&["verify"]);
}

/// Does something to a store, so that a writer would repair, rebuild or cut.
type Harm = (&'static str, fn(&Path), bool);

/// With whether answers are gone with it.
const HARMS: &[Harm] = &[
    ("nothing", |_| {}, false),
    (
        "an index that another boot left open",
        |store| fs::write(store.join("index.state"), "another boot").unwrap(),
        false,
    ),
    ("no index", |store| fs::remove_dir_all(store.join("index")).unwrap(), false),
    ("an index with a flipped byte", |store| flip(&store.join("index/db"), 100), false),
    (
        "a torn tail",
        |store| {
            fs::write(store.join("index.state"), "another boot").unwrap();
            let last = files_below(&store.join("journal")).into_iter().max().unwrap();
            fs::File::options().append(true).open(last).unwrap().write_all(b"cohf\x01\x00 torn").unwrap();
        },
        false,
    ),
    (
        "a damaged frame",
        |store| {
            let first = files_below(&store.join("journal")).into_iter().min().unwrap();
            let length = fs::metadata(&first).unwrap().len() as usize;
            flip(&first, length / 2);
        },
        true,
    ),
];

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x41;
    fs::write(path, bytes).unwrap();
}

#[test]
fn looking_leaves_every_byte_of_journal_and_index() {
    for (what, harm, loses) in HARMS {
        let place = Place::with_conversations(4, 3);
        let line = ["in.jsonl", "--teacher=simulated", "-o=out.jsonl"];
        place.complete(&[&["distill"], &line[..]].concat());
        let store = place.path(".cohobate");
        harm(&store);
        let before = bytes_of(&store);
        for command in [
            &["status"][..],
            &["verify"],
            &["plan", "in.jsonl", "--teacher=simulated"],
            &["export", "in.jsonl", "--teacher=simulated", "-o=again.jsonl"],
        ] {
            let finished = place.run(command);
            let codes: &[i32] = if *loses { &[0, 3, 4] } else { &[0] };
            assert!(codes.contains(&finished.code.unwrap()), "{what}, {command:?}: {}", finished.stderr);
            let after = bytes_of(&store);
            assert!(before.keys().eq(after.keys()), "{what}, {command:?}: {:?}", after.keys());
            for (path, bytes) in &before {
                assert!(after[path] == *bytes, "{what}, {command:?}: {}", path.display());
            }
        }
        if !loses {
            assert_eq!(place.read("again.jsonl"), place.read("out.jsonl"), "{what}");
        }
        assert!(fs::read_dir(store.join("spool")).unwrap().next().is_none(), "{what}: a copy is left over");
    }
}

#[test]
fn after_a_kill_the_index_is_read_and_left_open() {
    let (place, server) = (Place::with_conversations(8, 3), MockServer::start(&["--latency", "20"]));
    let model = server.model();
    let line = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl", "--concurrency=2"];
    assert!(place.kill_at(&line, &server, 9));
    let store = place.path(".cohobate");
    let before = bytes_of(&store);
    assert!(fs::read_to_string(store.join("index.state")).unwrap().starts_with("open "));
    let status = place.complete(&["status"]);
    assert!(status.stderr.is_empty(), "the index of a dead run is as good as a closed one: {}", status.stderr);
    let plan = place.complete(&["plan", "in.jsonl", "--teacher", &model]);
    assert!(plan.stdout.contains("answered") && plan.stderr.is_empty(), "{}", plan.stderr);
    assert!(bytes_of(&store) == before);
    let answered = server.count("requests");
    place.complete(&line);
    assert!(server.count("requests") - answered <= 24 - 7, "what was answered is not asked again");
}

#[test]
fn a_snapshot_says_what_it_found_and_why_it_reads_the_journal() {
    let place = tempfile::tempdir().unwrap();
    several_segments(place.path());
    let open = || Snapshot::open(place.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
    let first = open();
    assert!(first.findings().without_index.is_none(), "{:?}", first.findings());
    // Two at once, and a writer beside them.
    let second = open();
    let (store, _) = DiskStore::open(place.path(), &mut |_, _| {}).unwrap();
    let during = open();
    let reason = during.findings().without_index.clone().unwrap();
    assert!(reason.contains(&format!("in use by process {}", std::process::id())), "{reason}");
    store.commit(vec![answered(900, 1, 1, 10)]).unwrap();
    store.close().unwrap();
    for snapshot in [first, second, during] {
        assert_eq!(known(&snapshot), 60);
        assert!(snapshot.answer(&Fingerprint(hash(900))).unwrap().is_none(), "it shows one moment");
    }
    assert!(open().answer(&Fingerprint(hash(900))).unwrap().is_some());
    flip(&files_below(&place.path().join("journal")).into_iter().min().unwrap(), 500);
    fs::remove_dir_all(place.path().join("index")).unwrap();
    let damaged = open();
    assert_eq!(damaged.findings().damages.len(), 1);
    assert_eq!(known(&damaged), 59);
}

#[test]
fn an_index_that_lags_behind_a_journal_is_brought_up_to_date_in_the_copy_alone() {
    let (behind, ahead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    several_segments(behind.path());
    crate::support::copy_directory(behind.path(), ahead.path());
    let (store, _) = DiskStore::open(ahead.path(), &mut |_, _| {}).unwrap();
    store.commit(vec![answered(900, 1, 1, 10)]).unwrap();
    store.close().unwrap();
    // As after a backup of the journal alone was put back.
    fs::remove_dir_all(behind.path().join("journal")).unwrap();
    crate::support::copy_directory(&ahead.path().join("journal"), &behind.path().join("journal"));
    let before = bytes_of(behind.path());
    let snapshot = Snapshot::open(behind.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
    assert!(snapshot.findings().without_index.is_none(), "{:?}", snapshot.findings());
    assert!(snapshot.answer(&Fingerprint(hash(900))).unwrap().is_some());
    assert_eq!(known(&snapshot), 60);
    assert!(bytes_of(behind.path()) == before);
}

#[test]
fn a_frame_that_moved_is_found_by_a_reader() {
    let place = tempfile::tempdir().unwrap();
    several_segments(place.path());
    let segment = &crate::losses::segments(place.path())[0];
    let (bytes, frames) = (fs::read(segment).unwrap(), crate::losses::frames(segment));
    let moved = [&bytes[..frames[0]], &bytes[frames[1]..], &bytes[frames[0]..frames[1]]].concat();
    fs::write(segment, moved).unwrap();
    let snapshot = Snapshot::open(place.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
    assert!(snapshot.findings().without_index.is_none(), "{:?}", snapshot.findings());
    assert_eq!(known(&snapshot), 60);
}

#[test]
fn a_loss_is_read_around_where_that_is_wanted_and_never_accepted() {
    let place = Place::with_conversations(4, 3);
    let line = ["in.jsonl", "--teacher=simulated", "-o=out.jsonl"];
    place.complete(&[&["distill"], &line[..]].concat());
    let segment = place.path(".cohobate/journal/00000001.journal");
    let frames = crate::losses::frames(&segment);
    fs::File::options().write(true).open(&segment).unwrap().set_len(frames[frames.len() / 2] as u64).unwrap();
    let before = bytes_of(&place.path(".cohobate"));
    for command in [&["status"][..], &["export", "in.jsonl", "--teacher=simulated", "-o=cut.jsonl"]] {
        let refused = place.run(command);
        assert_eq!(refused.code, Some(4), "{command:?}: {}", refused.stderr);
        let read = place.run(&[command, &["--accept-loss"]].concat());
        assert!(matches!(read.code, Some(0 | 3)), "{command:?}: {}", read.stderr);
        assert!(read.stderr.contains("reading without what is lost: the index knows of"), "{}", read.stderr);
        assert!(bytes_of(&place.path(".cohobate")) == before, "{command:?}");
    }
    assert!(place.exists("cut.jsonl.incomplete.jsonl"));
    assert_eq!(place.run(&[&["distill"], &line[..]].concat()).code, Some(4), "the loss is not accepted");
}

#[test]
fn a_store_without_room_for_a_copy_is_read_from_elsewhere() {
    let place = tempfile::tempdir().unwrap();
    several_segments(place.path());
    // Nothing can be created in it, whoever asks.
    fs::write(place.path().join("spool"), "").unwrap();
    let snapshot = Snapshot::open(place.path(), OnLoss::Refuse, &mut |_, _| {}).unwrap();
    assert!(snapshot.findings().without_index.is_none(), "{:?}", snapshot.findings());
    assert_eq!(known(&snapshot), 60);
    let found = verify(place.path()).unwrap();
    assert!(found.distrusted.is_none() && found.disagreements.is_empty(), "{found:?}");
}
