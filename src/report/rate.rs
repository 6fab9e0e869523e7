use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The active time that rates are computed over.
const WINDOW: Duration = Duration::from_secs(60);
/// Answers that arrive within this time are counted together.
const BUCKET_MIN: Duration = Duration::from_millis(250);
/// The two longest pauses of a window count as no longer than this many others. More pauses are the pace of the run.
const PAUSES_CUT: usize = 2;
const PAUSE_MAX: u32 = 5;
/// Fewer buckets do not tell a pause from the pace of the run.
const BUCKETS_MIN: usize = 4;

/// How fast a run is, over its last minute of active time: a server that hangs for a minute, or asks for a pause once, does
/// not halve the rate. Times are handed in.
#[derive(Clone, Debug, Default)]
pub struct RateWindow {
    /// Finished buckets, oldest first.
    buckets: VecDeque<Bucket>,
    open: Bucket,
    /// When the open bucket began; `None` before the run.
    since: Option<Instant>,
}

/// What arrived together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Answers that count towards the total.
    pub counted: u64,
    /// The same, and answers that turned out not to be needed.
    pub settled: u64,
    /// Tokens of answers.
    pub tokens: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    lasted: Duration,
    arrived: Arrivals,
}

/// Rates a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Answers that count towards the total.
    pub counted: f64,
    /// The same, and answers that turned out not to be needed.
    pub settled: f64,
    /// Tokens of answers.
    pub tokens: f64,
}

impl Arrivals {
    fn add(&mut self, other: Self) {
        self.counted += other.counted;
        self.settled += other.settled;
        self.tokens += other.tokens;
    }
}

impl RateWindow {
    /// A window that begins now.
    pub fn starting(now: Instant) -> Self {
        Self { since: Some(now), ..Self::default() }
    }

    /// Records what has arrived.
    pub fn push(&mut self, now: Instant, arrived: Arrivals) {
        let since = *self.since.get_or_insert(now);
        self.open.arrived.add(arrived);
        self.open.lasted = now.saturating_duration_since(since);
        if self.open.lasted < BUCKET_MIN {
            return;
        }
        self.buckets.push_back(std::mem::take(&mut self.open));
        self.since = Some(now);
        while self.buckets.len() > BUCKETS_MIN && active(self.buckets.iter().skip(1)) >= WINDOW {
            self.buckets.pop_front();
        }
    }

    /// Returns the rates, the time since the last arrival included.
    pub fn rates(&self, now: Instant) -> Rates {
        let Some(since) = self.since else { return Rates::default() };
        let open = Bucket { lasted: now.saturating_duration_since(since), ..self.open };
        let all = || self.buckets.iter().chain([&open]);
        let mut sum = Arrivals::default();
        all().for_each(|bucket| sum.add(bucket.arrived));
        let seconds = active(all()).as_secs_f64().max(0.001);
        let rate = |count: u64| count as f64 / seconds;
        Rates { counted: rate(sum.counted), settled: rate(sum.settled), tokens: rate(sum.tokens) }
    }
}

/// Returns how long buckets lasted together, without most of the two longest pauses.
fn active<'a>(buckets: impl Iterator<Item = &'a Bucket>) -> Duration {
    let mut lasted: Vec<Duration> = buckets.map(|bucket| bucket.lasted).collect();
    lasted.sort_unstable();
    let all: Duration = lasted.iter().sum();
    if lasted.len() < BUCKETS_MIN {
        return all;
    }
    let longest = lasted.split_off(lasted.len() - PAUSES_CUT);
    let others: Duration = lasted.iter().sum();
    let pause_max = others / lasted.len() as u32 * PAUSE_MAX;
    others + longest.into_iter().map(|pause| pause.min(pause_max)).sum::<Duration>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that gets an answer of 50 tokens at each of these times, in milliseconds.
    fn run(times_ms: impl IntoIterator<Item = u64>) -> (RateWindow, Instant) {
        let start = Instant::now();
        let mut window = RateWindow::starting(start);
        for at in times_ms {
            window.push(start + Duration::from_millis(at), Arrivals { counted: 1, settled: 2, tokens: 50 });
        }
        (window, start)
    }

    fn assert_rate(times_ms: impl IntoIterator<Item = u64>, now_ms: u64, expected: f64) {
        let (window, start) = run(times_ms);
        let rates = window.rates(start + Duration::from_millis(now_ms));
        assert!((rates.counted / expected - 1.0).abs() < 0.1, "{rates:?}, expected {expected}");
        assert!((rates.settled / rates.counted - 2.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.tokens / rates.counted - 50.0).abs() < 1e-6, "{rates:?}");
    }

    #[test]
    fn a_steady_run_has_its_rate_from_the_beginning() {
        assert_rate((1..=10).map(|at| at * 100), 1_000, 10.0);
        assert_rate((1..=6_000).map(|at| at * 100), 600_000, 10.0);
        assert_rate([2_000, 4_000, 6_000], 6_000, 0.5);
    }

    #[test]
    fn a_frozen_minute_does_not_halve_the_rate() {
        let before = || (1..=300).map(|at| at * 100);
        assert_rate(before(), 90_000, 10.0);
        let after = (1..=50).map(|at| 90_000 + at * 100);
        assert_rate(before().chain(after), 95_000, 10.0);
    }

    #[test]
    fn pauses_that_come_back_are_the_pace_of_the_run() {
        // A limit of six requests a minute.
        assert_rate((1..=60).map(|at| at * 10_000), 600_000, 0.1);
        // Sixty answers in five seconds of each minute: the window holds the pauses of several minutes.
        let bursts = (0..30).flat_map(|minute| (1..=60).map(move |at| minute * 60_000 + at * 83));
        let (window, start) = run(bursts);
        let rate = window.rates(start + Duration::from_secs(29 * 60 + 5)).counted;
        assert!(rate < 2.5, "{rate}");
    }

    #[test]
    fn a_run_that_becomes_slower_shows_it_within_a_minute() {
        let fast = (1..=600).map(|at| at * 100);
        let slow = (1..=65).map(|at| 60_000 + at * 1_000);
        assert_rate(fast.chain(slow), 125_000, 1.0);
    }

    #[test]
    fn nothing_has_no_rate_and_memory_is_bounded() {
        assert_eq!(RateWindow::default().rates(Instant::now()), Rates::default());
        let (window, _) = run((1..=1_000_000).map(|at| at * 3));
        assert!(window.buckets.len() < 300, "{}", window.buckets.len());
    }
}
