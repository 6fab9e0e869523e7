//! What a marker is.

use crate::dataset::role::SourceRole;

/// A marker, and what it does.
#[derive(Debug)]
pub struct Mark(pub &'static str, pub Kind);

/// What a marker does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It starts a message of this role.
    Open(SourceRole),
    /// It starts a message. The name of the role follows, up to one of these.
    Named(&'static [&'static str]),
    /// It ends a message. An answer may follow.
    Answer,
    /// It starts instructions within the user's message.
    Instructions,
    /// It ends the instructions. The user's words follow.
    InstructionsEnd,
    /// It continues the user's message.
    Input,
    /// It starts the definitions of tools.
    Tools,
    /// It ends the definitions of tools.
    ToolsEnd,
    /// It ends a message.
    End,
    /// It belongs to a tool call within an answer.
    Call,
    /// It has no place in a message, and no meaning outside of one.
    Special,
}

/// Where markers may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// Anywhere: they are no words.
    Anywhere,
    /// After white space or another marker.
    AfterSpace,
    /// At the start of a line or after another marker.
    LineStart,
}

/// The white space that a template writes around its markers.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Before and after a marker that starts a message.
    pub open: (&'static str, &'static str),
    /// Before and after `[/INST]`.
    pub answer: (&'static str, &'static str),
    /// Before the end marker.
    pub end: &'static str,
}

impl Layout {
    /// The white space before and after a marker.
    pub fn around(&self, kind: Kind) -> (&'static str, &'static str) {
        match kind {
            Kind::Open(_) | Kind::Named(_) | Kind::Input | Kind::Tools => self.open,
            Kind::Answer => self.answer,
            Kind::Instructions => ("", "\n"),
            Kind::InstructionsEnd => ("\n", "\n\n"),
            Kind::End => (self.end, ""),
            Kind::ToolsEnd | Kind::Call | Kind::Special => ("", ""),
        }
    }
}
