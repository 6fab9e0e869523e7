//! What came of tutoring: what the student's answers are worth, turn by turn, and how that changes with history and rounds.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::comparison::CONVERSATIONS_MIN;
use super::evaluation::{EXAMPLES, Example, ScoreReport, SliceReport, shortened};
use super::simulation::{RoleCost, not_led_to_their_end};
use super::words::{counted, list, number};
use crate::conversation::{Answer, Lesson, Pairing, Price, Role};
use crate::statistics::{Conversations, detectable_effect, sign_flip};

/// What came of tutoring: a fold over conversations in the order of their rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TutoringReport {
    /// The version of this schema.
    pub schema: u32,
    /// Why the figures cannot be trusted, where that is so.
    pub incomplete: Vec<String>,
    /// What to keep in mind when reading the figures.
    pub cautions: Vec<String>,
    /// Each round under each history.
    pub passes: Vec<PassReport>,
    /// How much better the student is on the teacher's ground than on its own, for each round that was led both ways.
    pub exposure: Vec<ExposureReport>,
    /// What changed from round to round.
    pub changes: Vec<ChangeReport>,
    /// Pairs of the newest round whose correction is better by the most.
    pub examples: Vec<Example>,
}

/// One round under one history.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PassReport {
    /// The round, from 1.
    pub round: u32,
    /// With whose words conversations went on: `forced`, `student`, `mixed:P`.
    pub history: String,
    /// False where it was led for the student's scores alone.
    pub writes_rows: bool,
    /// Conversations that have a turn that the student has answered.
    pub conversations: u64,
    /// Turns that the student has answered.
    pub turns: u64,
    /// Why conversations ended: `complete`, `student_rejected`, `grade_invalid`, `teacher_rejected`, `context`, `budget`, `failed`, `unasked`.
    pub ends: BTreeMap<String, u64>,
    /// The same with the fault that led to it.
    pub reasons: BTreeMap<String, u64>,
    /// The student's scores, 1 to 10; an answer that code rejects has 1.
    pub student: ScoreReport,
    /// The same turn by turn, from 1.
    pub curve: Vec<SliceReport>,
    /// Those of the corrections, in turns where there is one.
    pub teacher: ScoreReport,
    /// Student's answers that code rejects, by rule; they are not graded.
    pub faults: BTreeMap<&'static str, u64>,
    /// Errors that the teacher has quoted in the student's answers, by type.
    pub errors: BTreeMap<&'static str, u64>,
    /// What was done with the student's answers: `keep`, `revise`, `rewrite`.
    pub remedies: BTreeMap<&'static str, u64>,
    /// Whether answer and correction make a pair: `accepted`, or why not.
    pub pairs: BTreeMap<&'static str, u64>,
    /// By how much the correction's score is higher, mean over accepted pairs.
    pub margin_mean: Option<f64>,
    /// Turns whose correction is better by 1 or more.
    pub hard: u64,
    /// Conversations with such a turn.
    pub hard_conversations: u64,
    /// What each side took: `student`, `teacher`, `grader`, `judge`. What an earlier pass has asked too is counted there.
    pub roles: BTreeMap<&'static str, RoleCost>,
}

/// The exposure bias: scores on the teacher's ground less those on the student's own, from turn 2 on. In turn 1 nothing has been
/// said before, and both are the same.
#[derive(Clone, Debug, Serialize)]
pub struct ExposureReport {
    /// The round, from 1.
    pub round: u32,
    /// Over all turns from the second on.
    #[serde(flatten)]
    pub gap: DifferenceReport,
    /// Turn by turn.
    pub curve: Vec<SliceReport>,
}

/// What changed from one round to another, on the same rows and turns.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeReport {
    /// The earlier round.
    pub from: u32,
    /// The later one.
    pub to: u32,
    /// With whose words conversations went on.
    pub history: String,
    /// The later round's scores less the earlier one's, over every turn that both have.
    pub all: DifferenceReport,
    /// The same over turns before which the very same words stand. Behind the first turn corrections differ from round to round.
    pub same_prompt: DifferenceReport,
}

/// A mean of paired differences.
#[derive(Clone, Debug, Serialize)]
pub struct DifferenceReport {
    /// The differences.
    #[serde(flatten)]
    pub score: ScoreReport,
    /// The two-sided p of the conversations' means, by flipping their signs.
    pub p: f64,
    /// The smallest difference that so many conversations show with a power of 80 %.
    pub detectable: Option<f64>,
    /// `higher`, `lower` or `inconclusive`, by rule: the interval and the test agree.
    pub verdict: &'static str,
}

/// What was led through a round under a history.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Each turn that the student has answered.
    pub lessons: &'a [Lesson],
    /// How it ended.
    pub end: &'a str,
    /// The same with the fault.
    pub reason: &'a str,
    /// Who was paid, for what, at which price.
    pub paid: Vec<(&'static str, &'a Answer, Option<&'a Price>)>,
}

/// Tutoring while it is counted.
#[derive(Debug)]
pub struct Tutoring {
    report: TutoringReport,
    counts: Vec<PassCount>,
    /// Pairs of passes, by number, with their differences.
    exposure: Vec<Paired>,
    changes: Vec<Paired>,
    /// The clearest pairs so far, with their margins.
    examples: Vec<(f64, Example)>,
}

#[derive(Debug, Default)]
struct PassCount {
    student: Conversations,
    teacher: Conversations,
    by_turn: BTreeMap<u32, Conversations>,
    margins: (f64, u64),
}

/// Two passes over the same rows: differences of the first's scores and the second's.
#[derive(Debug, Default)]
struct Paired {
    passes: (usize, usize),
    first_turn: u32,
    all: Conversations,
    same_prompt: Conversations,
    by_turn: BTreeMap<u32, Conversations>,
    /// The student has said the same in both.
    same_answers: u64,
}

impl Tutoring {
    /// Begins to count; the report says which passes there are.
    pub fn new(report: TutoringReport) -> Self {
        let passes = &report.passes;
        let paired = |first_turn: u32, is_pair: &dyn Fn(&PassReport, &PassReport) -> bool| {
            let all = (0..passes.len()).flat_map(|one| (0..passes.len()).map(move |other| (one, other)));
            let pairs = all.filter(|(one, other)| is_pair(&passes[*one], &passes[*other]));
            pairs.map(|passes| Paired { passes, first_turn, ..Paired::default() }).collect::<Vec<_>>()
        };
        let exposure =
            paired(2, &|one, other| one.round == other.round && one.history == "forced" && other.history == "student");
        // From one round to the next, and over all of them.
        let last = passes.iter().map(|pass| pass.round).max().unwrap_or(1);
        let changes = paired(1, &|one, other| {
            let is_step = one.round == other.round + 1 || other.round == 1 && one.round == last && last > 2;
            one.history == other.history && is_step
        });
        let counts = passes.iter().map(|_| PassCount::default()).collect();
        Self { report, counts, exposure, changes, examples: Vec::new() }
    }

    /// Counts a row, pass by pass.
    pub fn add(&mut self, id: &str, row: &[Pass<'_>]) {
        let newest = self.report.passes.iter().rposition(|pass| pass.writes_rows);
        if let Some(pass) = newest.and_then(|newest| row.get(newest)) {
            self.show(id, pass);
        }
        let counts = self.counts.iter_mut().zip(&mut self.report.passes);
        for ((count, report), pass) in counts.zip(row) {
            report.add(pass);
            count.add(pass);
        }
        for paired in self.exposure.iter_mut().chain(&mut self.changes) {
            let of = |at: usize| row.get(at).map(|pass| pass.lessons);
            if let Some((one, other)) = of(paired.passes.0).zip(of(paired.passes.1)) {
                paired.add(one, other);
            }
        }
    }

    /// Keeps the clearest pairs.
    fn show(&mut self, id: &str, pass: &Pass<'_>) {
        for lesson in pass.lessons {
            let Some(correction) = &lesson.correction else { continue };
            let Pairing::Accepted(margin) = correction.pairing else { continue };
            if self.examples.len() == EXAMPLES && self.examples.iter().all(|(least, _)| *least >= margin) {
                continue;
            }
            let question = lesson.prompt.iter().rev().find(|message| message.role() == Role::User);
            let words = |score: Option<f64>| score.map_or(String::new(), |score| format!(", {score} of 10"));
            let flaws = lesson.grade.iter().flat_map(|grade| &grade.flaws);
            let example = Example {
                kind: format!("a pair, by {margin}"),
                id: id.to_owned(),
                turn: lesson.turn,
                verdict: correction.remedy.name().to_owned(),
                question: shortened(question.map_or("", |question| question.content())),
                answers: vec![
                    (format!("student{}", words(lesson.student_score())), shortened(lesson.student.text())),
                    (format!("correction{}", words(lesson.correction_score())), shortened(correction.answer.text())),
                ],
                words: flaws
                    .map(|flaw| shortened(&format!("{}: \"{}\" → {}", flaw.kind, flaw.quote, flaw.fix)))
                    .collect(),
            };
            self.examples.push((margin, example));
            // Of equal ones the first stays.
            self.examples.sort_by(|(left, ..), (right, ..)| right.total_cmp(left));
            self.examples.truncate(EXAMPLES);
        }
    }

    /// Ends the count.
    pub fn finish(self) -> TutoringReport {
        let Self { mut report, counts, exposure, changes, examples } = self;
        for (pass, count) in report.passes.iter_mut().zip(&counts) {
            pass.student = ScoreReport::of(&count.student);
            pass.teacher = ScoreReport::of(&count.teacher);
            pass.curve = curve(&count.by_turn);
            pass.margin_mean = (count.margins.1 > 0).then(|| count.margins.0 / count.margins.1 as f64);
        }
        let passes = &report.passes;
        report.exposure = exposure
            .iter()
            .map(|paired| ExposureReport {
                round: passes[paired.passes.0].round,
                gap: DifferenceReport::of(&paired.all),
                curve: curve(&paired.by_turn),
            })
            .collect();
        let change = |paired: &Paired| ChangeReport {
            from: passes[paired.passes.1].round,
            to: passes[paired.passes.0].round,
            history: passes[paired.passes.0].history.clone(),
            all: DifferenceReport::of(&paired.all),
            same_prompt: DifferenceReport::of(&paired.same_prompt),
        };
        report.changes = changes.iter().map(change).collect();
        for paired in changes.iter().filter(|paired| paired.same_answers > 0) {
            let (to, from) = (&report.passes[paired.passes.0], &report.passes[paired.passes.1]);
            if paired.same_answers == to.turns {
                report.cautions.push(format!(
                    "all answers of round {} are those of round {}: is it the new student that is served?",
                    to.round, from.round
                ));
            }
        }
        for pass in &report.passes {
            if let Some(collapsed) = pass.ends.get("student_rejected") {
                report.cautions.push(format!(
                    "{}: {} ended because the student had collapsed; later turns are those of the others",
                    pass.name(),
                    counted(*collapsed, "conversation")
                ));
            }
            let open = not_led_to_their_end(&pass.ends);
            report.incomplete.extend(open.map(|open| format!("{} history: {open}", pass.name())));
        }
        report.examples = examples.into_iter().map(|(_, example)| example).collect();
        report
    }
}

fn curve(by_turn: &BTreeMap<u32, Conversations>) -> Vec<SliceReport> {
    let slice = |(turn, scores): (&u32, &Conversations)| SliceReport {
        name: format!("turn {turn}"),
        score: ScoreReport::of(scores),
        wilson: None,
    };
    by_turn.iter().map(slice).collect()
}

impl PassReport {
    fn add(&mut self, pass: &Pass<'_>) {
        *self.ends.entry(pass.end.to_owned()).or_default() += 1;
        *self.reasons.entry(pass.reason.to_owned()).or_default() += 1;
        self.conversations += u64::from(!pass.lessons.is_empty());
        self.hard_conversations += u64::from(pass.lessons.iter().any(Lesson::is_hard));
        for lesson in pass.lessons {
            self.turns += 1;
            self.hard += u64::from(lesson.is_hard());
            if let Some(fault) = lesson.fault {
                *self.faults.entry(fault).or_default() += 1;
            }
            for flaw in lesson.grade.iter().flat_map(|grade| &grade.flaws) {
                *self.errors.entry(flaw.kind).or_default() += 1;
            }
            if let Some(correction) = &lesson.correction {
                *self.remedies.entry(correction.remedy.name()).or_default() += 1;
                if self.writes_rows {
                    *self.pairs.entry(correction.pairing.name()).or_default() += 1;
                }
            }
        }
        for (role, answer, price) in &pass.paid {
            if let Some(cost) = self.roles.get_mut(role) {
                cost.add(answer, *price);
            }
        }
    }
}

impl PassCount {
    fn add(&mut self, pass: &Pass<'_>) {
        self.student.push(pass.lessons.iter().filter_map(Lesson::student_score));
        self.teacher.push(pass.lessons.iter().filter_map(Lesson::correction_score));
        for lesson in pass.lessons {
            self.by_turn.entry(lesson.turn).or_default().push(lesson.student_score());
            if let Some(Pairing::Accepted(margin)) = lesson.correction.as_ref().map(|correction| correction.pairing) {
                self.margins = (self.margins.0 + margin, self.margins.1 + 1);
            }
        }
    }
}

impl Paired {
    fn add(&mut self, one: &[Lesson], other: &[Lesson]) {
        let pairs = one.iter().zip(other).filter_map(|(one, other)| {
            let difference = one.student_score()? - other.student_score()?;
            Some((one.turn, difference, one.prompt == other.prompt))
        });
        let pairs: Vec<(u32, f64, bool)> = pairs.collect();
        for (turn, difference, _) in &pairs {
            self.by_turn.entry(*turn).or_default().push([*difference]);
        }
        self.same_answers +=
            one.iter().zip(other).filter(|(one, other)| one.student.text() == other.student.text()).count() as u64;
        let counted = pairs.iter().filter(|(turn, ..)| *turn >= self.first_turn);
        self.all.push(counted.clone().map(|(_, difference, _)| *difference));
        self.same_prompt.push(counted.filter(|(.., is_same)| *is_same).map(|(_, difference, _)| *difference));
    }
}

impl DifferenceReport {
    fn of(differences: &Conversations) -> Self {
        let score = ScoreReport::of(differences);
        let p = sign_flip(&differences.means());
        let count = differences.len();
        let detectable = score.deviation.map(|deviation| detectable_effect(deviation, count));
        let verdict = match score.interval.filter(|_| count as u64 >= CONVERSATIONS_MIN && p < 0.05) {
            Some(interval) if interval.low > 0.0 => "higher",
            Some(interval) if interval.high < 0.0 => "lower",
            _ => "inconclusive",
        };
        Self { score, p, detectable, verdict }
    }

    /// Returns it in words: `+0.42 (0.10 to 0.74), p 0.012: higher`.
    pub fn words(&self) -> String {
        let Some(mean) = self.score.mean else { return "nothing to compare".to_owned() };
        if self.score.conversations < CONVERSATIONS_MIN {
            return format!("{mean:+.2}; {} are too few to say", counted(self.score.conversations, "conversation"));
        }
        let mut words = format!("{mean:+.2}");
        if let Some(interval) = self.score.interval {
            let _ = write!(words, " ({:+.2} to {:+.2})", interval.low, interval.high);
        }
        let _ = write!(words, ", p {:.3}: {}", self.p, self.verdict);
        if let Some(detectable) =
            self.detectable.filter(|detectable| self.verdict == "inconclusive" && *detectable > 0.0)
        {
            let _ = write!(words, "; from {detectable:.2} on a difference would be likely to show");
        }
        words
    }
}

impl PassReport {
    /// Returns its name among the passes.
    pub fn name(&self) -> String {
        format!("round {}, {}", self.round, self.history)
    }

    /// Returns the table for people.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} history, {}", self.name(), counted(self.conversations, "conversation"))];
        let mut row = |name: &str, text: String| {
            if !text.is_empty() {
                lines.push(format!("  {name:<11}{text}"));
            }
        };
        // Later turns may be those of fewer conversations.
        let first = self.curve.first().map(|point| point.score.marks);
        let by_turn = self.curve.iter().filter_map(|point| {
            let mean = point.score.mean?;
            let marks = point.score.marks;
            Some(if Some(marks) == first { format!("{mean:.2}") } else { format!("{mean:.2} [{}]", number(marks)) })
        });
        let by_turn = by_turn.collect::<Vec<_>>().join(", ");
        if self.student.mean.is_some() {
            row("student", format!("{} of 10; by turn {by_turn}", self.student.words(1.0, 2)));
        }
        if self.teacher.mean.is_some() {
            row("corrected", format!("{} of 10", self.teacher.words(1.0, 2)));
        }
        row("remedies", list(&self.remedies));
        row("errors", list(&self.errors));
        row("rejected", list(&self.faults));
        let margin = self.margin_mean.map_or(String::new(), |margin| format!("; accepted by {margin:.2} on average"));
        if !self.pairs.is_empty() {
            row("pairs", format!("{}{margin}", list(&self.pairs)));
            let conversations = counted(self.hard_conversations, "conversation");
            row("hard", format!("{} in {conversations}", counted(self.hard, "turn")));
        }
        row("ended", list(&self.reasons));
        let roles = self.roles.iter().filter(|(_, cost)| cost.answers > 0);
        lines.extend(roles.map(|(role, cost)| format!("  {role:<11}{}", cost.words())));
        lines
    }
}

impl TutoringReport {
    /// Returns the report as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.incomplete.iter().map(|reason| format!("INCOMPLETE: {reason}")).collect();
        lines.extend(self.passes.iter().flat_map(PassReport::lines));
        lines.extend(self.outcomes());
        lines.extend(self.cautions.iter().map(|caution| format!("caution: {caution}")));
        lines
    }

    /// Returns what comes of comparing passes.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.exposure.iter().map(|exposure| {
            format!(
                "exposure bias, round {}: forced less student, from turn 2 on: {}",
                exposure.round,
                exposure.gap.words()
            )
        }));
        for change in &self.changes {
            let ChangeReport { from, to, history, all, same_prompt } = change;
            lines.push(format!("round {from} to {to}, {history} history: {}", all.words()));
            let same = counted(same_prompt.score.marks, "turn");
            lines.push(format!("  behind the very same words ({same}): {}", same_prompt.words()));
        }
        lines
    }
}
