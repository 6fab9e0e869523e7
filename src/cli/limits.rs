//! Caps on money, requests, tokens and time, from words to numbers.

use std::time::Duration;

use super::error::CliError;
use super::model::{Found, prices};
use super::options::Options;
use crate::model::seconds_of;
use crate::worker::{BudgetLimits, Deadline};

const DAY_S: u64 = 24 * 3600;

/// The caps of a run.
#[derive(Debug)]
pub struct Limits {
    pub budget: BudgetLimits,
    pub deadline: Option<Deadline>,
    pub give_up_after: Option<Duration>,
}

/// Reads the caps. A cap that cannot be kept is refused: the worst case of every call must be known.
pub fn limits(options: &Options, found: &[&Found]) -> Result<Limits, CliError> {
    let needs_length = options.max_cost.is_some() || options.max_output_tokens.is_some();
    if needs_length && found.iter().any(|found| found.writes() && found.target.sampling().max_tokens.is_none()) {
        return Err(CliError::usage(
            "--max-cost and --max-output-tokens need --max-tokens: without it an answer may have any length",
            "add --max-tokens N",
        ));
    }
    if options.max_cost.is_some()
        && let Some(found) = found.iter().find(|found| found.price.is_none())
    {
        let model = found.target.model();
        return Err(CliError::usage(
            format!("--max-cost is given, but nothing says what `{model}` costs"),
            format!(
                "add to cohobate.toml: [models.\"{model}\"] price = {{ input = DOLLARS, output = DOLLARS }}, for a million tokens"
            ),
        ));
    }
    if let Some(cost) = options.max_cost.filter(|cost| !cost.is_finite() || *cost < 0.0) {
        return Err(CliError::usage(format!("--max-cost is {cost}"), "give it an amount of dollars"));
    }
    Ok(Limits {
        budget: BudgetLimits {
            cost: options.max_cost,
            requests: options.max_requests,
            output_tokens: options.max_output_tokens,
            prices: prices(found),
        },
        deadline: deadline(options)?,
        give_up_after: options.give_up_after.as_deref().map(|text| time("--give-up-after", text)).transpose()?,
    })
}

/// Sockets take file descriptors; the store and the inputs need some as well.
const FILES_BESIDES_CALLS: u64 = 128;

/// Raises the process's limit on open files as far as the system lets it, and returns how many calls may be in
/// flight. Fails where the person asks for more.
pub fn raise_file_limit(concurrency: Option<usize>) -> Result<usize, CliError> {
    // Where the limit cannot be told, the system will say so when it is met.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let calls_max = usize::try_from(files.saturating_sub(FILES_BESIDES_CALLS)).unwrap_or(usize::MAX).max(1);
    match concurrency {
        Some(calls) if calls > calls_max => Err(CliError::usage(
            format!("--concurrency is {calls}, but this system lets a process open {files} files"),
            format!("lower it to {calls_max}, or raise the limit with `ulimit -n`"),
        )),
        _ => Ok(calls_max),
    }
}

/// Returns the earlier of `--until` and `--time-limit`.
fn deadline(options: &Options) -> Result<Option<Deadline>, CliError> {
    let limit = options.time_limit.as_deref().map(|text| time("--time-limit", text)).transpose()?;
    let until = options.until.as_deref().map(until).transpose()?;
    let named = |after: Option<Duration>, name: &str| after.map(|after| Deadline { after, name: name.to_owned() });
    let both = [named(limit, "--time-limit"), named(until, "--until")];
    Ok(both.into_iter().flatten().min_by_key(|deadline| deadline.after))
}

/// Reads `8h`, `90m`, `45s`, `1h30m`, or plain seconds.
fn time(option: &str, text: &str) -> Result<Duration, CliError> {
    let fault =
        || CliError::usage(format!("{option} is `{text}`, which is no time"), format!("write {option} 8h, 90m or 45s"));
    let text = text.trim();
    let seconds = seconds_of(text, |unit| match unit.trim() {
        "h" => Some(3600.0),
        "m" | "min" => Some(60.0),
        "s" | "" => Some(1.0),
        "d" => Some(DAY_S as f64),
        _ => None,
    });
    let time = seconds.filter(|_| !text.is_empty()).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(fault)
}

/// Returns how long it is until the clock on the wall next shows `HH:MM`.
fn until(text: &str) -> Result<Duration, CliError> {
    let fault = || CliError::usage(format!("--until is `{text}`, which is no time of day"), "write --until 06:30");
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
    fn times_are_read_as_people_write_them() {
        let seconds = |text| time("--time-limit", text).ok().map(|time| time.as_secs_f64());
        let read = ["8h", "90m", "45s", "1h30m", "20", "0.5h", "2d", "1h 30m"].map(seconds);
        assert_eq!(read, [28_800.0, 5_400.0, 45.0, 5_400.0, 20.0, 1_800.0, 172_800.0, 5_400.0].map(Some));
        assert_eq!(["", "h", "8 parsecs", "-3s", "1e400h"].map(seconds), [None; 5]);
        assert!(until("06:30").is_ok_and(|wait| wait > Duration::ZERO && wait <= Duration::from_secs(DAY_S)));
        assert!(["24:00", "6.30", "06:60", "x:y"].iter().all(|text| until(text).is_err()));
    }
}
