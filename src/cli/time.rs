//! Durations and times of day, from words to numbers.

use std::time::Duration;

use cohobate::job::{JobError, LogTime};
use cohobate::model::seconds_of;

const DAY_S: u64 = 24 * 3600;

/// Returns the time of day of now, for a line that tells when it was written: `07:44:35`.
pub fn clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// Returns a time of the run log as the clock here shows it: `2026-11-27 07:44:35`.
pub fn local(time: LogTime) -> String {
    let instant = jiff::Timestamp::from_millisecond(time.milliseconds()).unwrap_or_default();
    instant.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads `8h`, `90m`, `45s` or `1h30m`. A number without a unit, and no time at all, are mistakes. `option` is how messages
/// call the option.
pub fn duration(option: &str, text: &str) -> Result<Duration, JobError> {
    let text = text.trim();
    let fault = || JobError::usage(format!("{option} is `{text}`, which is not a duration"), "write 8h, 90m or 45s");
    if text.parse::<f64>().is_ok_and(|number| number >= 0.0) {
        let message = format!("{option} is `{text}`, without a unit");
        return Err(JobError::usage(message, format!("write {text}h, {text}m or {text}s")));
    }
    let seconds = seconds_of(text, |unit| match unit.trim() {
        "h" => Some(3600.0),
        "m" | "min" => Some(60.0),
        "s" => Some(1.0),
        "d" => Some(DAY_S as f64),
        _ => None,
    });
    let time = seconds.filter(|_| !text.is_empty()).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match time {
        Some(Duration::ZERO) => Err(JobError::usage(format!("{option} is no time at all"), "write 8h, 90m or 45s")),
        other => other.ok_or_else(fault),
    }
}

/// Returns how long it is until the next `HH:MM`. `option` is how messages call the option.
pub fn until_next(option: &str, text: &str) -> Result<Duration, JobError> {
    let fault = || JobError::usage(format!("{option} is `{text}`, which is not a time of day"), "write 06:30");
    let (hours, minutes) = text.split_once(':').ok_or_else(fault)?;
    let hours: u64 = hours.parse().ok().filter(|hours| *hours < 24).ok_or_else(fault)?;
    let minutes: u64 = minutes.parse().ok().filter(|minutes| *minutes < 60).ok_or_else(fault)?;
    let now = jiff::Zoned::now();
    let now_s = u64::from(now.hour().unsigned_abs()) * 3600
        + u64::from(now.minute().unsigned_abs()) * 60
        + u64::from(now.second().unsigned_abs());
    let wait_s = (hours * 3600 + minutes * 60 + DAY_S - now_s - 1) % DAY_S + 1;
    Ok(Duration::from_secs(wait_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| duration("--time-limit", text).ok().map(|time| time.as_secs_f64());
        let read = ["8h", "90m", "45s", "1h30m", "0.5h", "2d", "1h 30m"].map(seconds);
        assert_eq!(read, [28_800.0, 5_400.0, 45.0, 5_400.0, 1_800.0, 172_800.0, 5_400.0].map(Some));
        assert_eq!(["", "h", "8", "0s", "8 parsecs", "-3s", "1e400h"].map(seconds), [None; 7]);
        assert!(
            until_next("--until", "06:30")
                .is_ok_and(|wait| wait > Duration::ZERO && wait <= Duration::from_secs(DAY_S))
        );
        assert!(["24:00", "6.30", "06:60", "x:y"].iter().all(|text| until_next("--until", text).is_err()));
    }
}
