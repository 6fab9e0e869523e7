//! README and docs are true: their commands run, their tables agree with the code, their links resolve.
//!
//! Conventions for whoever writes a page:
//!
//! - Each command of an `sh` block runs as it is written, in a folder that the page has for itself, with `mine.jsonl` in
//!   it and the servers' addresses replaced by mock servers'. A comment behind a command, `# exit code 3`, says how it ends.
//! - An `output` block shows what the command before it prints. A line that ends in `…` is a beginning; durations may differ.
//! - A block after `<!-- file: NAME -->` is written to that file before the page's first command.
//! - Blocks of another kind are not run; some are checked by a test of their own page.

mod architecture;
mod commands;
mod configuration;
mod contributing;
mod english;
mod events;
pub mod page;
mod slurm;
pub mod tables;

use page::{Page, pages};

#[test]
fn the_readme_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= 130, "README.md has {lines} lines, more than 130; move something to docs/");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut faults = Vec::new();
    for page in pages() {
        for link in page.links().into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.path() } else { page.path().parent().unwrap().join(file) };
            if !target.exists() {
                faults.push(format!("{}: there is no {link}", page.name));
            } else if !anchor.is_empty() && !Page::at(&target).anchors().iter().any(|known| known == anchor) {
                faults.push(format!("{}: no heading makes the anchor of {link}", page.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_index_has_every_page() {
    let index = Page::read("docs/README.md");
    for page in pages().iter().filter_map(|page| page.name.strip_prefix("docs/")).filter(|page| *page != "README.md") {
        assert!(index.text.contains(&format!("]({page})")), "docs/README.md does not name {page}");
    }
}

#[test]
fn every_row_of_a_table_has_as_many_cells_as_its_head() {
    let mut faults = Vec::new();
    for page in pages() {
        for table in page.tables() {
            let width = table.rows[0].len();
            let uneven = table.rows.iter().filter(|row| row.len() != width);
            faults.extend(uneven.map(|row| format!("{}, below `{}`: {}", page.name, table.heading, row.join(" | "))));
        }
    }
    assert!(faults.is_empty(), "a cell with a bar in it, most likely:\n{}", faults.join("\n"));
}
