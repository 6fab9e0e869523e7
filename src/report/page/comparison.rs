use super::evaluation::{cost, dataset_section, judge_section};
use super::{Bar, Page, Point, Section, bars, scatter};
use crate::report::ComparisonReport;
use crate::report::comparison::{DuelReport, SliceScore};
use crate::report::votes::ConversationScores;
use crate::report::words::{counted, number};

/// Returns a comparison as a page.
pub fn comparison_page(report: &ComparisonReport) -> String {
    let names: Vec<&str> = report.systems.iter().map(|system| system.name.as_str()).collect();
    let mut headline: Vec<String> = report.pairs.iter().take(1).map(|pair| pair.verdict.clone()).collect();
    if report.systems.len() > 2 {
        headline = vec![leader(report).map_or("no clear leader".to_owned(), |name| format!("{name} leads"))];
    }
    headline.push(format!(
        "{}, {}, judged by {}, begun on {}",
        counted(report.dataset.conversations, "conversation"),
        counted(report.dataset.turns, "turn"),
        report.judge.model,
        report.date
    ));
    headline.extend(report.cautions.iter().map(|caution| format!("Caution: {caution}")));
    let mut sections = vec![win_rates(report)];
    for pair in &report.pairs {
        sections.extend(pair_sections(pair, report.pairs.len() > 1));
    }
    sections.extend(ranking(report));
    sections.extend(controls(report));
    sections.extend(calibration(report));
    sections.push(systems(report));
    sections.push(judge_section(&report.judge));
    sections.push(dataset_section(&report.dataset));
    let page = Page {
        title: format!("Comparison of {}", names.join(" and ")),
        headline,
        warnings: &report.incomplete,
        sections,
        examples: &report.examples,
    };
    page.render()
}

/// Returns the system that is better than every other one by the verdicts.
fn leader(report: &ComparisonReport) -> Option<&str> {
    let beats_all = |name: &&str| {
        let mut own = report.pairs.iter().filter(|pair| pair.a == **name || pair.b == **name);
        own.all(|pair| pair.verdict == format!("{name} better"))
    };
    report.systems.iter().map(|system| system.name.as_str()).find(beats_all)
}

fn bar(name: String, score: &ConversationScores) -> Bar {
    Bar {
        name,
        value: score.score * 100.0,
        interval: score.interval.map(|interval| (interval.low * 100.0, interval.high * 100.0)),
        words: format!("{:.1} %", score.score * 100.0),
    }
}

const PERCENT: (f64, f64) = (0.0, 100.0);

fn win_rates(report: &ComparisonReport) -> Section {
    let name = |pair: &DuelReport| format!("{} : {}", pair.a, pair.b);
    let drawn: Vec<Bar> = report.pairs.iter().map(|pair| bar(name(pair), &pair.score)).collect();
    let rows = report.pairs.iter().map(|pair| {
        [
            name(pair),
            pair.verdict.clone(),
            pair.score.words(),
            format!("{:.4}", pair.score.sign_test_p),
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
    .charted(bars(&drawn, PERCENT, Some(50.0)))
}

fn pair_sections(pair: &DuelReport, is_one_of_many: bool) -> Vec<Section> {
    let of = if is_one_of_many { format!(", {} : {}", pair.a, pair.b) } else { String::new() };
    let slices = |title: String, note: &str, slices: &[SliceScore]| {
        let rows = slices.iter().map(|slice| {
            [slice.name.clone(), slice.score.words(), number(slice.score.count), format!("{:.4}", slice.adjusted_p)]
        });
        let drawn: Vec<Bar> = slices.iter().map(|slice| bar(slice.name.clone(), &slice.score)).collect();
        let columns = ["", "score of the first (95 %)", "conversations", "p (Holm)"];
        Section::table(&title, columns, rows.collect()).noted(note).charted(bars(&drawn, PERCENT, Some(50.0)))
    };
    let mut sections = vec![slices(format!("Turn by turn{of}"), "", &pair.turns)];
    if !pair.categories.is_empty() {
        sections.push(slices(format!("Categories{of}"), "Exploratory.", &pair.categories));
    }
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let letters = |mean: Option<f64>| mean.map_or("-".to_owned(), |mean| format!("{mean:.0}"));
    let points: Vec<Point> = pair.length_points.iter().map(|(longer, score)| Point { x: *longer, y: *score }).collect();
    let length = vec![
        [format!("mean characters of {}", pair.a), letters(pair.length.a_mean)],
        [format!("mean characters of {}", pair.b), letters(pair.length.b_mean)],
        [format!("score where {} is longer", pair.a), percent(pair.length.score_where_longer)],
        [format!("score where {} is shorter", pair.a), percent(pair.length.score_where_shorter)],
        ["score at equal length".to_owned(), percent(pair.length.controlled.map(|controlled| controlled.score))],
    ];
    let names = (format!("letters of {} more than {}", pair.a, pair.b), "score".to_owned());
    sections
        .push(Section::table(&format!("Length{of}"), ["", ""], length).charted(scatter(&points, (&names.0, &names.1))));
    let interval = pair
        .position
        .interval
        .map_or(String::new(), |interval| format!(" ({:.1} to {:.1})", interval.low * 100.0, interval.high * 100.0));
    let mut trust = vec![
        ["the first answer wins".to_owned(), format!("{}{interval}", percent(pair.position.first_wins))],
        ["changed with the order".to_owned(), percent(Some(pair.position.inconsistent_share))],
        ["position-biased".to_owned(), if pair.position.is_biased { "yes" } else { "no" }.to_owned()],
        ["p by flipping signs".to_owned(), format!("{:.4}", pair.sign_flip_p)],
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

fn controls(report: &ComparisonReport) -> Option<Section> {
    let controls = report.controls.as_ref()?;
    let row = |name: &str, control: &crate::report::ControlReport| {
        let passes = if control.passes { "yes" } else { "NO" };
        [name.to_owned(), control.score.words(), control.expected.clone(), passes.to_owned()]
    };
    let rows =
        vec![row("the same answers twice", &controls.same), row("answers to other conversations", &controls.shuffled)];
    Some(Section::table("Controls", ["", "score of the first (95 %)", "expected", "as expected"], rows))
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
    let drawn: Vec<Bar> = report
        .human_pairs
        .iter()
        .map(|pair| Bar {
            name: format!("{} : {}", pair.a, pair.b),
            value: pair.bias * 100.0,
            interval: pair.bias_interval.map(|interval| (interval.low * 100.0, interval.high * 100.0)),
            words: format!("{:+.1} points", pair.bias * 100.0),
        })
        .collect();
    Some(
        Section::table("The judge beside people", ["", ""], rows)
            .noted("The chart shows the judge's bias for the first of a pair against people's votes.")
            .charted(bars(&drawn, (-50.0, 50.0), Some(0.0))),
    )
}

fn systems(report: &ComparisonReport) -> Section {
    let rows = report.systems.iter().map(|system| {
        let failed: Vec<String> = system.failed.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        [
            system.name.clone(),
            system.model.clone().unwrap_or_else(|| "answers from a file".to_owned()),
            system.reported.join(", "),
            system.from.join(", "),
            system.sampling.clone().unwrap_or_default(),
            system.system_prompt.as_ref().map_or(String::new(), |hash| hash.chars().take(16).collect()),
            failed.join(", "),
            cost(&system.cost),
        ]
    });
    let columns =
        ["", "model", "reported model", "from", "sampling", "system message (blake3)", "without an answer", "cost"];
    Section::table("The systems", columns, rows.collect())
}
