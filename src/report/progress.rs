use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::tally::Tally;
use super::words;
use crate::worker::{Event, Observer};

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

impl std::str::FromStr for ProgressMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "plain" => Ok(Self::Plain),
            "json" => Ok(Self::Json),
            "none" => Ok(Self::None),
            _ => Err("write auto, plain, json or none"),
        }
    }
}

/// Shows a run while it goes on.
pub struct Progress {
    shared: Arc<Shared>,
    drawing: Option<(SyncSender<()>, JoinHandle<()>)>,
}

/// The observer that feeds a [`Progress`].
pub struct Watcher(Arc<Shared>);

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
            ProgressMode::Auto if std::io::stderr().is_terminal() => ProgressMode::Auto,
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

    /// Returns an observer for the worker.
    pub fn watcher(&self) -> Watcher {
        Watcher(Arc::clone(&self.shared))
    }

    /// Ends the display and returns what has happened, and how long it took.
    pub fn finish(mut self) -> (Tally, Duration) {
        if let Some((stop, thread)) = self.drawing.take() {
            drop(stop);
            let _ = thread.join();
        }
        if self.shared.mode == ProgressMode::Json {
            self.shared.draw();
        }
        self.shared.bar.finish_and_clear();
        let tally = self.shared.tally().clone();
        (tally, self.shared.started.elapsed())
    }
}

impl Observer for Watcher {
    fn on_event(&mut self, event: &Event) {
        self.0.tally().add(event);
        match event {
            Event::Parked { model, message, next_try } => self.0.say(&format!(
                "{model} does not answer ({message}); nothing is lost, next try in {}",
                words::duration(*next_try)
            )),
            Event::Pace { model, change } if self.0.verbose => {
                self.0.say(&format!("{model}: {} calls at a time, were {}: {}", change.to, change.from, change.reason));
            }
            Event::Rested { model, wait } if self.0.verbose => {
                self.0.say(&format!(
                    "{model}: a limit of the server is used up, next call in {}",
                    words::duration(*wait)
                ));
            }
            Event::Drained { model, reason } => {
                self.0.say(&format!("{model} is left alone for a minute: {reason}"));
            }
            Event::Recovered { model } => self.0.say(&format!("{model} answers again")),
            Event::Stopping { reason, in_flight } => {
                let calls = words::counted(*in_flight as u64, "call");
                self.0.say(&format!("stopping ({reason}); waiting for {calls} in flight, Ctrl-C stops at once"));
            }
            Event::Failed { code, message, again_after, .. } if self.0.verbose => {
                let next =
                    again_after.map_or("given up".to_owned(), |wait| format!("again in {}", words::duration(wait)));
                self.0.say(&format!("call failed ({code}): {message}; {next}"));
            }
            _ => {}
        }
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
            ProgressMode::Auto => self.bar.println(line),
            ProgressMode::Plain => words::tell(line),
            ProgressMode::Json => words::tell(json!({"message": line})),
        }
    }

    fn draw(&self) {
        let tally = self.tally().clone();
        let elapsed = self.started.elapsed();
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Auto => {
                self.bar.set_position(tally.done());
                self.bar.set_message(line(&tally, elapsed));
            }
            ProgressMode::Plain => {
                words::tell(format!(
                    "{}/{} turns, {}",
                    words::number(tally.done()),
                    words::number(tally.totals.turns),
                    line(&tally, elapsed)
                ));
            }
            ProgressMode::Json => words::tell(as_json(&tally, elapsed)),
        }
    }
}

fn bar(tally: &Tally, mode: ProgressMode) -> ProgressBar {
    let target = if mode == ProgressMode::Auto { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:24} {human_pos}/{human_len} turns, {msg}");
    ProgressBar::with_draw_target(Some(tally.totals.turns), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// New answers a second, over the whole run.
fn rate(tally: &Tally, elapsed: Duration) -> f64 {
    tally.answered as f64 / elapsed.as_secs_f64().max(0.001)
}

fn eta(tally: &Tally, elapsed: Duration) -> Option<Duration> {
    let left = tally.totals.turns.saturating_sub(tally.done()) as f64;
    let rate = rate(tally, elapsed);
    (rate > 0.0 && tally.in_flight() > 0).then(|| Duration::try_from_secs_f64(left / rate).ok()).flatten()
}

fn line(tally: &Tally, elapsed: Duration) -> String {
    let mut parts = vec![format!("{} in flight, {:.1} turns/s", tally.in_flight(), rate(tally, elapsed))];
    parts.extend(tally.usage.completion_tokens.map(|tokens| format!("{} tokens out", words::number(tokens))));
    if !tally.prices.is_empty() {
        parts.push(words::money(tally.cost));
    }
    if tally.failure_count() > 0 {
        parts.push(words::counted(tally.failure_count(), "failed call"));
    }
    // Where nothing moves, the reason is what counts.
    parts.extend(tally.last_failure.clone().filter(|_| tally.in_flight() == 0).map(|last| format!("the last: {last}")));
    parts.extend(eta(tally, elapsed).map(|eta| format!("{} left", words::duration(eta))));
    parts.join(", ")
}

fn as_json(tally: &Tally, elapsed: Duration) -> serde_json::Value {
    json!({
        "turns_done": tally.done(), "turns": tally.totals.turns, "in_flight": tally.in_flight(),
        "reused": tally.reused, "shared": tally.shared, "answered": tally.answered,
        "turns_per_second": rate(tally, elapsed), "prompt_tokens": tally.usage.prompt_tokens,
        "completion_tokens": tally.usage.completion_tokens,
        "cost": (!tally.prices.is_empty()).then_some(tally.cost),
        "failures": tally.failures, "elapsed_s": elapsed.as_secs_f64(),
        "eta_s": eta(tally, elapsed).map(|eta| eta.as_secs_f64()),
    })
}
