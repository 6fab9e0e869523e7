//! The files that ARCHITECTURE.md names exist.

use super::page::{Page, code_in, root};

/// What a store holds is no file of the project.
const IN_A_STORE: [&str; 2] = ["index/", "rows/"];

#[test]
fn every_file_that_the_architecture_names_exists() {
    let named = code_in(&Page::read("ARCHITECTURE.md").prose().join("\n"));
    let is_path = |name: &str| name.ends_with('/') || matches!(name.rsplit('.').next(), Some("rs" | "sh"));
    let is_due = |name: &str| !name.contains("NAME") && !IN_A_STORE.contains(&name);
    let exists =
        |name: &str| ["", "src", "tests/it", "benches"].iter().any(|home| root().join(home).join(name).exists());
    let due = named.iter().filter(|name| is_path(name) && is_due(name));
    let missing: Vec<&String> = due.filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
}
