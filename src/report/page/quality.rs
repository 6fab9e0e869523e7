use super::{Count, Page, Section, counts};
use crate::report::QualityReport;
use crate::report::words::{counted, money, number};

/// Returns the findings of the rules as a page. `lines` describe the run in words.
pub fn quality_page(report: &QualityReport, lines: Vec<String>) -> String {
    let drawn = report.rules.iter().map(|(rule, count)| Count {
        name: (*rule).to_owned(),
        total: count.hits,
        part: Some(count.rejected),
        words: format!("{} of {}", number(count.rejected), number(count.hits)),
    });
    let rows = report.rules.iter().map(|(rule, count)| {
        [
            (*rule).to_owned(),
            number(count.hits),
            number(count.rejected),
            number(count.passed_on_retry),
            number(count.prompt_tokens + count.completion_tokens),
            count.cost.map_or(String::new(), money),
            count.examples.join(", "),
        ]
    });
    let columns = ["rule", "hits", "rejected", "passed on retry", "tokens", "cost", "the first rows"];
    let section = Section::table("Findings of the rules", columns, rows.collect())
        .noted(if report.rules.is_empty() { "No rule found anything." } else { "" })
        .charted(counts(&drawn.collect::<Vec<_>>(), Some("answers rejected")));
    Page {
        title: "Quality".to_owned(),
        verdict: format!("{} judged", counted(report.answers, "answer")),
        lines,
        sections: vec![section],
        ..Page::default()
    }
    .render()
}
