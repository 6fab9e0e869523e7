//! Reports as pages: one file, no script, nothing from the network, readable on a phone.

mod chart;
mod comparison;
mod evaluation;
mod quality;
mod simulation;
mod tutoring;

pub use comparison::comparison_page;
pub use evaluation::evaluation_page;
pub use quality::quality_page;
pub use simulation::simulation_page;
pub use tutoring::tutoring_page;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::evaluation::Example;
use chart::{Bar, Point, bars, scatter};

/// The content of a page.
#[derive(Debug, Default, Serialize)]
struct Page<'a> {
    title: String,
    /// The first line is the result.
    headline: Vec<String>,
    /// Why the result cannot be trusted.
    warnings: &'a [String],
    sections: Vec<Section>,
    examples: &'a [Example],
}

/// A table, a chart, or both.
#[derive(Debug, Default, Serialize)]
struct Section {
    title: String,
    note: String,
    /// An SVG.
    chart: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Page<'_> {
    fn render(&self) -> String {
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        let rendered = templates.render_str(include_str!("page.html"), Serde(self));
        rendered.unwrap_or_else(|error| format!("<!doctype html><title>cohobate</title><p>{error}"))
    }
}

impl Section {
    fn table<const COLUMNS: usize>(title: &str, columns: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.into_iter().map(Vec::from).collect(),
            ..Self::default()
        }
    }

    fn noted(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    fn charted(self, chart: String) -> Self {
        Self { chart, ..self }
    }
}
