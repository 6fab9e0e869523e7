//! Reports as pages: one file, no script, nothing from the network, readable on a phone.
//!
//! First comes what a reader wants first: the verdict with what limits trust in it, what was compared, a few cases side by
//! side, then statistics.

mod chart;
mod comparison;
mod controls;
mod evaluation;
mod quality;
mod simulation;
mod tutoring;

pub use comparison::comparison_page;
pub use evaluation::evaluation_page;
pub use quality::quality_page;
pub use simulation::simulation_page;
pub use tutoring::tutoring_page;

use std::collections::BTreeSet;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::evaluation::Example;
use chart::{Count, Mean, Point, counts, from_zero, histogram, means, scatter};

/// Examples that are shown open, before the statistics.
const CASES: usize = 3;

/// The content of a page.
#[derive(Debug, Default, Serialize)]
struct Page<'a> {
    title: String,
    /// The result in one line.
    verdict: String,
    /// Why the result cannot be trusted.
    incomplete: &'a [String],
    /// What limits it.
    cautions: &'a [String],
    /// Those of the cautions for which there is no verdict.
    withheld: Vec<&'a str>,
    /// What else belongs to the result.
    lines: Vec<String>,
    /// What was judged, and by whom.
    compared: Vec<Section>,
    cases: Vec<&'a Example>,
    sections: Vec<Section>,
    examples: Vec<&'a Example>,
}

/// A table, a chart, or both.
#[derive(Debug, Default, Serialize)]
struct Section {
    title: String,
    note: String,
    /// HTML.
    chart: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The cells are not wrapped; the table scrolls.
    is_wide: bool,
}

impl<'a> Page<'a> {
    /// Shows examples: a few as cases, of different kinds where possible, the others below.
    fn with_examples(mut self, examples: &'a [Example]) -> Self {
        let mut kinds = BTreeSet::new();
        let (first, others): (Vec<&Example>, Vec<&Example>) =
            examples.iter().partition(|example| kinds.insert(example.outcome()));
        let mut all = first.into_iter().chain(others);
        self.cases = all.by_ref().take(CASES).collect();
        self.examples = all.collect();
        self
    }

    fn render(&self) -> String {
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        let rendered = templates.render_str(include_str!("page.html"), Serde(self));
        rendered.unwrap_or_else(|error| format!("<!doctype html><title>cohobate</title><p>{error}"))
    }
}

/// Returns the name of a part that may be a turn's number.
fn part_name(name: &str) -> String {
    if name.parse::<u32>().is_ok() { format!("turn {name}") } else { name.to_owned() }
}

impl Section {
    fn table<const COLUMNS: usize>(title: &str, columns: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.into_iter().map(Vec::from).collect(),
            is_wide: COLUMNS > 2,
            ..Self::default()
        }
    }

    /// A table of counts with its chart.
    fn counted(title: &str, entries: Vec<(String, u64)>) -> Self {
        let drawn = entries.iter().map(|(name, count)| Count {
            name: name.clone(),
            total: *count,
            part: None,
            words: super::words::number(*count),
        });
        let chart = counts(&drawn.collect::<Vec<_>>(), None);
        Self { title: title.to_owned(), chart, ..Self::default() }
    }

    fn noted(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    fn charted(self, chart: String) -> Self {
        Self { chart, ..self }
    }
}
