/// True where the Levenshtein distance in characters exceeds `share` of the longer text's length.
///
/// The distance is computed only up to that limit. For each diagonal of the table only the furthest row that N changes
/// reach is kept (Ukkonen, "Algorithms for approximate string matching", 1985, section 3), so the work grows with the
/// square of the limit and not with the product of the lengths.
pub fn differs_by_more_than(share: f64, one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let most = (share * one.len().max(other.len()) as f64) as usize;
    if one.len().abs_diff(other.len()) > most {
        return true;
    }
    // Index `middle + column − row`; one more diagonal on each side stays unreachable.
    let middle = most + 1;
    let end = middle + other.len() - one.len();
    let column = |row: usize, diagonal: usize| (row + diagonal).checked_sub(middle);
    let mut reached: Vec<Option<usize>> = vec![None; 2 * middle + 1];
    for changes in 0..=most {
        let mut next = reached.clone();
        for diagonal in middle - changes..=middle + changes {
            let changed = reached[diagonal].map(|row| row + 1);
            let inserted = reached[diagonal - 1];
            let deleted = reached[diagonal + 1].map(|row| row + 1);
            let start = if changes == 0 { Some(0) } else { changed.max(inserted).max(deleted) };
            let Some(mut row) = start.map(|row| row.min(one.len())) else { continue };
            let Some(mut at) = column(row, diagonal).filter(|at| *at <= other.len()) else { continue };
            while row < one.len() && at < other.len() && one[row] == other[at] {
                (row, at) = (row + 1, at + 1);
            }
            next[diagonal] = Some(row);
        }
        if next[end] == Some(one.len()) {
            return false;
        }
        reached = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The full table, by the definition.
    fn distance(one: &[char], other: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (at, letter) in one.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], at + 1);
            for column in 1..=other.len() {
                let best = (diagonal + usize::from(*letter != other[column - 1]))
                    .min(row[column] + 1)
                    .min(row[column - 1] + 1);
                diagonal = std::mem::replace(&mut row[column], best);
            }
        }
        row[other.len()]
    }

    #[test]
    fn a_comma_in_a_long_answer_is_no_difference() {
        let long = "All that glitters is not gold, as the saying goes. ".repeat(20);
        assert!(!differs_by_more_than(0.02, &long, &long.replacen(',', "", 3)));
        assert!(differs_by_more_than(0.02, &long, &long.replace(',', " and")));
        assert!(!differs_by_more_than(0.02, "", ""));
        assert!(differs_by_more_than(0.02, "", "a"));
    }

    proptest::proptest! {
        #[test]
        fn it_is_the_distance_that_is_counted(one in "[abé]{0,24}", other in "[abé]{0,24}", share in 0.0..1.0f64) {
            let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
            let most = (share * a.len().max(b.len()) as f64) as usize;
            proptest::prop_assert_eq!(differs_by_more_than(share, &one, &other), distance(&a, &b) > most);
        }
    }
}
