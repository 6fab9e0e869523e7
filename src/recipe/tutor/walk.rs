use std::sync::Arc;

use super::grading::Graded;
use super::{History, PassPurpose, Tutor, TutoredPause};
use crate::conversation::{
    Answer, ConversationStop, Dialogue, Digest, Lane, Lesson, Message, Question, Reading, Remedy, Seed, Slot, Speaker,
    Spoken, TurnIndex,
};
use crate::quality::says_again;
use crate::recipe::Answered;

/// A tutored conversation, as far as there are answers.
#[derive(Clone, Debug, Default)]
pub struct Tutored {
    /// Each turn that the student has answered, in order. The last one may not be graded or corrected yet.
    pub lessons: Vec<Lesson>,
    /// The messages that became history, turn by turn.
    pub dialogue: Dialogue,
    /// How it ended; `None` while it has not.
    pub end: Option<TutoredEnd>,
    /// How grades and verdicts were read, with who gave them.
    pub readings: Vec<(Party, Reading)>,
}

/// A role in a tutored conversation.
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
    /// Every party.
    pub const ALL: [Party; 4] = [Party::Student, Party::Teacher, Party::Grader, Party::Judge];

    /// Returns the party that answers in a lane.
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
    /// The student's answer is unusable as history, or three in a row were broken or repeated; the last fault.
    StudentRejected(&'static str),
    /// No attempt at a grade was valid; the last fault.
    GradeInvalid(&'static str),
    /// No attempt at a correction was good; the last fault.
    TeacherRejected(&'static str),
}

/// A student whose answers are broken or repeated in this many consecutive turns has collapsed: there is nothing to correct.
const BROKEN_MAX: u32 = 3;
/// Shorter answers ("Yes, it is.") may well be given twice.
const SAME_WORDS_MIN: usize = 8;
/// The fault of an answer that repeats the student's previous one, named as in the gate.
const REPEATS: &str = "echo";

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

    /// Returns why the conversation stopped; `None` where every turn is tutored.
    pub fn stop(self) -> Option<ConversationStop> {
        match self {
            Self::Complete => None,
            Self::StudentRejected(fault) => Some(ConversationStop::StudentRejected(fault.into())),
            Self::GradeInvalid(fault) => Some(ConversationStop::GradeInvalid(fault.into())),
            Self::TeacherRejected(fault) => Some(ConversationStop::TeacherRejected(fault.into())),
        }
    }
}

/// The state from turn to turn, in addition to [`Tutored`].
#[derive(Default)]
pub(super) struct Course {
    /// The messages so far, with those to be answered.
    pub messages: Vec<Arc<Message>>,
    /// Who gave each of the answers among them.
    history: Vec<Speaker>,
    /// The student's last answer, whether or not it became history.
    own: Option<Arc<Answer>>,
    broken: u32,
    /// Questions that nothing waits for.
    pub open: Vec<Question>,
    /// How grades and verdicts were read.
    pub readings: Vec<(Party, Reading)>,
    /// Lessons hold the question to the student; finding the next question does not need it.
    is_told: bool,
}

impl Tutor {
    /// Walks through the turns as far as there are answers; returns the open questions.
    pub(super) fn walk(&self, seed: &Seed, answered: &Answered, is_told: bool) -> (Tutored, Vec<Question>) {
        let (mut tutored, mut course) = (Tutored::default(), Course { is_told, ..Course::default() });
        let digest = match self.history {
            History::Mixed(_) => seed.digest(),
            History::Forced | History::Student => Digest::ZERO,
        };
        tutored.end = Some(TutoredEnd::Complete);
        for (turn, said) in (0..).zip(&seed.turns) {
            let speaker = self.history.speaker(&digest, turn);
            match self.turn(turn, &said.messages, speaker, answered, &mut tutored, &mut course) {
                Ok(()) => {}
                Err(TutoredPause::Ask(questions)) => {
                    course.open.extend(questions);
                    break;
                }
                Err(TutoredPause::End(end)) => {
                    tutored.end = Some(end);
                    break;
                }
            }
        }
        if !course.open.is_empty() {
            tutored.end = None;
        }
        tutored.readings = course.readings;
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
    ) -> Result<(), TutoredPause> {
        course.messages.extend(heard.iter().cloned());
        let slot = Slot { lane: Lane::Student, turn, attempt: 0 };
        let Some(seen) = answered.examined(slot) else {
            let (target, sample) = (Arc::clone(&self.cast.student), self.round);
            return Err(TutoredPause::Ask(vec![Question { slot, target, sample, messages: course.messages.clone() }]));
        };
        let student = Arc::clone(&seen.answer);
        let judge = || self.answer_check.judge(&student, heard, &tutored.dialogue, &self.cast.student);
        let fault = seen.verdict.get_or_init(judge).rejected_by;
        let is_repeated = || self.says_again(heard, &student, course.own.as_deref());
        let broken = fault.or_else(|| seen.tutored.is_repeated.get_or_init(is_repeated).then_some(REPEATS));
        let (prompt, history) =
            if course.is_told { (course.messages.clone(), course.history.clone()) } else { (Vec::new(), Vec::new()) };
        let mut lesson = Lesson {
            turn: TurnIndex::from_index(turn),
            prompt,
            history,
            student,
            fault,
            grade: None,
            correction: None,
        };
        let paused = self.tutor(&mut lesson, heard, speaker, answered, tutored, course);
        let (speaker, answer) = match &lesson.correction {
            Some(correction) if speaker == Speaker::Teacher && correction.remedy != Remedy::Keep => {
                (Speaker::Teacher, Arc::clone(&correction.answer))
            }
            _ => (Speaker::Student, Arc::clone(&lesson.student)),
        };
        course.own = Some(Arc::clone(&lesson.student));
        course.broken = if broken.is_some() { course.broken + 1 } else { 0 };
        tutored.lessons.push(lesson);
        paused?;
        match (fault, broken) {
            (Some(rule), _) if speaker == Speaker::Student => {
                return Err(TutoredPause::End(TutoredEnd::StudentRejected(rule)));
            }
            (_, Some(rule)) if course.broken >= BROKEN_MAX => {
                return Err(TutoredPause::End(TutoredEnd::StudentRejected(rule)));
            }
            _ => {}
        }
        course.history.push(speaker);
        course.messages.push(Arc::clone(&answer.message));
        tutored.dialogue.spoken.extend(heard.iter().cloned().map(Spoken::of_source));
        let message = Arc::clone(&answer.message);
        tutored.dialogue.spoken.push(Spoken { message, answer: Some(answer), flags: Vec::new(), score: None });
        Ok(())
    }

    /// True where the student repeats its previous answer, even where a correction replaced that answer in the history.
    fn says_again(&self, heard: &[Arc<Message>], student: &Answer, own: Option<&Answer>) -> bool {
        let user = heard.last().map_or("", |message| message.content());
        let is_same = |own: &Answer| {
            let text = student.text().trim();
            text == own.text().trim() && text.split_whitespace().count() >= SAME_WORDS_MIN
        };
        let is_again = |own: &Answer| says_again(user, student.text(), own.text()) || is_same(own);
        self.answer_check.gate.is_some() && own.is_some_and(is_again)
    }

    /// Grades, corrects and checks the student's answer, as far as there are answers.
    fn tutor(
        &self,
        lesson: &mut Lesson,
        heard: &[Arc<Message>],
        speaker: Speaker,
        answered: &Answered,
        tutored: &mut Tutored,
        course: &mut Course,
    ) -> Result<(), TutoredPause> {
        if lesson.fault.is_none() {
            match self.grade(lesson.turn.index(), 0, &course.messages, lesson.student.text(), answered) {
                Graded::Done(grade, reading) => {
                    course.readings.push((Party::Grader, reading));
                    lesson.grade = Some(grade);
                }
                Graded::Open(question) => return Err(TutoredPause::Ask(vec![question])),
                Graded::Invalid(fault, reading) => {
                    course.readings.push((Party::Grader, reading));
                    return Err(TutoredPause::End(TutoredEnd::GradeInvalid(fault)));
                }
            }
        }
        if self.purpose == PassPurpose::Scores && speaker == Speaker::Student {
            return Ok(());
        }
        let corrected = self.correct(lesson, heard, &course.messages, &mut tutored.dialogue, answered)?;
        lesson.correction = Some(self.check(lesson, corrected, answered, course));
        Ok(())
    }
}
