//! Numbers, durations and money as people read them; plurals in one place.

use std::fmt::Display;
use std::time::Duration;

/// Returns `count` with thousands separated: `41,812`.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns `1 turn`, `2 turns`, `1,000 turns`.
pub fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(count))
}

/// Returns counts in words: `3 × this, 4 × that`.
pub fn list<'a, Name: Display>(counts: impl IntoIterator<Item = (Name, &'a u64)>) -> String {
    let words = counts.into_iter().map(|(name, count)| format!("{} × {name}", number(*count)));
    words.collect::<Vec<_>>().join(", ")
}

/// Returns a duration in at most two units: `0.4 s`, `12 s`, `3 min 20 s`, `7 h 05 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns an amount of money with as many digits as it needs: `$0.0042`, `$1.37`, `$1,204.50`.
pub fn money(amount: f64) -> String {
    if amount > 0.0 && amount < 0.1 {
        return format!("${amount:.4}");
    }
    let cents = (amount * 100.0).round() as u64;
    format!("${}.{:02}", number(cents / 100), cents % 100)
}

/// Returns a p-value as `p = 0.0312`, or `p < 0.0001`.
pub fn p_value(p: f64) -> String {
    if p < P_SHOWN_MIN { format!("p {}", p_number(p)) } else { format!("p = {}", p_number(p)) }
}

/// Returns a p-value under a heading: `0.0312`, or `< 0.0001`. Nothing is certain, so none is shown as 0.
pub fn p_number(p: f64) -> String {
    if p < P_SHOWN_MIN { format!("< {P_SHOWN_MIN}") } else { format!("{p:.4}") }
}

/// The least p-value with four digits.
const P_SHOWN_MIN: f64 = 0.0001;

/// Returns a name in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1000, 41_812, 1_000_000].map(number), ["0", "999", "1,000", "41,812", "1,000,000"]);
        assert_eq!([0, 1, 2].map(|count| counted(count, "turn")), ["0 turns", "1 turn", "2 turns"]);
        let durations = [400, 12_000, 200_000, 25_500_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(durations, ["0.4 s", "12 s", "3 min 20 s", "7 h 05 min"]);
        assert_eq!([1e-300, 0.000_099, 0.000_1, 0.031_2].map(p_number), ["< 0.0001", "< 0.0001", "0.0001", "0.0312"]);
        assert_eq!([0.0, 1.0].map(p_value), ["p < 0.0001", "p = 1.0000"]);
        assert_eq!([0.0, 0.0042, 1.369, 1204.5].map(money), ["$0.00", "$0.0042", "$1.37", "$1,204.50"]);
    }
}
