/// Returns the known name that comes closest to an unknown one, if one is close: a third of its letters may differ.
pub fn closest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let unknown = plain(unknown);
    let far = unknown.chars().count().max(3) / 3;
    let distances = known.map(|name| (distance(&unknown, &plain(name)), name));
    distances.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Returns how many letters are to be inserted, removed, replaced or swapped to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut least = replaced.min(above[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                let swapped: &Vec<usize> = &before;
                least = least.min(swapped[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_found_and_other_words_are_not() {
        let known = ["temperature", "max-tokens", "key-env", "models", "rpm", "tpm"];
        let found = ["temprature", "max_tokens", "keyenv", "model", "Temperature", "rmp", "nonsense", "x", ""]
            .map(|unknown| closest(unknown, known.into_iter()).unwrap_or_default());
        assert_eq!(found, ["temperature", "max-tokens", "key-env", "models", "temperature", "rpm", "", "", ""]);
    }
}
