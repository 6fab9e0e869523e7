//! The lines of a progress bar: pure functions of numbers and a width.

use std::time::{Duration, Instant};

use super::progress::{Course, reused_words, waiting_words};
use super::tally::Tally;
use super::words::{money, number};

/// The widest bar, in columns.
const BAR_MAX: usize = 26;
/// A narrower bar says nothing.
const BAR_MIN: usize = 8;
/// How briefly a line is written: in full, with short words, with short numbers too.
const LEVELS: [Level; 3] = [Level::Full, Level::Short, Level::Dense];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Full,
    Short,
    Dense,
}

/// A part of a line. Parts with a smaller rank stay longer where room is short.
struct Part {
    rank: u8,
    text: String,
}

fn part(rank: u8, text: impl Into<String>) -> Part {
    Part { rank, text: text.into() }
}

/// Returns one or two lines that say how far a run is, none wider than `width` columns.
pub fn bar_lines(tally: &Tally, started: Instant, now: Instant, width: usize) -> Vec<String> {
    let course = Course::of(tally, started, now);
    let share = match tally.totals.turns {
        0 => 1.0,
        total => tally.settled() as f64 / total as f64,
    };
    let far = fit(|level| how_far(tally, &course, share, level), width);
    let second = match &tally.waiting {
        Some(waiting) => cut(&waiting_words(waiting, now), width),
        None => fit(|level| how_fast(tally, &course, level), width),
    };
    [with_bar(far, share, width), second].into_iter().filter(|line| !line.is_empty()).collect()
}

/// Returns the line of a pass over the rows, no wider than `width` columns. The share of an unknown whole is `None`.
pub fn phase_line(what: &str, share: Option<f64>, count: &str, width: usize) -> String {
    let percent = |share: f64| part(1, format!("{:.0} %", share * 100.0));
    let line = fit(|_| share.map(percent).into_iter().chain([part(0, what), part(2, count)]).collect(), width);
    match share {
        Some(share) => with_bar(line, share, width),
        None => line,
    }
}

fn how_far(tally: &Tally, course: &Course, share: f64, level: Level) -> Vec<Part> {
    let of = |done: u64, all: u64| format!("{}/{}", count(done, level), count(all, level));
    let (unit, is_full) = (tally.unit.noun(), level == Level::Full);
    let conversations = of(tally.conversations_done(), tally.totals.conversations);
    let mut parts = vec![
        part(0, format!("{:.0} %", (share * 100.0).floor())),
        part(1, format!("{} {unit}s", of(tally.done(), tally.totals.turns))),
        part(4, format!("{conversations} {}", if is_full { "conversations" } else { "conv." })),
    ];
    if is_full && tally.reused() > 0 {
        parts.push(part(5, format!("{} reused", reused_words(tally))));
    }
    parts.push(part(3, clock(course.elapsed)));
    parts.extend(course.left.map(|left| part(2, format!("ETA {}", clock(left)))));
    parts
}

fn how_fast(tally: &Tally, course: &Course, level: Level) -> Vec<Part> {
    let (in_flight, slots) = (tally.in_flight(), tally.slots);
    let (unit, per_second) = (tally.unit.noun(), rate(course.rates.counted));
    let tokens = count(course.rates.tokens.round() as u64, level);
    let mut parts = vec![match level {
        Level::Full => part(0, format!("{in_flight} of {slots} calls in flight")),
        Level::Short | Level::Dense => part(0, format!("{in_flight}/{slots} calls")),
    }];
    parts.push(match level {
        Level::Full | Level::Short => part(3, format!("{per_second} {unit}s/s")),
        Level::Dense => part(3, format!("{per_second}/s")),
    });
    parts.push(match level {
        Level::Full => part(4, format!("{tokens} tokens/s")),
        Level::Short | Level::Dense => part(4, format!("{tokens} tok/s")),
    });
    if !tally.prices.is_empty() {
        let so_far = money(tally.cost);
        parts.push(match course.cost_at_end {
            None => part(1, so_far),
            Some(end) if level == Level::Full => part(1, format!("{so_far} of about {}", money(end))),
            Some(end) => part(1, format!("{so_far}/~{}", money(end))),
        });
    }
    let bad =
        [(2, tally.failure_count(), "failed", "failed calls"), (5, tally.rejected, "rejected", "answers rejected")];
    for (rank, bad, short, full) in bad.into_iter().filter(|(_, bad, ..)| *bad > 0) {
        let word = if level == Level::Full { full } else { short };
        parts.push(part(rank, format!("{} {word}", count(bad, level))));
    }
    parts
}

/// Writes a line as fully as it fits; where even its densest form does not, parts of the highest rank are left out.
fn fit(parts: impl Fn(Level) -> Vec<Part>, width: usize) -> String {
    for level in LEVELS {
        let line = join(&parts(level), level);
        if columns(&line) <= width {
            return line;
        }
    }
    let mut parts = parts(Level::Dense);
    while parts.len() > 1 && columns(&join(&parts, Level::Dense)) > width {
        let last = (0..parts.len()).max_by_key(|at| parts[*at].rank).unwrap_or(0);
        parts.remove(last);
    }
    cut(&join(&parts, Level::Dense), width)
}

fn join(parts: &[Part], level: Level) -> String {
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    texts.join(if level == Level::Dense { " " } else { "  " })
}

/// Puts a bar before a line, where there is room for one.
fn with_bar(line: String, share: f64, width: usize) -> String {
    let room = width.saturating_sub(columns(&line) + 2).min(BAR_MAX);
    if room < BAR_MIN {
        return line;
    }
    let inner = room - 2;
    let full = ((share.clamp(0.0, 1.0) * inner as f64).floor() as usize).min(inner);
    format!("[{}{}]  {line}", "#".repeat(full), ".".repeat(inner - full))
}

/// Cuts a line to a width.
fn cut(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let mut kept = String::new();
    for letter in line.chars() {
        if columns(&kept) + columns(letter.encode_utf8(&mut [0; 4])) + 1 > width {
            break;
        }
        kept.push(letter);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// Returns how many columns a text takes at most: wide letters take two.
pub fn columns(text: &str) -> usize {
    let wide = |letter: char| matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{fe6f}' | '\u{ff00}'..='\u{ffe6}' | '\u{1f000}'..);
    text.chars().map(|letter| if wide(letter) { 2 } else { 1 }).sum()
}

fn count(count: u64, level: Level) -> String {
    match count {
        1_000_000.. if level == Level::Dense => format!("{:.2}M", count as f64 / 1e6),
        10_000.. if level == Level::Dense => format!("{:.1}k", count as f64 / 1e3),
        _ => number(count),
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        0.095..100.0 => format!("{per_second:.1}"),
        100.0.. => number(per_second.round() as u64),
        _ => format!("{per_second:.2}"),
    }
}

/// Returns a time as a clock shows it: `0:07`, `12:05`, `7:03:20`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{StoredSum, Totals, Waiting};
    use super::super::{Arrivals, RateWindow};
    use super::*;
    use crate::conversation::{FailureCode, Price};

    const WIDTHS: [usize; 4] = [60, 80, 120, 200];

    /// A resumed run after 100 seconds, with prices, failures and rejections; `scale` times as large.
    fn run(scale: u64) -> (Tally, Instant, Instant) {
        let started = Instant::now();
        let mut tally = Tally {
            totals: Totals { conversations: 300 * scale, turns: 2_949 * scale },
            stored: StoredSum { answers: 1_181 * scale, unused: 0, conversations: 100 * scale, is_exact: true },
            prices: [("m".to_owned(), Price::default())].into(),
            rates: RateWindow::starting(started),
            ..Tally::default()
        };
        for second in 1..=100 {
            let arrived = Arrivals { counted: 3 * scale, settled: 3 * scale, tokens: 400 * scale };
            tally.rates.push(started + Duration::from_secs(second), arrived);
        }
        (tally.counted, tally.answered, tally.closed) = (300 * scale, 310 * scale, 20 * scale);
        (tally.sent, tally.returned, tally.slots) = (326 * scale, 318 * scale, 16);
        (tally.cost, tally.rejected) = (1.2 * scale as f64, 12 * scale);
        tally.failures.insert(FailureCode::Http(500), 8 * scale);
        (tally, started, started + Duration::from_secs(100))
    }

    fn lines(tally: &Tally, started: Instant, now: Instant, width: usize) -> Vec<String> {
        let lines = bar_lines(tally, started, now, width);
        assert!(lines.len() <= 2 && lines.iter().all(|line| columns(line) <= width), "{width}: {lines:#?}");
        lines
    }

    #[test]
    fn every_number_is_shown_at_60_columns() {
        let (tally, started, now) = run(1);
        let [far, fast] = &lines(&tally, started, now, 60)[..] else { panic!("two lines") };
        assert_eq!(far, "50 %  1,481/2,949 turns  120/300 conv.  1:40  ETA 8:09");
        assert_eq!(fast, "8/16 calls 3.0/s 400 tok/s $1.20/~$7.07 8 failed 12 rejected");
    }

    #[test]
    fn wider_terminals_show_the_bar_and_full_words() {
        let (tally, started, now) = run(1);
        let [far, fast] = &lines(&tally, started, now, 80)[..] else { panic!("two lines") };
        assert_eq!(far, "50 %  1,481/2,949 turns  120/300 conversations  1,181 reused  1:40  ETA 8:09");
        assert_eq!(fast, "8/16 calls  3.0 turns/s  400 tok/s  $1.20/~$7.07  8 failed  12 rejected");
        let [far, fast] = &lines(&tally, started, now, 120)[..] else { panic!("two lines") };
        assert!(far.starts_with("[####") && far.contains("120/300 conversations  1,181 reused  1:40"), "{far}");
        assert!(fast.contains("8 of 16 calls in flight  3.0 turns/s  400 tokens/s  $1.20 of about $7.07"), "{fast}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for scale in [1, 1_000, 1_000_000] {
            let (mut tally, started, now) = run(scale);
            for width in WIDTHS.into_iter().chain([0, 1, 20, 40]) {
                tally.waiting = None;
                lines(&tally, started, now, width);
                let reason = format!("模型 does not answer ({})", "connection refused 한국 ".repeat(20));
                tally.waiting = Some(Waiting { reason, until: Some(now + Duration::from_secs(45)) });
                lines(&tally, started, now, width);
                let phase = phase_line("reading a-file-with-a-long-name.jsonl", Some(0.41), "1,200 rows", width);
                assert!(columns(&phase) <= width, "{width}: {phase}");
            }
            let [far, fast] = &lines(&run(scale).0, started, now, 60)[..] else { panic!("two lines") };
            assert!(far.contains(" %") && far.contains("turns"), "{far}");
            assert!(fast.contains("calls") && fast.contains('$'), "{fast}");
        }
    }

    #[test]
    fn a_run_that_waits_says_for_what_and_how_long() {
        let (mut tally, started, now) = run(1);
        let reason = "a limit of m's server is used up".to_owned();
        tally.waiting = Some(Waiting { reason, until: Some(now + Duration::from_secs(45)) });
        let shown = lines(&tally, started, now + Duration::from_secs(3), 80);
        assert_eq!(shown[1], "waiting: a limit of m's server is used up; next try in 42 s");
        assert!(shown[0].contains("1:43"), "{shown:?}");
    }

    #[test]
    fn a_phase_shows_how_far_it_is() {
        assert_eq!(
            phase_line("reading in.jsonl", Some(0.5), "1,200 rows", 60),
            "[###########...........]  50 %  reading in.jsonl  1,200 rows"
        );
        assert_eq!(phase_line("reading -", None, "1,200 rows", 60), "reading -  1,200 rows");
    }
}
