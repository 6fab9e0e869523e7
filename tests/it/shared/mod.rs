//! Runs that many workers share.

mod together;
mod worker;
