//! Parts of a journal that are gone are named, never asked for again without a word; what only moved is found again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cohobate::conversation::Fingerprint;
use cohobate::store::{Disk, DiskStore, Reader, Snapshot, Store, StoreError, accept_losses, verify};

use crate::store_on_disk::{answered, hash};
use crate::support::{MockServer, Place, conversation, copy_directory, jsonl};

const ANSWERS: u32 = 60;

fn open(directory: &Path) -> Result<DiskStore, StoreError> {
    DiskStore::open_with(directory, 1_500, Arc::new(Disk), &mut |_, _| {}).map(|(store, _)| store)
}

/// A store of several segments, closed in order.
pub fn several_segments(directory: &Path) {
    let store = open(directory).unwrap();
    for group in (0..ANSWERS).collect::<Vec<_>>().chunks(3) {
        store.commit(group.iter().map(|number| answered(*number, number % 7, number / 7, 700)).collect()).unwrap();
    }
    store.close().unwrap();
    assert!(segments(directory).len() >= 4, "{:?}", segments(directory));
}

pub fn segments(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("journal")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "journal")).collect();
    files.sort();
    files
}

/// Returns where the frames of a segment begin, and its end.
pub fn frames(segment: &Path) -> Vec<usize> {
    let bytes = fs::read(segment).unwrap();
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"cohf")).chain([bytes.len()]).collect()
}

pub fn known(store: &dyn Reader) -> u32 {
    (0..ANSWERS).filter(|number| store.answer(&Fingerprint(hash(*number))).unwrap().is_some()).count() as u32
}

fn cut_last_frame(segment: &Path) {
    let frames = frames(segment);
    fs::File::options().write(true).open(segment).unwrap().set_len(frames[frames.len() - 2] as u64).unwrap();
}

/// Does something to a store. `None` stands for a journal that went as a whole.
type Harm = (&'static str, fn(&Path), &'static str);

const HARMS: &[Harm] = &[
    ("a middle segment", |store| fs::remove_file(&segments(store)[1]).unwrap(), "segment 2 is missing"),
    ("the first segment", |store| fs::remove_file(&segments(store)[0]).unwrap(), "segment 1 is missing"),
    (
        "the last segment",
        |store| fs::remove_file(segments(store).last().unwrap()).unwrap(),
        "the index knows of answers up to byte",
    ),
    ("a closed segment cut between frames", |store| cut_last_frame(&segments(store)[1]), "segment 2 has "),
    (
        "the last segment cut between frames",
        |store| cut_last_frame(segments(store).last().unwrap()),
        "the index knows of answers up to byte",
    ),
    (
        "the last segment cut, and no index",
        |store| {
            cut_last_frame(segments(store).last().unwrap());
            fs::remove_dir_all(store.join("index")).unwrap();
        },
        "the index knows of answers up to byte",
    ),
    (
        "two segments swapped",
        |store| {
            let segments = segments(store);
            fs::rename(&segments[1], store.join("aside")).unwrap();
            fs::rename(&segments[2], &segments[1]).unwrap();
            fs::rename(store.join("aside"), &segments[2]).unwrap();
        },
        "the file of segment 2 contains segment 3; the file of segment 3 contains segment 2",
    ),
    ("the whole journal", |store| fs::remove_dir_all(store.join("journal")).unwrap(), "the index knows of answers"),
];

#[test]
fn whatever_is_gone_stops_everything_and_is_named_until_it_is_accepted() {
    let whole = tempfile::tempdir().unwrap();
    several_segments(whole.path());
    for (what, harm, named) in HARMS {
        let place = tempfile::tempdir().unwrap();
        copy_directory(whole.path(), place.path());
        harm(place.path());
        for round in 0..2 {
            let error = open(place.path()).map(|_| ()).unwrap_err();
            assert!(matches!(error, StoreError::Lost { .. }), "{what}, {round}: {error}");
            assert!(error.to_string().contains(named), "{what}, {round}: {error}");
        }
        if place.path().join("journal").exists() {
            assert!(Snapshot::read(place.path()).is_err(), "{what}");
        }
        let found = verify(place.path()).unwrap();
        assert!(!found.losses.is_empty(), "{what}");
        let accepted = accept_losses(place.path()).unwrap();
        assert!(!accepted.is_empty(), "{what}");
        let store = open(place.path()).unwrap();
        let kept = known(&store);
        assert!(kept < ANSWERS || what.contains("swapped"), "{what}: {kept}");
        store.commit(vec![answered(900, 1, 1, 10)]).unwrap();
        store.close().unwrap();
        let found = verify(place.path()).unwrap();
        assert_eq!((found.losses, found.damages), (vec![], vec![]), "{what}");
        assert_eq!(known(&open(place.path()).unwrap()), kept, "{what}");
    }
}

#[test]
fn a_run_over_an_incomplete_store_stops_with_4_until_the_loss_is_accepted() {
    let (place, server) = (Place::new(), MockServer::start(&[]));
    place.write("in.jsonl", jsonl(&[conversation("kites", 6), conversation("boats", 6)]));
    let model = server.model();
    let run = ["distill", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"];
    place.complete(&run);
    let expected = place.read("out.jsonl");
    let segment = place.path(".cohobate/journal/00000001.journal");
    let frames = frames(&segment);
    fs::File::options().write(true).open(&segment).unwrap().set_len(frames[frames.len() / 2] as u64).unwrap();
    for command in [&run[..], &["export", "in.jsonl", "--teacher", &model, "-o", "out.jsonl"], &["status"], &["verify"]]
    {
        let finished = place.run(command);
        assert_eq!(finished.code, Some(4), "{command:?}: {}", finished.stderr);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains("the index knows of answers") && said.contains("--accept-loss"), "{said}");
    }
    assert_eq!(server.count("requests"), 12, "nothing is asked again without a word");
    let finished = place.complete(&[&run[..], &["--accept-loss"]].concat());
    assert!(finished.stderr.contains("accepted as lost: the index knows of answers"), "{}", finished.stderr);
    assert_eq!(place.read("out.jsonl"), expected);
    place.complete(&["verify"]);
}

#[test]
fn a_loss_is_known_after_a_kill_in_the_same_boot() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    store.commit((0..9).map(|number| answered(number, 1, number, 700)).collect()).unwrap();
    store.settle();
    // A kill: nothing is closed.
    drop(store);
    cut_last_frame(segments(place.path()).last().unwrap());
    assert!(matches!(open(place.path()).map(|_| ()), Err(StoreError::Lost { .. })));
    // Also when the machine has been started again since.
    let state = fs::read_to_string(place.path().join("index.state")).unwrap();
    assert!(state.starts_with("closed "), "{state}");
    assert!(matches!(open(place.path()).map(|_| ()), Err(StoreError::Lost { .. })));
}

#[test]
fn a_frame_that_moved_is_found_again() {
    let place = tempfile::tempdir().unwrap();
    several_segments(place.path());
    let segment = &segments(place.path())[0];
    let (bytes, frames) = (fs::read(segment).unwrap(), frames(segment));
    // The first frame goes to the end: all of them stand elsewhere, and the length is the same.
    let moved = [&bytes[..frames[0]], &bytes[frames[1]..], &bytes[frames[0]..frames[1]]].concat();
    fs::write(segment, moved).unwrap();
    let store = open(place.path()).unwrap();
    assert_eq!(known(&store), ANSWERS);
    store.close().unwrap();
    let found = verify(place.path()).unwrap();
    assert_eq!(found.losses.len(), 1, "the segment's contents are others than when it was closed: {:?}", found.losses);
}

#[test]
fn a_damaged_last_frame_is_damage_and_no_torn_tail() {
    let place = tempfile::tempdir().unwrap();
    several_segments(place.path());
    let last = segments(place.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&last, &bytes).unwrap();
    assert_eq!(verify(place.path()).unwrap().damages.len(), 1);
    for _ in 0..2 {
        let (store, opened) = DiskStore::open(place.path(), &mut |_, _| {}).unwrap();
        assert!(opened.cut.is_none());
        assert_eq!(known(&store), ANSWERS - 1);
        store.commit(vec![answered(901, 1, 1, 10)]).unwrap();
        store.close().unwrap();
    }
    assert_eq!(verify(place.path()).unwrap().damages.len(), 1);
}

#[test]
fn a_deleted_lock_lets_nobody_in_and_a_journal_that_grew_stops_the_writer() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    store.commit(vec![answered(0, 1, 0, 700)]).unwrap();
    fs::remove_file(place.path().join("lock")).unwrap();
    assert!(matches!(open(place.path()).map(|_| ()), Err(StoreError::Locked { .. })));
    // Where locks do not hold, a second writer appends.
    let segment = &segments(place.path())[0];
    let written = fs::read(segment).unwrap();
    std::io::Write::write_all(&mut fs::File::options().append(true).open(segment).unwrap(), &written[64..]).unwrap();
    assert!(matches!(store.commit(vec![answered(1, 1, 1, 700)]), Err(StoreError::Intruded { .. })));
    assert!(matches!(store.commit(vec![answered(1, 1, 1, 700)]), Err(StoreError::Poisoned)));
    drop(store);
    assert_eq!(known(&open(place.path()).unwrap()), 1);
}

#[test]
fn a_journal_that_was_deleted_or_continued_by_another_stops_the_writer() {
    type Harm = fn(&Path);
    let harms: [(u32, Harm); 2] = [
        (1, |directory| fs::remove_file(&segments(directory)[0]).unwrap()),
        // The first segment is full.
        (20, |directory| fs::write(directory.join("journal/00000002.journal"), "of another").unwrap()),
    ];
    for (entries, harm) in harms {
        let place = tempfile::tempdir().unwrap();
        let store = open(place.path()).unwrap();
        store.commit((0..entries).map(|number| answered(number, 1, number, 700)).collect()).unwrap();
        harm(place.path());
        assert!(store.commit(vec![answered(21, 1, 1, 700)]).is_err());
    }
}

#[test]
fn a_store_is_for_its_owner_and_an_existing_directory_keeps_its_mode() {
    let place = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let fresh = place.path().join("a/b/store");
    several_segments(&fresh);
    assert_eq!(mode(&fresh), 0o700);
    let shared = place.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o2770)).unwrap();
    several_segments(&shared);
    assert_eq!(mode(&shared), 0o2770);
    for inside in ["journal", "index"] {
        assert_eq!(mode(&shared.join(inside)), 0o2770, "{inside}");
    }
    for inside in ["lock", "index.state", "journal/00000001.journal"] {
        assert_eq!(mode(&shared.join(inside)), 0o660, "{inside}");
    }
}
