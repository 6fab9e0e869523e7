use std::sync::Arc;

use super::grading::Graded;
use super::{History, Pause, Purpose, Tutor};
use crate::conversation::{Dialogue, Digest, Lane, Lesson, Message, Question, Remedy, Seed, Slot, Speaker, Spoken};
use crate::recipe::Answered;

/// A conversation as far as it goes.
#[derive(Clone, Debug, Default)]
pub struct Tutored {
    /// Each turn that the student has answered, in order. The last one may not be graded or corrected yet.
    pub lessons: Vec<Lesson>,
    /// The words with which it went on, turn by turn.
    pub dialogue: Dialogue,
    /// How it ended; `None` while it has not.
    pub end: Option<TutoredEnd>,
}

/// Who has a part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Answers.
    Student,
    /// Corrects.
    Teacher,
    /// Grades.
    Grader,
    /// Compares.
    Judge,
}

impl Party {
    /// Everybody.
    pub const ALL: [Party; 4] = [Party::Student, Party::Teacher, Party::Grader, Party::Judge];

    /// Returns who has answered in a lane.
    pub fn of(lane: Lane) -> Option<Self> {
        match lane {
            Lane::Student => Some(Party::Student),
            Lane::Main => Some(Party::Teacher),
            Lane::Grader => Some(Party::Grader),
            Lane::Judge => Some(Party::Judge),
            Lane::User | Lane::System(_) => None,
        }
    }

    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Party::Student => "student",
            Party::Teacher => "teacher",
            Party::Grader => "grader",
            Party::Judge => "judge",
        }
    }
}

/// How a tutored conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TutoredEnd {
    /// Every turn is tutored.
    Complete,
    /// The student's answer cannot be gone on with, or one after the other could not; the last fault.
    StudentRejected(&'static str),
    /// No attempt at a grade was one; the last fault.
    GradeInvalid(&'static str),
    /// No attempt at a correction was good; the last fault.
    TeacherRejected(&'static str),
}

/// A student whose answers are broken so many turns in a row has collapsed: there is nothing to correct.
const BROKEN_MAX: u32 = 3;

impl TutoredEnd {
    /// Returns the reason's code.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::StudentRejected(_) => "student_rejected",
            Self::GradeInvalid(_) => "grade_invalid",
            Self::TeacherRejected(_) => "teacher_rejected",
        }
    }

    /// Returns the code with the fault behind it.
    pub fn reason(self) -> String {
        match self {
            Self::Complete => self.name().to_owned(),
            Self::StudentRejected(fault) | Self::GradeInvalid(fault) | Self::TeacherRejected(fault) => {
                format!("{}: {fault}", self.name())
            }
        }
    }
}

/// What goes from turn to turn beside what [`Tutored`] tells.
#[derive(Default)]
struct Course {
    /// The conversation as the student has led it: what it says again is found here.
    own: Dialogue,
    history: Vec<Speaker>,
    broken: u32,
    /// Questions that nothing waits for.
    open: Vec<Question>,
}

impl Tutor {
    /// Goes through the turns as far as there are answers; returns what must be asked.
    pub(super) fn walk(&self, seed: &Seed, answered: &Answered) -> (Tutored, Vec<Question>) {
        let (mut tutored, mut course) = (Tutored::default(), Course::default());
        let digest = match self.history {
            History::Mixed(_) => seed.digest(),
            History::Forced | History::Student => Digest([0; 32]),
        };
        tutored.end = Some(TutoredEnd::Complete);
        for (turn, said) in (0..).zip(&seed.turns) {
            let speaker = self.history.speaker(&digest, turn);
            match self.turn(turn, &said.messages, speaker, answered, &mut tutored, &mut course) {
                Ok(()) => {}
                Err(Pause::Ask(questions)) => {
                    course.open.extend(questions);
                    break;
                }
                Err(Pause::End(end)) => {
                    tutored.end = Some(end);
                    break;
                }
            }
        }
        if !course.open.is_empty() {
            tutored.end = None;
        }
        (tutored, course.open)
    }

    fn turn(
        &self,
        turn: u32,
        heard: &[Arc<Message>],
        speaker: Speaker,
        answered: &Answered,
        tutored: &mut Tutored,
        course: &mut Course,
    ) -> Result<(), Pause> {
        let before = tutored.dialogue.spoken.iter().map(|spoken| &spoken.message);
        let prompt: Vec<Arc<Message>> = before.chain(heard).cloned().collect();
        let slot = Slot { lane: Lane::Student, turn, attempt: 0 };
        let Some(seen) = answered.seen(slot) else {
            let (target, sample) = (Arc::clone(&self.cast.student), self.round);
            return Err(Pause::Ask(vec![Question { slot, target, sample, messages: prompt }]));
        };
        let student = Arc::clone(&seen.answer);
        let judge = || self.screen.judge(&student, heard, &course.own, &self.cast.student);
        let fault = seen.verdict.get_or_init(judge).rejected_by;
        let history = course.history.clone();
        let lesson = Lesson { turn: turn + 1, prompt, history, student, fault, grade: None, correction: None };
        let lesson = self.tutor(lesson, heard, speaker, answered, tutored, &mut course.open);
        let (lesson, paused) = match lesson {
            Ok(lesson) => (lesson, None),
            Err((lesson, pause)) => (*lesson, Some(pause)),
        };
        course.broken = if fault.is_some() { course.broken + 1 } else { 0 };
        let (speaker, answer) = match &lesson.correction {
            Some(correction) if speaker == Speaker::Teacher && correction.remedy != Remedy::Keep => {
                (Speaker::Teacher, Arc::clone(&correction.answer))
            }
            _ => (Speaker::Student, Arc::clone(&lesson.student)),
        };
        let student = Arc::clone(&lesson.student);
        tutored.lessons.push(lesson);
        if let Some(pause) = paused {
            return Err(pause);
        }
        match fault {
            Some(fault) if speaker == Speaker::Student || course.broken >= BROKEN_MAX => {
                return Err(Pause::End(TutoredEnd::StudentRejected(fault)));
            }
            _ => {}
        }
        course.history.push(speaker);
        for (dialogue, answer) in [(&mut course.own, student), (&mut tutored.dialogue, answer)] {
            dialogue.spoken.extend(heard.iter().cloned().map(Spoken::of_source));
            dialogue.spoken.push(Spoken {
                message: Arc::clone(&answer.message),
                answer: Some(answer),
                flags: Vec::new(),
                score: None,
            });
        }
        Ok(())
    }

    /// Has the student's answer graded, corrected and checked; where that pauses, the lesson comes as far as it goes.
    fn tutor(
        &self,
        mut lesson: Lesson,
        heard: &[Arc<Message>],
        speaker: Speaker,
        answered: &Answered,
        tutored: &mut Tutored,
        open: &mut Vec<Question>,
    ) -> Result<Lesson, (Box<Lesson>, Pause)> {
        let turn = lesson.turn - 1;
        if lesson.fault.is_none() {
            match self.grade(turn, 0, &lesson.prompt, lesson.student.text(), answered) {
                Graded::Done(grade) => lesson.grade = Some(grade),
                Graded::Open(question) => return Err((Box::new(lesson), Pause::Ask(vec![question]))),
                Graded::Invalid(fault) => {
                    return Err((Box::new(lesson), Pause::End(TutoredEnd::GradeInvalid(fault))));
                }
            }
        }
        if self.purpose == Purpose::Scores && speaker == Speaker::Student {
            return Ok(lesson);
        }
        let corrected = match self.correct(&lesson, heard, &mut tutored.dialogue, answered) {
            Ok(corrected) => corrected,
            Err(pause) => return Err((Box::new(lesson), pause)),
        };
        let correction = self.check(&lesson, corrected, answered, open);
        lesson.correction = Some(correction);
        Ok(lesson)
    }
}
