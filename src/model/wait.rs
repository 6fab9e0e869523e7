//! Reads the wait that a server asks for: `retry-after-ms`, `retry-after` in seconds or as a date, or text in the body.
//!
//! A moment is compared with the server's own `date`, since clocks differ.

use std::time::{Duration, SystemTime};

/// Longest wait that is honoured; a longer one is shortened to this.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Numbers from here on are moments in seconds since 1970, not durations.
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// Numbers from here on are moments in milliseconds since 1970.
const EPOCH_MILLIS_MIN: f64 = 1e12;

/// Returns the wait in the headers. `header` returns a header's value by its lower-case name.
pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let now = server_time(&header, now);
    let millis = header("retry-after-ms").and_then(|value| value.trim().parse::<f64>().ok()).map(|ms| ms / 1000.0);
    millis
        .and_then(clamped_wait)
        .or_else(|| header("retry-after").and_then(|value| retry_after_value(value.trim(), now)))
}

/// Returns the server's clock: its `date`, or our own clock where it sends none.
fn server_time<'a>(header: &impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> SystemTime {
    header("date").and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now)
}

/// The rate limits that servers report in headers: the header of the remaining amount, the header of the reset time.
const LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// Returns the time until an exhausted rate limit resets; `None` while requests remain.
pub fn from_limits<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let now = server_time(&header, now);
    let waits = LIMITS.iter().filter_map(|(remaining, reset)| {
        // Some servers send -1 for a limit that they do not have, or 0 of 0.
        let is_used_up = header(remaining)?.trim() == "0";
        let has_limit = header(&remaining.replace("remaining", "limit")).is_none_or(|limit| limit.trim() != "0");
        let reset = header(reset).filter(|_| is_used_up && has_limit)?.trim();
        from_go_duration(reset, now).or_else(|| from_timestamp(reset, now))
    });
    waits.max().map(|wait| wait.min(WAIT_MAX))
}

/// Reads `1s`, `6m0s`, `20ms`, `1h2m3.5s`, plain seconds, or a moment as seconds or milliseconds since 1970.
fn from_go_duration(text: &str, now: SystemTime) -> Option<Duration> {
    from_number(duration_seconds(text)?, now)
}

/// Reads `1.5s` and its like, without regard to clocks.
pub fn from_duration(text: &str) -> Option<Duration> {
    clamped_wait(duration_seconds(text)?)
}

fn duration_seconds(text: &str) -> Option<f64> {
    seconds_of(text, |unit| match unit {
        "d" => Some(86_400.0),
        "h" => Some(3_600.0),
        "m" => Some(60.0),
        "s" | "" => Some(1.0),
        "ms" => Some(1e-3),
        _ => None,
    })
}

/// Reads a number of seconds, or a moment since 1970 where it is too large for a wait.
fn from_number(number: f64, now: SystemTime) -> Option<Duration> {
    let moment_seconds = match number {
        EPOCH_MILLIS_MIN.. => number / 1e3,
        EPOCH_SECONDS_MIN.. => number,
        _ => return clamped_wait(number),
    };
    let since = Duration::try_from_secs_f64(moment_seconds).ok();
    let moment = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    // A number that is no moment is a wait without end, which is shortened like any other.
    Some(moment.map_or(WAIT_MAX, |moment| until(moment, now)))
}

fn until(moment: SystemTime, now: SystemTime) -> Duration {
    moment.duration_since(now).unwrap_or_default().min(WAIT_MAX)
}

/// Adds up numbers with units, in seconds. `unit_seconds` returns a unit's value in seconds. Returns `None` for an
/// unknown unit or an invalid number, and 0 for an empty text.
pub fn seconds_of(text: &str, unit_seconds: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(letters);
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = next;
    }
    Some(seconds)
}

/// Reads an RFC 3339 timestamp.
fn from_timestamp(text: &str, now: SystemTime) -> Option<Duration> {
    Some(until(SystemTime::from(text.parse::<jiff::Timestamp>().ok()?), now))
}

/// Returns the wait in an error message: `Please try again in 41.724s`, `in 1h9m38.016s`, `retry after 33 seconds`.
pub fn from_message(message: &str) -> Option<Duration> {
    const PHRASES: [&str; 7] = [
        "try again in ",
        "retry in ",
        "try again after ",
        "retry after ",
        "please wait ",
        "retrydelay\": \"",
        "retrydelay\":\"",
    ];
    let lower = message.to_lowercase();
    let rest = PHRASES.iter().find_map(|phrase| lower.split_once(phrase).map(|(_, rest)| rest))?;
    let (mut rest, mut seconds, mut found) = (rest, 0.0, false);
    // `1h9m38.016s` and `1 hour 9 minutes` are several numbers with units.
    while let Some((amount, tail)) = amount_with_unit(rest) {
        (seconds, rest, found) = (seconds + amount, tail.trim_start(), true);
    }
    found.then_some(seconds).and_then(clamped_wait)
}

/// Reads a number with its unit at the beginning of a text, in seconds; a number alone is seconds.
fn amount_with_unit(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, tail) = text.split_at(digits);
    let number = number.trim_end_matches('.').parse::<f64>().ok()?;
    let unit = tail.trim_start();
    let letters = unit.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(unit.len());
    let (unit, rest) = unit.split_at(letters);
    let seconds = match unit {
        "d" | "day" | "days" => 86_400.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        _ if unit == "ms" || unit.starts_with("milli") => 1e-3,
        _ => 1.0,
    };
    Some((number * seconds, rest))
}

fn retry_after_value(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = value.parse::<f64>() {
        return from_number(number, now);
    }
    let date = httpdate::parse_http_date(value).ok().map(|date| until(date, now));
    date.or_else(|| from_timestamp(value, now)).or_else(|| from_go_duration(value, now))
}

fn clamped_wait(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        from_headers(|asked| (asked == name).then_some(value), now)
    }

    #[test]
    fn a_limit_that_is_used_up_says_when_it_is_filled_again() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        let limits = |headers: &[(&str, &'static str)]| {
            from_limits(|asked| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| *value), now)
        };
        let requests =
            |left, reset| limits(&[("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", reset)]);
        assert_eq!(requests("0", "6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(requests("0", "20ms"), Some(Duration::from_millis(20)));
        assert_eq!(requests("0", "12"), Some(Duration::from_secs(12)));
        assert_eq!(requests("0", "1445412475"), Some(Duration::from_secs(5)), "seconds since 1970");
        assert_eq!(requests("0", "1445412471500"), Some(Duration::from_millis(1_500)), "milliseconds since 1970");
        let none = [
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-limit-tokens", "0"),
            ("x-ratelimit-reset-tokens", "60"),
        ];
        assert_eq!(limits(&none), None, "nothing left of nothing is no limit");
        assert_eq!((requests("3", "6m0s"), requests("-1", "6m0s"), requests("0", "soon")), (None, None, None));
        let tokens = [
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2015-10-21T07:28:00Z"),
        ];
        assert_eq!(limits(&tokens), Some(Duration::from_secs(10)));
    }

    #[test]
    fn every_form_of_a_wait_is_read() {
        assert_eq!(headers("retry-after-ms", "1500.5"), Some(Duration::from_micros(1_500_500)));
        assert_eq!(headers("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(headers("retry-after", "0.25"), Some(Duration::from_millis(250)));
        assert_eq!(headers("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(10)));
        let skewed = from_headers(
            |name| match name {
                "date" => Some("Wed, 21 Oct 2015 09:28:00 GMT"),
                "retry-after" => Some("Wed, 21 Oct 2015 09:28:04 GMT"),
                _ => None,
            },
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470),
        );
        assert_eq!(skewed, Some(Duration::from_secs(4)), "the server's clock is two hours ahead");
        assert_eq!(headers("retry-after", "1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(headers("retry-after", "soon"), None);
        assert_eq!(headers("retry-after", "-3"), None);
        assert_eq!(headers("retry-after", "1e300"), Some(WAIT_MAX));
        assert_eq!(from_message("Please try again in 41.724s. Thanks"), Some(Duration::from_secs_f64(41.724)));
        assert_eq!(from_message("Please try again in 6ms"), Some(Duration::from_millis(6)));
        assert_eq!(from_message("Please retry after 33 seconds."), Some(Duration::from_secs(33)));
        assert_eq!(from_message("Please try again in 1h9m38.016s. Visit"), Some(Duration::from_millis(4_178_016)));
        assert_eq!(from_message("try again in 1 hour 30 minutes"), Some(Duration::from_secs(5_400)));
        assert_eq!(from_message("Please retry in 1.308972s."), Some(Duration::from_secs_f64(1.308_972)));
        assert_eq!(from_message("please wait"), None);
    }
}
