//! What a person or a script sees of a run: progress while it goes on, a summary at its end.
//!
//! [`Tally`] is a fold over the worker's events and knows no clock; [`Progress`] shows it; [`summary`] words it.

mod agreement;
mod progress;
mod quality;
pub mod summary;
mod tally;
mod votes;
pub mod words;

pub use agreement::{AgreementReport, GroupAgreement, Share};
pub use progress::{Progress, ProgressMode, Watcher};
pub use quality::{QualityReport, RuleCount};
pub use tally::{Tally, Totals};
pub use votes::{Ballot, ConversationScores, PairReport, SystemReport, adjusted_score};
