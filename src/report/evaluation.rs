//! The results of a judge's marks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::controls::{ControlsReport, NOT_RELIABLE};
use super::replies::RepliesReport;
use super::same_verdict::SameVerdict;
use super::votes::adjusted_score;
use super::words::{counted, number};
use crate::conversation::{Mark, Scope, Usage};
use crate::statistics::{Conversations, Interval, Random, mean, pass_hat_k, wilson};

/// A larger share of invalid verdicts makes a report incomplete.
pub const UNPARSED_SHARE_MAX: f64 = 0.02;
/// Examples of each kind.
pub(super) const EXAMPLES: usize = 5;
/// Dots of a plot.
const POINTS_MAX: usize = 1000;
const EXAMPLE_SEED: u64 = 0x6578_616d_706c_6573;
/// The maximum length of a text in an example, in characters.
const EXAMPLE_LETTERS: usize = 1200;

/// The kind of marks that a judge gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationMode {
    /// A score from 1 to 10.
    #[default]
    Score,
    /// Whether each criterion is met.
    Check,
    /// A grade from 1 to 5, by five descriptions.
    Rubric,
}

impl EvaluationMode {
    /// Every mode with its name.
    pub const ALL: [(&str, Self); 3] = [("score", Self::Score), ("check", Self::Check), ("rubric", Self::Rubric)];

    /// Returns the name in settings and outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Check => "check",
            Self::Rubric => "rubric",
        }
    }
}

/// Marks of one judge over a dataset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EvaluationReport {
    /// Bumped when a field changes its meaning.
    pub schema: u32,
    /// The kind of marks.
    pub mode: EvaluationMode,
    /// Why the figures cannot be trusted, where that is so.
    pub incomplete: Vec<String>,
    /// Limits of the figures.
    pub cautions: Vec<String>,
    /// Who judges.
    pub judge: JudgeReport,
    /// The judged dataset.
    pub dataset: DatasetReport,
    /// Marks, those that could not be read included.
    pub marks: u64,
    /// All marks together.
    pub overall: ScoreReport,
    /// The same on `WildBench`'s scale; for scores.
    pub adjusted_score: Option<f64>,
    /// How often each whole number is the mark, nearest first.
    pub distribution: BTreeMap<i64, u64>,
    /// Turn by turn, from 1; 0 is the whole conversation.
    pub turns: Vec<SliceReport>,
    /// By criterion.
    pub criteria: Vec<SliceReport>,
    /// By the rows' `category`.
    pub categories: Vec<SliceReport>,
    /// Pearson's correlation of an answer's length and its mark.
    pub length_correlation: Option<f64>,
    /// Answers' lengths in characters and their marks, for the plot; a thousand at most.
    pub length_points: Vec<(f64, f64)>,
    /// Marks for the same answer that differ from the first one, where there are several.
    pub flip_share: Option<f64>,
    /// The probability that `k` repeats of a check all pass, for k from 1.
    pub pass_hat_k: Vec<f64>,
    /// Answers that hold what looks like a verdict.
    pub suspect: u64,
    /// What the judge made of answers that are known to be right or wrong, where it was asked.
    pub controls: Option<ControlsReport>,
    /// The lowest marks, and some at random.
    pub examples: Vec<Example>,
}

/// The judge and its usage.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JudgeReport {
    /// The requested model.
    pub model: String,
    /// The names that the server reported.
    pub reported: Vec<String>,
    /// Sampling temperature; `None` is the server's default.
    pub temperature: Option<f64>,
    /// Most tokens of a judgment.
    pub max_tokens: Option<u32>,
    /// The hash of its prompt.
    pub prompt: String,
    /// The verdict that its prompt shows as an example, where it shows one alone.
    pub prompt_example: Option<String>,
    /// Repeats of each verdict.
    pub repeats: u32,
    /// Orders in which two answers are shown: 2; 1 where there is one answer.
    pub orders: u32,
    /// Verdicts that could not be read, after one more call for each.
    pub unparsed: u64,
    /// Their share.
    pub unparsed_share: f64,
    /// The form of its replies, and how they were read.
    pub replies: RepliesReport,
    /// The cost of its answers, in whichever run they were paid for.
    pub cost: CostReport,
}

/// Tokens and money.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CostReport {
    /// Answers.
    pub answers: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// Dollars, where the price is known.
    pub dollars: Option<f64>,
}

impl CostReport {
    /// Adds an answer.
    pub fn add(&mut self, usage: &Usage, price: Option<&crate::conversation::Price>) {
        self.answers += 1;
        self.prompt_tokens += usage.prompt_tokens.unwrap_or(0);
        self.completion_tokens += usage.completion_tokens.unwrap_or(0);
        if let Some(price) = price {
            *self.dollars.get_or_insert(0.0) += price.cost(usage);
        }
    }
}

/// The judged dataset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DatasetReport {
    /// Its files.
    pub inputs: Vec<String>,
    /// The hash (blake3) of all conversations that were judged, in order.
    pub digest: String,
    /// Conversations.
    pub conversations: u64,
    /// Their turns.
    pub turns: u64,
    /// Conversations by the rows' `category`.
    pub categories: BTreeMap<String, u64>,
    /// Rows that are left out, by reason.
    pub left_out: BTreeMap<String, u64>,
}

/// A mean of marks.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ScoreReport {
    /// Conversations.
    pub conversations: u64,
    /// Marks.
    pub marks: u64,
    /// The mean over conversations of their means.
    pub mean: Option<f64>,
    /// Its 95 % interval: cluster bootstrap.
    pub interval: Option<Interval>,
    /// The standard deviation of the conversations' means.
    pub deviation: Option<f64>,
}

/// A mean of some marks.
#[derive(Clone, Debug, Serialize)]
pub struct SliceReport {
    /// The slice.
    pub name: String,
    /// Their mean.
    #[serde(flatten)]
    pub score: ScoreReport,
    /// Wilson's interval, where marks are yes and no.
    pub wilson: Option<Interval>,
}

/// One mark with the question, the answers and the judge's words.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// Why it is shown: `lowest`, `random`, or an outcome.
    pub kind: String,
    /// The row.
    pub id: String,
    /// The turn, from 1.
    pub turn: u32,
    /// The mark, and the criterion where it has one.
    pub verdict: String,
    /// How many turns came before.
    pub earlier: u32,
    /// The last of them.
    pub history: Vec<Exchange>,
    /// The user's question.
    pub question: String,
    /// The answers, by whom.
    pub answers: Vec<(String, String)>,
    /// The judge's words.
    pub words: Vec<String>,
}

/// A turn before an example.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// The user's question.
    pub question: String,
    /// The answers, by whom.
    pub answers: Vec<(String, String)>,
}

impl Example {
    /// Turns before the shown one that are shown with it.
    pub(super) const HISTORY_MAX: usize = 3;

    /// Returns what happened in it, without the reason why it was chosen.
    pub(super) fn outcome(&self) -> &str {
        ["clearest, ", "at random, "].iter().find_map(|why| self.kind.strip_prefix(why)).unwrap_or(&self.kind)
    }
}

/// Returns the last of some earlier turns, and how many there are.
pub(super) fn shown_history(
    earlier: impl DoubleEndedIterator<Item = Exchange> + ExactSizeIterator,
) -> (u32, Vec<Exchange>) {
    let count = earlier.len();
    (count as u32, earlier.skip(count.saturating_sub(Example::HISTORY_MAX)).collect())
}

/// Marks while they are counted.
#[derive(Debug)]
pub struct Evaluation {
    report: EvaluationReport,
    is_check: bool,
    criteria: Vec<String>,
    all: Conversations,
    by_scope: BTreeMap<Scope, Conversations>,
    by_criterion: BTreeMap<String, Conversations>,
    by_category: BTreeMap<String, Conversations>,
    lengths: Vec<(f64, f64)>,
    flips: (u64, u64),
    trials: Vec<(u64, u64)>,
    same: SameVerdict,
    lowest: Vec<(f64, Example)>,
    random: Vec<Example>,
    dice: Random,
    seen: u64,
}

/// A conversation that was judged.
#[derive(Debug)]
pub struct JudgedConversation<'a> {
    /// The row.
    pub id: &'a str,
    /// Its `category`.
    pub category: Option<&'a str>,
    /// Its turns: the user's message, and the answer.
    pub turns: &'a [(String, String)],
    /// The criteria for its answers.
    pub criteria: &'a [String],
    /// The marks.
    pub marks: &'a [Mark],
}

impl Evaluation {
    /// Starts a count. `report` holds the settings and the judge.
    pub fn new(report: EvaluationReport, criteria: &[String]) -> Self {
        Self {
            is_check: report.mode == EvaluationMode::Check,
            report,
            criteria: criteria.to_vec(),
            all: Conversations::default(),
            by_scope: BTreeMap::new(),
            by_criterion: BTreeMap::new(),
            by_category: BTreeMap::new(),
            lengths: Vec::new(),
            flips: (0, 0),
            trials: Vec::new(),
            same: SameVerdict::default(),
            lowest: Vec::new(),
            random: Vec::new(),
            dice: Random::new(EXAMPLE_SEED),
            seen: 0,
        }
    }

    /// Counts a conversation.
    pub fn add(&mut self, judged: &JudgedConversation<'_>, price: Option<&crate::conversation::Price>) {
        let report = &mut self.report;
        report.dataset.conversations += 1;
        report.dataset.turns += judged.turns.len() as u64;
        if let Some(category) = judged.category {
            *report.dataset.categories.entry(category.to_owned()).or_default() += 1;
        }
        for words in judged.marks.iter().filter_map(|mark| mark.words.as_ref()) {
            report.judge.cost.add(&words.usage, price);
            if !report.judge.reported.contains(&words.model) {
                report.judge.reported.push(words.model.clone());
            }
        }
        judged.marks.iter().filter_map(|mark| mark.reading).for_each(|reading| report.judge.replies.add(reading));
        report.marks += judged.marks.len() as u64;
        report.judge.unparsed += judged.marks.iter().filter(|mark| mark.value.is_none()).count() as u64;
        report.suspect += judged.marks.iter().filter(|mark| mark.is_suspect && mark.repeat == 0).count() as u64;
        let read: Vec<(&Mark, f64)> = judged.marks.iter().filter_map(|mark| Some((mark, mark.value?))).collect();
        let values = |keep: &dyn Fn(&Mark) -> bool| {
            read.iter().filter(|(mark, _)| keep(mark)).map(|(_, value)| *value).collect::<Vec<f64>>()
        };
        self.all.push(values(&|_| true));
        let mut scopes: Vec<Scope> = read.iter().map(|(mark, _)| mark.scope).collect();
        scopes.dedup();
        for scope in scopes {
            self.by_scope.entry(scope).or_default().push(values(&|mark| mark.scope == scope));
        }
        for (at, criterion) in judged.criteria.iter().enumerate() {
            let values = values(&|mark| mark.criterion as usize == at);
            self.by_criterion.entry(criterion.clone()).or_default().push(values);
        }
        if let Some(category) = judged.category {
            self.by_category.entry(category.to_owned()).or_default().push(values(&|_| true));
        }
        for (mark, value) in &read {
            self.same.add(value);
            *report.distribution.entry(value.round() as i64).or_default() += 1;
            let length = |(_, answer): &(String, String)| answer.chars().count() as f64;
            if let Some(turn) = mark.scope.turn().and_then(|turn| turn.item_of(judged.turns)) {
                self.lengths.push((length(turn), *value));
            }
        }
        self.count_repeats(&read);
        self.collect_examples(judged, &read);
    }

    fn count_repeats(&mut self, read: &[(&Mark, f64)]) {
        let mut same: BTreeMap<(Scope, u32), Vec<f64>> = BTreeMap::new();
        for (mark, value) in read {
            same.entry((mark.scope, mark.criterion)).or_default().push(*value);
        }
        for values in same.values() {
            let differing = values[1..].iter().filter(|value| (*value - values[0]).abs() > 1e-9).count() as u64;
            self.flips = (self.flips.0 + differing, self.flips.1 + values.len() as u64 - 1);
            if self.is_check {
                let passed = values.iter().filter(|value| **value > 0.5).count() as u64;
                self.trials.push((passed, values.len() as u64));
            }
        }
    }

    fn collect_examples(&mut self, judged: &JudgedConversation<'_>, read: &[(&Mark, f64)]) {
        for (mark, value) in read {
            self.seen += 1;
            let example = |kind: &str| {
                let (question, answer) = mark.scope.last_of(judged.turns).cloned().unwrap_or_default();
                let criterion =
                    judged.criteria.get(mark.criterion as usize).filter(|_| self.report.mode != EvaluationMode::Score);
                let of = criterion.map_or(String::new(), |criterion| format!(" for: {criterion}"));
                let (earlier, history) =
                    shown_history(mark.scope.before(judged.turns).iter().map(|(question, answer)| Exchange {
                        question: shortened(question),
                        answers: vec![("answer".to_owned(), shortened(answer))],
                    }));
                Example {
                    kind: kind.to_owned(),
                    id: judged.id.to_owned(),
                    turn: mark.scope.number(),
                    verdict: format!("{value}{of}"),
                    earlier,
                    history,
                    question: shortened(&question),
                    answers: vec![("answer".to_owned(), shortened(&answer))],
                    words: mark.words.iter().map(|words| shortened(words.text())).collect(),
                }
            };
            let worst = self.lowest.last().map_or(f64::INFINITY, |(value, ..)| *value);
            if self.lowest.len() < EXAMPLES || *value < worst {
                let lowest = (*value, example("lowest"));
                self.lowest.push(lowest);
                // Of equal ones the first stays.
                self.lowest.sort_by(|left, right| left.0.total_cmp(&right.0));
                self.lowest.truncate(EXAMPLES);
            }
            // Each mark has the same chance, however many come (Vitter, 1985, algorithm R).
            let place = self.dice.below(self.seen as usize);
            if self.random.len() < EXAMPLES {
                let random = example("random");
                self.random.push(random);
            } else if place < EXAMPLES {
                self.random[place] = example("random");
            }
        }
    }

    /// Ends the count, with what the judge made of its controls, where it was asked. `open` is the number of marks without a
    /// verdict.
    pub fn finish(self, open: u64, controls: Option<ControlsReport>) -> EvaluationReport {
        let is_check = self.is_check;
        let mut report = self.report;
        report.overall = ScoreReport::of(&self.all);
        report.adjusted_score =
            report.overall.mean.map(adjusted_score).filter(|_| report.mode == EvaluationMode::Score);
        let mut scopes: Vec<_> = self.by_scope.iter().collect();
        scopes.sort_by_key(|(scope, _)| scope.is_whole());
        report.turns =
            scopes.into_iter().map(|(scope, all)| SliceReport::of(scope.to_string(), all, is_check)).collect();
        let slices = |slices: &BTreeMap<String, Conversations>| {
            slices.iter().map(|(name, all)| SliceReport::of(name.clone(), all, is_check)).collect::<Vec<_>>()
        };
        report.criteria = if report.mode == EvaluationMode::Score { Vec::new() } else { slices(&self.by_criterion) };
        // In the order in which the person gave them.
        report.criteria.sort_by_key(|slice| self.criteria.iter().position(|name| *name == slice.name));
        report.categories = slices(&self.by_category);
        report.length_correlation = correlation(&self.lengths);
        let step = self.lengths.len().div_ceil(POINTS_MAX).max(1);
        report.length_points = self.lengths.iter().step_by(step).copied().collect();
        let (flips, again) = self.flips;
        report.flip_share = (again > 0).then(|| flips as f64 / again as f64);
        if is_check && again > 0 {
            let most = self.trials.iter().map(|(_, trials)| *trials).max().unwrap_or(0);
            report.pass_hat_k = (1..=most).filter_map(|k| pass_hat_k(&self.trials, k)).collect();
        }
        report.cautions.extend(controls.iter().flat_map(ControlsReport::cautions));
        report.controls = controls;
        report.cautions.extend(self.same.caution(report.judge.prompt_example.as_deref()));
        report.judge.unparsed -= open.min(report.judge.unparsed);
        let asked = (report.marks - open.min(report.marks)).max(1);
        report.judge.unparsed_share = report.judge.unparsed as f64 / asked as f64;
        if report.judge.unparsed_share > UNPARSED_SHARE_MAX {
            let share = report.judge.unparsed_share * 100.0;
            report.incomplete.push(format!("{share:.1} % of the verdicts cannot be read"));
        }
        if open > 0 {
            report.incomplete.push(format!("{} missing", counted(open, "mark")));
        }
        report.examples = self.lowest.into_iter().map(|(_, example)| example).chain(self.random).collect();
        report
    }
}

impl ScoreReport {
    /// Returns the mean over conversations.
    pub fn of(all: &Conversations) -> Self {
        Self {
            conversations: all.len() as u64,
            marks: all.values().len() as u64,
            mean: all.mean(),
            interval: all.interval(),
            deviation: all.deviation(),
        }
    }

    /// Returns it in words: `7.42 (7.10 to 7.74)`.
    pub fn words(&self, scale: f64, digits: usize) -> String {
        let Some(mean) = self.mean else { return "none".to_owned() };
        let interval = self.interval.map_or(String::new(), |interval| {
            format!(" ({:.digits$} to {:.digits$})", interval.low * scale, interval.high * scale)
        });
        format!("{:.digits$}{interval}", mean * scale)
    }
}

impl SliceReport {
    fn of(name: String, all: &Conversations, is_check: bool) -> Self {
        let passed = all.values().iter().filter(|value| **value > 0.5).count() as u64;
        let wilson = if is_check { wilson(passed, all.values().len() as u64) } else { None };
        Self { name, score: ScoreReport::of(all), wilson }
    }
}

impl EvaluationReport {
    /// True where the judge has failed its controls: its marks are not to be used.
    pub fn has_unreliable_judge(&self) -> bool {
        self.controls.as_ref().is_some_and(ControlsReport::forbids_verdict)
    }

    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for reason in &self.incomplete {
            lines.push(format!("INCOMPLETE: {reason}"));
        }
        lines.extend(self.cautions.iter().map(|caution| format!("caution: {caution}")));
        if self.has_unreliable_judge() {
            lines.push(NOT_RELIABLE.to_owned());
        }
        let mut row = |name: &str, text: String| lines.push(format!("  {name:<18}{text}"));
        let scale = if self.mode == EvaluationMode::Check { 100.0 } else { 1.0 };
        let (unit, digits) = if self.mode == EvaluationMode::Check { (" % pass", 1) } else { ("", 2) };
        row(
            self.mode.name(),
            format!(
                "{}{unit} over {}",
                self.overall.words(scale, digits),
                counted(self.overall.conversations, "conversation")
            ),
        );
        if let Some(adjusted) = self.adjusted_score {
            row("adjusted", format!("{adjusted:.2} on a scale from -8 to 10"));
        }
        for slice in &self.turns {
            let name = if slice.name == "whole" { "whole".to_owned() } else { format!("turn {}", slice.name) };
            row(&name, format!("{}{unit} [{}]", slice.score.words(scale, digits), slice.score.marks));
        }
        for slice in self.criteria.iter().chain(&self.categories) {
            row(
                &clipped(&slice.name, 17),
                format!("{}{unit} [{}]", slice.score.words(scale, digits), slice.score.marks),
            );
        }
        if let Some(correlation) = self.length_correlation {
            row("length", format!("correlates with the mark by {correlation:+.2}"));
        }
        if let Some(flips) = self.flip_share {
            row("flips", format!("{:.1} % of repeated verdicts differ from the first", flips * 100.0));
        }
        for (k, share) in (1..).zip(&self.pass_hat_k) {
            row(&format!("pass^{k}"), format!("{share:.3}"));
        }
        let (unparsed, share) = (number(self.judge.unparsed), self.judge.unparsed_share * 100.0);
        row("unparsed", format!("{unparsed} of {} ({share:.1} %)", counted(self.marks, "mark")));
        if self.judge.replies != RepliesReport::default() {
            row("replies", self.judge.replies.words());
        }
        if self.suspect > 0 {
            row("suspect", format!("{} with text that looks like a verdict", counted(self.suspect, "answer")));
        }
        lines.extend(self.controls.iter().flat_map(ControlsReport::lines));
        lines
    }
}

/// Returns Pearson's correlation.
fn correlation(points: &[(f64, f64)]) -> Option<f64> {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (x_mean, y_mean) = (mean(&xs)?, mean(&ys)?);
    let sum = |term: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| term(x - x_mean, y - y_mean)).sum::<f64>();
    let correlation = sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    correlation.is_finite().then_some(correlation)
}

/// Returns the beginning of a text, as long as an example may be.
pub(super) fn shortened(text: &str) -> String {
    clipped(text, EXAMPLE_LETTERS)
}

fn clipped(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
