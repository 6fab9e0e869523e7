//! Reports: numbers and cases in; summaries, JSON and HTML pages out. Nothing here reads, writes or prints.

mod agreement;
mod bar;
mod comparison;
mod controls;
mod evaluation;
mod header;
mod histogram;
mod judgments;
mod orphans;
mod page;
mod printable;
mod progress;
mod quality;
mod rate;
mod replies;
mod same_verdict;
mod scores;
mod simulation;
mod summary;
mod tally;
mod tutoring;
mod votes;
mod win_rates;
pub mod words;

pub use agreement::{AgreementReport, GroupAgreement, Share, SideReport};
pub use bar::{bar_lines, columns, phase_line};
pub use comparison::{Compared, ComparedReport, Comparison, ComparisonReport};
pub use controls::{ControlReport, ControlsReport, KnownVerdict, NOT_RELIABLE};
pub use evaluation::{
    CostReport, DatasetReport, Evaluation, EvaluationMode, EvaluationReport, JudgeReport, JudgedConversation,
};
pub use header::{InputRows, Party, RunHeader};
pub use histogram::Histogram;
pub use judgments::{Judgments, JudgmentsReport, VotesReport};
pub use orphans::{OrphanCount, OrphanCounts};
pub use page::{comparison_page, evaluation_page, quality_page, simulation_page, tutoring_page};
pub use printable::printable;
pub use progress::{Course, progress_json, progress_line, reused_words, waiting_words};
pub use quality::{Hit, LanguageCount, QualityReport, RuleCount};
pub use rate::{Arrivals, RateWindow, Rates};
pub use replies::{RepliesReport, ReplyCount};
pub use scores::{ScoresReport, SystemScores};
pub use simulation::{EndClass, RoleCost, SimulationReport, Told, UserMessage};
pub use summary::{Closing, Footprint, summary, summary_json, unstable_words};
pub use tally::{Efficiency, StoredSum, Tally, Totals, Waiting};
pub use tutoring::{PassReport, TutoredPass, Tutoring, TutoringReport};
pub use votes::{Ballot, ConversationScores, PairReport, SystemReport, adjusted_score};
pub use win_rates::{LengthMethod, WinRateReport};
