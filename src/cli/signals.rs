use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::error::{CliError, exit_code};
use crate::worker::Stage;

/// A signal with which a batch scheduler warns before it kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum StopSignal {
    /// SIGUSR1.
    #[serde(rename = "USR1")]
    User1,
    /// SIGUSR2.
    #[serde(rename = "USR2")]
    User2,
}

impl StopSignal {
    fn kind(self) -> SignalKind {
        match self {
            StopSignal::User1 => SignalKind::user_defined1(),
            StopSignal::User2 => SignalKind::user_defined2(),
        }
    }
}

impl FromStr for StopSignal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_start_matches("SIG") {
            "USR1" => Ok(Self::User1),
            "USR2" => Ok(Self::User2),
            _ => Err("write USR1 or USR2"),
        }
    }
}

/// Turns SIGINT, SIGTERM and SIGHUP into stages: the first stops in order, the second at once.
pub struct Signals {
    stage: watch::Receiver<Stage>,
    exit_code: Arc<AtomicU8>,
}

impl Signals {
    /// Begins to listen. Must be called inside the runtime.
    pub fn listen(warning: Option<StopSignal>) -> Result<Self, CliError> {
        let (sender, stage) = watch::channel(Stage::Go);
        let exit_code = Arc::new(AtomicU8::new(0));
        // 128 and the signal's number, as shells count; a warning leaves the job to be queued again.
        let known = [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)];
        let warning = warning.map(|warning| (warning.kind(), exit_code::RESUMABLE));
        for (kind, code) in known.into_iter().chain(warning) {
            let (sender, exit_code) = (sender.clone(), Arc::clone(&exit_code));
            let mut arrivals =
                signal(kind).map_err(|error| CliError::failure(format!("cannot listen for signals: {error}")))?;
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    exit_code.store(code, Ordering::Release);
                    sender.send_modify(|stage| {
                        *stage = if *stage == Stage::Go { Stage::Drain } else { Stage::Now };
                    });
                }
            });
        }
        Ok(Self { stage, exit_code })
    }

    /// Returns the stage for the worker to watch.
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.clone()
    }

    /// Fails where the person wants the program to stop; for work that is not worth finishing.
    pub fn check(&self) -> Result<(), CliError> {
        if *self.stage.borrow() == Stage::Go {
            return Ok(());
        }
        let hint = Some("run the same command again to go on".to_owned());
        Err(CliError { code: self.exit_code(), message: "interrupted".to_owned(), hint })
    }

    /// Returns the exit code of the signal that came last, 0 where none came.
    pub fn exit_code(&self) -> u8 {
        self.exit_code.load(Ordering::Acquire)
    }
}
