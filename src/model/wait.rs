//! How long a server asks to wait: `retry-after-ms`, `retry-after` in seconds or as a date, or words in the body.

use std::time::{Duration, SystemTime};

/// Longest wait that is believed; a server that names more is asked again after this.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Returns the wait that the headers name. `header` gives a header's value by its lower-case name.
pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|value| value.trim().parse::<f64>().ok()).map(|ms| ms / 1000.0);
    millis.and_then(duration).or_else(|| header("retry-after").and_then(|value| from_value(value.trim(), now)))
}

/// Returns the wait that an error message names: `Please try again in 41.724s`, `retry after 33 seconds`.
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
        duration(number / 1000.0)
    } else if unit.starts_with("min") || (unit.starts_with('m') && !unit.starts_with("ms")) {
        duration(number * 60.0)
    } else {
        duration(number)
    }
}

fn from_value(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse::<f64>() {
        return duration(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(WAIT_MAX))
}

fn duration(seconds: f64) -> Option<Duration> {
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
