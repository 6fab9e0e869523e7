/// What the totals of a run count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Turns; further attempts at one do not count.
    #[default]
    Turn,
    /// Answers of all roles, where a turn takes several.
    Answer,
    /// A judge's marks.
    Mark,
}

impl Unit {
    /// Returns the noun, in the singular.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Answer => "answer",
            Self::Mark => "mark",
        }
    }
}
