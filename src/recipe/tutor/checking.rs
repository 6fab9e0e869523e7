use std::sync::Arc;

use super::super::judge::Scene;
use super::super::screen::ATTEMPTS_MAX;
use super::grading::Graded;
use super::{Purpose, Tutor};
use crate::conversation::{Answer, Correction, Finish, Lesson, Message, Pairing, Question, Remedy, Role};
use crate::quality::differs_by_more_than;
use crate::recipe::Answered;

/// Grades for the correction stand behind those for the student's answer.
const FIRST_GRADE: u32 = ATTEMPTS_MAX;
/// Answers that differ less make no pair: there is too little in it to learn.
const DIFFERENCE_MIN: f64 = 0.02;

impl Tutor {
    /// Finds out what a correction is worth, and whether it and the student's answer make a pair. Nothing waits for that: the
    /// questions that are open go into `open`, and the conversation goes on.
    pub(super) fn check(
        &self,
        lesson: &Lesson,
        (remedy, answer): (Remedy, Arc<Answer>),
        answered: &Answered,
        open: &mut Vec<Question>,
    ) -> Correction {
        let (Lesson { prompt, student, .. }, turn) = (lesson, lesson.turn - 1);
        let mut correction = Correction { remedy, answer, grade: None, pairing: Pairing::Refused("not_checked") };
        if self.purpose == Purpose::Scores {
            return correction;
        }
        let (ours, theirs) = (correction.answer.text(), student.text());
        if ours == theirs {
            // The same words have the same grade.
            correction.grade.clone_from(&lesson.grade);
            correction.pairing = Pairing::Refused("same");
            return correction;
        }
        let mut waits = false;
        match self.grade(turn, FIRST_GRADE, prompt, ours, answered) {
            Graded::Done(grade) => correction.grade = Some(grade),
            Graded::Invalid(_) => {}
            Graded::Open(question) => {
                waits = true;
                open.push(question);
            }
        }
        // What is not whole teaches nothing as a bad example, and may be endless.
        if student.finish != Finish::Complete {
            correction.pairing = Pairing::Refused("student_not_whole");
            return correction;
        }
        if !differs_by_more_than(DIFFERENCE_MIN, ours, theirs) {
            correction.pairing = Pairing::Refused("too_alike");
            return correction;
        }
        let both = self.cast.judge.in_both_orders(answered, turn, 0, 0, |order| {
            let side = |text: &str| {
                // The instructions are not the judge's business.
                let heard = prompt.iter().filter(|message| message.role() != Role::System).cloned();
                heard.chain([Message::new(Role::Assistant, text)]).collect::<Vec<_>>()
            };
            let sides = if order == 0 { [side(ours), side(theirs)] } else { [side(theirs), side(ours)] };
            let turns = sides[0].iter().filter(|message| message.role() == Role::User).count() as u32;
            let sides: [&[Arc<Message>]; 2] = [&sides[0], &sides[1]];
            let scene = Scene { sides: &sides, is_shared: true, turns, call: order, ..Scene::default() };
            self.cast.judge.prompt.about(&scene)
        });
        open.extend(both.open);
        let score = correction.grade.as_ref().map(|grade| grade.score);
        correction.pairing = if waits { Pairing::Open } else { Pairing::of(both.end, score, lesson.student_score()) };
        correction
    }
}
