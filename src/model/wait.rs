//! Reads the wait that a server asks for: `retry-after-ms`, `retry-after` in seconds or as a date, or text in the body.

use std::time::{Duration, SystemTime};

/// Longest wait that is honoured; a longer one is shortened to this.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Returns the wait in the headers. `header` returns a header's value by its lower-case name.
pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|value| value.trim().parse::<f64>().ok()).map(|ms| ms / 1000.0);
    millis
        .and_then(clamped_wait)
        .or_else(|| header("retry-after").and_then(|value| retry_after_value(value.trim(), now)))
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
    let waits = LIMITS.iter().filter_map(|(remaining, reset)| {
        // Some servers send -1 for a limit that they do not have.
        let is_used_up = header(remaining)?.trim() == "0";
        let reset = header(reset).filter(|_| is_used_up)?.trim();
        from_go_duration(reset).or_else(|| from_timestamp(reset, now))
    });
    waits.max().map(|wait| wait.min(WAIT_MAX))
}

/// Reads `1s`, `6m0s`, `20ms`, `1h2m3.5s`, or plain seconds.
fn from_go_duration(text: &str) -> Option<Duration> {
    let seconds = seconds_of(text, |unit| match unit {
        "h" => Some(3600.0),
        "m" => Some(60.0),
        "s" | "" => Some(1.0),
        "ms" => Some(1e-3),
        _ => None,
    });
    seconds.and_then(clamped_wait)
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
    let moment = SystemTime::from(text.parse::<jiff::Timestamp>().ok()?);
    Some(moment.duration_since(now).unwrap_or_default())
}

/// Returns the wait in an error message: `Please try again in 41.724s`, `retry after 33 seconds`.
pub fn from_message(message: &str) -> Option<Duration> {
    let lower = message.to_lowercase();
    let rest = ["try again in ", "retry after ", "retrydelay\": \"", "retrydelay\":\""]
        .iter()
        .find_map(|phrase| lower.split_once(phrase).map(|(_, rest)| rest))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, unit) = rest.split_at(digits);
    let number = number.trim_end_matches('.').parse::<f64>().ok()?;
    let unit = unit.trim_start();
    if unit.starts_with("ms") || unit.starts_with("milli") {
        clamped_wait(number / 1000.0)
    } else if unit.starts_with("min") || (unit.starts_with('m') && !unit.starts_with("ms")) {
        clamped_wait(number * 60.0)
    } else {
        clamped_wait(number)
    }
}

fn retry_after_value(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse::<f64>() {
        return clamped_wait(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(WAIT_MAX))
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
        assert_eq!(headers("retry-after", "soon"), None);
        assert_eq!(headers("retry-after", "-3"), None);
        assert_eq!(headers("retry-after", "1e300"), Some(WAIT_MAX));
        assert_eq!(from_message("Please try again in 41.724s. Thanks"), Some(Duration::from_secs_f64(41.724)));
        assert_eq!(from_message("Please try again in 6ms"), Some(Duration::from_millis(6)));
        assert_eq!(from_message("Please retry after 33 seconds."), Some(Duration::from_secs(33)));
        assert_eq!(from_message("please wait"), None);
    }
}
