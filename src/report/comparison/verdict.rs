//! The verdict: which system is better, and the reasons against a verdict.

use super::{ComparisonReport, DuelReport, SliceScore};
use crate::report::controls::{ControlsReport, NOT_RELIABLE};
use crate::report::evaluation::{JudgeReport, UNPARSED_SHARE_MAX};
use crate::report::votes::ConversationScores;
use crate::report::words::{counted, number};
use crate::statistics::{Conversations, holm};

/// Fewer conversations give no verdict.
pub const CONVERSATIONS_MIN: u64 = 5;
/// From this number of conversations on the bootstrap's interval is reliable alone.
const BOOTSTRAP_MIN: u64 = 50;
/// Above this share of verdicts that change with the order, the judge's verdicts are not used.
const INCONSISTENT_SHARE_MAX: f64 = 0.5;
/// Above this share of duels without one of the answers, the others say too little about the systems.
const MISSING_SHARE_MAX: f64 = 0.1;

const INCONCLUSIVE: &str = "inconclusive";

/// A limit of the figures.
struct Doubt {
    /// What readers are told.
    words: String,
    /// The figures are not used for a verdict.
    forbids_verdict: bool,
    /// The pair that it concerns; `None` for all.
    pair: Option<usize>,
}

impl Doubt {
    fn of_all(words: String, forbids_verdict: bool) -> Self {
        Self { words, forbids_verdict, pair: None }
    }

    fn of_pair(pair: usize, words: String, forbids_verdict: bool) -> Self {
        Self { words, forbids_verdict, pair: Some(pair) }
    }
}

/// Gives each pair its verdict, and the report its cautions. Both follow from the same doubts, so that no page says `better`
/// above a caution that denies it.
pub(super) fn settle(report: &mut ComparisonReport, suspect: u64) {
    let doubts = doubts(report, suspect);
    let (margin, incomplete) = (report.margin, report.incomplete.clone());
    let is_unreliable = report.has_unreliable_judge();
    for (at, pair) in report.pairs.iter_mut().enumerate() {
        let forbidding =
            doubts.iter().filter(|doubt| doubt.forbids_verdict && doubt.pair.is_none_or(|pair| pair == at));
        pair.withheld = incomplete.iter().cloned().chain(forbidding.map(|doubt| doubt.words.clone())).collect();
        pair.verdict = match () {
            () if is_unreliable => NOT_RELIABLE.to_owned(),
            () if pair.withheld.is_empty() => verdict(pair, margin),
            () => INCONCLUSIVE.to_owned(),
        };
    }
    report.cautions.extend(doubts.into_iter().map(|doubt| doubt.words));
}

/// Returns the verdict by rule: the interval of the score beside 0.5 and the margin.
fn verdict(pair: &DuelReport, margin: f64) -> String {
    let DuelReport { a, b, score, .. } = pair;
    let Some(interval) = score.interval else { return INCONCLUSIVE.to_owned() };
    let interval_is_near = interval.low >= 0.5 - margin && interval.high <= 0.5 + margin;
    // The bootstrap's interval is too narrow over few conversations: there the exact test must agree.
    let is_unconfirmed = score.count < BOOTSTRAP_MIN && !interval_is_near && score.sign_test_p >= 0.05;
    if is_unconfirmed {
        INCONCLUSIVE.to_owned()
    } else if interval.low > 0.5 {
        format!("{a} better")
    } else if interval.high < 0.5 {
        format!("{b} better")
    } else if interval_is_near {
        format!("equivalent within ±{:.0} points", margin * 100.0)
    } else {
        INCONCLUSIVE.to_owned()
    }
}

/// Returns the scores of parts of the duels, with the p adjusted for their number. The whole comes after its parts.
pub(super) fn slices<'a>(slices: impl Iterator<Item = (String, &'a Conversations)>) -> Vec<SliceScore> {
    let judged = slices.filter(|(_, all)| !all.is_empty());
    let mut slices: Vec<SliceScore> =
        judged.map(|(name, all)| SliceScore { name, score: ConversationScores::of(all), adjusted_p: 1.0 }).collect();
    let adjusted = holm(&slices.iter().map(|slice| slice.score.sign_test_p).collect::<Vec<_>>());
    slices.iter_mut().zip(adjusted).for_each(|(slice, p)| slice.adjusted_p = p);
    slices
}

/// Returns why the figures cannot be trusted.
pub(super) fn why_incomplete(judge: &JudgeReport, open: u64, votes: usize) -> Vec<String> {
    let mut reasons = Vec::new();
    if judge.unparsed_share > UNPARSED_SHARE_MAX {
        reasons.push(format!("{:.1} % of the verdicts cannot be read", judge.unparsed_share * 100.0));
    }
    if open > 0 {
        reasons.push(format!("{} without a verdict", counted(open, "duel")));
    }
    if votes == 0 {
        reasons.push("there are no verdicts".to_owned());
    }
    reasons
}

/// Returns the limits of the figures.
fn doubts(report: &ComparisonReport, suspect: u64) -> Vec<Doubt> {
    let mut doubts: Vec<Doubt> = report.controls.iter().flat_map(of_controls).collect();
    for (at, pair) in report.pairs.iter().enumerate() {
        doubts.extend(of_pair(pair).map(|(words, forbids)| Doubt::of_pair(at, words, forbids)));
    }
    if suspect > 0 {
        doubts.push(Doubt::of_all(
            format!("{} with an answer that looks like a verdict", counted(suspect, "duel")),
            false,
        ));
    }
    let judge = &report.judge.model;
    for system in &report.systems {
        if system.model.as_ref().is_some_and(|model| family(model) == family(judge)) {
            let name = &system.name;
            let words =
                format!("{judge} judges {name}, which seems to be of its own family; judges prefer their own family");
            doubts.push(Doubt::of_all(words, false));
        }
    }
    doubts
}

/// Returns why controls cast doubt on the judge.
fn of_controls(controls: &ControlsReport) -> Vec<Doubt> {
    let forbids = controls.forbids_verdict();
    controls.cautions().into_iter().map(|caution| Doubt::of_all(caution, forbids)).collect()
}

/// Returns the limits of one pair's figures, and whether each forbids a verdict.
fn of_pair(pair: &DuelReport) -> impl Iterator<Item = (String, bool)> {
    let DuelReport { a, b, position, score, .. } = pair;
    let few = (score.count < CONVERSATIONS_MIN)
        .then(|| (format!("{a} and {b}: verdicts on {} only", counted(score.count, "conversation")), true));
    let share = position.first_wins.unwrap_or(0.5) * 100.0;
    let biased = position.is_biased.then(|| {
        let words = format!(
            "the judge is position-biased between {a} and {b}: the first answer wins {share:.0} % of its single verdicts"
        );
        (words, true)
    });
    let inconsistent = (position.inconsistent_share > INCONSISTENT_SHARE_MAX).then(|| {
        let share = position.inconsistent_share * 100.0;
        (format!("{a} and {b}: {share:.0} % of the verdicts change with the order of the answers"), true)
    });
    let missing = pair.missing();
    let all = missing + pair.wins + pair.losses + pair.ties + pair.inconsistent + pair.unparsed;
    let missing = (missing > 0).then(|| {
        let (share, counted) = (missing as f64 / all as f64, counted(all, "duel"));
        let words = format!(
            "{a} and {b}: in {} of {counted} an answer is missing; the score covers the others",
            number(missing)
        );
        (words, share > MISSING_SHARE_MAX)
    });
    [few, biased, inconsistent, missing].into_iter().flatten()
}

/// Returns the beginning of a model's name, which its siblings share.
fn family(model: &str) -> String {
    model.split(['-', ':', '/', '.']).next().unwrap_or(model).to_lowercase()
}

impl DuelReport {
    /// Returns how many duels lack an answer.
    pub(super) fn missing(&self) -> u64 {
        self.a_missing + self.b_missing + self.both_missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::conversation::{Duel, DuelEnd, Scope, Winner};
    use crate::report::comparison::{Compared, ComparedReport, Comparison};
    use crate::report::comparison_page;
    use crate::report::controls::{ControlReport, KnownVerdict};

    /// A report on 60 conversations: `a` wins all of them, apart from those in which `b` has no answer.
    fn report(missing: u64, unread: u64, controls: Option<ControlsReport>) -> ComparisonReport {
        let system = |name: &str| ComparedReport { name: name.to_owned(), ..ComparedReport::default() };
        let systems = vec![system("a"), system("b")];
        let mut comparison = Comparison::new(ComparisonReport { systems, margin: 0.05, ..ComparisonReport::default() });
        for number in 0..60 {
            let end = match number {
                number if number < missing => DuelEnd::SecondMissing,
                number if number < missing + unread => DuelEnd::Unparsed,
                _ => DuelEnd::Decided(Winner::First),
            };
            let duel = Duel {
                first: 0,
                second: 1,
                scope: Scope::from_number(2),
                repeat: 0,
                end,
                orders: [Some(Winner::First), Some(Winner::First)],
                words: [None, None],
                readings: [None, None],
                lengths: [10, 10],
                is_suspect: false,
            };
            let answers = ["one", "two"].map(|text| Some(text.to_owned())).to_vec();
            let compared = Compared {
                id: "row",
                category: None,
                questions: &["an earlier question".to_owned(), "the question".to_owned()],
                answers: &[answers.clone(), answers],
                paid: &[Vec::new(), Vec::new()],
                failed: &[None, None],
                duels: &[duel],
            };
            comparison.add(&compared, &BTreeMap::new());
        }
        comparison.finish(controls)
    }

    /// The controls of a judge that prefers the first of equal answers in this share, and is right in this share.
    fn controls(first_place: f64, right: f64) -> ControlsReport {
        let mut scores = Conversations::default();
        (0..40).for_each(|_| scores.push([first_place]));
        let verdict = |at| KnownVerdict { language: "", is_right: Some(f64::from(at) < 40.0 * right) };
        let known = ControlReport::known(&(0..40).map(verdict).collect::<Vec<_>>(), "");
        ControlsReport::of(known, Some(ControlReport::same(&scores)), None)
    }

    #[test]
    fn no_page_says_better_above_what_denies_it() {
        for (what, report, is_better) in [
            ("nothing denies it", report(0, 0, None), true),
            ("controls pass", report(0, 0, Some(controls(0.5, 1.0))), true),
            ("few answers are missing", report(5, 0, None), true),
            ("known answers were judged wrongly", report(0, 0, Some(controls(0.5, 0.6))), false),
            ("the first of equal answers won", report(0, 0, Some(controls(1.0, 1.0))), false),
            ("many answers are missing", report(9, 0, None), false),
            ("many verdicts cannot be read", report(0, 3, None), false),
        ] {
            let page = comparison_page(&report);
            let verdict = page.split(r#"<p class="verdict">"#).nth(1).unwrap().split("</p>").next().unwrap();
            let withheld = &report.pairs[0].withheld;
            assert_eq!(report.pairs[0].verdict == NOT_RELIABLE, report.has_unreliable_judge(), "{what}");
            assert_eq!(report.has_unreliable_judge(), report.controls.is_some() && !is_better, "{what}");
            assert_eq!(verdict.contains("better"), is_better, "{what}: {verdict}, {withheld:?}");
            assert_eq!(report.pairs[0].verdict.contains("better"), is_better, "{what}");
            assert_eq!(report.lines().iter().any(|line| line.contains("better")), is_better, "{what}");
            let told: Vec<&String> = report.cautions.iter().chain(&report.incomplete).collect();
            assert!(report.pairs[0].withheld.iter().all(|reason| told.contains(&reason)), "{what}: {told:?}");
            assert_eq!(report.pairs[0].withheld.is_empty(), is_better, "{what}");
        }
    }

    #[test]
    fn cases_come_before_statistics_with_their_history() {
        let page = comparison_page(&report(0, 0, None));
        let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}"));
        let order = [
            "class=\"verdict\"",
            "The systems",
            "The judge",
            "Cases",
            "an earlier question",
            "Who wins",
            "Turn by turn",
        ];
        assert!(order.map(place).is_sorted(), "{:?}", order.map(place));
    }
}
