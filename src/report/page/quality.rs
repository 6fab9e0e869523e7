use super::{Bar, Page, Section, bars};
use crate::report::QualityReport;
use crate::report::words::{counted, money, number};

/// Returns the findings of the rules as a page. `lines` describe the run in words.
pub fn quality_page(report: &QualityReport, lines: Vec<String>) -> String {
    let largest = report.rules.values().map(|count| count.hits).max().unwrap_or(0).max(1) as f64;
    let drawn = report.rules.iter().map(|(rule, count)| Bar {
        name: (*rule).to_owned(),
        value: count.rejected as f64,
        interval: Some((0.0, count.hits as f64)),
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
        .noted("The line is the number of hits of a rule, the dot the number of rejected answers.")
        .charted(bars(&drawn.collect::<Vec<_>>(), (0.0, largest), None));
    let mut headline = vec![format!("{} judged", counted(report.answers, "answer"))];
    headline.extend(lines);
    Page { title: "Quality".to_owned(), headline, sections: vec![section], ..Page::default() }.render()
}
