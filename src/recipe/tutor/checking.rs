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
            self.cast.judge.prompt.about(answered.rules, &scene)
        });
        readings.extend(both.readings.into_iter().flatten().map(|reading| (Party::Judge, reading)));
        open.extend(both.open);
        made(Some(grade), Pairing::of(both.end, margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::conversation::{
        Answer, DuelEnd, Finish, Grade, Lane, Messages, Sampling, Speaker, Target, TurnIndex, Winner,
    };
    use crate::recipe::judge::{Judge, Prompt, Scale};
    use crate::recipe::tutor::{Cast, History};

    const STUDENT: &str = "Water boils at 90 degrees Celsius, wherever it is.";
    const BETTER: &str = "At sea level water boils at 100 degrees Celsius; on a mountain it boils earlier.";

    fn tutor(purpose: PassPurpose) -> Tutor {
        let target = |name: &str| Target::new(name, "openai", Sampling::default());
        let judge = Judge { target: target("judge"), prompt: Prompt::standard(Scale::Pair), repeats: 1 };
        let cast = Cast { student: target("student"), teacher: target("teacher"), grader: target("grader"), judge };
        Tutor::new(cast, 0, History::Forced, purpose, None, None)
    }

    fn grade(score: f64) -> Grade {
        Grade { score, flaws: Vec::new(), dropped: 0, verdict: Remedy::Rewrite }
    }

    fn lesson(student: Answer) -> Lesson {
        Lesson {
            turn: TurnIndex::from_index(2),
            prompt: Messages::default(),
            history: Vec::<Speaker>::new(),
            student: Arc::new(student),
            fault: None,
            grade: Some(grade(4.0)),
            correction: None,
        }
    }

    /// The check of a correction after these replies of the grader and the judge.
    fn checked(student: Answer, correction: &str, replies: &[(Lane, u32, &str)]) -> Checked {
        let slot = Slot::main(2);
        let mut answered = Answered::default();
        answered.insert(slot, Arc::new(Answer::complete("teacher", correction)));
        for (lane, attempt, text) in replies {
            let slot = Slot { lane: *lane, turn: 2, attempt: *attempt };
            answered.insert(slot, Arc::new(Answer::complete("m", *text)));
        }
        let prompt =
            [Message::new(Role::User, "When?"), Message::new(Role::Assistant, "So."), Message::new(Role::User, "And?")];
        tutor(PassPurpose::Rows).check(&lesson(student), (Remedy::Rewrite, slot), &prompt, &answered)
    }

    fn said() -> Answer {
        Answer::complete("student", STUDENT)
    }

    fn pairing(student: Answer, correction: &str, replies: &[(Lane, u32, &str)]) -> Pairing {
        checked(student, correction, replies).correction.pairing
    }

    fn graded(score: u32) -> (Lane, u32, String) {
        (Lane::Grader, FIRST_GRADE, format!("{{\"score\": {score}, \"errors\": [], \"verdict\": \"keep\"}}"))
    }

    #[test]
    fn a_pair_is_made_where_grade_and_judge_agree() {
        let (lane, attempt, nine) = graded(9);
        let grader = (lane, attempt, nine.as_str());
        let verdicts = |first: &'static str, second: &'static str| {
            pairing(said(), BETTER, &[grader, (Lane::Judge, 0, first), (Lane::Judge, 2, second)])
        };
        assert_eq!(verdicts("[[A]]", "[[B]]"), Pairing::Accepted(5.0));
        assert_eq!(verdicts("[[B]]", "[[A]]"), Pairing::Refused(PairRefusal::Worse));
        assert_eq!(verdicts("[[A]]", "[[A]]"), Pairing::Refused(PairRefusal::Inconsistent));
        assert_eq!(Pairing::of(DuelEnd::Decided(Winner::First), 5.0), Pairing::Accepted(5.0));
        let checked = checked(said(), BETTER, &[grader, (Lane::Judge, 0, "[[A]]"), (Lane::Judge, 2, "[[B]]")]);
        let parties: Vec<Party> = checked.readings.iter().map(|(party, _)| *party).collect();
        assert_eq!((parties, checked.open.len()), (vec![Party::Grader, Party::Judge, Party::Judge], 0));
        assert_eq!(checked.correction.grade.map(|grade| grade.score), Some(9.0));
        assert_eq!((checked.correction.answer.text(), checked.correction.remedy), (BETTER, Remedy::Rewrite));
    }

    #[test]
    fn a_grader_and_then_a_judge_are_asked() {
        let first = checked(said(), BETTER, &[]);
        assert_eq!((first.correction.pairing, first.open.len(), first.readings.len()), (Pairing::Open, 1, 0));
        assert_eq!(first.open[0].slot, Slot { lane: Lane::Grader, turn: 2, attempt: FIRST_GRADE });
        let (lane, attempt, nine) = graded(9);
        let second = checked(said(), BETTER, &[(lane, attempt, &nine)]);
        let slots: Vec<(Lane, u32)> =
            second.open.iter().map(|question| (question.slot.lane, question.slot.attempt)).collect();
        assert_eq!((second.correction.pairing, slots), (Pairing::Open, vec![(Lane::Judge, 0), (Lane::Judge, 2)]));
        // The correction stands first, then second.
        let places = second.open.iter().map(|question| {
            let text = question.messages[0].content();
            text.find(BETTER).unwrap() < text.find(STUDENT).unwrap()
        });
        assert_eq!(places.collect::<Vec<_>>(), [true, false]);
        let open = OpenCheck { turn: 2, corrected: (Remedy::Rewrite, Slot::main(2)), heard: 3, open: second.open };
        let mut answered = Answered::default();
        assert!(!open.is_answered(&answered));
        answered.insert(open.open[1].slot, Arc::new(said()));
        assert!(open.is_answered(&answered));
    }

    #[test]
    fn rules_refuse_a_pair_before_the_judge_is_asked() {
        let refused = |student: Answer, correction: &str, score: u32| {
            let (lane, attempt, text) = graded(score);
            let checked = checked(student, correction, &[(lane, attempt, &text)]);
            assert!(checked.open.is_empty());
            match checked.correction.pairing {
                Pairing::Refused(reason) => (reason, checked.correction.grade.map(|grade| grade.score)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused(said(), STUDENT, 9), (PairRefusal::Same, Some(4.0)), "the same words have the same grade");
        let cut = Answer { finish: Finish::Length, ..said() };
        assert_eq!(refused(cut, BETTER, 9), (PairRefusal::StudentNotWhole, Some(9.0)));
        assert_eq!(refused(said(), BETTER, 3), (PairRefusal::GradedLower, Some(3.0)));
        let alike = format!("{STUDENT} ");
        assert_eq!(refused(said(), &alike, 4), (PairRefusal::TooAlike, Some(4.0)));
        let invalid: Vec<(Lane, u32, &str)> =
            (0..3).map(|attempt| (Lane::Grader, FIRST_GRADE + attempt, "good")).collect();
        assert_eq!(pairing(said(), BETTER, &invalid), Pairing::Refused(PairRefusal::Ungraded));
        // The same score is no lower one: the judge is asked.
        let (lane, attempt, four) = graded(4);
        assert_eq!(pairing(said(), BETTER, &[(lane, attempt, &four)]), Pairing::Open);
    }

    #[test]
    fn a_pass_for_scores_checks_nothing() {
        let mut answered = Answered::default();
        answered.insert(Slot::main(2), Arc::new(Answer::complete("teacher", BETTER)));
        let checked =
            tutor(PassPurpose::Scores).check(&lesson(said()), (Remedy::Rewrite, Slot::main(2)), &[], &answered);
        assert_eq!(checked.correction.pairing, Pairing::Refused(PairRefusal::NotChecked));
        assert!(checked.open.is_empty() && checked.correction.grade.is_none());
    }
}
