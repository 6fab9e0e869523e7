//! One run over many machines: the part of a worker.
//!
//! All workers read the same input. A run's conversations are placed by their first questions ([`Openings`]) and cut into
//! slots; a worker claims some, asks what is in them, and says which have ended ([`SharedFleet`]). `slots` and `reserve`
//! decide without asking anybody.

mod access;
mod fleet;
mod joining;
mod openings;
mod reserve;
mod slots;
mod status;

pub use access::SharedAccess;
pub use fleet::SharedFleet;
pub use joining::{SharedRun, SharedWork, join};
pub use status::SharedStatus;
