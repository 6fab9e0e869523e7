//! The import directions of `src/`. Adding an edge is one line here, seen in review.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, the modules that it may import, the fenced crates that it may name. Lowest layer first.
struct Layer {
    module: &'static str,
    may_import: &'static [&'static str],
    may_name: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer { module: "conversation", may_import: &[], may_name: &["blake3", "serde", "serde_json"] },
    Layer { module: "statistics", may_import: &[], may_name: &["serde"] },
    Layer { module: "quality", may_import: &["conversation"], may_name: &["aho_corasick", "flate2", "whichlang"] },
    Layer { module: "recipe", may_import: &["conversation", "quality"], may_name: &["minijinja", "serde_json"] },
    Layer {
        module: "dataset",
        may_import: &["conversation"],
        may_name: &[
            "serde",
            "serde_json",
            "flate2",
            "zstd",
            "bzip2",
            "csv",
            "glob",
            "icu_normalizer",
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
        may_import: &["conversation"],
        may_name: &["csv", "parquet", "arrow_json", "arrow_schema", "serde", "serde_json", "flate2", "zstd"],
    },
    Layer {
        module: "model",
        may_import: &["conversation"],
        may_name: &["reqwest", "rustls", "hyper", "hyper_util", "http_body_util", "tokio", "serde", "serde_json"],
    },
    Layer {
        module: "store",
        may_import: &["conversation"],
        may_name: &["sled", "bincode", "serde", "zstd", "crc32fast"],
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
            "statistics",
            "quality",
            "recipe",
            "dataset",
            "export",
            "model",
            "store",
            "worker",
            "report",
        ],
        may_name: &["tokio", "serde", "serde_json", "flate2", "zstd", "crc32fast"],
    },
    // The binary's own crate: it sees the library from outside.
    Layer { module: "cli", may_import: &[], may_name: &["clap", "indicatif", "tokio", "serde", "serde_json", "toml"] },
];

/// Files that alone may name a crate, whatever their module may.
const HOMES: &[(&str, &str)] =
    &[("sled", "store/sled_index.rs"), ("bincode", "store/codec.rs"), ("clap", "cli/"), ("indicatif", "cli/")];

/// Printing and reading the environment: only `cli/` does.
const ONLY_IN_CLI: &[&str] = &["println!", "eprintln!", "print!(", "stdout()", "stderr()", "std::env", "env::var"];

/// Exceptions: rows on standard output are an output like others; the system's temporary directory is no setting.
const ALLOWED: &[&str] = &["Box::new(io::stdout())", "std::env::temp_dir()"];

/// Crates that are fenced in; anything else is free to use anywhere.
const FENCED: &[&str] = &[
    "sled",
    "bincode",
    "minijinja",
    "blake3",
    "reqwest",
    "rustls",
    "hyper",
    "hyper_util",
    "http_body_util",
    "tokio",
    "serde",
    "serde_json",
    "clap",
    "toml",
    "indicatif",
    "flate2",
    "zstd",
    "crc32fast",
    "aho_corasick",
    "bzip2",
    "csv",
    "glob",
    "icu_normalizer",
    "whichlang",
    "yaml_rust2",
    "parquet",
    "arrow_array",
    "arrow_ipc",
    "arrow_json",
    "arrow_schema",
];

#[test]
fn every_module_imports_only_what_lies_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = String::new();
    for path in rust_files(&src) {
        let inside = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let module = inside.split(['/', '.']).next().unwrap();
        if module == "main" || module == "lib" {
            continue;
        }
        let Some(layer) = LAYERS.iter().find(|layer| layer.module == module) else {
            writeln!(faults, "{inside}: the module `{module}` has no row in LAYERS").unwrap();
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
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
    for name in FENCED.iter().filter(|name| names(line, &format!("{name}::"))) {
        let home = HOMES.iter().find(|(fenced, _)| fenced == name).map(|(_, home)| *home);
        if !layer.may_name.contains(name) || home.is_some_and(|home| !file.starts_with(home)) {
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

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
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
}
