//! Folds system messages into the user's, for chat templates without a system role; knows such refusals, and those of tools.

use std::borrow::Cow;
use std::sync::Arc;

use crate::conversation::{Message, Question, Role};

/// Returns the messages to be sent: the question's own, or with [`Target::folds_system`] those without a system role.
///
/// The text of a system message is put before the next message of the user, or after the last one if none follows.
///
/// [`Target::folds_system`]: crate::conversation::Target::folds_system
pub fn folded(question: &Question) -> Cow<'_, [Arc<Message>]> {
    if !question.is_folded() {
        return Cow::Borrowed(&question.messages);
    }
    let mut waiting = Vec::new();
    let mut messages: Vec<Arc<Message>> = Vec::with_capacity(question.messages.len());
    for message in &question.messages {
        match message.role() {
            Role::System => waiting.push(message.content()),
            Role::User if !waiting.is_empty() => {
                waiting.push(message.content());
                messages.push(with_text(message, &std::mem::take(&mut waiting)));
            }
            _ => messages.push(Arc::clone(message)),
        }
    }
    if !waiting.is_empty() {
        match messages.iter().rposition(|message| message.role() == Role::User) {
            Some(at) => {
                waiting.insert(0, messages[at].content());
                messages[at] = with_text(&messages[at], &waiting);
            }
            None => messages.push(Message::new(Role::User, waiting.join("\n\n"))),
        }
    }
    Cow::Owned(messages)
}

/// True if a server's message says that a chat template has no system role.
pub fn refuses_system_role(message: &str) -> bool {
    let words = message.to_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    has(&[
        "roles must alternate",
        "only user and assistant roles",
        "developer instruction is not enabled",
        "system message must be",
    ]) || has(&[
        "system role",
        "role system",
        "role 'system'",
        "role \"system\"",
        "system message",
        "system instruction",
    ]) && has(&[
        "not support",
        "unsupported",
        "not allowed",
        "not enabled",
        "not permitted",
        "invalid",
        "unknown",
    ])
}

/// True if a server's message says that it takes no tools, or none in the way in which it was started.
pub fn refuses_tools(message: &str) -> bool {
    let words = message.to_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    has(&["enable-auto-tool-choice", "tool-call-parser", "tools param requires", "--jinja"])
        || has(&["tool", "function call"])
            && has(&["not support", "unsupported", "not enabled", "not allowed", "not permitted", "not available"])
}

fn with_text(message: &Message, parts: &[&str]) -> Arc<Message> {
    Message::with_fields(message.role(), parts.join("\n\n"), message.fields().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Sampling, Slot, Target};

    type Said<'a> = &'a [(Role, &'a str)];

    fn sent(messages: Said<'_>) -> Vec<(Role, String)> {
        let target = Target::new("m", "openai", Sampling::default()).with_folded_system(true);
        let messages = messages.iter().map(|(role, text)| Message::new(*role, *text)).collect();
        let question = Question { slot: Slot::main(0), target, sample: 0, messages };
        folded(&question).iter().map(|message| (message.role(), message.content().to_owned())).collect()
    }

    fn owned(messages: Said<'_>) -> Vec<(Role, String)> {
        messages.iter().map(|(role, text)| (*role, (*text).to_owned())).collect()
    }

    #[test]
    fn system_messages_become_part_of_the_users() {
        use Role::{Assistant, System, User};
        let cases: [(Said<'_>, Said<'_>); 6] = [
            (&[(System, "s"), (User, "a")], &[(User, "s\n\na")]),
            (&[(User, "a"), (Assistant, "b"), (User, "c")], &[(User, "a"), (Assistant, "b"), (User, "c")]),
            (
                &[(System, "s"), (User, "a"), (Assistant, "b"), (System, "t"), (User, "c")],
                &[(User, "s\n\na"), (Assistant, "b"), (User, "t\n\nc")],
            ),
            (&[(User, "a"), (System, "s")], &[(User, "a\n\ns")]),
            (&[(System, "s"), (Assistant, "b"), (User, "c")], &[(Assistant, "b"), (User, "s\n\nc")]),
            (&[(System, "s"), (System, "t")], &[(User, "s\n\nt")]),
        ];
        for (messages, expected) in cases {
            assert_eq!(sent(messages), owned(expected));
        }
    }

    #[test]
    fn a_template_without_a_system_role_is_recognised() {
        for message in [
            "System role not supported",
            "Conversation roles must alternate user/assistant/user/assistant/...",
            "Only user and assistant roles are supported!",
            "Developer instruction is not enabled for models/gemma-3-27b-it",
            "invalid role 'system' in messages",
            "System message must be at the beginning.",
            "System messages are not supported by this model.",
        ] {
            assert!(refuses_system_role(message), "{message}");
        }
        for message in ["maximum context length is 10", "the system is overloaded", "invalid role 'tool'"] {
            assert!(!refuses_system_role(message), "{message}");
        }
    }
}
