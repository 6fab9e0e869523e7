//! The fields of JSON progress and of the summary, as the operations page lists them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::page::{Page, code_in};
use super::tables::assert_same;
use crate::support::{Place, conversation, jsonl, rows};

/// Returns the fields that the tables under a heading list, table by table.
fn fields_under(heading: &str) -> Vec<BTreeSet<String>> {
    let tables = Page::read("docs/operations.md").tables();
    let tables = tables.iter().filter(|table| table.heading == heading);
    tables.map(|table| table.rows[1..].iter().flat_map(|row| code_in(&row[0])).collect()).collect()
}

fn fields(event: &Value) -> BTreeSet<String> {
    event.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_fields_of_progress_and_summary_are_those_that_are_printed() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let finished =
        place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--progress", "json"]);
    let events: Vec<Value> = rows(&finished.stderr);
    let progress = events.iter().find(|event| event.get("done").is_some()).unwrap();
    let listed = fields_under("Progress as JSON");
    assert_same("progress", listed[0].clone(), fields(progress));
    assert_same("summary", listed[1].clone(), fields(events.last().unwrap()));
}

#[test]
fn the_fields_of_the_list_of_missing_rows_are_those_that_are_written() {
    let page = Page::read("docs/output-formats.md");
    let block = page.blocks().into_iter().find(|block| block.text.contains("\"turns_answered\"")).unwrap();
    let place = Place::new();
    place.write("in.jsonl", "{\"messages\": []}\n");
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    let written = place.rows("out.jsonl.incomplete.jsonl");
    let shown: Value = serde_json::from_str(&block.text).unwrap();
    assert_same("a missing row", fields(&shown), fields(&written[0]));
}
