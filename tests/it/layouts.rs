//! A directory is read as the `datasets` library reads it: which files, of which split, and what is said of the rest.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::{Finished, Place, conversation, jsonl};

/// Files with one row each, whose id is the file's name.
fn set(files: &[&str], card: Option<&str>) -> Place {
    let place = Place::new();
    for file in files {
        write(&place, file);
    }
    if let Some(card) = card {
        place.write("set/README.md", format!("---\n{card}\n---\n# A dataset\n"));
    }
    place
}

fn write(place: &Place, file: &str) {
    let path = place.path("set").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, jsonl(&[conversation(file, 1)])).unwrap();
}

fn convert(place: &Place, arguments: &[&str]) -> Finished {
    place.run(&[&["convert", "set", "-o", "out.jsonl"], arguments].concat())
}

/// Returns the ids that are read and what is said.
fn read(place: &Place, arguments: &[&str]) -> (String, String) {
    let finished = convert(place, arguments);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let rows = place.rows("out.jsonl");
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    (ids.join(" "), finished.stderr)
}

/// Runs what must be refused, and returns what is said.
fn refused(place: &Place, arguments: &[&str]) -> String {
    let finished = convert(place, arguments);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(!place.exists("out.jsonl"));
    finished.stderr
}

#[test]
fn files_and_folders_name_their_splits() {
    let cases: [(&[&str], &str, &str); 8] = [
        (&["train.jsonl", "test.jsonl", "extra.jsonl"], "train.jsonl", "not read: test"),
        (&["training.jsonl", "dev.jsonl", "eval.jsonl"], "training.jsonl", "not read: validation, test"),
        (
            &["my_train_1.jsonl", "trainer.jsonl", "en-test.jsonl"],
            "my_train_1.jsonl",
            "files that are not read: trainer.jsonl",
        ),
        (&["a-b/x.jsonl", "a/x.jsonl", "latest.jsonl"], "a-b/x.jsonl a/x.jsonl latest.jsonl", ""),
        (
            &["train/0.jsonl", "train/deep/1.jsonl", "test/0.jsonl"],
            "train/0.jsonl train/deep/1.jsonl",
            "not read: test",
        ),
        (&["train/test.jsonl", "test/train.jsonl"], "train/test.jsonl", "not read: test"),
        (
            &["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl", "data/other-00000-of-00001.jsonl"],
            "data/train-00000-of-00002.jsonl data/train-00001-of-00002.jsonl",
            "not read: other",
        ),
        (&["training_train.jsonl", "test.jsonl"], "training_train.jsonl", "not read: test"),
    ];
    for (files, expected, said) in cases {
        let (ids, message) = read(&set(files, None), &[]);
        assert_eq!(ids, expected);
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_split_other_than_train_is_read_only_by_name() {
    let place = set(&["data/train_sft-00000-of-00001.jsonl", "data/test_sft-00000-of-00001.jsonl"], None);
    let (ids, said) = read(&place, &[]);
    assert_eq!(ids, "data/train_sft-00000-of-00001.jsonl");
    assert!(said.contains("the split train_sft is read; not read: test_sft"), "{said}");
    let (ids, said) = read(&place, &["--split", "test_sft"]);
    assert_eq!(ids, "data/test_sft-00000-of-00001.jsonl");
    assert!(said.contains("the split test_sft is read"), "{said}");
    fs::remove_file(place.path("out.jsonl")).unwrap();
    let said = refused(&place, &["--split", "dev"]);
    assert!(said.contains("no split dev; its splits are test_sft, train_sft"), "{said}");
    write(&place, "data/train_gen-00000-of-00001.jsonl");
    let said = refused(&place, &[]);
    assert!(said.contains("its splits are test_sft, train_gen, train_sft") && said.contains("--split NAME"), "{said}");
    let said = refused(&set(&["test.jsonl"], None), &[]);
    assert!(said.contains("it has no split train; its splits are test"), "{said}");
    let whole = set(&["a.jsonl"], None);
    assert_eq!(read(&whole, &["--split", "train"]).0, "a.jsonl");
    fs::remove_file(whole.path("out.jsonl")).unwrap();
    assert!(refused(&whole, &["--split", "test"]).contains("all of it is the split train"));
    let file = whole.run(&["convert", "set/a.jsonl", "-o", "out.jsonl", "--split", "test"]);
    assert!(
        file.code == Some(0) && file.stderr.contains("no input is a directory; files are read whole"),
        "{}",
        file.stderr
    );
    whole.write("cohobate.toml", "split = \"train\"\n");
    assert_eq!(read(&whole, &[]).0, "a.jsonl");
}

#[test]
fn what_is_said_of_splits_is_said_by_every_command() {
    let place = set(&["train_sft.jsonl", "test.jsonl"], None);
    place.write("set/README.md", "---\nconfigs:\n- config_name: default\n  data_files:\n    train_sft: train_sft.jsonl\n    test: test.jsonl\n---\n");
    for arguments in [
        &["inspect", "set"][..],
        &["distill", "set", "--teacher", "simulated", "-o", "a.jsonl"],
        // The first pass is remembered.
        &["distill", "set", "--teacher", "simulated", "-o", "a.jsonl"],
        &["filter", "set", "-o", "b.jsonl"],
    ] {
        let finished = place.complete(arguments);
        assert!(finished.stderr.contains("set: the split train_sft is read; not read: test"), "{}", finished.stderr);
    }
    let quiet = place.complete(&["convert", "set", "-o", "c.jsonl", "-q"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_card_names_the_files() {
    let files = ["x/a.jsonl", "x/y/b.jsonl", "z/c.jsonl", ".h/d.jsonl", "__s/e.jsonl"];
    let one = |data_files: &str| format!("configs:\n- config_name: default\n  data_files:{data_files}");
    let cases = [
        (" x/a.jsonl", "x/a.jsonl"),
        (" ['q/*', 'z/*', ./x/a.jsonl]", "z/c.jsonl x/a.jsonl"),
        (" 'x/**'", "x/a.jsonl x/y/b.jsonl"),
        (" '**/[bc].jsonl'", "x/y/b.jsonl z/c.jsonl"),
        (" '?/*.jsonl'", "x/a.jsonl z/c.jsonl"),
        (" '*/*.jsonl'", "x/a.jsonl z/c.jsonl"),
        (" '.h/*'", ".h/d.jsonl"),
        (" '__s/*'", "__s/e.jsonl"),
        ("\n  - split: test\n    path: z/*\n  - split: train\n    path: [x/*, z/c.jsonl]", "x/a.jsonl z/c.jsonl"),
        ("\n    test: z/*\n    train: x/*", "x/a.jsonl"),
    ];
    for (data_files, expected) in cases {
        let (ids, said) = read(&set(&files, Some(&one(data_files))), &[]);
        assert_eq!(ids, expected, "{data_files}");
        assert_eq!(
            said.contains("patterns of README.md that no file matches: q/*"),
            data_files.contains("q/*"),
            "{said}"
        );
    }
    for (data_files, reason) in [
        (" /etc/*", "leads out of the directory"),
        (" 'x/../../*'", "leads out of the directory"),
        (" 'hf://datasets/a/b/*'", "not in the directory"),
        (" 'gone-*'", "lists gone-*, and no file matches"),
        (" x", "lists x, and no file matches"),
        ("\n  - a: b", "neither a pattern"),
        ("\n  - split: train\n    path: x/*\n  - split: train\n    path: z/*", "the split train twice"),
    ] {
        let said = refused(&set(&files, Some(&one(data_files))), &[]);
        assert!(said.contains(reason), "{data_files}: {said}");
    }
}

#[test]
fn the_default_configuration_is_read() {
    let files = ["en/train.jsonl", "en/test.jsonl", "fr/train.jsonl"];
    let card = |first: &str, second: &str| format!("configs:\n- config_name: en\n{first}- config_name: fr\n{second}");
    let (ids, said) = read(&set(&files, Some(&card("  data_dir: en\n  default: true\n", "  data_dir: fr\n"))), &[]);
    assert_eq!(ids, "en/train.jsonl");
    assert!(said.contains("not read: test") && said.contains("configurations that are not read: fr"), "{said}");
    let inside = card("  data_dir: en\n  data_files: test.jsonl\n  default: true\n", "  data_dir: fr\n");
    assert_eq!(read(&set(&files, Some(&inside)), &[]).0, "en/test.jsonl");
    let said = refused(&set(&files, Some(&card("  data_dir: en\n", "  data_dir: fr\n"))), &[]);
    assert!(said.contains("the configurations en, fr, and none of them is the default"), "{said}");
    let two = card("  data_dir: en\n  default: true\n", "  data_dir: fr\n  default: true\n");
    assert!(refused(&set(&files, Some(&two)), &[]).contains("more than one of them is the default"));
    assert!(refused(&set(&files, Some("configs:\n- config_name: a\n  data_dir: ../en")), &[]).contains("leads out"));
    assert_eq!(read(&set(&files, Some("license: mit")), &[]).0, "en/train.jsonl fr/train.jsonl");
}

#[test]
fn a_saved_dataset_is_what_its_state_names() {
    let state = |files: &[&str], split: Value| {
        let files: Vec<Value> = files.iter().map(|file| json!({"filename": file})).collect();
        json!({"_data_files": files, "_split": split}).to_string()
    };
    let place = set(&["b.jsonl", "a.jsonl", "stale.jsonl"], None);
    // Its content does not count, only its name.
    fs::write(place.path("set/cache-0123456789abcdef.arrow"), "nothing").unwrap();
    fs::write(place.path("set/state.json"), state(&["b.jsonl", "a.jsonl"], Value::Null)).unwrap();
    assert_eq!(read(&place, &[]).0, "b.jsonl a.jsonl");
    fs::write(place.path("set/state.json"), state(&["b.jsonl"], json!("test"))).unwrap();
    let (ids, said) = read(&place, &[]);
    assert_eq!(ids, "b.jsonl");
    assert!(said.contains("the split test is read"), "{said}");
    fs::remove_file(place.path("out.jsonl")).unwrap();
    for names in ["gone.arrow", "../a.jsonl", "/etc/hosts"] {
        fs::write(place.path("set/state.json"), state(&[names], Value::Null)).unwrap();
        refused(&place, &[]);
    }
    let dict = set(&["train/0.jsonl", "test/0.jsonl", "test/old.jsonl"], None);
    fs::write(dict.path("set/dataset_dict.json"), "{\"splits\": [\"train\", \"test\"]}").unwrap();
    assert!(refused(&dict, &[]).contains("train/state.json is missing"));
    for split in ["train", "test"] {
        fs::write(dict.path("set").join(split).join("state.json"), state(&["0.jsonl"], json!(split))).unwrap();
    }
    assert_eq!(read(&dict, &[]).0, "train/0.jsonl");
    assert_eq!(read(&dict, &["--split", "test"]).0, "test/0.jsonl");
    // Without a state the cache of `map` is still no data.
    let bare = set(&["a.jsonl", "cache-00.jsonl"], None);
    fs::write(bare.path("set/cache-0123456789abcdef.arrow"), "nothing").unwrap();
    assert_eq!(read(&bare, &[]).0, "a.jsonl cache-00.jsonl");
}

#[test]
fn symbolic_links_are_followed_once() {
    let place = set(&["../blobs/0", "../real/deep/1.jsonl"], None);
    let set = place.path("set");
    fs::create_dir_all(set.join("data")).unwrap();
    symlink("../../blobs/0", set.join("data/train-00000-of-00001.jsonl")).unwrap();
    assert_eq!(read(&place, &[]).0, "../blobs/0");
    symlink("../real", set.join("train")).unwrap();
    symlink("..", set.join("data/loop")).unwrap();
    symlink(".", set.join("self")).unwrap();
    fs::remove_file(set.join("data/train-00000-of-00001.jsonl")).unwrap();
    assert_eq!(read(&place, &[]).0, "../real/deep/1.jsonl");
    fs::remove_file(place.path("out.jsonl")).unwrap();
    symlink("nowhere", set.join("train/gone.jsonl")).unwrap();
    assert!(refused(&place, &[]).contains("train/gone.jsonl is not a file, or is a symbolic link to nothing"));
}

#[test]
fn nothing_in_a_directory_is_passed_over_without_a_word() {
    let place = set(&["a.jsonl", "a/b/c/d/e/f/g.jsonl"], None);
    place.write("set/more.zip", "PK");
    place.write("set/more.jsonl.lz4", "x");
    let (ids, said) = read(&place, &[]);
    assert_eq!(ids, "a.jsonl a/b/c/d/e/f/g.jsonl");
    assert!(said.contains("files that are not read: more.jsonl.lz4, more.zip"), "{said}");
}
