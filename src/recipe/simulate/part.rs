use std::sync::Arc;

use super::direction::complaint_about;
use super::{Move, SimulatedDialogue};
use crate::conversation::{Message, Messages, Role};

/// The message with which a simulated user ends the conversation.
const STOP: &str = "###STOP###";

/// The messages to the user's model: its instructions, and the conversation with the roles swapped.
pub(super) struct Part {
    /// All but the last one; behind them is what an earlier request ended with.
    messages: Messages,
    count: usize,
    /// The last one, without a stage direction.
    last: Arc<Message>,
    /// How much of the dialogue is in them.
    spoken: usize,
}

impl Part {
    /// Begins with the instructions to the user of this conversation.
    pub fn of(state: &SimulatedDialogue) -> Self {
        let messages: Messages = [Message::new(Role::System, part(state))].into_iter().collect();
        Self { count: messages.len(), messages, last: Message::new(Role::User, OPENING), spoken: 0 }
    }

    /// Returns the request for the user's next message.
    pub fn request(&mut self, thrown: Move, number: u32, wrong: Option<&str>, state: &SimulatedDialogue) -> Messages {
        self.hear(state);
        // One hidden constraint at a time, so that the user cannot reveal more.
        let hidden = state.goal.as_ref().and_then(|goal| goal.constraints.get(number as usize));
        let hidden = hidden
            .map_or(String::new(), |hidden| format!(" You may let it be known now, in your own words: {hidden}."));
        let wrong = wrong
            .map_or(String::new(), |rule| format!(" What you wrote first cannot stand: {}.", complaint_about(rule)));
        let direction = format!(
            "\n\n(Stage direction, not the assistant's words: {}{hidden}{wrong} Write your next message alone.)",
            thrown.words()
        );
        self.messages.push(Message::new(Role::User, format!("{}{direction}", self.last.content())));
        self.messages.clone()
    }

    /// Adds what has been said since the last request.
    fn hear(&mut self, state: &SimulatedDialogue) {
        self.messages.truncate(self.count);
        let spoken = state.dialogue.spoken.iter().skip(self.spoken).map(|spoken| &spoken.message);
        let said = spoken.filter(|message| matches!(message.role(), Role::User | Role::Assistant));
        for message in said.filter(|message| !message.content().trim().is_empty()) {
            let role = if message.role() == Role::User { Role::Assistant } else { Role::User };
            // The roles alternate: a greeting replaces the opening, and consecutive messages of one role are joined.
            self.last = if self.last.role() != role {
                self.messages.push(Arc::clone(&self.last));
                Message::new(role, message.content())
            } else if self.last.content() == OPENING {
                Message::new(role, message.content())
            } else {
                Message::new(role, format!("{}\n\n{}", self.last.content(), message.content()))
            };
        }
        (self.spoken, self.count) = (state.dialogue.spoken.len(), self.messages.len());
    }
}

/// The assistant's message before the user's first one: servers require alternating roles.
const OPENING: &str = "(The conversation begins. Write your first message.)";

const PART: &str = "You play a user who talks to an AI assistant. What reaches you are the assistant's words; what you write are \
                    the user's.\n\
                    - Write one message, of at most 60 words, in the language of your first message, as people write.\n\
                    - Never answer your own question, never speak as the assistant, never thank and nothing more.\n\
                    - Do not repeat what you have said, nor the words of your goal.\n\
                    - Tell at most one new fact about yourself in a message.\n\
                    - Where you have nothing more to ask, write ###STOP### alone.";

/// Returns the user's instructions.
fn part(state: &SimulatedDialogue) -> String {
    let mut lines = vec![PART.to_owned()];
    if let Some(goal) = &state.goal {
        lines.push(format!("\nYour goal: {}", goal.intent));
        if !goal.facts.is_empty() {
            lines.push(format!("What you know: {}", goal.facts.join("; ")));
        }
        if !goal.style.is_empty() {
            lines.push(format!("How you write: {}", goal.style));
        }
    }
    lines.extend(state.persona.as_ref().map(|persona| format!("\nWho you are: {persona}")));
    lines.join("\n")
}

/// Returns the text before the user's stop mark, and whether there is one: ###STOP###, or an unambiguous line.
pub(super) fn without_stop(text: &str) -> (&str, bool) {
    if let Some((before, _)) = text.split_once(STOP) {
        return (before.trim(), true);
    }
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap_or(("", text));
    let bare = last.trim().trim_matches(|letter: char| !letter.is_alphanumeric());
    let is_marked = last.contains('#') && (bare.eq_ignore_ascii_case("stop") || bare.eq_ignore_ascii_case("end"));
    if is_marked || bare == "STOP" { (before.trim(), true) } else { (text, false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_ends_by_a_mark_however_it_is_written() {
        for text in ["###STOP###", "STOP", "### STOP ###", "**STOP**", "###stop###", "###STOP", "###END###"] {
            assert_eq!(without_stop(text), ("", true), "{text}");
        }
        assert_eq!(without_stop("Make it shorter. ###STOP###"), ("Make it shorter.", true));
        assert_eq!(without_stop("Thanks!\n###STOP###"), ("Thanks!", true));
        for text in ["Where does it stop?", "# The end", "stop", "How do I make it stop"] {
            assert_eq!(without_stop(text), (text, false));
        }
    }

    #[test]
    fn the_users_model_hears_the_conversation_with_the_roles_swapped() {
        let goal = super::super::Goal {
            intent: "bake bread".to_owned(),
            facts: vec!["it is late".to_owned(), "there is flour".to_owned()],
            constraints: vec!["no oven".to_owned()],
            style: "short".to_owned(),
        };
        let mut state =
            SimulatedDialogue { goal: Some(goal), persona: Some("a cook".to_owned()), ..Default::default() };
        let mut part = Part::of(&state);
        let request = part.request(Move::FollowUp, 0, None, &state);
        assert_eq!(request.len(), 2);
        let instructions = request[0].content();
        let told = "\nYour goal: bake bread\nWhat you know: it is late; there is flour\nHow you write: short\n\nWho you are: a cook";
        assert!(instructions.starts_with(PART) && instructions.ends_with(told), "{instructions}");
        let last = request[1].content();
        assert!(last.starts_with(OPENING) && last.contains(Move::FollowUp.words()), "{last}");
        assert!(last.contains("You may let it be known now, in your own words: no oven."), "{last}");
        let say = |state: &mut SimulatedDialogue, role, text: &str| {
            state.dialogue.spoken.push(crate::conversation::Spoken::of_source(Message::new(role, text)));
        };
        for (role, text) in [
            (Role::System, "hidden"),
            (Role::Assistant, "greeting"),
            (Role::User, "one"),
            (Role::User, "two"),
            (Role::Assistant, " "),
            (Role::Assistant, "three"),
        ] {
            say(&mut state, role, text);
        }
        let request = part.request(Move::Refine, 1, Some("repeat"), &state);
        let heard: Vec<(Role, &str)> = request[1..].iter().map(|message| (message.role(), message.content())).collect();
        assert_eq!(heard[..2], [(Role::User, "greeting"), (Role::Assistant, "one\n\ntwo")]);
        let (role, last) = heard[2];
        assert!(role == Role::User && last.starts_with("three\n\n(Stage direction") && heard.len() == 3, "{heard:?}");
        assert!(last.contains(" What you wrote first cannot stand: it has been said before."), "{last}");
        assert!(!last.contains("known now"), "every constraint is told once");
        assert_eq!(part.request(Move::Refine, 1, Some("repeat"), &state), request, "asked again, it is the same");
        let bare = SimulatedDialogue::default();
        assert_eq!(Part::of(&bare).request(Move::Stop, 0, None, &bare)[0].content(), PART);
    }
}
