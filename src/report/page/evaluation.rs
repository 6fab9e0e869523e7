use super::controls::controls_section;
use super::{Mean, Page, Point, Section, from_zero, means, part_name, scatter};
use crate::report::evaluation::{ScoreReport, SliceReport};
use crate::report::words::{counted, money, number};
use crate::report::{EvaluationMode, EvaluationReport, NOT_RELIABLE};

/// Returns an evaluation as a page.
pub fn evaluation_page(report: &EvaluationReport) -> String {
    let (scale, range, unit) = match report.mode {
        EvaluationMode::Check => (100.0, (0.0, 100.0), " % pass"),
        EvaluationMode::Rubric => (1.0, (1.0, 5.0), " of 5"),
        EvaluationMode::Score => (1.0, (1.0, 10.0), " of 10"),
    };
    let digits = if report.mode == EvaluationMode::Check { 1 } else { 2 };
    let bar = |name: &str, score: &ScoreReport| Mean {
        name: part_name(name),
        value: score.mean.unwrap_or(0.0) * scale,
        interval: score.interval.map(|interval| (interval.low * scale, interval.high * scale)),
        words: format!("{:.digits$} [{}]", score.mean.unwrap_or(0.0) * scale, score.marks),
    };
    let chart = |slices: &[SliceReport]| {
        let drawn: Vec<Mean> = slices.iter().map(|slice| bar(&slice.name, &slice.score)).collect();
        means(&drawn, range, None)
    };
    let section = |title: &str, slices: &[SliceReport]| {
        let rows = slices
            .iter()
            .map(|slice| [part_name(&slice.name), slice.score.words(scale, digits), number(slice.score.marks)]);
        (!slices.is_empty())
            .then(|| Section::table(title, ["", "mean (95 %)", "marks"], rows.collect()).charted(chart(slices)))
    };
    let slices = [
        section("Turn by turn", &report.turns),
        section("Criteria", &report.criteria),
        section("Categories", &report.categories),
    ];
    // A mark that was never given is one of the results.
    let given: Vec<(String, i64)> = match report.mode {
        EvaluationMode::Check => vec![("fails".to_owned(), 0), ("passes".to_owned(), 1)],
        EvaluationMode::Rubric => (1..=5_i64).map(|mark| (mark.to_string(), mark)).collect(),
        EvaluationMode::Score => (1..=10_i64).map(|mark| (mark.to_string(), mark)).collect(),
    };
    let count = |mark: i64| report.distribution.get(&mark).copied().unwrap_or(0);
    let distribution = given.into_iter().map(|(name, mark)| (name, count(mark))).collect();
    let mut facts = vec![
        ["marks".to_owned(), number(report.marks)],
        ["not read".to_owned(), format!("{} ({:.1} %)", report.judge.unparsed, report.judge.unparsed_share * 100.0)],
        ["answers that look like a verdict".to_owned(), number(report.suspect)],
    ];
    facts.extend(report.adjusted_score.map(|score| ["adjusted score".to_owned(), format!("{score:.2}")]));
    facts.extend(
        report.length_correlation.map(|length| ["correlation with length".to_owned(), format!("{length:+.2}")]),
    );
    facts.extend(report.flip_share.map(|flips| ["repeats that differ".to_owned(), format!("{:.1} %", flips * 100.0)]));
    facts.extend(
        (1..).zip(&report.pass_hat_k).map(|(k, share): (u32, &f64)| [format!("pass^{k}"), format!("{share:.3}")]),
    );
    let judge = &report.judge;
    let points: Vec<Point> = report.length_points.iter().map(|(x, y)| Point { x: *x, y: *y }).collect();
    let letters = from_zero(points.iter().map(|point| point.x));
    let marks = if report.mode == EvaluationMode::Check { (0.0, 1.0) } else { range };
    let length = scatter(&points, letters, marks, ("letters of the answer", "mark"));
    let sections = slices
        .into_iter()
        .flatten()
        .chain([
            Section::counted("Marks", distribution),
            Section { title: "Length".to_owned(), ..Section::default() }.charted(length),
            Section::table("Reliability", ["", ""], facts),
        ])
        .chain(report.controls.as_ref().map(controls_section))
        .filter(|section| !section.chart.is_empty() || !section.rows.is_empty())
        .collect();
    Page {
        title: format!("Evaluation by {}", judge.model),
        verdict: if report.has_unreliable_judge() {
            NOT_RELIABLE.to_owned()
        } else {
            format!("{}{unit}", report.overall.words(scale, digits))
        },
        incomplete: &report.incomplete,
        cautions: &report.cautions,
        lines: vec![format!(
            "mean over {}, 95 % interval by cluster bootstrap",
            counted(report.overall.conversations, "conversation")
        )],
        compared: vec![dataset_section(&report.dataset), judge_section(judge)],
        sections,
        ..Page::default()
    }
    .with_examples(&report.examples)
    .render()
}

pub(super) fn judge_section(judge: &crate::report::JudgeReport) -> Section {
    let option = |value: Option<String>| value.unwrap_or_else(|| "the server's".to_owned());
    let mut rows = vec![
        ["model".to_owned(), judge.model.clone()],
        ["reported model".to_owned(), judge.reported.join(", ")],
        ["temperature".to_owned(), option(judge.temperature.map(|value| value.to_string()))],
        ["most tokens".to_owned(), option(judge.max_tokens.map(|value| value.to_string()))],
        ["prompt (blake3)".to_owned(), judge.prompt.chars().take(16).collect()],
        ["repeats".to_owned(), judge.repeats.to_string()],
    ];
    let replies = Some(judge.replies.words()).filter(|words| !words.is_empty());
    rows.extend(replies.map(|words| ["replies".to_owned(), words]));
    rows.push(["cost".to_owned(), cost(&judge.cost)]);
    Section::table("The judge", ["", ""], rows)
}

pub(super) fn dataset_section(dataset: &crate::report::DatasetReport) -> Section {
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let rows = vec![
        ["files".to_owned(), dataset.inputs.join(", ")],
        ["hash (blake3)".to_owned(), dataset.digest.chars().take(16).collect()],
        ["conversations".to_owned(), format!("{}, {}", number(dataset.conversations), counted(dataset.turns, "turn"))],
        ["categories".to_owned(), list(&dataset.categories)],
        ["left out".to_owned(), list(&dataset.left_out)],
    ];
    let known = rows.into_iter().filter(|[_, text]| !text.is_empty()).collect();
    Section::table("The data", ["", ""], known)
}

pub(super) fn cost(cost: &crate::report::CostReport) -> String {
    let money = cost.dollars.map_or(String::new(), |dollars| format!(", {}", money(dollars)));
    let (prompt, completion) = (number(cost.prompt_tokens), number(cost.completion_tokens));
    format!("{}, {prompt} tokens in, {completion} out{money}", counted(cost.answers, "answer"))
}
