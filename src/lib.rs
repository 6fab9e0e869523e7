//! Distils multi-turn conversations: a teacher model regenerates every assistant turn of a dataset, turn by turn, with its
//! own answers as history. No paid answer is lost, and none is paid for twice.
//!
//! # The one idea
//!
//! A [`Recipe`](recipe::Recipe) is a pure function from the answers so far to the questions that come next:
//!
//! ```text
//! fn next(&self, seed: &Seed, answered: &Answered) -> Step
//! enum Step { Ask(Vec<Question>), Finish(Outcome) }
//! ```
//!
//! One worker runs every recipe. It looks each question up in the store by its
//! [`Fingerprint`](conversation::Fingerprint), asks a model only where no answer is stored, commits the answer, and calls
//! `next` again. Resuming after a crash is the same call: a fresh run finds nothing in the store, a resumed one finds what
//! was committed.
//!
//! # How to use it
//!
//! [`job`] holds what the command line does, as functions: plain settings in, events while it works, a report back. The
//! example `distill.rs` runs a distillation over rows of its own with a model of its own:
//!
//! ```
//! # use std::sync::Arc;
//! use cohobate::job::{self, Context, DistillSettings, InputSettings, ModelChoice};
//! use cohobate::model::Simulated;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = |name: &str| folder.path().join(name).display().to_string();
//! let rows = [serde_json::json!({"messages": [{"role": "user", "content": "What is a still?"}]})];
//! let teacher = ModelChoice::local("mine", Arc::new(Simulated));
//! let settings = DistillSettings::new(InputSettings::rows(rows), teacher, path("store"), path("out.jsonl"));
//! let runtime = tokio::runtime::Runtime::new()?;
//! let report = runtime.block_on(job::distill(&settings, &Context::default()))?;
//! assert_eq!(report.tally.answered, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! The modules, lowest layer first; `tests/it/layering.rs` enforces who may import whom. `ARCHITECTURE.md` explains how they work
//! together.

pub mod conversation;
mod files;
pub mod statistics;

pub mod quality;
pub mod recipe;

pub mod dataset;
pub mod export;
pub mod hub;
pub mod model;
pub mod store;

pub mod report;
pub mod worker;

pub mod job;

pub mod view;
