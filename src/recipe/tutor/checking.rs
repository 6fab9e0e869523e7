use std::sync::Arc;

use super::super::answer_check::ATTEMPTS_MAX;
use super::super::judge::Scene;
use super::grading::Graded;
use super::walk::{Course, Party};
use super::{PassPurpose, Tutor};
use crate::conversation::{Correction, Lesson, Message, PairRefusal, Pairing, Remedy, Role, Slot};
use crate::quality::differs_by_more_than;
use crate::recipe::Answered;

/// The first attempt at a grade for the correction, after those for the student's answer.
pub(super) const FIRST_GRADE: u32 = ATTEMPTS_MAX;
/// Answers that differ less make no pair: there is too little to learn.
const DIFFERENCE_MIN: f64 = 0.02;

impl Tutor {
    /// Grades a correction, and decides whether it and the student's answer make a pair. Nothing waits for that: the
    /// open questions go into `course`, and the conversation continues.
    pub(super) fn check(
        &self,
        lesson: &Lesson,
        (remedy, slot): (Remedy, Slot),
        answered: &Answered,
        course: &mut Course,
    ) -> Correction {
        let (turn, student, prompt) = (lesson.turn.index(), &lesson.student, &course.messages);
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
                course.readings.push((Party::Grader, reading));
                grade
            }
            Graded::Invalid(_, reading) => {
                course.readings.push((Party::Grader, reading));
                return made(None, Pairing::Refused(PairRefusal::Ungraded));
            }
            Graded::Open(question) => {
                course.open.push(question);
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
        course.readings.extend(both.readings.into_iter().flatten().map(|reading| (Party::Judge, reading)));
        course.open.extend(both.open);
        made(Some(grade), Pairing::of(both.end, margin))
    }
}
