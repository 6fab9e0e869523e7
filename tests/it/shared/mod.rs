//! Runs that many workers share.

mod again;
mod budgets;
mod defences;
mod link;
mod store;
mod storms;
mod together;
mod waking;
mod worker;
mod world;
