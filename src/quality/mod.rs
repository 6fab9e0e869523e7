//! The quality gate: decides whether an answer may become context and training data. It consists of rules over one
//! answer, a gate that applies them in order of cost, and checks across conversations: orphaned references,
//! near-duplicates, boilerplate.
//!
//! Everything here is a pure function of texts: no I/O, no clock, no randomness. A new rule is one file in `rules/` and
//! one line in [`RULES`]. The defaults have few false positives: on about 12,000 good answers each rejecting rule rejects
//! at most one in a thousand (`tests/it/quality.rs`).

mod action;
mod boilerplate;
mod candidate;
mod edit;
mod finding;
mod gate;
mod language;
mod near_duplicate;
mod orphan;
mod phrases;
mod record;
mod rules;
mod text;
mod tongue;
mod user_turn;
mod version;

pub use action::Action;
pub use boilerplate::Boilerplate;
pub use candidate::Candidate;
pub use edit::differs_by_more_than;
pub use finding::Finding;
pub use gate::{Gate, GateVerdict, ParseGateError, Strictness};
pub use near_duplicate::NearDuplicates;
pub use orphan::{FollowUp, OrphanLevel, orphan_level};
pub use record::{JudgedTurn, each_answer, judge_record};
pub use rules::says_again;
pub use rules::{RULES, Rule};
pub use text::Words;
pub use tongue::language_of;

pub use user_turn::{UserTurnContext, is_thanks, user_turn_fault, user_words};
pub use version::RulesVersion;
