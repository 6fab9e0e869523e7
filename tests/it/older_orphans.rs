//! A conversation whose orphans were looked for by the first rules is finished by them.

use crate::support::{Finished, Place};

fn fixture(file: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-orphans").join(file)
}

/// A place with the rows and the store of runs under version 1. That version took "drink a lot of tea" for a quote, and did not
/// see that only the replaced answer named Marenholm.
fn frozen() -> Place {
    let place = Place::new();
    let journal = "journal/00000001.journal";
    std::fs::create_dir_all(place.path(".cohobate/journal")).unwrap();
    std::fs::copy(fixture(journal), place.path(".cohobate").join(journal)).unwrap();
    std::fs::copy(fixture("rows.jsonl"), place.path("rows.jsonl")).unwrap();
    place
}

/// Nobody answers there: a call would end the run.
const LINE: [&str; 7] =
    ["rows.jsonl", "--teacher=m@http://127.0.0.1:1/v1", "--stream=false", "-o", "out.jsonl", "--give-up-after", "1s"];

/// What each run was told, and what it wrote.
const RUNS: [(&[&str], &str); 4] = [
    (&["--orphans=keep"], "keep.jsonl"),
    (&["--orphans=truncate"], "truncate.jsonl"),
    (&["--orphans=rewrite"], "rewrite.jsonl"),
    (&["--orphans=truncate", "--gate=standard"], "gated.jsonl"),
];

fn run(place: &Place, command: &str, more: &[&str]) -> Finished {
    place.run(&[&[command], &LINE[..], more].concat())
}

#[test]
fn a_store_whose_orphans_the_first_rules_found_is_resumed_without_a_call_and_exported_as_it_was() {
    let place = frozen();
    for (told, written) in RUNS {
        let expected = std::fs::read_to_string(fixture(written)).unwrap();
        for command in ["distill", "export", "verify"] {
            let finished = run(&place, command, told);
            let is_cut = told.contains(&"--orphans=truncate");
            assert_eq!(finished.code, Some(if is_cut { 3 } else { 0 }), "{command} {told:?}: {}", finished.stderr);
            assert_eq!(place.read("out.jsonl"), expected, "{command} {told:?}");
            if command == "distill" {
                assert!(finished.stderr.contains("new        0 answers"), "{told:?}: {}", finished.stderr);
            }
        }
    }
}
