//! Messages of a user that refer to a replaced answer.
//!
//! Each kind of evidence is a pure function in a file of its own, and a line in [`EVIDENCE`].

mod answered;
mod cues;
mod definite;
mod first;
mod name;
mod pointer;
mod quote;
mod seen;
mod terms;

use seen::Seen;

use super::version::RulesVersion;

/// How certain it is that a message refers to something that only a replaced answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrphanLevel {
    /// It may: a person or a judge has to look.
    Weak,
    /// It does.
    Strong,
}

/// A user's message, and the conversation before it as it was and as it is now.
#[derive(Clone, Debug, Default)]
pub struct FollowUp<'a> {
    /// The message.
    pub user: &'a str,
    /// The user's earlier messages, as the dataset has them.
    pub users: Vec<&'a str>,
    /// What else the new conversation holds before it: system messages, rewritten messages, results of tools.
    pub heard: Vec<&'a str>,
    /// The replaced answers of the earlier turns, oldest first; empty where a turn had none.
    pub replaced: Vec<&'a str>,
    /// The new answers to the same turns.
    pub answers: Vec<&'a str>,
}

impl<'a> FollowUp<'a> {
    /// Returns everything that the new conversation holds before the message.
    fn known(&self) -> impl Iterator<Item = &'a str> {
        self.users.iter().chain(&self.heard).chain(&self.answers).copied()
    }
}

/// A kind of evidence: how certain it makes it that the message refers to a replaced answer.
type Evidence = fn(&Seen<'_>) -> Option<OrphanLevel>;

/// Every kind of evidence, cheapest first.
const EVIDENCE: &[Evidence] = &[answered::answered, pointer::pointer, quote::quote, definite::definite, name::name];

/// Returns how certain it is that a message refers to a replaced answer, by this version of the rules; `None` where nothing says
/// so.
pub fn orphan_level(version: RulesVersion, follow_up: &FollowUp<'_>) -> Option<OrphanLevel> {
    match version {
        RulesVersion::First => {
            let replaced = follow_up.replaced.last().filter(|replaced| !replaced.is_empty())?;
            let answer = follow_up.answers.last()?;
            first::is_orphan(follow_up.user, &follow_up.users, replaced, answer).then_some(OrphanLevel::Strong)
        }
        RulesVersion::Second => {
            let seen = Seen::of(follow_up);
            EVIDENCE.iter().filter_map(|evidence| evidence(&seen)).max()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the level of a message after one replaced answer.
    pub fn level(user: &str, asked: &str, replaced: &str, answer: &str) -> Option<OrphanLevel> {
        let follow_up =
            FollowUp { user, users: vec![asked], heard: Vec::new(), replaced: vec![replaced], answers: vec![answer] };
        orphan_level(RulesVersion::Second, &follow_up)
    }

    #[test]
    fn a_message_that_stands_by_itself_is_no_orphan() {
        for (user, asked, replaced, answer) in [
            ("How do plants grow?", "Why is the sky blue?", "Light is scattered.", "Air scatters blue light."),
            ("Thank you, that helps!", "Why is the sky blue?", "Light is scattered.", "Air scatters blue light."),
            ("谢谢医生的建议。", "我头疼怎么办？", "建议多休息，按时服药。", "可以先观察几天。"),
            ("Danke, und wie viel kostet das?", "Wo ist das Museum?", "Am Hafen.", "In der Altstadt."),
        ] {
            assert_eq!(level(user, asked, replaced, answer), None, "{user}");
        }
    }

    #[test]
    fn an_earlier_replaced_answer_counts_as_well() {
        let follow_up = |answers| FollowUp {
            user: "You mentioned the lighthouse at first. How old is it?",
            users: vec!["What is there to see?", "And where can I eat?"],
            heard: Vec::new(),
            replaced: vec!["The lighthouse and the market.", "At the harbor."],
            answers,
        };
        let level = |answers| orphan_level(RulesVersion::Second, &follow_up(answers));
        assert_eq!(level(vec!["Only the church.", "In the square."]), Some(OrphanLevel::Strong));
        assert_eq!(level(vec!["The lighthouse alone.", "In the square."]), None);
    }

    #[test]
    fn without_a_replaced_answer_there_is_no_orphan() {
        for version in RulesVersion::ALL {
            assert_eq!(orphan_level(*version, &FollowUp { user: "And why?", ..FollowUp::default() }), None);
        }
    }
}
