use super::{Interval, Z_95};

/// Returns the 95 % Wilson score interval of a proportion (Wilson, JASA 22, 1927); `None` where `total` is 0.
pub fn wilson(hits: u64, total: u64) -> Option<Interval> {
    if total == 0 {
        return None;
    }
    let (count, share, z2) = (total as f64, hits as f64 / total as f64, Z_95 * Z_95);
    let centre = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let reach = Z_95 * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt() / (1.0 + z2 / count);
    Some(Interval { low: (centre - reach).max(0.0), high: (centre + reach).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for (hits, total, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)] {
            let interval = wilson(hits, total).unwrap();
            assert!(
                (interval.low - low).abs() < 5e-5 && (interval.high - high).abs() < 5e-5,
                "{hits}/{total}: {interval:?}"
            );
        }
        assert_eq!(wilson(0, 0), None);
    }
}
