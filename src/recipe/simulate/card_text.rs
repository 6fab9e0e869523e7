use crate::quality::RulesVersion;

/// Returns the text of the request for a card, in a version of the prompts.
pub(super) fn text_of(version: RulesVersion) -> &'static str {
    match version {
        RulesVersion::First => include_str!("prompts/first/card.txt"),
        RulesVersion::Second => include_str!("prompts/second/card.txt"),
    }
}
