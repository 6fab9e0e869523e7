use std::str::FromStr;

/// The consequence of a rule's hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The rule is not applied.
    Off,
    /// The answer is kept and marked.
    Flag,
    /// The answer never becomes context or training data.
    Reject,
}

impl Action {
    /// Returns the action's name.
    pub fn name(self) -> &'static str {
        match self {
            Action::Off => "off",
            Action::Flag => "flag",
            Action::Reject => "reject",
        }
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Self::Off),
            "flag" => Ok(Self::Flag),
            "reject" => Ok(Self::Reject),
            _ => Err(()),
        }
    }
}
