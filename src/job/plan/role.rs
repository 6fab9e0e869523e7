use std::fmt;

use crate::conversation::{Lane, Question};
use crate::model::{Output, capabilities_of};

/// What a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanRole {
    /// Answers, or corrects.
    Teacher,
    /// A system that is compared, by its number.
    System(u8),
    /// Answers and is corrected.
    Student,
    /// Plays the user.
    User,
    /// Writes the goal of a simulated user.
    Goal,
    /// Grades.
    Grader,
    /// Judges.
    Judge,
    /// Judges answers that are known to be right or wrong.
    Controls,
    /// Gives a number.
    Scorer,
    /// Answers calls to tools.
    Tool,
}

impl PlanRole {
    /// Returns the role in which a question is asked.
    pub fn of(question: &Question) -> Self {
        match question.slot.lane {
            Lane::Main => Self::Teacher,
            Lane::System(number) => Self::System(number),
            Lane::Student => Self::Student,
            // Only the card of a goal has a form.
            Lane::User if question.target.schema().is_some() => Self::Goal,
            Lane::User => Self::User,
            Lane::Grader => Self::Grader,
            Lane::Tool => Self::Tool,
            Lane::Judge if capabilities_of(&question.target).output == Output::Number => Self::Scorer,
            Lane::Judge => Self::Judge,
        }
    }

    /// True for roles whose answers are like a dataset's.
    pub fn answers(self) -> bool {
        matches!(self, Self::Teacher | Self::System(_) | Self::Student)
    }

    /// Returns the tokens of one of its answers where nothing is known of them.
    pub fn usual_tokens(self) -> u64 {
        match self {
            Self::Teacher | Self::System(_) | Self::Student => 300,
            Self::User => 40,
            Self::Goal => 120,
            Self::Grader => 150,
            // Judgments in MT-Bench have some 800 characters.
            Self::Judge | Self::Controls => 200,
            Self::Scorer | Self::Tool => 0,
        }
    }
}

/// Writes the name in a plan.
impl fmt::Display for PlanRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Teacher => f.write_str("teacher"),
            Self::System(number) => write!(f, "system {}", number + 1),
            Self::Student => f.write_str("student"),
            Self::User => f.write_str("user"),
            Self::Goal => f.write_str("user's goal"),
            Self::Grader => f.write_str("grader"),
            Self::Judge => f.write_str("judge"),
            Self::Controls => f.write_str("judge, controls"),
            Self::Scorer => f.write_str("scorer"),
            Self::Tool => f.write_str("tool"),
        }
    }
}
