use std::sync::Arc;

use super::super::answer_check::ATTEMPTS_MAX;
use super::super::judge::Scene;
use super::grading::Graded;
use super::tutored::Party;
use super::{PassPurpose, Tutor};
use crate::conversation::{Correction, Lesson, Message, PairRefusal, Pairing, Question, Reading, Remedy, Role, Slot};
use crate::quality::differs_by_more_than;
use crate::recipe::Answered;

/// The first attempt at a grade for the correction, after those for the student's answer.
pub(super) const FIRST_GRADE: u32 = ATTEMPTS_MAX;
/// Answers that differ less make no pair: there is too little to learn.
const DIFFERENCE_MIN: f64 = 0.02;

/// What is known of a correction.
pub(super) struct Checked {
    pub correction: Correction,
    /// How grades and verdicts were read.
    pub readings: Vec<(Party, Reading)>,
    pub open: Vec<Question>,
}

/// A check with open questions.
pub(super) struct OpenCheck {
    pub turn: u32,
    pub corrected: (Remedy, Slot),
    /// How many messages had been heard.
    pub heard: usize,
    pub open: Vec<Question>,
}

impl OpenCheck {
    /// True where one of its questions has been answered.
    pub fn is_answered(&self, answered: &Answered) -> bool {
        self.open.iter().any(|question| answered.get(question.slot).is_some())
    }
}

impl Tutor {
    /// Grades a correction of an answer to `prompt`, and decides whether it and the student's answer make a pair. Nothing
    /// waits for that: the conversation continues while questions are open.
    pub(super) fn check(
        &self,
        lesson: &Lesson,
        corrected: (Remedy, Slot),
        prompt: &[Arc<Message>],
        answered: &Answered,
    ) -> Checked {
        let (mut readings, mut open) = (Vec::new(), Vec::new());
        let correction = self.pair(lesson, corrected, prompt, answered, (&mut readings, &mut open));
        Checked { correction, readings, open }
    }

    fn pair(
        &self,
        lesson: &Lesson,
        (remedy, slot): (Remedy, Slot),
        prompt: &[Arc<Message>],
        answered: &Answered,
        (readings, open): (&mut Vec<(Party, Reading)>, &mut Vec<Question>),
    ) -> Correction {
        let (turn, student) = (lesson.turn.index(), &lesson.student);
        let seen = answered.examined(slot).expect("an accepted answer is there");
        let answer = Arc::clone(&seen.answer);
        let made = |grade, pairing| Correction { remedy, answer: Arc::clone(&answer), grade, pairing };
        if self.purpose == PassPurpose::Scores {
            return made(None, Pairing::Refused(PairRefusal::NotChecked));
        }
        let (ours, theirs) = (answer.text(), student.text());
        if ours == theirs {
            // The same words have the same grade.
            return made(lesson.grade.clone(), Pairing::Refused(PairRefusal::Same));
        }
        let grade = match self.grade(turn, FIRST_GRADE, prompt, ours, answered) {
            Graded::Done(grade, reading) => {
                readings.push((Party::Grader, reading));
                grade
            }
            Graded::Invalid(_, reading) => {
                readings.push((Party::Grader, reading));
                return made(None, Pairing::Refused(PairRefusal::Ungraded));
            }
            Graded::Open(question) => {
                open.push(question);
                return made(None, Pairing::Open);
            }
        };
        let margin = lesson.student_score().map_or(0.0, |score| ((grade.score - score) * 1e6).round() / 1e6);
        // Rules decide before the judge is asked. An incomplete answer is useless as a bad example, and may be endless.
        let refused = match () {
            () if !student.is_whole() => Some(PairRefusal::StudentNotWhole),
            () if margin < 0.0 => Some(PairRefusal::GradedLower),
            () if !seen.tutored.differs.get_or_init(|| differs_by_more_than(DIFFERENCE_MIN, ours, theirs)) => {
                Some(PairRefusal::TooAlike)
            }
            () => None,
        };
        if let Some(reason) = refused {
            return made(Some(grade), Pairing::Refused(reason));
        }
        let both = self.cast.judge.in_both_orders(answered, turn, 0, 0, |order| {
            let side = |text: &str| {
                let answer = Message::new(Role::Assistant, text);
                prompt.iter().cloned().chain([answer]).collect::<Vec<_>>()
            };
            let sides = if order == 0 { [side(ours), side(theirs)] } else { [side(theirs), side(ours)] };
            let turns = sides[0].iter().filter(|message| message.role() == Role::User).count() as u32;
            let sides: [&[Arc<Message>]; 2] = [&sides[0], &sides[1]];
            let scene = Scene { sides: &sides, is_shared: true, turns, call: order, ..Scene::default() };
            self.cast.judge.prompt.about(&scene)
        });
        readings.extend(both.readings.into_iter().flatten().map(|reading| (Party::Judge, reading)));
        open.extend(both.open);
        made(Some(grade), Pairing::of(both.end, margin))
    }
}
