use super::controls::controls_section;
use super::evaluation::{cost, dataset_section, judge_section};
use super::{Mean, Page, Point, Section, means, part_name, scatter};
use crate::report::comparison::{DuelReport, SliceScore};
use crate::report::votes::ConversationScores;
use crate::report::words::{counted, number, p_number};
use crate::report::{ComparedReport, ComparisonReport};

/// Returns a comparison as a page.
pub fn comparison_page(report: &ComparisonReport) -> String {
    let names: Vec<&str> = report.systems.iter().map(|system| system.name.as_str()).collect();
    let verdict = if report.systems.len() > 2 {
        leader(report).map_or("no clear leader".to_owned(), |name| format!("{name} leads"))
    } else {
        report.pairs.first().map_or("no verdict".to_owned(), |pair| pair.verdict.clone())
    };
    let line = format!(
        "{}, {}, judged by {}, begun on {}",
        counted(report.dataset.conversations, "conversation"),
        counted(report.dataset.turns, "turn"),
        report.judge.model,
        report.date
    );
    let mut sections = vec![win_rates(report)];
    for pair in &report.pairs {
        sections.extend(pair_sections(pair, report.pairs.len() > 1));
    }
    sections.extend(ranking(report));
    sections.extend(report.controls.as_ref().map(controls_section));
    sections.extend(calibration(report));
    let page = Page {
        title: format!("Comparison of {}", names.join(" and ")),
        verdict,
        incomplete: &report.incomplete,
        cautions: &report.cautions,
        withheld: report.pairs.iter().flat_map(|pair| &pair.withheld).map(String::as_str).collect(),
        lines: vec![line],
        compared: vec![systems(report), dataset_section(&report.dataset), judge_section(&report.judge)],
        sections,
        ..Page::default()
    };
    page.with_examples(&report.examples).render()
}

/// Returns the system that is better than every other one by the verdicts.
fn leader(report: &ComparisonReport) -> Option<&str> {
    let beats_all = |name: &&str| {
        let mut own = report.pairs.iter().filter(|pair| pair.a == **name || pair.b == **name);
        own.all(|pair| pair.verdict == format!("{name} better"))
    };
    report.systems.iter().map(|system| system.name.as_str()).find(beats_all)
}

fn bar(name: String, score: &ConversationScores) -> Mean {
    Mean {
        name,
        value: score.score * 100.0,
        interval: score.interval.map(|interval| (interval.low * 100.0, interval.high * 100.0)),
        words: format!("{:.1} %", score.score * 100.0),
    }
}

const PERCENT: (f64, f64) = (0.0, 100.0);

fn win_rates(report: &ComparisonReport) -> Section {
    let name = |pair: &DuelReport| format!("{} : {}", pair.a, pair.b);
    let drawn: Vec<Mean> = report.pairs.iter().map(|pair| bar(name(pair), &pair.score)).collect();
    let rows = report.pairs.iter().map(|pair| {
        [
            name(pair),
            pair.conclusion(),
            pair.score.words(),
            p_number(pair.score.sign_test_p),
            format!("{} / {} / {} / {}", pair.wins, pair.losses, pair.ties, pair.inconsistent),
            pair.detectable_effect.map_or("-".to_owned(), |effect| format!("{:.1} points", effect * 100.0)),
        ]
    });
    Section::table(
        "Who wins",
        [
            "pair",
            "verdict",
            "score of the first (95 %)",
            "sign test p",
            "won / lost / tied / inconsistent",
            "smallest detectable effect",
        ],
        rows.collect(),
    )
    .noted("A tie and a verdict that changed with the order of the answers count half. Each conversation counts once.")
    .charted(means(&drawn, PERCENT, Some(50.0)))
}

fn pair_sections(pair: &DuelReport, is_one_of_many: bool) -> Vec<Section> {
    let of = if is_one_of_many { format!(", {} : {}", pair.a, pair.b) } else { String::new() };
    let slices = |title: String, note: &str, slices: &[SliceScore]| {
        let rows = slices.iter().map(|slice| {
            [part_name(&slice.name), slice.score.words(), number(slice.score.count), p_number(slice.adjusted_p)]
        });
        let drawn: Vec<Mean> = slices.iter().map(|slice| bar(part_name(&slice.name), &slice.score)).collect();
        let columns = ["", "score of the first (95 %)", "conversations", "p (Holm)"];
        Section::table(&title, columns, rows.collect()).noted(note).charted(means(&drawn, PERCENT, Some(50.0)))
    };
    let mut sections = vec![slices(format!("Turn by turn{of}"), "", &pair.turns)];
    if !pair.categories.is_empty() {
        sections.push(slices(format!("Categories{of}"), "Exploratory.", &pair.categories));
    }
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let letters = |mean: Option<f64>| mean.map_or("-".to_owned(), |mean| format!("{mean:.0}"));
    let points: Vec<Point> =
        pair.length_points.iter().map(|(longer, score)| Point { x: *longer, y: *score * 100.0 }).collect();
    let length = vec![
        [format!("mean characters of {}", pair.a), letters(pair.length.a_mean)],
        [format!("mean characters of {}", pair.b), letters(pair.length.b_mean)],
        [format!("score where {} is longer", pair.a), percent(pair.length.score_where_longer)],
        [format!("score where {} is shorter", pair.a), percent(pair.length.score_where_shorter)],
        [
            "score at equal length, by the length term alone".to_owned(),
            percent(pair.length.controlled.map(|controlled| controlled.score)),
        ],
    ];
    let (x, y) = (format!("letters of {} minus letters of {}", pair.a, pair.b), format!("score of {}, %", pair.a));
    // Always with zero in the middle: to which side the answers lean is the point.
    let reach = points.iter().map(|point| point.x.abs()).fold(1.0, f64::max);
    let chart = scatter(&points, (-reach, reach), PERCENT, (&x, &y));
    sections.push(Section::table(&format!("Length{of}"), ["", ""], length).charted(chart));
    let interval = pair
        .position
        .interval
        .map_or(String::new(), |interval| format!(" ({:.1} to {:.1})", interval.low * 100.0, interval.high * 100.0));
    let mut trust = vec![
        ["the first answer wins".to_owned(), format!("{}{interval}", percent(pair.position.first_wins))],
        ["changed with the order".to_owned(), percent(Some(pair.position.inconsistent_share))],
        ["position-biased".to_owned(), if pair.position.is_biased { "yes" } else { "no" }.to_owned()],
        ["p by flipping signs".to_owned(), p_number(pair.sign_flip_p)],
        [
            "answers missing".to_owned(),
            format!(
                "{} of {}, {} of {}, {} of both",
                pair.a_missing, pair.a, pair.b_missing, pair.b, pair.both_missing
            ),
        ],
        ["score with missing answers as lost".to_owned(), pair.intention_to_treat.words()],
        ["verdicts not read".to_owned(), number(pair.unparsed)],
    ];
    trust.extend(pair.flip_share.map(|flips| ["repeats that differ".to_owned(), percent(Some(flips))]));
    sections.push(Section::table(&format!("Reliability{of}"), ["", ""], trust));
    sections
}

fn ranking(report: &ComparisonReport) -> Option<Section> {
    let rows = report.ranking.iter().map(|system| {
        let elo = system.elo.map_or("-".to_owned(), |elo| format!("{elo:.0}"));
        let interval = system.interval.map_or(String::new(), |interval| {
            let elo = crate::statistics::Ranking::elo;
            format!("{:.0} to {:.0}", elo(interval.low), elo(interval.high))
        });
        [system.name.clone(), format!("{:.1} %", system.win_rate_adjusted * 100.0), elo, interval]
    });
    let rows: Vec<_> = rows.collect();
    (report.systems.len() > 2)
        .then(|| Section::table("Ranking", ["", "wins, ties half", "Elo (Bradley–Terry)", "95 %"], rows))
}

fn calibration(report: &ComparisonReport) -> Option<Section> {
    let people = report.calibration.as_ref()?;
    let digits = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let rows = vec![
        ["votes in common".to_owned(), number(people.items)],
        ["agreement with the majority".to_owned(), digits(people.agreement)],
        ["kappa".to_owned(), digits(people.kappa)],
        ["decided by both".to_owned(), number(people.decided_items)],
        ["agreement of these".to_owned(), digits(people.decided_agreement)],
        ["kappa of these".to_owned(), digits(people.decided_kappa)],
    ];
    let drawn: Vec<Mean> = report
        .human_pairs
        .iter()
        .map(|pair| Mean {
            name: format!("{} : {}", pair.a, pair.b),
            value: pair.bias * 100.0,
            interval: pair.bias_interval.map(|interval| (interval.low * 100.0, interval.high * 100.0)),
            words: format!("{:+.1} points", pair.bias * 100.0),
        })
        .collect();
    let ends = drawn.iter().filter_map(|bias| bias.interval).flat_map(|(low, high)| [low, high]);
    let reach = ends.map(f64::abs).fold(50.0, f64::max).ceil();
    Some(
        Section::table("The judge beside people", ["", ""], rows)
            .noted("The chart shows the judge's bias for the first of a pair against people's votes.")
            .charted(means(&drawn, (-reach, reach), Some(0.0))),
    )
}

/// Returns what was compared: a column for each system.
fn systems(report: &ComparisonReport) -> Section {
    /// More columns do not fit side by side.
    const WRAPPED_MAX: usize = 3;
    let row = |name: &str, text: &dyn Fn(&ComparedReport) -> String| {
        [name.to_owned()].into_iter().chain(report.systems.iter().map(text)).collect::<Vec<_>>()
    };
    let failed = |system: &ComparedReport| {
        let reasons = system.failed.iter().map(|(reason, count)| format!("{count} × {reason}"));
        reasons.collect::<Vec<_>>().join(", ")
    };
    let rows = [
        row("model", &|system| system.model.clone().unwrap_or_else(|| "answers from a file".to_owned())),
        row("reported model", &|system| system.reported.join(", ")),
        row("from", &|system| system.from.join(", ")),
        row("sampling", &|system| system.sampling.clone().unwrap_or_default()),
        row("system message (blake3)", &|system| {
            system.system_prompt.as_ref().map_or(String::new(), |hash| hash.chars().take(16).collect())
        }),
        row("without an answer", &failed),
        row("cost", &|system| cost(&system.cost)),
    ];
    Section {
        title: "The systems".to_owned(),
        columns: row("", &|system| system.name.clone()),
        rows: rows.into_iter().filter(|row| row.iter().skip(1).any(|cell| !cell.is_empty())).collect(),
        is_wide: report.systems.len() > WRAPPED_MAX,
        ..Section::default()
    }
}
