use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    ChangeReport, DifferenceReport, DifferenceVerdict, ExposureReport, PassReport, TutoredPass, TutoringReport,
};
use crate::conversation::{Lesson, Message, Pairing, Role, TurnIndex};
use crate::report::comparison::CONVERSATIONS_MIN;
use crate::report::evaluation::{EXAMPLES, Example, Exchange, ScoreReport, SliceReport, shortened, shown_history};
use crate::report::simulation::{EndClass, open_conversations};
use crate::report::words::counted;
use crate::statistics::{Conversations, detectable_effect, sign_flip};

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
    by_turn: BTreeMap<TurnIndex, Conversations>,
    margins: (f64, u64),
}

/// Two passes over the same rows: differences of the first's scores and the second's.
#[derive(Debug, Default)]
struct Paired {
    passes: (usize, usize),
    first_turn: TurnIndex,
    all: Conversations,
    same_prompt: Conversations,
    by_turn: BTreeMap<TurnIndex, Conversations>,
    /// Turns with the same answer of the student in both.
    same_answers: u64,
}

impl Tutoring {
    /// Starts a count; the report lists the passes.
    pub fn new(report: TutoringReport) -> Self {
        let passes = &report.passes;
        let paired = |first_turn: TurnIndex, is_pair: &dyn Fn(&PassReport, &PassReport) -> bool| {
            let all = (0..passes.len()).flat_map(|one| (0..passes.len()).map(move |other| (one, other)));
            let pairs = all.filter(|(one, other)| is_pair(&passes[*one], &passes[*other]));
            pairs.map(|passes| Paired { passes, first_turn, ..Paired::default() }).collect::<Vec<_>>()
        };
        let exposure = paired(TurnIndex::from_index(1), &|one, other| {
            one.round == other.round && one.history == "forced" && other.history == "student"
        });
        // From one round to the next, and over all of them.
        let last = passes.iter().map(|pass| pass.round).max().unwrap_or(1);
        let changes = paired(TurnIndex::FIRST, &|one, other| {
            let is_step = one.round == other.round + 1 || other.round == 1 && one.round == last && last > 2;
            one.history == other.history && is_step
        });
        let counts = passes.iter().map(|_| PassCount::default()).collect();
        Self { report, counts, exposure, changes, examples: Vec::new() }
    }

    /// Counts a row, pass by pass.
    pub fn add(&mut self, id: &str, row: &[TutoredPass<'_>]) {
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
    fn show(&mut self, id: &str, pass: &TutoredPass<'_>) {
        for lesson in pass.lessons {
            let Some(correction) = &lesson.correction else { continue };
            let Pairing::Accepted(margin) = correction.pairing else { continue };
            if self.examples.len() == EXAMPLES && self.examples.iter().all(|(least, _)| *least >= margin) {
                continue;
            }
            let asked = lesson.prompt.iter().rposition(|message| message.role() == Role::User).unwrap_or(0);
            let question = lesson.prompt.get(asked);
            let (earlier, history) = shown_history(exchanges(&lesson.prompt[..asked]).into_iter());
            let words = |score: Option<f64>| score.map_or(String::new(), |score| format!(", {score} of 10"));
            let flaws = lesson.grade.iter().flat_map(|grade| &grade.flaws);
            let example = Example {
                kind: format!("a pair, by {margin}"),
                id: id.to_owned(),
                turn: lesson.turn.number(),
                verdict: correction.remedy.name().to_owned(),
                earlier,
                history,
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
                    "all answers of round {} equal those of round {}; check that the new student is served",
                    to.round, from.round
                ));
            }
        }
        for pass in &report.passes {
            if pass.collapsed > 0 {
                report.cautions.push(format!(
                    "{}: {} ended because the student collapsed; later turns are of the other conversations",
                    pass.name(),
                    counted(pass.collapsed, "conversation")
                ));
            }
            let open = open_conversations(pass.open, pass.ends.values().sum());
            report.incomplete.extend(open.map(|open| format!("{} history: {open}", pass.name())));
        }
        report.examples = examples.into_iter().map(|(_, example)| example).collect();
        report
    }
}

fn curve(by_turn: &BTreeMap<TurnIndex, Conversations>) -> Vec<SliceReport> {
    let slice = |(turn, scores): (&TurnIndex, &Conversations)| SliceReport {
        name: format!("turn {turn}"),
        score: ScoreReport::of(scores),
        wilson: None,
    };
    by_turn.iter().map(slice).collect()
}

impl PassReport {
    fn add(&mut self, pass: &TutoredPass<'_>) {
        *self.ends.entry(pass.end.to_owned()).or_default() += 1;
        self.open += u64::from(pass.class == EndClass::Open);
        self.collapsed += u64::from(pass.class == EndClass::Collapsed);
        *self.reasons.entry(pass.reason.clone()).or_default() += 1;
        self.conversations += u64::from(!pass.lessons.is_empty());
        self.hard_conversations += u64::from(pass.lessons.iter().any(Lesson::is_hard));
        for lesson in pass.lessons {
            self.turns += 1;
            self.hard += u64::from(lesson.is_hard());
            if let Some(fault) = lesson.fault {
                *self.faults.entry(fault).or_default() += 1;
            }
            self.errors_dropped += lesson.grade.as_ref().map_or(0, |grade| u64::from(grade.dropped));
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
        for (role, reading) in &pass.readings {
            self.replies.entry(role).or_default().add(*reading);
        }
        for (role, answer, price) in &pass.paid {
            if let Some(cost) = self.roles.get_mut(role) {
                cost.add(answer, *price);
            }
        }
    }
}

impl PassCount {
    fn add(&mut self, pass: &TutoredPass<'_>) {
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
        let pairs: Vec<(TurnIndex, f64, bool)> = pairs.collect();
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
            Some(interval) if interval.low > 0.0 => DifferenceVerdict::Higher,
            Some(interval) if interval.high < 0.0 => DifferenceVerdict::Lower,
            _ => DifferenceVerdict::Inconclusive,
        };
        Self { score, p, detectable, verdict }
    }
}

/// Returns the turns of a history: each question with the answer that conversations continued with.
fn exchanges(messages: &[Arc<Message>]) -> Vec<Exchange> {
    let mut turns: Vec<Exchange> = Vec::new();
    for message in messages {
        let text = shortened(message.content());
        match (message.role(), turns.last_mut()) {
            (Role::User, _) => turns.push(Exchange { question: text, answers: Vec::new() }),
            (Role::Assistant, Some(turn)) => turn.answers.push(("in the history".to_owned(), text)),
            _ => {}
        }
    }
    turns
}
