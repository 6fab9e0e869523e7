use super::{Mean, Page, Section, means, part_name};
use crate::report::TutoringReport;
use crate::report::evaluation::SliceReport;
use crate::report::tutoring::PassReport;
use crate::report::words::{list, number};

/// Returns the results of tutoring as a page.
pub fn tutoring_page(report: &TutoringReport) -> String {
    let mut sections: Vec<Section> = report.passes.iter().flat_map(pass).collect();
    for exposure in &report.exposure {
        let title = format!("Exposure bias, round {}", exposure.round);
        let note = format!("forced minus student history, from turn 2 on: {}", exposure.gap.words());
        // As wide as the drawn values.
        let ends =
            exposure.curve.iter().filter_map(|point| point.score.interval).flat_map(|ends| [ends.low, ends.high]);
        let reach = ends.map(f64::abs).fold(0.5, f64::max).ceil();
        sections.push(curve(&title, &exposure.curve, (-reach, reach), Some(0.0)).noted(&note));
    }
    if !report.changes.is_empty() {
        let rows = report.changes.iter().map(|change| {
            let rounds = format!("{} to {}, {}", change.from, change.to, change.history);
            [rounds, change.all.words(), change.same_prompt.words()]
        });
        let columns = ["rounds", "the student's scores", "after the same history"];
        sections.push(Section::table("Changes from round to round", columns, rows.collect()));
    }
    let newest = report.passes.iter().rev().find(|pass| pass.writes_rows);
    let verdict = newest.map(|pass| format!("The student has {} of 10 ({})", pass.student.words(1.0, 2), pass.name()));
    Page {
        title: "Tutoring".to_owned(),
        verdict: verdict.unwrap_or_else(|| "no answer was graded".to_owned()),
        incomplete: &report.incomplete,
        cautions: &report.cautions,
        lines: report.outcomes(),
        sections,
        ..Page::default()
    }
    .with_examples(&report.examples)
    .render()
}

/// Returns the sections of one round under one history.
fn pass(pass: &PassReport) -> Vec<Section> {
    let name = pass.name();
    let mut sections = vec![curve(&format!("The student's scores: {name}"), &pass.curve, (1.0, 10.0), None)];
    let of_rows = |text: String| if pass.writes_rows { text } else { String::new() };
    let counts = [
        ("remedies", list(&pass.remedies)),
        ("errors quoted", list(&pass.errors)),
        ("errors left out, their quotes are not in the answer", number(pass.errors_dropped)),
        ("rejected by code", list(&pass.faults)),
        ("score after correction", of_rows(pass.teacher.words(1.0, 2))),
        ("pairs", list(&pass.pairs)),
        ("hard turns", of_rows(number(pass.hard))),
        ("ended", list(&pass.reasons)),
    ];
    let rows = counts.into_iter().filter(|(_, text)| !text.is_empty());
    let costs = pass.roles.iter().filter(|(_, cost)| cost.answers > 0);
    let costs = costs.map(|(role, cost)| [(*role).to_owned(), cost.words()]);
    let rows = rows.chain(pass.replies()).map(|(name, text)| [name.to_owned(), text]).chain(costs).collect();
    sections.push(Section::table(&format!("Counts: {name}"), ["", ""], rows));
    sections
}

fn curve(title: &str, points: &[SliceReport], range: (f64, f64), middle: Option<f64>) -> Section {
    let bar = |point: &SliceReport| Mean {
        name: part_name(&point.name),
        value: point.score.mean.unwrap_or(0.0),
        interval: point.score.interval.map(|interval| (interval.low, interval.high)),
        words: format!("{:.2} [{}]", point.score.mean.unwrap_or(0.0), point.score.marks),
    };
    let drawn: Vec<Mean> = points.iter().map(bar).collect();
    let rows =
        points.iter().map(|point| [part_name(&point.name), point.score.words(1.0, 2), number(point.score.marks)]);
    Section::table(title, ["", "mean (95 %)", "answers"], rows.collect()).charted(means(&drawn, range, middle))
}
