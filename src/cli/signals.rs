use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use cohobate::job::{JobError, RunLog};
use cohobate::worker::StopStage;

use super::error::exit_code;
use super::hooks;
use super::output::{tell, tell_end, tell_hint};

/// A signal with which a batch scheduler warns before it kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum StopSignal {
    /// SIGUSR1.
    #[serde(rename = "USR1", alias = "SIGUSR1")]
    User1,
    /// SIGUSR2.
    #[serde(rename = "USR2", alias = "SIGUSR2")]
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

/// Turns SIGINT, SIGTERM and SIGHUP into stages: the first stops the run cleanly, the second at once. While no call can be
/// in flight there is nothing to wait for, and the first ends the program.
pub struct Signals {
    stage: watch::Receiver<StopStage>,
    exit_code: Arc<AtomicU8>,
    is_asking: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen. Must be called inside the runtime.
    pub fn listen(warning: Option<StopSignal>, log: &RunLog) -> Result<Self, JobError> {
        let (sender, stage) = watch::channel(StopStage::Go);
        let exit_code = Arc::new(AtomicU8::new(0));
        // 128 and the signal's number, as shells count; a warning leaves the job to be queued again.
        let is_asking = Arc::new(AtomicBool::new(false));
        let known = [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)];
        // `nohup` and shells that start a job in the background have signals ignored on purpose.
        let known = known.into_iter().filter(|(kind, _)| !is_ignored(kind.as_raw_value()));
        let warning = warning.map(|warning| (warning.kind(), exit_code::RESUMABLE));
        for (kind, code) in known.chain(warning) {
            let (sender, exit_code, is_asking) = (sender.clone(), Arc::clone(&exit_code), Arc::clone(&is_asking));
            let log = log.clone();
            let mut arrivals =
                signal(kind).map_err(|error| JobError::unexpected(format!("cannot listen for signals: {error}")))?;
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    exit_code.store(code, Ordering::Release);
                    if !is_asking.load(Ordering::Acquire) {
                        log.end(Some(code), Some("interrupted before the first call"));
                        leave(code);
                    }
                    sender.send_modify(|stage| {
                        *stage = if *stage == StopStage::Go { StopStage::Drain } else { StopStage::Now };
                    });
                }
            });
        }
        Ok(Self { stage, exit_code, is_asking })
    }

    /// Returns the stage, to be watched.
    pub fn stage(&self) -> watch::Receiver<StopStage> {
        self.stage.clone()
    }

    /// Returns the switch that is on while calls may be in flight.
    pub fn is_asking(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_asking)
    }

    /// Returns the exit code of the signal that came last, 0 where none came.
    pub fn exit_code(&self) -> u8 {
        self.exit_code.load(Ordering::Acquire)
    }
}

/// Ends the program at once. Everything committed is in the journal; outputs appear atomically.
#[expect(clippy::exit, reason = "a read of standard input or of a large file cannot be interrupted otherwise")]
fn leave(code: u8) {
    tell("interrupted");
    tell_hint("run the same command again to resume");
    hooks::end(code, None);
    tell_end(code);
    std::process::exit(i32::from(code));
}

/// True where whoever started this process had the signal ignored; where the system does not tell, false.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}
