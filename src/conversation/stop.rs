use std::borrow::Cow;
use std::fmt;

use super::tool_call::CallFault;

/// Why a recipe stopped a conversation before its end.
///
/// Stores and outputs hold its text, so no text ever changes. Any text is read, and written again as it was.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ConversationStop {
    /// The user's next message refers to an answer that was replaced.
    OrphanReference,
    /// No attempt at a user's message was valid; the last fault.
    UserInvalid(Cow<'static, str>),
    /// No attempt at a teacher's answer was good; the last fault.
    TeacherRejected(Cow<'static, str>),
    /// The student's answers are unusable; the last fault.
    StudentRejected(Cow<'static, str>),
    /// No attempt at a grade was valid; the last fault.
    GradeInvalid(Cow<'static, str>),
    /// No result can follow what the teacher answered.
    Calls(CallFault),
    /// Every attempt at an answer was rejected: the rule of the gate, or how the last answer ended
    /// ([`Finish::name`](super::Finish::name)), which share the names `empty`, `length` and `refusal`. Also the text of a
    /// reason that only another version knows. Made by conversion from text, so that it never holds the text of another
    /// variant.
    Rejected(Cow<'static, str>),
}

impl ConversationStop {
    /// Returns the text of [`ConversationStop::OrphanReference`], which is also a flag of messages.
    pub const ORPHAN_REFERENCE: &'static str = "orphan_reference";
    /// The flag of a message that may refer to a replaced answer.
    pub const ORPHAN_REFERENCE_WEAK: &'static str = "orphan_reference_weak";

    /// Returns the code, and the fault where the code has one.
    fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::OrphanReference => (Self::ORPHAN_REFERENCE, None),
            Self::UserInvalid(fault) => ("user_invalid", Some(fault)),
            Self::TeacherRejected(fault) => ("teacher_rejected", Some(fault)),
            Self::StudentRejected(fault) => ("student_rejected", Some(fault)),
            Self::GradeInvalid(fault) => ("grade_invalid", Some(fault)),
            Self::Calls(fault) => ("tool_call", Some(fault.name())),
            Self::Rejected(rule) => (rule, None),
        }
    }

    fn read(text: Cow<'static, str>) -> Self {
        if text == Self::ORPHAN_REFERENCE {
            return Self::OrphanReference;
        }
        let with_fault = |(code, fault): (&str, &str)| {
            let fault = || Cow::Owned(fault.to_owned());
            Some(match code {
                "user_invalid" => Self::UserInvalid(fault()),
                "teacher_rejected" => Self::TeacherRejected(fault()),
                "student_rejected" => Self::StudentRejected(fault()),
                "grade_invalid" => Self::GradeInvalid(fault()),
                "tool_call" => Self::Calls(CallFault::named(&fault())?),
                _ => return None,
            })
        };
        text.split_once(": ").and_then(with_fault).unwrap_or(Self::Rejected(text))
    }
}

/// Reads a text of a store, or the rule or the fault by which an answer was rejected.
impl From<&'static str> for ConversationStop {
    fn from(text: &'static str) -> Self {
        Self::read(Cow::Borrowed(text))
    }
}

impl From<String> for ConversationStop {
    fn from(text: String) -> Self {
        Self::read(Cow::Owned(text))
    }
}

impl fmt::Display for ConversationStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (code, Some(fault)) => write!(f, "{code}: {fault}"),
            (code, None) => f.write_str(code),
        }
    }
}

/// Formats as its text.
impl fmt::Debug for ConversationStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_the_text_that_stores_and_outputs_hold() {
        for (stop, text) in [
            (ConversationStop::OrphanReference, "orphan_reference"),
            (ConversationStop::UserInvalid("echo".into()), "user_invalid: echo"),
            (ConversationStop::TeacherRejected("length".into()), "teacher_rejected: length"),
            (ConversationStop::StudentRejected("echo".into()), "student_rejected: echo"),
            (ConversationStop::GradeInvalid("no_json".into()), "grade_invalid: no_json"),
            (ConversationStop::Calls(CallFault::NoCall), "tool_call: no_call"),
            (ConversationStop::Rejected("tool_call: other".into()), "tool_call: other"),
            (ConversationStop::Rejected("length".into()), "length"),
            (ConversationStop::Rejected("user_invalid".into()), "user_invalid"),
            (ConversationStop::Rejected("stop".into()), "stop"),
        ] {
            assert_eq!((stop.to_string().as_str(), &ConversationStop::from(text)), (text, &stop));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_and_written_again(
            code in "(user_invalid|grade_invalid|length|orphan_reference|[a-z_ ]{0,8})",
            rest in "(: ?)?\\PC{0,12}",
        ) {
            let text = code + &rest;
            let stop = ConversationStop::from(text.clone());
            proptest::prop_assert_eq!(stop.to_string(), text);
            proptest::prop_assert_eq!(ConversationStop::from(stop.to_string()), stop);
        }
    }
}
