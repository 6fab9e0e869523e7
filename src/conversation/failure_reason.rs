use std::fmt;

use super::failure::FailureCode;
use super::question::Lane;

/// Why questions of a conversation got no answer: the first cause of each lane that failed, in the order of the lanes.
///
/// Stores and outputs hold its text, `CODE: MESSAGE` for the main lane and `LANE: CODE: MESSAGE` for another, joined by
/// `; `. Any text is read, and written again as it was. A message that looks like a further cause is read as one.
/// `new` applies this too, so a reason equals what a store returns.
#[derive(Clone, PartialEq, Eq)]
pub struct FailureReason {
    causes: Vec<FailureCause>,
}

/// Why a question of one lane got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCause {
    /// Whose line is missing.
    pub lane: Lane,
    /// Why, in a word for counting.
    pub code: FailureCode,
    /// The message of the server or the connection; `None` in a text of another version that is a code alone.
    pub message: Option<String>,
}

impl FailureReason {
    /// Makes a reason of causes that are ordered by their lanes; only the first of each lane counts.
    pub fn new(causes: impl IntoIterator<Item = FailureCause>) -> Self {
        let mut causes: Vec<FailureCause> = causes.into_iter().collect();
        causes.dedup_by_key(|cause| cause.lane);
        Self::from(&*Self { causes }.to_string())
    }

    /// Returns the causes, one for each lane that failed.
    pub fn causes(&self) -> &[FailureCause] {
        &self.causes
    }

    /// Returns why a lane failed, if it did.
    pub fn of(&self, lane: Lane) -> Option<&FailureCause> {
        self.causes.iter().find(|cause| cause.lane == lane)
    }

    /// Returns the reason with every number in its messages blanked: servers write token counts and ids into them, and
    /// reasons that differ in nothing else are counted together.
    #[must_use]
    pub fn without_numbers(&self) -> Self {
        let blank = |cause: &FailureCause| FailureCause {
            message: cause.message.as_deref().map(blank_numbers),
            ..cause.clone()
        };
        Self { causes: self.causes.iter().map(blank).collect() }
    }

    /// True where a lane failed with this code.
    pub fn has(&self, code: &FailureCode) -> bool {
        self.causes.iter().any(|cause| cause.code == *code)
    }
}

impl From<&str> for FailureReason {
    fn from(text: &str) -> Self {
        let (mut lane, mut rest) = split_lane(text).unwrap_or((Lane::Main, text));
        let mut causes = Vec::new();
        while let Some((said, next, after)) = split_cause(lane, rest) {
            causes.push(FailureCause::read(lane, said));
            (lane, rest) = (next, after);
        }
        causes.push(FailureCause::read(lane, rest));
        Self { causes }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cause) in self.causes.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            if cause.lane != Lane::Main {
                write!(f, "{}: ", cause.lane.name())?;
            }
            cause.fmt(f)?;
        }
        Ok(())
    }
}

/// Formats as its text.
impl fmt::Debug for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl FailureCause {
    /// Makes a cause.
    pub fn new(lane: Lane, code: FailureCode, message: impl Into<String>) -> Self {
        Self { lane, code, message: Some(message.into()) }
    }

    fn read(lane: Lane, said: &str) -> Self {
        match said.split_once(": ") {
            Some((code, message)) => Self::new(lane, code.into(), message),
            None => Self { lane, code: said.into(), message: None },
        }
    }
}

/// The text without the lane.
impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.code),
            None => self.code.fmt(f),
        }
    }
}

/// Returns a text with every number replaced by `#`.
pub fn blank_numbers(text: &str) -> String {
    let mut blanked = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' if blanked.ends_with('#') => {}
            '0'..='9' => blanked.push('#'),
            other => blanked.push(other),
        }
    }
    blanked
}

/// Splits a lane's name off the beginning of a text.
fn split_lane(text: &str) -> Option<(Lane, &str)> {
    let (name, rest) = text.split_once(": ")?;
    Some((Lane::named(name)?, rest))
}

/// Splits the text of `lane`'s cause from the next cause: the name of a later lane with a code after it. Returns also
/// that lane and what follows its name.
fn split_cause(lane: Lane, text: &str) -> Option<(&str, Lane, &str)> {
    text.match_indices("; ").find_map(|(at, separator)| {
        let (next, rest) = split_lane(&text[at + separator.len()..])?;
        let (code, _) = rest.split_once(": ")?;
        let is_code = !code.is_empty() && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        (next > lane && is_code).then_some((&text[..at], next, rest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conversation::SYSTEMS_MAX;

    #[test]
    fn numbers_are_blanked_in_messages_only() {
        let reason = FailureReason::from("http_400: 9000 tokens of 8192; system 2: context: over 10");
        let blanked = "http_400: # tokens of #; system 2: context: over #";
        assert_eq!(reason.without_numbers().to_string(), blanked);
    }

    fn lanes() -> impl Iterator<Item = Lane> {
        let systems = (0..SYSTEMS_MAX as u8).map(Lane::System);
        [Lane::Main, Lane::User, Lane::Judge, Lane::Student, Lane::Grader, Lane::Tool].into_iter().chain(systems)
    }

    /// Codes of today, a dialect's own, and texts that are neither.
    fn code() -> impl Strategy<Value = FailureCode> {
        let text = prop_oneof!["http_[0-9]{3}", "context|cut|too_long|timeout_idle", "[a-z_]{1,9}", "[ -~]{0,9}"];
        text.prop_map(|text| FailureCode::from(&*text))
    }

    /// Pieces of which causes are made, in any order.
    fn message() -> impl Strategy<Value = String> {
        let piece = prop_oneof!["; ", ": ", "system [0-9]{1,2}", "judge|user", "context", "http_400", ".{0,5}"];
        prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
    }

    fn causes(message: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<FailureCause>> {
        let failed =
            (prop::sample::subsequence(lanes().collect::<Vec<_>>(), 1..5), prop::collection::vec((code(), message), 5));
        failed.prop_map(|(lanes, said)| {
            let said = lanes.into_iter().zip(said);
            said.map(|(lane, (code, message))| FailureCause::new(lane, code, message)).collect()
        })
    }

    #[test]
    fn each_lane_has_its_own_cause() {
        let text = "judge: http_400: no; really: no; system 2: context: over 10; system 12: weird: x";
        let reason = FailureReason::from(text);
        assert_eq!(reason.to_string(), text);
        let of = |lane| reason.of(lane).map(ToString::to_string);
        assert_eq!(of(Lane::Judge).as_deref(), Some("http_400: no; really: no"));
        assert_eq!(of(Lane::System(1)).as_deref(), Some("context: over 10"));
        assert_eq!(of(Lane::System(11)).as_deref(), Some("weird: x"));
        assert_eq!((of(Lane::System(0)), of(Lane::Main)), (None, None));
        assert!(reason.has(&FailureCode::Context) && !reason.has(&FailureCode::Http(404)));
        let main = FailureReason::from("content_filter: the prompt says context: 4");
        assert!(!main.has(&FailureCode::Context), "a word of the message is no code");
    }

    #[test]
    fn the_first_cause_of_a_lane_counts() {
        let cause = |lane, message: &str| FailureCause::new(lane, FailureCode::Http(400), message);
        let reason = FailureReason::new([cause(Lane::Main, "a"), cause(Lane::Main, "b"), cause(Lane::User, "c")]);
        assert_eq!(reason.to_string(), "http_400: a; user: http_400: c");
    }

    #[test]
    fn lanes_are_found_by_their_names() {
        for lane in lanes().skip(1) {
            assert_eq!(Lane::named(&lane.name()), Some(lane));
        }
        for name in ["", "System 1", "system 0", "system 01", "system 33", "system", "system 257"] {
            assert_eq!(Lane::named(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_reason_is_read_as_it_was_written(causes in causes(message())) {
            let reason = FailureReason::new(causes.clone());
            let text = reason.to_string();
            prop_assert_eq!(&text, &FailureReason { causes }.to_string());
            let read = FailureReason::from(&*text);
            prop_assert_eq!(read.to_string(), text);
            prop_assert_eq!(read, reason);
        }

        #[test]
        fn messages_that_name_no_lane_leave_the_causes_apart(causes in causes("[a-z:; ]{0,20}".prop_filter("a lane", |text| !text.contains("; user: ") && !text.contains("; judge: ")))) {
            let plain = causes.iter().all(|cause| !matches!(cause.code, FailureCode::Other(_)));
            let reason = FailureReason::new(causes.clone());
            prop_assert!(!plain || reason.causes() == causes);
        }

        #[test]
        fn any_text_is_kept(text in prop_oneof![message(), any::<String>()]) {
            prop_assert_eq!(FailureReason::from(&*text).to_string(), text);
        }
    }

    #[test]
    fn only_a_later_lane_with_a_code_begins_another_cause() {
        for text in [
            "judge: http_400: no; judge: http_500: again",
            "grader: http_400: no; user: http_500: earlier",
            "http_400: no; user: Not a code: x",
            "http_400: no; user: : x",
            "http_400: no; user: http_500",
            "http_400: no; nobody: http_500: x",
        ] {
            let reason = FailureReason::from(text);
            assert_eq!((reason.causes().len(), reason.to_string()), (1, text.to_owned()), "{text}");
        }
        assert_eq!(FailureReason::from("http_400: no; user: http_500: x").causes().len(), 2);
    }
}
