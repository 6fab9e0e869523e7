use std::ops::Range;

/// Returns runs in which each item equals the one a period before it, `needed` items long and with the period before them. A
/// longer run comes in pieces.
pub fn runs<T: PartialEq>(items: &[T], period: usize, needed: usize) -> impl Iterator<Item = Range<usize>> {
    // A run of that length covers one of every `needed` positions; checking only these first skips most of the text.
    let mut at = period + needed - 1;
    std::iter::from_fn(move || {
        while at < items.len() {
            let mut start = at;
            while start >= period && items[start] == items[start - period] && at - start + 1 < needed {
                start -= 1;
            }
            let is_run = start >= period && items[start] == items[start - period];
            let last = std::mem::replace(&mut at, start + needed);
            if is_run {
                at = last + needed;
                return Some(start - period..last + 1);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn skipping_finds_the_same_runs(ids in proptest::collection::vec(0u32..3, 0..120), period in 1usize..6, needed in 1usize..12) {
            let slow = |ids: &[u32]| {
                let mut run = 0;
                (period..ids.len()).any(|at| {
                    run = if ids[at] == ids[at - period] { run + 1 } else { 0 };
                    run >= needed
                })
            };
            let found: Vec<_> = runs(&ids, period, needed).collect();
            proptest::prop_assert_eq!(!found.is_empty(), slow(&ids));
            for run in found {
                proptest::prop_assert_eq!(run.len(), period + needed);
                proptest::prop_assert!((run.start + period..run.end).all(|at| ids[at] == ids[at - period]));
            }
        }
    }
}
