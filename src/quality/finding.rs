use std::ops::Range;

use super::action::Action;

/// What one rule says of an answer, whether it finds its fault there or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// What follows where it finds its fault.
    pub action: Action,
    /// The number that is held against the threshold, in the unit of the threshold; `None` where the rule measures nothing.
    pub value: Option<f64>,
    /// The threshold; `None` for a rule without one.
    pub threshold: Option<f64>,
    /// True where the answer has this fault.
    pub hits: bool,
    /// Where in the answer it is, in bytes of UTF-8, in order and apart from each other; empty where it is about the answer as a whole, or is not there.
    pub places: Vec<Range<usize>>,
}

/// Joins places that touch or overlap, in order.
pub fn joined(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_by_key(|place| (place.start, place.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for place in places {
        match joined.last_mut().filter(|last| place.start <= last.end) {
            Some(last) => last.end = last.end.max(place.end),
            None => joined.push(place),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_touch_are_one() {
        assert_eq!(joined(vec![7..9, 0..2, 1..4, 4..5]), [0..5, 7..9]);
        assert!(joined(Vec::new()).is_empty());
    }
}
