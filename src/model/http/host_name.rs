//! Whether a server's host name exists.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::conversation::FailureCode;
use crate::model::failure::{Failure, FailureClass};

/// A name that nobody has ever heard of is given this long: a cluster may be starting, a network may be coming up.
const UNKNOWN_MAX: Duration = Duration::from_secs(60);

/// What systems say of a name that does not exist: glibc, musl and the BSDs, macOS, Windows. A name server that does not
/// answer is another matter, and an outage.
const UNKNOWN: [&str; 6] = [
    "name or service not known",
    "no address associated with hostname",
    "name does not resolve",
    "name has no usable address",
    "servname provided, or not known",
    "no such host is known",
];

/// Watches the lookups of one host name.
#[derive(Debug)]
pub struct HostName {
    /// True once a server of the model has replied. All replicas of a model share it.
    has_replied: Arc<AtomicBool>,
    /// Since when lookups say that the name is unknown, and nothing else.
    unknown_since: Mutex<Option<Instant>>,
}

impl HostName {
    pub fn new(has_replied: Arc<AtomicBool>) -> Self {
        Self { has_replied, unknown_since: Mutex::default() }
    }

    /// Notes that the server has replied, now or in an earlier run.
    pub fn prove(&self) {
        self.has_replied.store(true, Ordering::Release);
    }

    /// Makes a failure end the run if the name has been unknown for too long, and no server of the model ever replied.
    pub fn judge(&self, failure: Failure, host: &str, now: Instant) -> Failure {
        if failure.class != FailureClass::Outage {
            return failure;
        }
        let words = failure.message.to_lowercase();
        let is_unknown = failure.code == FailureCode::Connect && UNKNOWN.iter().any(|unknown| words.contains(unknown));
        let mut unknown_since = self.unknown_since.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_unknown || self.has_replied.load(Ordering::Acquire) {
            *unknown_since = None;
            return failure;
        }
        if now - *unknown_since.get_or_insert(now) < UNKNOWN_MAX {
            return failure;
        }
        let message = format!("there is no host `{host}`: {}", failure.message);
        Failure::new(FailureClass::Fatal, FailureCode::UnknownHost, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_after(host: &HostName, message: &str, now: Instant) -> FailureClass {
        let failure = Failure::new(FailureClass::Outage, FailureCode::Connect, message);
        host.judge(failure, "gpu1", now).class
    }

    const UNKNOWN_NAME: &str = "failed to lookup address information: Name or service not known";

    #[test]
    fn a_name_that_stays_unknown_for_a_minute_ends_the_run() {
        let (host, start) = (HostName::new(Arc::default()), Instant::now());
        for second in [0, 1, 30, 59] {
            let now = start + Duration::from_secs(second);
            assert_eq!(class_after(&host, UNKNOWN_NAME, now), FailureClass::Outage, "{second}");
        }
        assert_eq!(class_after(&host, UNKNOWN_NAME, start + Duration::from_secs(63)), FailureClass::Fatal);
    }

    #[test]
    fn anything_else_in_between_is_an_outage() {
        for other in ["Temporary failure in name resolution", "Connection refused"] {
            let (host, start) = (HostName::new(Arc::default()), Instant::now());
            class_after(&host, UNKNOWN_NAME, start);
            assert_eq!(class_after(&host, other, start + Duration::from_secs(100)), FailureClass::Outage);
            assert_eq!(class_after(&host, UNKNOWN_NAME, start + Duration::from_secs(120)), FailureClass::Outage);
            assert_eq!(class_after(&host, UNKNOWN_NAME, start + Duration::from_secs(190)), FailureClass::Fatal);
        }
    }

    #[test]
    fn a_server_that_has_replied_exists_and_so_does_the_model() {
        let (replied, start) = (Arc::default(), Instant::now());
        let [host, replica] = [HostName::new(Arc::clone(&replied)), HostName::new(replied)];
        host.prove();
        for second in [0, 100, 10_000] {
            let now = start + Duration::from_secs(second);
            assert_eq!(class_after(&host, UNKNOWN_NAME, now), FailureClass::Outage);
            assert_eq!(class_after(&replica, UNKNOWN_NAME, now), FailureClass::Outage);
        }
    }
}
