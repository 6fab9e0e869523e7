//! The fields of JSON progress and of the summary, as the operations page lists them.

use std::collections::BTreeSet;

use cohobate::job::EventKind;
use serde_json::Value;

use super::page::{Page, code_in};
use super::tables::assert_same;
use crate::support::{Place, conversation, jsonl, rows};

/// Returns the fields that the table under a heading lists.
fn fields_under(heading: &str) -> BTreeSet<String> {
    let page = Page::read("docs/events.md");
    page.rows_under(heading).iter().flat_map(|row| code_in(&row[0])).collect()
}

fn fields(event: &Value) -> BTreeSet<String> {
    let fields = event.as_object().unwrap().keys().cloned();
    fields.filter(|field| field != "event" && field != "time").collect()
}

#[test]
fn the_fields_of_start_progress_and_summary_are_those_that_are_printed() {
    let place = Place::new();
    place.write("in.jsonl", jsonl(&[conversation("kites", 2)]));
    let finished =
        place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl", "--progress", "json"]);
    let events: Vec<Value> = rows(&finished.stderr);
    for kind in ["start", "progress", "summary"] {
        let event = events.iter().find(|event| event["event"] == kind).unwrap();
        let heading = format!("{}{}", kind[..1].to_uppercase(), &kind[1..]);
        assert_same(kind, fields_under(&heading), fields(event));
    }
}

#[test]
fn the_kinds_of_events_and_their_fields_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/events.schema.json")).unwrap();
    let kinds = EventKind::ALL.iter().map(|kind| kind.name().to_owned());
    assert_same("kinds", Page::read("docs/events.md").names_under("Kinds"), kinds);
    for row in Page::read("docs/events.md").rows_under("Kinds").iter().filter(|row| !row[1].starts_with("see ")) {
        let kind = &code_in(&row[0])[0];
        assert_same(kind, code_in(&row[1]), fields(&schema["$defs"][kind]["properties"]));
    }
}

#[test]
fn the_fields_of_the_list_of_missing_rows_are_those_that_are_written() {
    let page = Page::read("docs/output-formats.md");
    let block = page.blocks().into_iter().find(|block| block.text.contains("\"turns_answered\"")).unwrap();
    let place = Place::new();
    place.write("in.jsonl", format!("{{\"messages\": []}}\n{}", jsonl(&[conversation("kites", 1)])));
    place.complete(&["distill", "in.jsonl", "--teacher", "simulated", "-o", "out.jsonl"]);
    let written = place.rows("out.jsonl.incomplete.jsonl");
    let shown: Value = serde_json::from_str(&block.text).unwrap();
    assert_same("a missing row", fields(&shown), fields(&written[0]));
}
