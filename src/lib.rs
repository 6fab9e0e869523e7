//! Distils multi-turn conversations: a teacher model writes every assistant turn of a dataset anew, turn by
//! turn, with its own answers as history. No paid answer is lost, none is paid for twice.
//!
//! The modules in reading order, lowest layer first; `tests/it/layering.rs` holds them to it. ARCHITECTURE.md
//! tells how they work together.

pub mod conversation;
pub mod dataset;
pub mod export;
pub mod job;
pub mod model;
pub mod quality;
pub mod recipe;
pub mod report;
pub mod statistics;
pub mod store;
pub mod worker;
