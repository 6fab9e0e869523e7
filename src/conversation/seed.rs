use std::sync::Arc;

use super::identity::{Digest, PartHasher};
use super::message::{Columns, Message, Role};
use super::tool_call::ToolCall;
use super::tools::ToolSet;

/// The input that one dataset row gives: everything before each answer, without the answers of the old assistant.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The row's name in the output.
    pub id: String,
    /// The turns, at least one.
    pub turns: Vec<Turn>,
    /// The tools that the assistant may call. Part of the identity where there are any.
    pub tools: Option<ToolSet>,
    /// The row's other columns, carried through untouched.
    pub columns: Columns,
    /// The replaced answers are part of the identity, because they decide what is asked.
    pub counts_replaced: bool,
    /// The criteria that answers are checked for, where the row has its own. Part of the identity.
    pub criteria: Vec<String>,
}

/// The messages up to the point where the assistant answers.
#[derive(Clone, Debug)]
pub struct Turn {
    /// At least one message, the last one by the user. A system message or a greeting may come first. Where the turn follows
    /// calls, their results instead.
    pub messages: Vec<Arc<Message>>,
    /// The answer that the dataset had here. Not part of the identity.
    pub replaced: Option<String>,
    /// Further answers to the same messages from other files: those of other systems, by their number, or a reference.
    /// Part of the identity where there are any.
    pub given: Vec<Option<Arc<Message>>>,
    /// The source's calls that the turn's results answer, where calls are regenerated. Part of the identity where there are
    /// any.
    pub follows: Vec<ToolCall>,
    /// True where the source ends with calls after this turn, and calls are regenerated: no result follows. Part of the
    /// identity where it is true.
    pub ends_in_calls: bool,
}

impl Turn {
    /// Returns the last words of the user.
    pub fn last_user(&self) -> Option<&str> {
        let users = self.messages.iter().rev().find(|message| message.role() == Role::User);
        users.map(|message| message.content())
    }
}

impl Seed {
    /// Returns the hash of all that is kept of the row: turn by turn, message by message.
    ///
    /// blake3 over `"cohobate seed 1\0"` and for each turn its message count (`u64`) and digests; where what was replaced
    /// counts, after each turn the replaced text, empty where there was no answer; then the count and the digests of given answers,
    /// 32 zeros for one that is missing, where there are any; then, where the turn follows calls, `"follows"`, their count and
    /// each one's id, name and arguments; where the source ends with calls, `"ends-in-calls"`. At the end each criterion, and where there are tools `"tools"` and
    /// their JSON.
    pub fn digest(&self) -> Digest {
        let mut hasher = PartHasher::new("cohobate seed 1");
        for turn in &self.turns {
            hasher.number(turn.messages.len() as u64);
            for message in &turn.messages {
                hasher.digest(message.digest());
            }
            if self.counts_replaced {
                hasher.text(turn.replaced.as_deref().unwrap_or_default());
            }
            if !turn.given.is_empty() {
                hasher.number(turn.given.len() as u64);
            }
            for given in &turn.given {
                hasher.digest(given.as_ref().map_or(&Digest::ZERO, |given| given.digest()));
            }
            if !turn.follows.is_empty() {
                hasher.raw(b"follows").number(turn.follows.len() as u64);
            }
            for call in &turn.follows {
                hasher.text(&call.id).text(&call.name).text(&call.arguments);
            }
            if turn.ends_in_calls {
                hasher.raw(b"ends-in-calls");
            }
        }
        for criterion in &self.criteria {
            hasher.text(criterion);
        }
        if let Some(tools) = &self.tools {
            hasher.raw(b"tools").text(tools.json());
        }
        Digest(hasher.finish())
    }

    /// Returns a number that is equal for rows whose prompts have the same beginning: the same system prompt,
    /// or without one the same first message.
    pub fn prefix(&self) -> u64 {
        self.turns.first().and_then(|turn| turn.messages.first()).map_or(0, |first| first.digest().prefix())
    }

    /// Returns this seed with `system` as its only leading system message.
    #[must_use]
    pub fn with_system(mut self, system: &Arc<Message>) -> Self {
        if let Some(first) = self.turns.first_mut() {
            if first.messages.first().is_some_and(|message| message.role() == Role::System) {
                first.messages.remove(0);
            }
            first.messages.insert(0, Arc::clone(system));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: Role, text: &str) -> Arc<Message> {
        Message::new(role, text)
    }

    fn seed() -> Seed {
        let messages = vec![said(Role::System, "s"), said(Role::User, "u")];
        let given = vec![Some(said(Role::Assistant, "g")), None];
        let first = Turn { messages, replaced: Some("r".to_owned()), given, follows: Vec::new(), ends_in_calls: false };
        let second = Turn {
            messages: vec![said(Role::User, "v")],
            replaced: None,
            given: Vec::new(),
            follows: Vec::new(),
            ends_in_calls: false,
        };
        Seed {
            id: "one".to_owned(),
            turns: vec![first, second],
            tools: None,
            columns: Columns::new(),
            counts_replaced: false,
            criteria: Vec::new(),
        }
    }

    fn hashed(parts: &[&[u8]]) -> Digest {
        Digest(blake3::hash(&[&b"cohobate seed 1\0"[..], &parts.concat()].concat()).into())
    }

    /// Rows are recognised by these bytes.
    #[test]
    fn the_bytes_of_an_identity_stay_as_they_are() {
        let digest = |role, text| said(role, text).digest().0;
        let (system, user, next) = (digest(Role::System, "s"), digest(Role::User, "u"), digest(Role::User, "v"));
        let given = digest(Role::Assistant, "g");
        let (zero, one, two) = (0u64.to_le_bytes(), 1u64.to_le_bytes(), 2u64.to_le_bytes());
        let mut seed = seed();
        assert_eq!(seed.digest(), hashed(&[&two, &system, &user, &two, &given, &[0; 32], &one, &next]));
        seed.counts_replaced = true;
        seed.criteria = vec!["c".to_owned()];
        let counted: [&[u8]; 12] =
            [&two, &system, &user, &one, b"r", &two, &given, &[0; 32], &one, &next, &zero, &[&one[..], b"c"].concat()];
        assert_eq!(seed.digest(), hashed(&counted));
        assert_eq!(seed.prefix(), said(Role::System, "s").digest().prefix());
    }

    #[test]
    fn a_system_message_takes_the_place_of_the_first_one() {
        let texts = |seed: &Seed| -> Vec<String> {
            seed.turns[0].messages.iter().map(|message| message.content().to_owned()).collect()
        };
        let with = seed().with_system(&said(Role::System, "new"));
        assert_eq!(texts(&with), ["new", "u"]);
        let mut without = seed();
        without.turns[0].messages.remove(0);
        assert_eq!(texts(&without.with_system(&said(Role::System, "new"))), ["new", "u"]);
        assert_eq!(seed().turns[0].last_user(), Some("u"));
        let mut none = seed();
        none.turns.clear();
        assert_eq!(none.prefix(), 0);
    }
}
