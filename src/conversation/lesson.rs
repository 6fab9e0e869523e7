use std::sync::Arc;

use super::answer::Answer;
use super::messages::Messages;
use super::turn::TurnIndex;
use super::vote::{DuelEnd, Winner};

/// One turn that a student has answered and a teacher has corrected.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The turn.
    pub turn: TurnIndex,
    /// The exact messages of the question to the student.
    pub prompt: Messages,
    /// Who gave each answer in `prompt` that a model wrote in this conversation, in order.
    pub history: Vec<Speaker>,
    /// The student's answer.
    pub student: Arc<Answer>,
    /// The rule by which code rejects it; such an answer is not graded.
    pub fault: Option<&'static str>,
    /// The teacher's grade for it.
    pub grade: Option<Grade>,
    /// The corrected answer; `None` where no correction was requested or none was good.
    pub correction: Option<Correction>,
}

/// Who gave an answer of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The student's own, kept or not corrected.
    Student,
    /// The teacher's.
    Teacher,
}

impl Speaker {
    /// Returns the name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Speaker::Student => "student",
            Speaker::Teacher => "teacher",
        }
    }
}

/// A teacher's grade for one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// From 1, worthless, to 10, excellent.
    pub score: f64,
    /// The errors in the answer.
    pub flaws: Vec<Flaw>,
    /// Errors that were named too and left out, because their quotes are not in the answer.
    pub dropped: u32,
    /// The teacher's own verdict on it.
    pub verdict: Remedy,
}

/// An error in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Words of the answer, letter for letter; never empty.
    pub quote: String,
    /// One of [`Flaw::KINDS`].
    pub kind: &'static str,
    /// The text that should replace the quote.
    pub fix: String,
}

impl Flaw {
    /// The kinds of errors. The last one covers all others.
    pub const KINDS: [&'static str; 9] =
        ["factual", "reasoning", "instruction", Self::OMISSION, "format", "language", "style", "safety", "other"];
    const OMISSION: &str = "omission";

    /// True where the quote itself is right, and the error is that something is missing after it.
    pub fn is_omission(&self) -> bool {
        self.kind == Self::OMISSION
    }
}

/// The way in which a student's answer is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// Nothing: it is good.
    Keep,
    /// A few edits.
    Revise,
    /// Another answer.
    Rewrite,
}

impl Remedy {
    /// Every remedy with the name that a grade gives it.
    pub const ALL: [(&'static str, Remedy); 3] =
        [("keep", Remedy::Keep), ("revise", Remedy::Revise), ("rewrite", Remedy::Rewrite)];

    /// Returns the name that a grade gives it.
    pub fn name(self) -> &'static str {
        match self {
            Remedy::Keep => "keep",
            Remedy::Revise => "revise",
            Remedy::Rewrite => "rewrite",
        }
    }
}

impl Grade {
    /// From this score on an answer is good: it may be kept, and is called desirable in unpaired preferences.
    pub const GOOD_SCORE: f64 = 7.0;
    /// Below this an answer is not worth an edit.
    pub const EDITABLE_SCORE: f64 = 4.0;
    /// The grade of an answer that code rejects, without asking anybody.
    pub const WORTHLESS_SCORE: f64 = 1.0;

    /// Returns the remedy that applies: the teacher's verdict, where its own score and errors allow that.
    pub fn remedy(&self) -> Remedy {
        match self.verdict {
            Remedy::Keep if self.score >= Self::GOOD_SCORE => Remedy::Keep,
            Remedy::Keep | Remedy::Revise if self.score >= Self::EDITABLE_SCORE && !self.flaws.is_empty() => {
                Remedy::Revise
            }
            _ => Remedy::Rewrite,
        }
    }
}

/// A corrected answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// How it was made.
    pub remedy: Remedy,
    /// The words: the student's own where they are kept.
    pub answer: Arc<Answer>,
    /// The teacher's grade for it, by the same rubric in a call of its own.
    pub grade: Option<Grade>,
    /// Whether it and the student's answer make a pair.
    pub pairing: Pairing,
}

/// Whether two answers make a pair for preference training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pairing {
    /// A question that decides it is open.
    Open,
    /// They do: a judge that did not know whose is which preferred the correction in both orders. Holds
    /// the difference of their grades.
    Accepted(f64),
    /// They do not, for this reason.
    Refused(PairRefusal),
}

/// Why two answers make no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairRefusal {
    /// They are the same words.
    Same,
    /// They differ too little.
    TooAlike,
    /// The pass does not check pairs.
    NotChecked,
    /// The correction has no valid grade.
    Ungraded,
    /// The correction has the lower grade.
    GradedLower,
    /// The student's answer is not whole.
    StudentNotWhole,
    /// The judge prefers the student's answer.
    Worse,
    /// The judge prefers neither.
    Tie,
    /// The judge's verdict changed with the order.
    Inconsistent,
    /// The judge's verdict is invalid.
    Unparsed,
}

impl PairRefusal {
    /// Returns the code in outputs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::TooAlike => "too_alike",
            Self::NotChecked => "not_checked",
            Self::Ungraded => "ungraded",
            Self::GradedLower => "graded_lower",
            Self::StudentNotWhole => "student_not_whole",
            Self::Worse => "worse",
            Self::Tie => "tie",
            Self::Inconsistent => "inconsistent",
            Self::Unparsed => "unparsed",
        }
    }
}

impl Pairing {
    /// Returns the pairing that follows from a judge's verdict. The correction was the first of the two; `margin` is the
    /// difference of the grades.
    pub fn of(duel: DuelEnd, margin: f64) -> Self {
        match duel {
            DuelEnd::Open => Pairing::Open,
            DuelEnd::Decided(Winner::First) => Pairing::Accepted(margin),
            DuelEnd::Decided(Winner::Inconsistent) => Pairing::Refused(PairRefusal::Inconsistent),
            DuelEnd::Decided(Winner::Second) => Pairing::Refused(PairRefusal::Worse),
            DuelEnd::Decided(Winner::Tie) => Pairing::Refused(PairRefusal::Tie),
            DuelEnd::Unparsed | DuelEnd::FirstMissing | DuelEnd::SecondMissing | DuelEnd::BothMissing => {
                Pairing::Refused(PairRefusal::Unparsed)
            }
        }
    }

    /// Returns it in a word, as outputs and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Pairing::Open => "unanswered",
            Pairing::Accepted(_) => "accepted",
            Pairing::Refused(reason) => reason.name(),
        }
    }
}

impl Lesson {
    /// From this difference of the scores on a turn is hard for the student (Lion: Jiang et al. 2023, arXiv 2305.12870).
    pub const HARD_MARGIN: f64 = 1.0;

    /// Returns the student's score; `None` where it was not graded.
    pub fn student_score(&self) -> Option<f64> {
        let by_code = self.fault.map(|_| Grade::WORTHLESS_SCORE);
        by_code.or_else(|| self.grade.as_ref().map(|grade| grade.score))
    }

    /// Returns the correction's score.
    pub fn correction_score(&self) -> Option<f64> {
        self.correction.as_ref()?.grade.as_ref().map(|grade| grade.score)
    }

    /// True where the correction is much better than the student's answer.
    pub fn is_hard(&self) -> bool {
        let is_worse = |correction: &Correction| correction.pairing == Pairing::Refused(PairRefusal::Worse);
        let scores = self.correction_score().zip(self.student_score());
        scores.is_some_and(|(correction, student)| correction - student >= Self::HARD_MARGIN)
            && !self.correction.as_ref().is_some_and(is_worse)
    }

    /// Returns the answer to train on: the student's answer where it is kept; the correction where it was checked, and neither its
    /// grade nor the judge says that the student's answer is better.
    pub fn learned(&self) -> Option<&Correction> {
        self.correction.as_ref().filter(|correction| match correction.pairing {
            _ if correction.remedy == Remedy::Keep => true,
            Pairing::Open | Pairing::Refused(PairRefusal::GradedLower | PairRefusal::Worse | PairRefusal::Same) => {
                false
            }
            Pairing::Accepted(_) | Pairing::Refused(_) => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_must_fit_its_own_score_and_errors() {
        let flaw = || Flaw { quote: "x".to_owned(), kind: "other", fix: "y".to_owned() };
        let remedy = |score, flaws: usize, verdict| {
            Grade { score, flaws: (0..flaws).map(|_| flaw()).collect(), dropped: 0, verdict }.remedy()
        };
        assert_eq!(remedy(8.0, 0, Remedy::Keep), Remedy::Keep);
        // An answer that is called good but graded as bad is not kept.
        assert_eq!(remedy(5.0, 1, Remedy::Keep), Remedy::Revise);
        assert_eq!(remedy(5.0, 0, Remedy::Keep), Remedy::Rewrite);
        assert_eq!(remedy(8.0, 1, Remedy::Revise), Remedy::Revise);
        // There is nothing to revise where no error is named.
        assert_eq!(remedy(8.0, 0, Remedy::Revise), Remedy::Rewrite);
        assert_eq!(remedy(3.0, 2, Remedy::Revise), Remedy::Rewrite);
        assert_eq!(remedy(9.0, 2, Remedy::Rewrite), Remedy::Rewrite);
    }

    /// Outputs, reports and prompts hold these words: no store, file or fingerprint knows another one.
    #[test]
    fn the_words_of_lessons_stay_as_they_are() {
        assert_eq!([Speaker::Student, Speaker::Teacher].map(Speaker::name), ["student", "teacher"]);
        assert_eq!(
            Remedy::ALL.map(|(word, remedy)| (word, remedy.name())),
            [("keep", "keep"), ("revise", "revise"), ("rewrite", "rewrite")]
        );
        let kinds = "factual reasoning instruction omission format language style safety other";
        assert_eq!(Flaw::KINDS.join(" "), kinds);
        let flaw = |kind| Flaw { quote: "x".to_owned(), kind, fix: "y".to_owned() };
        assert!(flaw("omission").is_omission());
        assert!(!flaw("factual").is_omission() && !flaw("").is_omission());
        assert_eq!(Pairing::Open.name(), "unanswered");
        assert_eq!(Pairing::Accepted(1.0).name(), "accepted");
        let refusals = [
            (PairRefusal::Same, "same"),
            (PairRefusal::TooAlike, "too_alike"),
            (PairRefusal::NotChecked, "not_checked"),
            (PairRefusal::Ungraded, "ungraded"),
            (PairRefusal::GradedLower, "graded_lower"),
            (PairRefusal::StudentNotWhole, "student_not_whole"),
            (PairRefusal::Worse, "worse"),
            (PairRefusal::Tie, "tie"),
            (PairRefusal::Inconsistent, "inconsistent"),
            (PairRefusal::Unparsed, "unparsed"),
        ];
        for (refusal, word) in refusals {
            assert_eq!((refusal.name(), Pairing::Refused(refusal).name()), (word, word));
        }
        assert_eq!((Grade::GOOD_SCORE, Grade::EDITABLE_SCORE, Grade::WORTHLESS_SCORE), (7.0, 4.0, 1.0));
        assert_eq!(Lesson::HARD_MARGIN.to_string(), "1");
    }

    #[test]
    fn a_lesson_is_hard_where_its_correction_is_much_better() {
        let grade = |score| Grade { score, flaws: Vec::new(), dropped: 0, verdict: Remedy::Keep };
        let lesson = |fault, student: Option<f64>, correction: Option<(f64, Pairing)>| Lesson {
            turn: TurnIndex::FIRST,
            prompt: Messages::default(),
            history: Vec::new(),
            student: Arc::new(Answer::complete("m", "text")),
            fault,
            grade: student.map(grade),
            correction: correction.map(|(score, pairing)| Correction {
                remedy: Remedy::Rewrite,
                answer: Arc::new(Answer::complete("m", "better")),
                grade: Some(grade(score)),
                pairing,
            }),
        };
        let scores = |lesson: &Lesson| (lesson.student_score(), lesson.correction_score());
        assert_eq!(scores(&lesson(None, None, None)), (None, None));
        assert_eq!(scores(&lesson(None, Some(4.0), Some((8.0, Pairing::Open)))), (Some(4.0), Some(8.0)));
        assert_eq!(lesson(Some("echo"), None, None).student_score(), Some(Grade::WORTHLESS_SCORE));
        let is_hard = |student, score, pairing| lesson(None, Some(student), Some((score, pairing))).is_hard();
        assert!(is_hard(7.0, 8.0, Pairing::Open) && !is_hard(7.5, 8.0, Pairing::Open));
        assert!(!is_hard(8.0, 7.0, Pairing::Open) && !is_hard(3.0, 8.0, Pairing::Refused(PairRefusal::Worse)));
        assert!(!lesson(None, Some(3.0), None).is_hard());
        let is_learned = |pairing| lesson(None, Some(3.0), Some((8.0, pairing))).learned().is_some();
        assert!(is_learned(Pairing::Accepted(5.0)) && is_learned(Pairing::Refused(PairRefusal::Tie)));
        for refusal in [PairRefusal::GradedLower, PairRefusal::Worse, PairRefusal::Same] {
            assert!(!is_learned(Pairing::Refused(refusal)) && !is_learned(Pairing::Open), "{refusal:?}");
        }
    }
}
