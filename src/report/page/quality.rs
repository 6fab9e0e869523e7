use super::{Count, Page, Section, counts, histogram};
use crate::report::words::{counted, money, number};
use crate::report::{LanguageCount, OrphanCount, QualityReport, RuleCount};

/// Returns the findings of the rules as a page. `lines` describe the run in words.
pub fn quality_page(report: &QualityReport, lines: Vec<String>) -> String {
    let mut sections = vec![findings(report)];
    if !report.languages.is_empty() {
        sections.push(languages(report));
    }
    if !report.orphans.is_empty() {
        sections.push(orphans(report));
    }
    for (rule, values) in &report.values {
        let words =
            format!("{} measured, the largest value is {}", counted(values.total(), "answer"), short(values.most));
        let title = format!("Values of {rule}");
        sections.push(Section { title, ..Section::default() }.noted(&words).charted(histogram(values)));
    }
    Page {
        title: "Quality".to_owned(),
        verdict: format!("{} judged", counted(report.answers, "answer")),
        lines,
        sections,
        ..Page::default()
    }
    .render()
}

fn findings(report: &QualityReport) -> Section {
    let drawn = report.rules.iter().map(|(rule, count)| Count {
        name: (*rule).to_owned(),
        total: count.hits,
        part: Some(count.rejected),
        words: format!("{} of {}", number(count.rejected), number(count.hits)),
    });
    let row = |(rule, count): (&&str, &RuleCount)| {
        [
            (*rule).to_owned(),
            number(count.hits),
            number(count.rejected),
            number(count.passed_on_retry),
            number(count.prompt_tokens + count.completion_tokens),
            count.cost.map_or(String::new(), money),
            count.examples.join(", "),
        ]
    };
    let columns = ["rule", "hits", "rejected", "passed on retry", "tokens", "cost", "the first rows"];
    Section::table("Findings of the rules", columns, report.rules.iter().map(row).collect())
        .noted(if report.rules.is_empty() { "No rule found anything." } else { "" })
        .charted(counts(&drawn.collect::<Vec<_>>(), Some("answers rejected")))
}

fn languages(report: &QualityReport) -> Section {
    let mut languages: Vec<(&&str, &LanguageCount)> = report.languages.iter().collect();
    languages.sort_by_key(|(name, count)| (std::cmp::Reverse(count.answers), **name));
    let row = |(name, count): (&&str, &LanguageCount)| {
        let found = count.rules.iter().map(|(rule, hits)| format!("{rule} {}", number(*hits)));
        let name = if name.is_empty() { "no letters" } else { name };
        [name.to_owned(), number(count.answers), number(count.rejected), found.collect::<Vec<_>>().join(", ")]
    };
    let rows = languages.into_iter().map(row).collect();
    Section::table("By language of the answer", ["language", "answers", "rejected", "found"], rows)
        .noted("ISO 639-3. Short answers are often counted for another language.")
}

fn orphans(report: &QualityReport) -> Section {
    let rows = report.orphans.iter().map(|(language, OrphanCount { messages, strong, weak })| {
        [language.to_owned(), number(messages), number(strong), number(weak)]
    });
    let columns = ["language", "messages after a new answer", "strong", "weak"];
    Section::table("Messages that refer to a replaced answer", columns, rows.collect())
}

/// Returns a value with at most three places after the point.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
