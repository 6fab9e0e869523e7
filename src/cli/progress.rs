use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cohobate::job::{count, run_line};
use cohobate::report::{StoredSum, Tally, progress_json, progress_line};
use cohobate::worker::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::output::{bar_target, is_watched, tell, tell_above, tell_beside};
use super::time::clock;

/// How progress is shown, always on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressMode {
    /// A bar on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// A line every ten seconds.
    Plain,
    /// A JSON object every second.
    Json,
    /// Nothing.
    None,
}

/// Shows the progress of a run.
pub struct Progress {
    shared: Arc<Shared>,
    drawing: Option<(SyncSender<()>, JoinHandle<()>)>,
}

struct Shared {
    tally: Mutex<Tally>,
    bar: ProgressBar,
    mode: ProgressMode,
    verbose: bool,
    started: Instant,
}

impl Progress {
    /// Begins to show `tally`. With `verbose` each failed call gets a line.
    pub fn start(tally: Tally, mode: ProgressMode, verbose: bool) -> Self {
        let mode = match mode {
            ProgressMode::Auto if is_watched() => ProgressMode::Auto,
            ProgressMode::Auto => ProgressMode::Plain,
            other => other,
        };
        let shared = Arc::new(Shared {
            bar: bar(&tally, mode),
            tally: Mutex::new(tally),
            mode,
            verbose,
            started: Instant::now(),
        });
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(shared.interval()) {
                    shared.draw();
                }
            }
        });
        Self { drawing: thread.ok().map(|thread| (stop, thread)), shared }
    }

    /// Takes an event of the run, and shows one that deserves a line of its own.
    pub fn on_event(&self, event: &Event) {
        count(&mut self.shared.tally(), event, Instant::now());
        let line = run_line(event).filter(|line| self.shared.verbose || !line.is_detail);
        if let Some(line) = line {
            self.shared.say(&line.text);
        }
    }

    /// Takes what earlier runs have stored, as far as it is counted.
    pub fn on_stored(&self, stored: StoredSum) {
        self.shared.tally().stored = stored;
    }

    /// Shows a line, above the bar where there is one.
    pub fn say(&self, line: &str) {
        self.shared.say(line);
    }

    /// Ends the display.
    pub fn finish(mut self) {
        if let Some((stop, thread)) = self.drawing.take() {
            drop(stop);
            let _ = thread.join();
        }
        if self.shared.mode == ProgressMode::Json {
            self.shared.draw();
        }
        self.shared.bar.finish_and_clear();
    }
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interval(&self) -> Duration {
        match self.mode {
            ProgressMode::Auto => Duration::from_millis(100),
            ProgressMode::Json => Duration::from_secs(1),
            ProgressMode::Plain | ProgressMode::None => Duration::from_secs(10),
        }
    }

    /// Prints a line for people, above the bar where there is one.
    fn say(&self, line: &str) {
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Auto => tell_above(&self.bar, line),
            ProgressMode::Plain => tell(format!("{} {line}", clock())),
            ProgressMode::Json => tell(json!({"message": line})),
        }
    }

    fn draw(&self) {
        let tally = self.tally().clone();
        let now = Instant::now();
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Auto => {
                self.bar.set_position(tally.done());
                tell_beside(&self.bar, &progress_line(&tally, self.started, now));
            }
            ProgressMode::Plain => {
                tell(format!("{} {}", clock(), progress_line(&tally, self.started, now)));
            }
            ProgressMode::Json => tell(progress_json(&tally, self.started, now)),
        }
    }
}

fn bar(tally: &Tally, mode: ProgressMode) -> ProgressBar {
    let target = if mode == ProgressMode::Auto { bar_target() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:24} {msg}");
    ProgressBar::with_draw_target(Some(tally.totals.turns), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
