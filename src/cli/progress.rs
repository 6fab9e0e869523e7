use std::fmt::Display;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Args;
use cohobate::job::{EventKind, JobEvent, Phase, RunControl, event_json, run_line};
use cohobate::report::{bar_lines, phase_line, progress_json, progress_line, words};
use cohobate::worker::Event;

use super::choices::named;
use super::output::{draw, emit, is_watched, on_one_line, speak_json, tell, width};
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

impl ProgressMode {
    /// Returns the mode with `auto` decided.
    pub fn decided(self) -> Self {
        match self {
            Self::Auto if is_watched() => Self::Auto,
            Self::Auto => Self::Plain,
            other => other,
        }
    }

    fn interval(self) -> Duration {
        match self {
            Self::Auto => Duration::from_millis(100),
            Self::Json => Duration::from_secs(1),
            Self::Plain | Self::None => Duration::from_secs(10),
        }
    }
}

/// How commands show things that have no other options.
#[derive(Args, Clone, Copy, Debug)]
pub struct DisplayArg {
    /// How to show messages: plain, json or none [default: plain]
    #[arg(long, value_name = "MODE", value_parser = named::<ProgressMode>)]
    progress: Option<ProgressMode>,
}

impl DisplayArg {
    /// Takes effect.
    pub fn begin(self) {
        if self.progress == Some(ProgressMode::Json) {
            speak_json();
        }
    }

    /// Says something, in the way that is wanted.
    pub fn say(self, line: impl Display) {
        if self.progress != Some(ProgressMode::None) {
            tell(line);
        }
    }
}

/// Shows the progress of a run.
pub struct Progress {
    shared: Arc<Shared>,
    drawing: Option<(SyncSender<()>, JoinHandle<()>)>,
}

struct Shared {
    control: RunControl,
    mode: ProgressMode,
    verbose: bool,
    started: Instant,
}

impl Progress {
    /// Begins to show the counts of a run. With `verbose` each failed call gets a line.
    pub fn start(control: RunControl, mode: ProgressMode, verbose: bool) -> Self {
        let (mode, started) = (mode.decided(), Instant::now());
        let shared = Arc::new(Shared { control, mode, verbose, started });
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(shared.mode.interval()) {
                    shared.draw();
                }
            }
        });
        Self { drawing: thread.ok().map(|thread| (stop, thread)), shared }
    }

    /// Shows an event of the run that deserves a line of its own.
    pub fn show(&self, event: &JobEvent, happened: &Event) {
        self.shared.show(event, happened);
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
        draw(Vec::new());
    }
}

impl Shared {
    fn show(&self, event: &JobEvent, happened: &Event) {
        let Some(line) = run_line(happened).filter(|line| self.verbose || !line.is_detail) else { return };
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Json => event_json(event).into_iter().for_each(|(kind, fields)| emit(kind, fields)),
            ProgressMode::Auto => tell(&line.text),
            ProgressMode::Plain => tell(format!("{} {}", clock(), line.text)),
        }
    }

    fn draw(&self) {
        let (mut tally, _) = self.control.tally();
        let now = Instant::now();
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Auto => {
                // What a server says is cut to the width as it is shown.
                if let Some(waiting) = &mut tally.waiting {
                    waiting.reason = on_one_line(&waiting.reason);
                }
                draw(bar_lines(&tally, self.started, now, width()));
            }
            ProgressMode::Plain => {
                tell(format!("{} {}", clock(), progress_line(&tally, self.started, now)));
            }
            ProgressMode::Json => emit(EventKind::Progress, progress_json(&tally, self.started, now)),
        }
    }
}

/// Shows passes over the rows.
pub struct PhaseDisplay {
    mode: ProgressMode,
    shown: Mutex<Option<Instant>>,
}

impl PhaseDisplay {
    /// A display in a mode.
    pub fn new(mode: ProgressMode) -> Self {
        Self { mode: mode.decided(), shown: Mutex::default() }
    }

    /// Shows how far a pass is; each mode as often as it shows a run.
    pub fn show(&self, event: &JobEvent, phase: &Phase) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if shown.is_some_and(|last| now.duration_since(last) < self.mode.interval()) {
            return;
        }
        *shown = Some(now);
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Json => event_json(event).into_iter().for_each(|(kind, fields)| emit(kind, fields)),
            ProgressMode::Auto => draw(vec![phase_words(phase, width())]),
            ProgressMode::Plain => tell(phase_words(phase, usize::MAX)),
        }
    }

    /// Ends a pass.
    pub fn end(&self) {
        if self.mode == ProgressMode::Auto {
            draw(Vec::new());
        }
    }
}

fn phase_words(phase: &Phase, width: usize) -> String {
    let Phase { name, done, total, unit } = phase;
    let share = total.filter(|total| *total > 0).map(|total| (*done as f64 / total as f64).min(1.0));
    let count = match *unit {
        "byte" => format!("{:.1} MB", *done as f64 / 1e6),
        unit => words::counted(*done, unit),
    };
    phase_line(&on_one_line(name), share, &count, width)
}
