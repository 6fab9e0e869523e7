use std::str::FromStr;

/// What a rule's hit leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing; the rule is not even applied.
    Off,
    /// The answer stays and is marked.
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
