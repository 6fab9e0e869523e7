//! The diffs of CONTRIBUTING.md apply to the files as they are.

use std::fs;

use super::page::{Page, root};

/// The lines that a hunk expects in the file, one after another.
fn expected(hunk: &str) -> String {
    let lines = hunk.lines().take_while(|line| !line.starts_with("--- "));
    lines.filter_map(|line| line.strip_prefix([' ', '-'])).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_diffs_of_contributing_apply() {
    let blocks = Page::read("CONTRIBUTING.md").blocks();
    let diffs = blocks.iter().filter(|block| block.kind == "diff").map(|block| block.text.as_str());
    let (mut faults, mut hunk_count) = (Vec::new(), 0);
    for file in diffs.flat_map(|diff| diff.split("+++ ").skip(1)) {
        let (path, hunks) = file.split_once('\n').unwrap();
        let old = fs::read_to_string(root().join(path)).ok();
        for expected in hunks.split("\n@@\n").map(expected) {
            hunk_count += 1;
            let applies = match &old {
                None => expected.is_empty(),
                Some(old) => !expected.is_empty() && old.matches(&expected).count() == 1,
            };
            if !applies {
                faults.push(format!("{path} does not have once:\n{expected}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(hunk_count >= 15, "only {hunk_count} hunks were found");
}
