use std::sync::Arc;

use super::checking::OpenCheck;
use super::grading::Graded;
use super::tutored::{Party, Tutored, TutoredEnd};
use super::{History, PassPurpose, Tutor, TutoredPause};
use crate::conversation::{
    Answer, Digest, Lane, Lesson, Message, Messages, Question, Remedy, Seed, Slot, Speaker, Spoken, TurnIndex,
};
use crate::quality::says_again;
use crate::recipe::Answered;

/// A student whose answers are broken or repeated in this many consecutive turns has collapsed: there is nothing to correct.
const BROKEN_MAX: u32 = 3;
/// Shorter answers ("Yes, it is.") may well be given twice.
const SAME_WORDS_MIN: usize = 8;
/// The fault of an answer that repeats the student's previous one, named as in the gate.
const REPEATS: &str = "echo";

/// How far a conversation has been walked: everything before `turn` is settled, apart from the checks that are open.
pub(super) struct Walk {
    pub tutored: Tutored,
    turn: u32,
    /// The seed's, where the history depends on it.
    digest: Digest,
    /// The messages so far, with those to be answered.
    messages: Messages,
    /// Who gave each of the answers among them.
    history: Vec<Speaker>,
    /// The student's last answer, whether or not it became history.
    own: Option<Arc<Answer>>,
    broken: u32,
    /// How the turns ended, if they did. Checks may be open still.
    end: Option<TutoredEnd>,
    /// The questions that the turn waits for.
    asked: Vec<Question>,
    /// Nothing waits for these.
    checks: Vec<OpenCheck>,
    settled: Settled,
    /// Lessons hold the question to the student; finding the next question does not need it.
    is_told: bool,
}

/// How much of a walk belongs to settled turns.
#[derive(Default)]
struct Settled {
    heard: usize,
    rejected: usize,
    readings: usize,
}

impl Walk {
    fn settle(&mut self) {
        self.turn += 1;
        self.settled = Settled {
            heard: self.messages.len(),
            rejected: self.tutored.dialogue.rejected.len(),
            readings: self.tutored.readings.len(),
        };
    }

    /// Forgets what an earlier step has added in an open turn: it is found again.
    fn reopen(&mut self) {
        self.messages.truncate(self.settled.heard);
        self.tutored.lessons.truncate(self.turn as usize);
        self.tutored.dialogue.rejected.truncate(self.settled.rejected);
        self.tutored.readings.truncate(self.settled.readings);
    }
}

impl Tutor {
    /// Begins a walk at the first turn.
    pub(super) fn begin(&self, seed: &Seed, is_told: bool) -> Walk {
        let digest = match self.history {
            History::Mixed(_) => seed.digest(),
            History::Forced | History::Student => Digest::ZERO,
        };
        Walk {
            tutored: Tutored::default(),
            turn: 0,
            digest,
            messages: Messages::default(),
            history: Vec::new(),
            own: None,
            broken: 0,
            end: None,
            asked: Vec::new(),
            checks: Vec::new(),
            settled: Settled::default(),
            is_told,
        }
    }

    /// Walks through the turns as far as there are answers; returns the open questions.
    pub(super) fn walk(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) -> Vec<Question> {
        self.check_again(answered, walk);
        if walk.asked.iter().any(|question| answered.get(question.slot).is_some()) {
            walk.asked.clear();
        }
        while walk.end.is_none() && walk.asked.is_empty() {
            walk.reopen();
            match self.take_turn(seed, answered, walk) {
                Ok(()) => walk.settle(),
                Err(TutoredPause::Ask(questions)) => walk.asked = questions,
                Err(TutoredPause::End(end)) => walk.end = Some(end),
            }
        }
        let checks = walk.checks.iter().flat_map(|check| &check.open);
        let open: Vec<Question> = checks.chain(&walk.asked).cloned().collect();
        walk.tutored.end = walk.end.filter(|_| open.is_empty());
        open
    }

    fn take_turn(&self, seed: &Seed, answered: &Answered, walk: &mut Walk) -> Result<(), TutoredPause> {
        let turn = walk.turn;
        let Some(said) = seed.turns.get(turn as usize) else { return Err(TutoredPause::End(TutoredEnd::Complete)) };
        let (heard, speaker) = (&said.messages, self.history.speaker(&walk.digest, turn));
        walk.messages.extend(heard.iter().cloned());
        let slot = Slot { lane: Lane::Student, turn, attempt: 0 };
        let Some(found) = answered.examined(slot) else {
            let (target, sample) = (Arc::clone(&self.cast.student), self.round);
            return Err(TutoredPause::Ask(vec![Question { slot, target, sample, messages: walk.messages.clone() }]));
        };
        let student = Arc::clone(&found.answer);
        let judge =
            || self.answer_check.judge(&student, heard, &walk.tutored.dialogue, &self.cast.student, answered.rules);
        let fault = found.verdict.get_or_init(judge).rejected_by;
        let is_repeated = || self.says_again(heard, &student, walk.own.as_deref());
        let broken = fault.or_else(|| found.tutored.is_repeated.get_or_init(is_repeated).then_some(REPEATS));
        let (prompt, history) =
            if walk.is_told { (walk.messages.clone(), walk.history.clone()) } else { Default::default() };
        let mut lesson = Lesson {
            turn: TurnIndex::from_index(turn),
            prompt,
            history,
            student,
            fault,
            grade: None,
            correction: None,
        };
        let paused = self.tutor(&mut lesson, heard, speaker, answered, walk);
        let (speaker, answer) = match &lesson.correction {
            Some(correction) if speaker == Speaker::Teacher && correction.remedy != Remedy::Keep => {
                (Speaker::Teacher, Arc::clone(&correction.answer))
            }
            _ => (Speaker::Student, Arc::clone(&lesson.student)),
        };
        let own = Arc::clone(&lesson.student);
        walk.tutored.lessons.push(lesson);
        paused?;
        walk.own = Some(own);
        walk.broken = if broken.is_some() { walk.broken + 1 } else { 0 };
        match (fault, broken) {
            (Some(rule), _) if speaker == Speaker::Student => {
                return Err(TutoredPause::End(TutoredEnd::StudentRejected(rule)));
            }
            (_, Some(rule)) if walk.broken >= BROKEN_MAX => {
                return Err(TutoredPause::End(TutoredEnd::StudentRejected(rule)));
            }
            _ => {}
        }
        walk.history.push(speaker);
        walk.messages.push(Arc::clone(&answer.message));
        let spoken = &mut walk.tutored.dialogue.spoken;
        spoken.extend(heard.iter().cloned().map(Spoken::of_source));
        let message = Arc::clone(&answer.message);
        spoken.push(Spoken { message, answer: Some(answer), flags: Vec::new(), score: None });
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
        walk: &mut Walk,
    ) -> Result<(), TutoredPause> {
        let readings = &mut walk.tutored.readings;
        if lesson.fault.is_none() {
            match self.grade(lesson.turn.index(), 0, &walk.messages, lesson.student.text(), answered) {
                Graded::Done(grade, reading) => {
                    readings.push((Party::Grader, reading));
                    lesson.grade = Some(grade);
                }
                Graded::Open(question) => return Err(TutoredPause::Ask(vec![question])),
                Graded::Invalid(fault, reading) => {
                    readings.push((Party::Grader, reading));
                    return Err(TutoredPause::End(TutoredEnd::GradeInvalid(fault)));
                }
            }
        }
        if self.purpose == PassPurpose::Scores && speaker == Speaker::Student {
            return Ok(());
        }
        let corrected = self.correct(lesson, heard, &walk.messages, &mut walk.tutored.dialogue, answered)?;
        let checked = self.check(lesson, corrected, &walk.messages, answered);
        walk.tutored.readings.extend(checked.readings);
        lesson.correction = Some(checked.correction);
        if !checked.open.is_empty() {
            walk.checks.push(OpenCheck { turn: walk.turn, corrected, heard: walk.messages.len(), open: checked.open });
        }
        Ok(())
    }

    /// Continues the checks of which a question has been answered. What they find out goes into no lesson and no reading:
    /// a walk that is told is walked once.
    fn check_again(&self, answered: &Answered, walk: &mut Walk) {
        let Walk { tutored, messages, checks, .. } = walk;
        for check in checks.iter_mut().filter(|check| check.is_answered(answered)) {
            let prompt = messages.first_ones(check.heard);
            check.open = self.check(&tutored.lessons[check.turn as usize], check.corrected, &prompt, answered).open;
        }
        checks.retain(|check| !check.open.is_empty());
    }
}
