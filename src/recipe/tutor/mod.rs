//! A student answers, the teacher grades and corrects: the student's own mistakes are what it is taught about.
//!
//! Turn by turn (`walk`): the student answers ([`Tutored`]), the teacher grades with quoted errors (`grading`), the answer is kept, edited
//! or rewritten (`correcting`), a judge that does not know whose is which compares both (`checking`), and the conversation
//! continues with the teacher's answer or the student's ([`History`]). Quotes are checked, attempts are bounded, and code decides
//! every end.

mod checking;
mod correcting;
mod grading;
mod history;
mod tutored;
mod walk;

pub use history::{History, ParseHistoryError};
pub use tutored::{Party, Tutored, TutoredEnd};

use std::cell::OnceCell;
use std::sync::Arc;

use super::answer_check::AnswerCheck;
use super::begun::{OlderRules, older_rules, with_prompts};
use super::judge::Judge;
use super::{Answered, Recipe, Step, Walked};
use crate::conversation::{Dialogue, Grade, Lane, Outcome, Question, Remedy, Seed, Settings, Slot, Target, Unit};
use crate::quality::{Gate, RulesVersion};
use checking::FIRST_GRADE;
use correcting::FIRST_EDIT;
use grading::GradeFault;

/// Has a student answer each turn of a conversation and a teacher correct it.
pub struct Tutor {
    cast: Cast,
    /// That of the prompts under which conversations begin.
    version: RulesVersion,
    round: u32,
    history: History,
    purpose: PassPurpose,
    answer_check: AnswerCheck,
    settings: Settings,
    older: Vec<OlderRules>,
}

/// The models of a tutored conversation.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The model to train.
    pub student: Arc<Target>,
    /// The model that writes corrections.
    pub teacher: Arc<Target>,
    /// The model that grades: the teacher's, with a judge's sampling.
    pub grader: Arc<Target>,
    /// The model that compares the two answers blindly.
    pub judge: Judge,
}

/// The purpose of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassPurpose {
    /// Rows to train on: every turn is corrected, and the correction checked.
    Rows,
    /// The student's scores alone: a turn is corrected only where the correction becomes history.
    Scores,
}

impl Tutor {
    /// Makes the recipe. `round`, from 0, is part of each question to the student: a student that was trained since the last
    /// round is asked again. `system` is the text that replaces every row's own system message; the caller has put it into
    /// the seeds. Gate and judge must be of the same version.
    pub fn new(
        cast: Cast,
        round: u32,
        history: History,
        purpose: PassPurpose,
        gate: Option<Gate>,
        system: Option<&str>,
    ) -> Self {
        let answer_check = AnswerCheck::by(gate);
        let settings_under = |version| {
            let settings = Settings::default()
                .with("recipe", "tutor")
                .with("model", cast.teacher.model())
                .with("teacher", &cast.teacher)
                .with("student", &cast.student)
                .with("round", round)
                .with("grader", &cast.grader)
                .with("judge", &cast.judge.target)
                .with("prompt", cast.judge.prompt.digest_under(Some(version)))
                .with("history", history)
                .with("purpose", if purpose == PassPurpose::Rows { "rows" } else { "scores" })
                .with("gate", answer_check.gate_setting_under(version))
                .with("system", system.unwrap_or("from the rows"));
            with_prompts(settings, version)
        };
        let version = cast.judge.prompt.version();
        let settings = settings_under(version);
        let versions = cast.judge.prompt.older_versions();
        let versions = versions.filter(|version| answer_check.may_have_begun_under(*version));
        let older = older_rules(versions, settings_under);
        Self { cast, version, round, history, purpose, answer_check, settings, older }
    }

    /// Returns the conversation as far as there are answers.
    pub fn tutored(&self, seed: &Seed, answered: &Answered) -> Tutored {
        let mut walk = self.begin(seed, true);
        self.walk(seed, answered, &mut walk);
        walk.tutored
    }

    /// Returns the version of the prompts and rules for a conversation with these answers.
    fn version_of(&self, answered: &Answered) -> RulesVersion {
        answered.rules.unwrap_or(self.version)
    }

    /// Returns how many calls a turn needs when the answer is corrected and no attempt fails.
    pub fn calls_per_turn(&self) -> u32 {
        match (self.purpose, self.history) {
            // Student, grade, correction, its grade, the judge twice.
            (PassPurpose::Rows, _) => 6,
            (PassPurpose::Scores, History::Student) => 2,
            (PassPurpose::Scores, _) => 3,
        }
    }
}

/// This recipe's cached findings on an answer: functions of it and of the history before it, computed once.
#[derive(Clone, Debug, Default)]
pub(super) struct TutorFindings {
    /// Of a grader's reply.
    grade: OnceCell<Result<Grade, GradeFault>>,
    /// Of a student's answer: it repeats the previous one.
    is_repeated: OnceCell<bool>,
    /// Of a correction: why it is invalid.
    fault: OnceCell<Option<&'static str>>,
    /// Of a correction: it differs enough from the student's answer.
    differs: OnceCell<bool>,
}

impl TutorFindings {
    /// Returns the findings on an answer that nobody has given: the student's is graded so that it is written again, and what the
    /// teacher writes is better, which the judge is asked about.
    pub(super) fn assumed(slot: Slot) -> Self {
        let (score, verdict) = if slot.attempt < FIRST_GRADE { (3.0, Remedy::Rewrite) } else { (9.0, Remedy::Keep) };
        Self {
            grade: OnceCell::from(Ok(Grade { score, flaws: Vec::new(), dropped: 0, verdict })),
            is_repeated: OnceCell::from(false),
            fault: OnceCell::from(None),
            differs: OnceCell::from(true),
        }
    }
}

/// Where a turn pauses or the conversation ends.
enum TutoredPause {
    Ask(Vec<Question>),
    End(TutoredEnd),
}

impl Recipe for Tutor {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn older(&self) -> &[OlderRules] {
        &self.older
    }

    fn turn_count(&self, seed: &Seed) -> u32 {
        seed.turns.len() as u32 * self.calls_per_turn()
    }

    fn unit(&self) -> Unit {
        Unit::Answer
    }

    /// Those that [`calls_per_turn`](Self::calls_per_turn) lists: of several verdicts on a pair the first in each order.
    fn is_counted(&self, slot: Slot) -> bool {
        match slot.lane {
            Lane::Grader => slot.attempt == 0 || slot.attempt == FIRST_GRADE,
            Lane::Judge => Judge::is_first_reply(slot) && slot.attempt < 4,
            Lane::Main => slot.attempt == 0 || slot.attempt == FIRST_EDIT,
            _ => slot.attempt == 0,
        }
    }

    fn next(&self, seed: &Seed, answered: &Answered) -> Step {
        self.advance(seed, answered, &mut Walked::default())
    }

    fn advance(&self, seed: &Seed, answered: &Answered, walked: &mut Walked) -> Step {
        let mut walk = walked.take().unwrap_or_else(|| self.begin(seed, false));
        let open = self.walk(seed, answered, &mut walk);
        match walk.tutored.end {
            None => {
                walked.keep(walk);
                Step::Ask(open)
            }
            Some(end) => Step::Finish(Outcome::of(walk.tutored.dialogue, end.stop())),
        }
    }

    fn so_far(&self, seed: &Seed, answered: &Answered) -> Dialogue {
        let mut walk = self.begin(seed, false);
        self.walk(seed, answered, &mut walk);
        walk.tutored.dialogue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Columns, Sampling, Turn};
    use crate::recipe::judge::{Prompt, Scale};

    #[test]
    fn a_turn_counts_the_calls_that_it_needs_when_none_fails() {
        let target = Target::new("m", "openai", Sampling::default());
        let judge = Judge { target: Arc::clone(&target), prompt: Prompt::standard(Scale::Pair), repeats: 1 };
        let [student, teacher, grader] = [0; 3].map(|_| Arc::clone(&target));
        let cast = Cast { student, teacher, grader, judge };
        let turn = || Turn {
            messages: Vec::new(),
            replaced: None,
            given: Vec::new(),
            follows: Vec::new(),
            ends_in_calls: false,
        };
        let seed = Seed {
            id: "one".to_owned(),
            turns: vec![turn(), turn(), turn()],
            tools: None,
            columns: Columns::new(),
            counts_replaced: false,
            criteria: Vec::new(),
        };
        let count = |history, purpose| Tutor::new(cast.clone(), 0, history, purpose, None, None).turn_count(&seed);
        assert_eq!(count(History::Forced, PassPurpose::Rows), 18);
        assert_eq!((count(History::Student, PassPurpose::Rows), count(History::Student, PassPurpose::Scores)), (18, 6));
        assert_eq!(count(History::Forced, PassPurpose::Scores), 9);
    }

    fn tutor(gate: Option<Gate>) -> Tutor {
        let target = |name: &str| Target::new(name, "openai", Sampling::default());
        let judge = Judge { target: target("judge"), prompt: Prompt::standard(Scale::Pair), repeats: 1 };
        let cast = Cast { student: target("student"), teacher: target("teacher"), grader: target("grader"), judge };
        Tutor::new(cast, 3, History::Mixed(0.5), PassPurpose::Scores, gate, Some("Be brief."))
    }

    #[test]
    fn the_calls_that_a_turn_needs_when_none_fails_are_counted() {
        let tutor = tutor(None);
        let counted =
            |lane| (0..8).filter(|attempt| tutor.is_counted(Slot { lane, turn: 1, attempt: *attempt })).collect();
        let lanes = [Lane::Student, Lane::Main, Lane::Grader, Lane::Judge];
        let all: [Vec<u32>; 4] = lanes.map(counted);
        // An edit and a correction's grade come after three attempts; the judge's second order after its first repair.
        assert_eq!(all, [vec![0], vec![0, 3], vec![0, 3], vec![0, 2]]);
        assert_eq!(tutor.unit(), Unit::Answer);
    }

    #[test]
    fn settings_name_all_that_decides_an_answer_and_older_rules_have_theirs() {
        let tutor = self::tutor(Some(Gate::new(crate::quality::Strictness::Standard, "").unwrap()));
        let get = |name| tutor.settings().get(name).unwrap_or_default();
        let values = ["recipe", "model", "round", "history", "purpose", "system"].map(get);
        assert_eq!(values, ["tutor", "teacher", "3", "mixed:0.5", "scores", "Be brief."]);
        assert_eq!(get("student"), "student (openai), the server's own");
        assert!(!tutor.older().is_empty());
        for older in tutor.older() {
            assert_eq!(older.settings.get("student"), Some(get("student")));
            assert_ne!(older.settings.get("gate"), Some(get("gate")));
        }
        assert_eq!(self::tutor(None).older().len(), 1, "the prompts are older as well");
    }

    #[test]
    fn a_plan_takes_students_for_worse_and_corrections_for_better() {
        let assumed = |attempt| {
            let findings = TutorFindings::assumed(Slot { lane: Lane::Grader, turn: 0, attempt });
            let grade =
                findings.grade.get().and_then(|grade| grade.as_ref().ok()).map(|grade| (grade.score, grade.verdict));
            assert_eq!((findings.is_repeated.get(), findings.differs.get()), (Some(&false), Some(&true)));
            assert_eq!(findings.fault.get(), Some(&None));
            grade
        };
        assert_eq!((assumed(0), assumed(2)), (Some((3.0, Remedy::Rewrite)), Some((3.0, Remedy::Rewrite))));
        assert_eq!((assumed(3), assumed(4)), (Some((9.0, Remedy::Keep)), Some((9.0, Remedy::Keep))));
    }
}
