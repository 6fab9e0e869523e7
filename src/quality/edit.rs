/// True where more than `share` of the longer text must change to make the other of it: Levenshtein's distance in characters,
/// counted only as far as it is asked for (Ukkonen, 1985).
pub fn differs_by_more_than(share: f64, one: &str, other: &str) -> bool {
    let (mut one, mut other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len() > other.len() {
        std::mem::swap(&mut one, &mut other);
    }
    let most = (share * other.len() as f64) as usize;
    if other.len() - one.len() > most {
        return true;
    }
    let same_front = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[same_front..], &other[same_front..]);
    let same_back = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[..one.len() - same_back], &other[..other.len() - same_back]);
    // A row of the table at a time; what lies further than `most` from the diagonal is beyond it anyway.
    let beyond = most + 1;
    let mut row: Vec<usize> = (0..=other.len()).map(|column| column.min(beyond)).collect();
    for (at, letter) in (1usize..).zip(one) {
        let (first, last) = (at.saturating_sub(most).max(1), (at + most).min(other.len()));
        let mut diagonal = std::mem::replace(&mut row[first - 1], at.min(beyond));
        let mut nearest = row[first - 1];
        for column in first..=last {
            let changed = diagonal + usize::from(*letter != other[column - 1]);
            let best = changed.min(row[column] + 1).min(row[column - 1] + 1).min(beyond);
            diagonal = std::mem::replace(&mut row[column], best);
            nearest = nearest.min(best);
        }
        // No way leads back from there.
        if nearest > most {
            return true;
        }
    }
    row[other.len()] > most
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, as the definition has it.
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
