use std::sync::Arc;

use super::TutorSettings;
use crate::conversation::Price;
use crate::job::JobError;
use crate::job::models::ModelChoice;
use crate::recipe::{Cast, History, Party, PassPurpose, Scale, Tutor};
use crate::report::{Party as ShownParty, PassReport, RoleCost, TutoringReport};

/// Everybody who takes part.
pub struct Parties<'a> {
    /// One for each round; the last one for all further rounds.
    pub students: &'a [ModelChoice],
    pub teacher: &'a ModelChoice,
    /// The teacher's model with a judge's sampling.
    pub grader: &'a ModelChoice,
    /// Who compares; the grader where nobody is named.
    pub judge: Option<&'a ModelChoice>,
}

/// One round under one history.
pub struct TutorPass {
    /// From 1.
    pub round: u32,
    pub history: History,
    pub purpose: PassPurpose,
    /// Its student's number.
    pub student: usize,
    pub recipe: Arc<Tutor>,
}

impl TutorSettings {
    /// Returns all passes in the order in which they run: round by round, the history whose rows are written first.
    pub(super) fn passes(&self, parties: &Parties<'_>, system: Option<&str>) -> Result<Vec<TutorPass>, JobError> {
        let (students, histories) = (parties.students, &self.histories);
        let rounds = self.rounds.unwrap_or(students.len() as u32);
        if students.len() as u32 > rounds {
            let message = format!("there are {} students for {rounds} rounds", students.len());
            return Err(JobError::usage(message, "name one --student for each round, or give more --rounds"));
        }
        if (1..histories.len()).any(|at| histories[..at].contains(&histories[at])) {
            let hint = "write each once, such as --history forced,student";
            return Err(JobError::usage("--history names one twice", hint));
        }
        let judge = self.judge_settings().judge(Scale::Pair)?;
        let student_of = |round: u32| (round as usize).min(students.len()) - 1;
        let mut passes = Vec::new();
        for round in 1..=rounds {
            let target = &students[student_of(round)].target;
            // Only questions that the same student was asked before would be found in the store.
            let asked_before = (1..round).filter(|earlier| students[student_of(*earlier)].target == *target).count();
            for (at, history) in histories.iter().enumerate() {
                let cast = Cast {
                    student: Arc::clone(target),
                    teacher: Arc::clone(&parties.teacher.target),
                    grader: Arc::clone(&parties.grader.target),
                    judge: judge.clone(),
                };
                let purpose = if at == 0 { PassPurpose::Rows } else { PassPurpose::Scores };
                let recipe = Tutor::new(cast, asked_before as u32, *history, purpose, self.gate.clone(), system);
                let student = student_of(round);
                passes.push(TutorPass { round, history: *history, purpose, student, recipe: Arc::new(recipe) });
            }
        }
        Ok(passes)
    }
}

impl TutorPass {
    /// Returns what people call it.
    pub fn name(&self) -> String {
        format!("round {}, {} history", self.round, self.history)
    }

    /// True where its rows are written.
    pub fn writes_rows(&self) -> bool {
        self.purpose == PassPurpose::Rows
    }
}

impl<'a> Parties<'a> {
    /// Returns all of them.
    pub fn all(&self) -> Vec<&'a ModelChoice> {
        self.students.iter().chain([self.teacher, self.grader]).chain(self.judge).collect()
    }

    /// Returns them as they are shown.
    pub fn shown(&self) -> Vec<ShownParty> {
        let students = self.students.iter().map(|student| student.party("student"));
        let others = [self.teacher.party("teacher"), self.grader.party("grader")];
        students.chain(others).chain(self.judge.map(|judge| judge.party("judge"))).collect()
    }

    /// Returns the system message that goes before every conversation. It is the student's, as the student learns from these
    /// prompts, and the teacher answers the same ones.
    pub fn system_text(&self, run: Option<&str>) -> Result<Option<String>, JobError> {
        let texts = self.students.iter().chain([self.teacher]).map(|model| model.system_text(run));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let (teacher, students) = texts.split_last().expect("the teacher is there");
        let student = students.first().cloned().flatten();
        if students.iter().any(|other| *other != student) || teacher.as_ref().is_some_and(|_| *teacher != student) {
            return Err(JobError::usage(
                "the profiles of student and teacher have different system messages",
                "give --system: teacher and student answer the same prompts",
            ));
        }
        Ok(student)
    }

    /// Returns a party of a pass.
    pub fn model(&self, party: Party, pass: &TutorPass) -> &'a ModelChoice {
        match party {
            Party::Student => &self.students[pass.student],
            Party::Teacher => self.teacher,
            Party::Grader => self.grader,
            Party::Judge => self.judge.unwrap_or(self.grader),
        }
    }

    /// Returns what a party's tokens cost.
    pub fn price(&self, party: Party, pass: &TutorPass) -> Option<&'a Price> {
        self.model(party, pass).price.as_ref()
    }

    /// Returns the report as it is before anything is counted.
    pub fn report(&self, passes: &[TutorPass]) -> TutoringReport {
        let pass = |pass: &TutorPass| PassReport {
            round: pass.round,
            history: pass.history.to_string(),
            writes_rows: pass.writes_rows(),
            roles: Party::ALL.map(|party| (party.name(), RoleCost::new(self.model(party, pass).target.model()))).into(),
            ..PassReport::default()
        };
        let mut cautions = Vec::new();
        let judge = self.judge.unwrap_or(self.grader).target.model();
        if judge == self.teacher.target.model() {
            cautions.push("the judge is the teacher, and may prefer its own answers; --judge names another".to_owned());
        }
        TutoringReport { schema: 1, cautions, passes: passes.iter().map(pass).collect(), ..TutoringReport::default() }
    }
}
