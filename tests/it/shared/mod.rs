//! Runs that many workers share.

mod again;
mod budgets;
mod defences;
pub mod keeper;
mod link;
mod recipes;
mod store;
mod storms;
mod together;
mod waking;
mod worker;
mod world;
