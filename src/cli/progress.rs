use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cohobate::job::count;
use cohobate::report::{Tally, words};
use cohobate::worker::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::screen::tell;

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

    /// Takes an event of the run.
    pub fn on_event(&self, event: &Event) {
        count(&mut self.shared.tally(), event);
        self.shared.show(event);
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

    /// Shows an event that deserves a line of its own.
    fn show(&self, event: &Event) {
        let line = match event {
            Event::Parked { model, message, next_try } => {
                let wait = words::duration(*next_try);
                format!("{model} does not answer ({message}); nothing is lost, next try in {wait}")
            }
            Event::Pace { model, change } if self.verbose => {
                format!("{model}: {} calls at a time, were {}: {}", change.to, change.from, change.reason)
            }
            Event::Rested { model, wait } if self.verbose => {
                format!("{model}: a limit of the server is used up, next call in {}", words::duration(*wait))
            }
            Event::Drained { model, reason } => format!("{model} gets no new calls for a minute: {reason}"),
            Event::Recovered { model } => format!("{model} answers again"),
            Event::Stopping { reason, in_flight } => {
                let calls = words::counted(*in_flight as u64, "call");
                format!("stopping ({reason}); waiting for {calls} in flight, Ctrl-C stops at once")
            }
            Event::Failed { code, message, again_after, .. } if self.verbose => {
                let retry = |wait: Duration| format!("retry in {}", words::duration(wait));
                let next = again_after.map_or("given up".to_owned(), retry);
                format!("call failed ({code}): {message}; {next}")
            }
            _ => return,
        };
        self.say(&line);
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
            ProgressMode::Plain => tell(line),
            ProgressMode::Json => tell(json!({"message": line})),
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
                tell(format!(
                    "{}/{} turns, {}",
                    words::number(tally.done()),
                    words::number(tally.totals.turns),
                    line(&tally, elapsed)
                ));
            }
            ProgressMode::Json => tell(as_json(&tally, elapsed)),
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
    // Where no call is in flight, the reason matters most.
    parts.extend(
        tally.last_failure.clone().filter(|_| tally.in_flight() == 0).map(|last| format!("last failure: {last}")),
    );
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
