use std::sync::Arc;

use crate::cli::CliError;
use crate::cli::judged::judge;
use crate::cli::model::Found;
use crate::cli::options::Options;
use crate::conversation::Price;
use crate::quality::Gate;
use crate::recipe::{Cast, History, Party, Purpose, Scale, Tutor};
use crate::report::{PassReport, RoleCost, TutoringReport};

/// Everybody who takes part.
pub struct Parties {
    /// For each round the one; the last one for all that follow.
    pub students: Vec<Found>,
    pub teacher: Found,
    /// The teacher, asked soberly.
    pub grader: Found,
    /// Where nobody else is named, the grader compares too.
    pub judge: Option<Found>,
}

/// One round under one history.
pub struct Pass {
    /// From 1.
    pub round: u32,
    pub history: History,
    pub purpose: Purpose,
    /// Its student's number.
    pub student: usize,
    pub recipe: Arc<Tutor>,
}

/// Returns all passes, in the order in which they are led: round by round, the history whose rows are written first.
pub fn passes(
    histories: &[History],
    rounds: Option<u32>,
    parties: &Parties,
    gate: Option<&Gate>,
    system: Option<&str>,
    options: &Options,
) -> Result<Vec<Pass>, CliError> {
    let students = &parties.students;
    let rounds = rounds.unwrap_or(students.len() as u32);
    if students.len() as u32 > rounds {
        let message = format!("there are {} students for {rounds} rounds", students.len());
        return Err(CliError::usage(message, "name one --student for each round, or give more --rounds"));
    }
    if (1..histories.len()).any(|at| histories[..at].contains(&histories[at])) {
        return Err(CliError::usage("--history names one twice", "write each once, such as --history forced,student"));
    }
    let judge = judge(parties.judge.as_ref().unwrap_or(&parties.grader), Scale::Pair, options)?;
    let mut passes: Vec<Pass> = Vec::new();
    for round in 1..=rounds {
        let number = (round as usize).min(students.len()) - 1;
        let student = &students[number].target;
        // Only what the same student was asked before would be found again.
        let asked_before =
            (1..round).filter(|earlier| students[(*earlier as usize).min(students.len()) - 1].target == *student);
        let asked_before = asked_before.count() as u32;
        for (at, history) in histories.iter().enumerate() {
            let cast = Cast {
                student: Arc::clone(student),
                teacher: Arc::clone(&parties.teacher.target),
                grader: Arc::clone(&parties.grader.target),
                judge: judge.clone(),
            };
            let purpose = if at == 0 { Purpose::Rows } else { Purpose::Scores };
            let recipe = Tutor::new(cast, asked_before, *history, purpose, gate.cloned(), system);
            passes.push(Pass { round, history: *history, purpose, student: number, recipe: Arc::new(recipe) });
        }
    }
    Ok(passes)
}

impl Pass {
    /// Returns what people call it.
    pub fn name(&self) -> String {
        format!("round {}, {} history", self.round, self.history)
    }

    /// True where its rows are written.
    pub fn writes_rows(&self) -> bool {
        self.purpose == Purpose::Rows
    }
}

impl Parties {
    /// Returns all of them.
    pub fn all(&self) -> Vec<&Found> {
        self.students.iter().chain([&self.teacher, &self.grader]).chain(&self.judge).collect()
    }

    /// Returns the system message that goes before every conversation. It is the student's, as the student learns from these
    /// prompts, and the teacher answers the same ones.
    pub fn system_text(&self, options: &Options) -> Result<Option<String>, CliError> {
        let texts = self.students.iter().chain([&self.teacher]).map(|found| found.system_text(options));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let (teacher, students) = texts.split_last().expect("the teacher is there");
        let student = students.first().cloned().flatten();
        if students.iter().any(|other| *other != student) || teacher.as_ref().is_some_and(|_| *teacher != student) {
            return Err(CliError::usage(
                "the profiles of student and teacher have different system messages",
                "give --system: teacher and student answer the same prompts",
            ));
        }
        Ok(student)
    }

    /// Returns a party of a pass.
    pub fn found(&self, party: Party, pass: &Pass) -> &Found {
        match party {
            Party::Student => &self.students[pass.student],
            Party::Teacher => &self.teacher,
            Party::Grader => &self.grader,
            Party::Judge => self.judge.as_ref().unwrap_or(&self.grader),
        }
    }

    /// Returns what a party's tokens cost.
    pub fn price(&self, party: Party, pass: &Pass) -> Option<&Price> {
        self.found(party, pass).price.as_ref()
    }

    /// Returns the report as it is before anything is counted.
    pub fn report(&self, passes: &[Pass]) -> TutoringReport {
        let pass = |pass: &Pass| PassReport {
            round: pass.round,
            history: pass.history.to_string(),
            writes_rows: pass.writes_rows(),
            roles: Party::ALL.map(|party| (party.name(), RoleCost::new(self.found(party, pass).target.model()))).into(),
            ..PassReport::default()
        };
        let mut cautions = Vec::new();
        let judge = self.judge.as_ref().unwrap_or(&self.grader).target.model();
        if judge == self.teacher.target.model() {
            cautions.push("the judge is the teacher, and may prefer its own words; --judge names another".to_owned());
        }
        TutoringReport { schema: 1, cautions, passes: passes.iter().map(pass).collect(), ..TutoringReport::default() }
    }
}
