//! The import directions of `src/`. Adding an edge is one line here, seen in review. Between files there is no cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::imports::{Imports, cycles, imports};
use crate::support::source_files;

/// A module, the modules that it may import, the fenced crates that it may name. Lowest layer first.
struct Layer {
    module: &'static str,
    may_import: &'static [&'static str],
    may_name: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer { module: "conversation", may_import: &[], may_name: &["blake3", "serde", "serde_json"] },
    Layer { module: "files", may_import: &[], may_name: &["libc", "crc32fast"] },
    Layer { module: "statistics", may_import: &[], may_name: &["serde"] },
    Layer { module: "quality", may_import: &["conversation"], may_name: &["aho_corasick", "flate2", "whichlang"] },
    Layer { module: "recipe", may_import: &["conversation", "quality"], may_name: &["minijinja", "serde_json"] },
    Layer {
        module: "dataset",
        may_import: &["conversation", "files"],
        may_name: &[
            "aho_corasick",
            "serde",
            "serde_json",
            "flate2",
            "zstd",
            "bzip2",
            "lzma_rust2",
            "encoding_rs",
            "simdutf8",
            "glob",
            "icu_normalizer",
            "libc",
            "whichlang",
            "yaml_rust2",
            "parquet",
            "arrow_array",
            "arrow_ipc",
            "arrow_json",
            "arrow_schema",
        ],
    },
    Layer {
        module: "export",
        may_import: &["conversation", "files"],
        may_name: &["csv", "parquet", "arrow_json", "arrow_schema", "serde", "serde_json", "flate2", "zstd"],
    },
    Layer {
        module: "model",
        may_import: &["conversation"],
        may_name: &[
            "reqwest",
            "rustls",
            "hyper",
            "hyper_util",
            "http_body_util",
            "tokio",
            "serde",
            "serde_json",
            "flate2",
            "zstd",
        ],
    },
    Layer {
        module: "hub",
        may_import: &["files", "model"],
        may_name: &["reqwest", "ring", "rustls", "serde_json", "tokio"],
    },
    Layer {
        module: "store",
        may_import: &["conversation", "files"],
        may_name: &[
            "sled",
            "bincode",
            "serde",
            "zstd",
            "crc32fast",
            "libc",
            "tokio",
            "tokio_postgres",
            "tokio_rustls",
            "rustls",
            "rustls_platform_verifier",
            "deadpool",
            "ring",
        ],
    },
    Layer { module: "worker", may_import: &["conversation", "recipe", "store", "model"], may_name: &["tokio"] },
    Layer {
        module: "report",
        may_import: &["conversation", "statistics"],
        may_name: &["serde", "serde_json", "minijinja"],
    },
    Layer {
        module: "job",
        may_import: &[
            "conversation",
            "files",
            "statistics",
            "quality",
            "recipe",
            "dataset",
            "export",
            "model",
            "hub",
            "store",
            "worker",
            "report",
        ],
        may_name: &["tokio", "serde", "serde_json", "flate2", "zstd", "crc32fast"],
    },
    Layer {
        module: "view",
        may_import: &["conversation", "files", "quality", "store", "report", "job"],
        may_name: &["tokio", "axum", "http_body_util", "serde", "serde_json"],
    },
    // The binary's own crate: it sees the library from outside.
    Layer {
        module: "cli",
        may_import: &[],
        may_name: &["clap", "terminal_size", "tokio", "serde", "serde_json", "toml"],
    },
];

/// Files that alone may name a crate, whatever their module may.
const HOMES: &[(&str, &str)] = &[
    ("sled", "store/sled_index.rs"),
    ("bincode", "store/codec.rs"),
    ("tokio_postgres", "store/postgres/"),
    ("tokio_rustls", "store/postgres/tls.rs"),
    ("rustls_platform_verifier", "store/postgres/tls.rs"),
    ("deadpool", "store/postgres/"),
    ("ring", "store/postgres/binding.rs"),
    ("ring", "hub/download.rs"),
];

/// Printing and reading the environment: only `cli/` does.
const ONLY_IN_CLI: &[&str] = &["println!", "eprintln!", "print!(", "stdout()", "stderr()", "std::env", "env::var"];

/// Exceptions: rows on standard output are an output like others; the system's temporary directory is no setting.
const ALLOWED: &[&str] = &["Box::new(io::stdout())", "std::env::temp_dir()"];

/// Printing, which goes through one file of `cli/`: what it shows has no characters that a terminal obeys.
const ONLY_IN_OUTPUT: &[&str] = &[
    "println!",
    "eprintln!",
    "print!(",
    "dbg!(",
    "stdout()",
    "stderr()",
    "Stdout",
    "Stderr",
    "/dev/std",
    "/dev/tty",
    ".println(",
    ".set_message(",
    ".set_prefix(",
    ".suspend(",
    "::stderr",
    "::stdout",
    "error.print()",
];
const OUTPUT_FILE: &str = "cli/output.rs";

/// Returns the crates that are fenced in: those that some layer may name. Anything else is free to use anywhere.
fn fenced() -> BTreeSet<&'static str> {
    LAYERS.iter().flat_map(|layer| layer.may_name).copied().collect()
}

#[test]
fn every_module_imports_only_what_lies_below_it() {
    let mut faults = String::new();
    for (inside, text) in source_files() {
        let module = inside.split(['/', '.']).next().unwrap();
        if module == "main" || module == "lib" {
            continue;
        }
        let Some(layer) = LAYERS.iter().find(|layer| layer.module == module) else {
            writeln!(faults, "{inside}: the module `{module}` has no row in LAYERS").unwrap();
            continue;
        };
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in (1..).zip(code.lines()).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for fault in faults_of(layer, &inside, line) {
                writeln!(faults, "{inside}:{number}: {fault}").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

fn faults_of(layer: &Layer, file: &str, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for other in LAYERS.iter().map(|layer| layer.module).filter(|other| *other != layer.module) {
        if names(line, &format!("crate::{other}")) && !layer.may_import.contains(&other) {
            faults.push(format!("`{}` reaches up or sideways to `{other}`", layer.module));
        }
    }
    if layer.module != "cli" {
        let is_said = |needle: &&&str| line.contains(**needle) && !ALLOWED.iter().any(|allowed| line.contains(allowed));
        faults.extend(ONLY_IN_CLI.iter().filter(is_said).map(|needle| format!("`{needle}` belongs to cli/")));
    }
    if layer.module == "cli" && file != OUTPUT_FILE {
        let is_said = |needle: &&&str| line.contains(**needle);
        faults
            .extend(ONLY_IN_OUTPUT.iter().filter(is_said).map(|needle| format!("`{needle}` belongs to {OUTPUT_FILE}")));
    }
    for name in fenced().iter().filter(|name| names(line, &format!("{name}::"))) {
        let mut homes = HOMES.iter().filter(|(fenced, _)| fenced == name).map(|(_, home)| *home).peekable();
        let is_at_home = homes.peek().is_none() || homes.any(|home| file.starts_with(home));
        if !layer.may_name.contains(name) || !is_at_home {
            faults.push(format!("`{name}` is named outside of its home"));
        }
    }
    faults
}

/// True where `needle` stands in `line` as a path of its own.
fn names(line: &str, needle: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    line.match_indices(needle).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let behind = line[at + needle.len()..].chars().next();
        let continues = !needle.ends_with(':') && behind.is_some_and(|next| next.is_alphanumeric() || next == '_');
        !before && !continues
    })
}

#[test]
fn the_check_itself_sees_a_wrong_edge() {
    let conversation = &LAYERS[0];
    assert_eq!(faults_of(conversation, "conversation/x.rs", "use crate::store::Entry;").len(), 1);
    assert_eq!(faults_of(conversation, "conversation/x.rs", "let x = tokio::spawn(y);").len(), 1);
    let store = LAYERS.iter().find(|layer| layer.module == "store").unwrap();
    assert_eq!(faults_of(store, "store/disk.rs", "eprintln!(\"{x}\");").len(), 2);
    assert_eq!(faults_of(store, "store/disk.rs", "let x = std::env::var(y);").len(), 2);
    assert_eq!(faults_of(store, "store/disk.rs", "let x = sled::open(y);").len(), 1);
    assert_eq!(faults_of(store, "store/sled_index.rs", "let x = sled::open(y);").len(), 0);
    let cli = LAYERS.iter().find(|layer| layer.module == "cli").unwrap();
    for line in ["print!(\"{x}\");", "let x = io::stderr();", "bar.println(x);", "dbg!(x);"] {
        assert!(!faults_of(cli, "cli/status.rs", line).is_empty(), "{line}");
        assert_eq!(faults_of(cli, OUTPUT_FILE, line).len(), 0, "{line}");
    }
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let imports = imports(&source_files());
    let cycles = cycles(&imports);
    println!("import cycles between files: {}", cycles.len());
    let faults: String = cycles.iter().map(|cycle| told(cycle, &imports)).collect();
    assert!(faults.is_empty(), "\n{faults}");
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 500, "the imports are not seen");
}

/// Returns a cycle as text: each of its files, with the others that it imports.
fn told(cycle: &BTreeSet<String>, imports: &Imports) -> String {
    let mut text = format!("a cycle of {} files\n", cycle.len());
    for file in cycle {
        let others: Vec<&str> = imports[file].intersection(cycle).map(String::as_str).collect();
        writeln!(text, "  {file} imports {}", others.join(", ")).unwrap();
    }
    text
}

/// Texts of a small crate, by path.
fn fixture(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_cycle_is_seen_however_the_import_is_written() {
    let store = "mod disk; mod entry; mod place;\npub use entry::{Entry, self as entries};\npub use disk::Disk;";
    let into_disk = [
        "use super::disk::Disk;",
        "use crate::{store::{Disk as Other, Entry}, work};",
        "use super::{entry::{self, Entry}, Disk};",
        "fn open() -> super::Disk { todo!() }",
        "struct Place { disk: crate::store::disk::Disk }",
        "mod inner { pub fn open() { super::super::disk::Disk::open(\"'\"); } }",
        "use crate::store;\nfn open<'a>(mark: char) { mark == '\"' || store::Disk::open(); }",
        "use super::entry::find;\nuse crate::work::Work;",
    ];
    let elsewhere = [
        "use super::entry::Entry;",
        "// use super::disk::Disk;\n/* super::disk /* */ ::Disk */",
        "const TEXT: &str = r#\"\"use super::disk::Disk;\"#;",
        "#[cfg(test)]\nmod tests { use super::super::disk::Disk; }\n#[cfg(test)]\nuse super::disk::Disk;",
        "use sled::Disk;",
    ];
    let cycles_with = |place: &str| {
        cycles(&imports(&fixture(&[
            ("lib.rs", "pub mod store; pub mod work;"),
            ("store/mod.rs", store),
            ("store/disk.rs", "use super::place::Place; pub struct Disk;"),
            ("store/entry.rs", "pub struct Entry; pub fn find() {}"),
            ("store/place.rs", &format!("{place}\npub struct Place;")),
            ("work.rs", "use crate::store::Disk; pub struct Work;"),
        ])))
    };
    for text in into_disk {
        assert_eq!(cycles_with(text).len(), 1, "{text}");
    }
    for text in elsewhere {
        assert!(cycles_with(text).is_empty(), "{text}");
    }
}

#[test]
fn a_mod_file_and_the_files_of_its_folder_may_name_each_other() {
    let files = fixture(&[
        ("lib.rs", "pub mod store; pub mod work;"),
        ("store/mod.rs", "mod disk; pub use disk::Disk; pub trait Store {} pub fn open() -> Disk {}"),
        ("store/disk.rs", "use super::Store; pub struct Disk;"),
        ("work.rs", "use crate::store::{Disk, Store};"),
    ]);
    let imports = imports(&files);
    assert!(cycles(&imports).is_empty());
    let of_work: Vec<&str> = imports["work.rs"].iter().map(String::as_str).collect();
    assert_eq!(of_work, ["store/disk.rs", "store/mod.rs"], "an item counts for the file that defines it");
}
