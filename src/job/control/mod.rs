//! Steering a run that is at work: what may be asked of it, who applies it, and the ways to it.
//!
//! [`RunControl`] is the handle of a job. It knows how the job is at any moment, passes a [`Verb`] on to the dispatcher of
//! the run, and holds what was changed for the next run of the same job. Whoever has the handle can steer: a caller of the
//! library, a page, or the socket of the store, which `cohobate ctl` speaks to. Limits that were set are kept in the store
//! and lower those of later runs ([`KeptLimits`]).
//!
//! *Invariant:* nobody who looks or steers can delay the run. The dispatcher takes commands between two events and replies
//! without waiting; every queue, line, client and wait has a limit.

mod client;
mod handle;
mod http;
mod kept;
mod lines;
mod metrics;
mod place;
mod socket;
mod status;
mod verb;

pub use client::{ControlClient, keep_limits};
pub use handle::{ControlReply, RunControl};
pub use http::MetricsServer;
pub use kept::KeptLimits;
pub use socket::ControlSocket;
pub(in crate::job) use status::event_line;
pub use verb::{SetLimits, Verb, VerbError};

pub(in crate::job) use handle::AttachedJob;
