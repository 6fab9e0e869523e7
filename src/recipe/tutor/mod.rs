//! A student answers, the teacher grades and corrects: the student's own mistakes are what it is taught about.
//!
//! Turn by turn: the student answers ([`Tutored`]), the teacher grades with quoted errors (`grading`), the answer is kept, edited
//! or written anew (`correcting`), a judge that does not know whose is which compares both (`checking`), and the conversation
//! goes on with the teacher's words or the student's ([`History`]). Quotes are checked, attempts are bounded, and every end has
//! its reason by code.

mod checking;
mod correcting;
mod grading;
mod history;
mod walk;

pub use history::{History, ParseHistoryError};
pub use walk::{Party, Tutored, TutoredEnd};

use std::cell::OnceCell;
use std::sync::Arc;

use super::judge::Judge;
use super::screen::Screen;
use super::{Answered, Recipe, Step};
use crate::conversation::{Dialogue, Grade, Outcome, Question, Seed, Settings, Target};
use crate::quality::Gate;
use grading::GradeFault;

/// Has a student answer each turn of a conversation and a teacher correct it.
pub struct Tutor {
    cast: Cast,
    round: u32,
    history: History,
    purpose: Purpose,
    screen: Screen,
    settings: Settings,
}

/// Who takes part.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Who is to learn.
    pub student: Arc<Target>,
    /// Who writes what the student should have said.
    pub teacher: Arc<Target>,
    /// Who grades: the teacher's model, asked soberly.
    pub grader: Arc<Target>,
    /// Who compares the student's answer with the teacher's, not knowing whose is which.
    pub judge: Judge,
}

/// What a tutored conversation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Rows to train on: every turn is corrected, and the correction checked.
    Rows,
    /// The student's scores alone: a turn is corrected only where the conversation goes on with the correction.
    Scores,
}

impl Tutor {
    /// Makes the recipe. `round` tells apart how often this student has been asked the same before: 0 is the first time, and a
    /// student that has learned since is asked anew in the next round. `system` is the text that replaces every row's own system
    /// message: the caller has put it into the seeds.
    pub fn new(
        cast: Cast,
        round: u32,
        history: History,
        purpose: Purpose,
        gate: Option<Gate>,
        system: Option<&str>,
    ) -> Self {
        let gate_name = gate.as_ref().map_or("off".to_owned(), ToString::to_string);
        let settings = Settings::default()
            .with("recipe", "tutor")
            .with("model", cast.teacher.model())
            .with("teacher", &cast.teacher)
            .with("student", &cast.student)
            .with("round", round)
            .with("grader", &cast.grader)
            .with("judge", &cast.judge.target)
            .with("prompt", cast.judge.prompt.digest())
            .with("history", history)
            .with("purpose", if purpose == Purpose::Rows { "rows" } else { "scores" })
            .with("gate", gate_name)
            .with("system", system.unwrap_or("from the rows"));
        Self { cast, round, history, purpose, screen: Screen { gate, ..Screen::default() }, settings }
    }

    /// Returns the conversation as far as there are answers.
    pub fn tutored(&self, seed: &Seed, answered: &Answered) -> Tutored {
        self.walk(seed, answered, true).0
    }

    /// Returns how many calls a turn takes when the student has something to learn and nobody fails.
    pub fn calls_per_turn(&self) -> u32 {
        match (self.purpose, self.history) {
            // Student, grade, correction, its grade, the judge twice.
            (Purpose::Rows, _) => 6,
            (Purpose::Scores, History::Student) => 2,
            (Purpose::Scores, _) => 3,
        }
    }
}

/// What this recipe makes of an answer, whoever gave it: functions of it and of what stands before it, worked out once.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Of a grader's words.
    grade: OnceCell<Result<Grade, GradeFault>>,
    /// Of a student's: they are those of its answer before.
    is_repeated: OnceCell<bool>,
    /// Of a correction: what makes it none.
    fault: OnceCell<Option<&'static str>>,
    /// Of a correction: it is other words than the student's.
    differs: OnceCell<bool>,
}

/// Where a turn pauses or the conversation ends.
enum Pause {
    Ask(Vec<Question>),
    End(TutoredEnd),
}

impl Recipe for Tutor {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        seed.turns.len() as u32 * self.calls_per_turn()
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        let (Tutored { dialogue, end, .. }, open) = self.walk(seed, answered, false);
        match end {
            None => Step::Ask(open),
            Some(end) => Step::Finish(Outcome::of(dialogue, end.stop())),
        }
    }

    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue {
        self.walk(seed, answered, false).0.dialogue
    }
}
