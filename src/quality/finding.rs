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
    /// Where in the answer it is, in bytes of UTF-8; empty where it is about the answer as a whole, or is not there.
    pub places: Vec<Range<usize>>,
}
