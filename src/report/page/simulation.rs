use super::{Bar, Page, Section, bars};
use crate::report::SimulationReport;
use crate::report::words::{counted, number};

/// Returns the results of a simulation as a page.
pub fn simulation_page(report: &SimulationReport) -> String {
    let counts = |name: &str, entries: Vec<(String, u64)>| {
        let largest = entries.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1) as f64;
        let drawn = entries.iter().map(|(name, count)| Bar {
            name: name.clone(),
            value: *count as f64,
            interval: Some((0.0, *count as f64)),
            words: number(*count),
        });
        let chart = bars(&drawn.collect::<Vec<_>>(), (0.0, largest), None);
        let rows = entries.iter().map(|(name, count)| [name.clone(), number(*count)]).collect();
        Section::table(name, ["", "count"], rows).charted(chart)
    };
    let owned = |(name, count): (&&'static str, &u64)| ((*name).to_owned(), *count);
    let figures = report.entries().into_iter().map(|(name, text)| [name.to_owned(), text]);
    let drawn = [
        counts("How conversations ended", report.reasons.clone().into_iter().collect()),
        counts(
            "Length of the conversations",
            report.lengths.iter().map(|(turns, count)| (counted(u64::from(*turns), "turn"), *count)).collect(),
        ),
        counts("Moves of the simulated users", report.moves.iter().map(owned).collect()),
        counts("Faults of rejected messages", report.rejected.iter().map(owned).collect()),
    ];
    let sections = drawn.into_iter().filter(|section| !section.rows.is_empty());
    let sections = [Section::table("In figures", ["", ""], figures.collect())].into_iter().chain(sections).collect();
    let headline = vec![format!("{} simulated", counted(report.conversations, "conversation"))];
    Page { title: "Simulation".to_owned(), headline, warnings: &report.incomplete, sections, ..Page::default() }
        .render()
}
