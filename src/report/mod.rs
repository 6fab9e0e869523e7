//! What a person or a script sees of a run: progress while it goes on, a summary at its end.
//!
//! [`Tally`] is a fold over the worker's events and knows no clock; [`Progress`] shows it; [`summary`] words it.

mod agreement;
mod comparison;
mod evaluation;
mod page;
mod progress;
mod quality;
mod simulation;
pub mod summary;
mod tally;
mod tutoring;
mod votes;
pub mod words;

pub use agreement::{AgreementReport, GroupAgreement, Share};
pub use comparison::{Compared, ComparedReport, Comparison, ComparisonReport, ControlReport, ControlsReport};
pub use evaluation::{CostReport, DatasetReport, Evaluation, EvaluationReport, JudgeReport, Judged};
pub use page::{comparison_page, evaluation_page, quality_page, simulation_page, tutoring_page};
pub use progress::{Progress, ProgressMode, Watcher};
pub use quality::{QualityReport, RuleCount};
pub use simulation::{RoleCost, SimulationReport, Told};
pub use tally::{Tally, Totals};
pub use tutoring::{Pass, PassReport, Tutoring, TutoringReport};
pub use votes::{Ballot, ConversationScores, PairReport, SystemReport, adjusted_score};
