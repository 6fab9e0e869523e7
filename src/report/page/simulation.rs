use super::{Page, Section};
use crate::report::SimulationReport;
use crate::report::words::counted;

/// Returns the results of a simulation as a page.
pub fn simulation_page(report: &SimulationReport) -> String {
    let owned = |(name, count): (&&'static str, &u64)| ((*name).to_owned(), *count);
    let figures = report.entries().into_iter().map(|(name, text)| [name.to_owned(), text]);
    let drawn = [
        Section::counted("How conversations ended", report.reasons.clone().into_iter().collect()),
        Section::counted("Length of the conversations", lengths(report)),
        Section::counted("Moves of the simulated users", report.moves.iter().map(owned).collect()),
        Section::counted("Faults of rejected messages", report.rejected.iter().map(owned).collect()),
    ];
    let sections = drawn.into_iter().filter(|section| !section.chart.is_empty());
    let sections = [Section::table("In figures", ["", ""], figures.collect())].into_iter().chain(sections).collect();
    Page {
        title: "Simulation".to_owned(),
        verdict: format!("{} simulated", counted(report.conversations, "conversation")),
        incomplete: &report.incomplete,
        sections,
        ..Page::default()
    }
    .render()
}

/// Returns the number of conversations for each number of turns, from the least to the most, zeros included.
fn lengths(report: &SimulationReport) -> Vec<(String, u64)> {
    let ends = report.lengths.keys().next().zip(report.lengths.keys().next_back());
    let turns = ends.into_iter().flat_map(|(least, most)| *least..=*most);
    let count = |turns: u32| report.lengths.get(&turns).copied().unwrap_or(0);
    turns.map(|turns| (counted(u64::from(turns), "turn"), count(turns))).collect()
}
