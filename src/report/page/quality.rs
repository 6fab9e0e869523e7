use super::{Count, Page, Section, counts};
use crate::report::words::{counted, money, number};
use crate::report::{OrphanCount, QualityReport};

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
    let orphans = report.orphans.iter().map(|(language, OrphanCount { messages, strong, weak })| {
        [language.to_owned(), number(messages), number(strong), number(weak)]
    });
    let columns = ["language", "messages after a new answer", "strong", "weak"];
    let orphans = Section::table("Messages that refer to a replaced answer", columns, orphans.collect());
    let sections = [Some(section), (!report.orphans.is_empty()).then_some(orphans)];
    Page {
        title: "Quality".to_owned(),
        verdict: format!("{} judged", counted(report.answers, "answer")),
        lines,
        sections: sections.into_iter().flatten().collect(),
        ..Page::default()
    }
    .render()
}
