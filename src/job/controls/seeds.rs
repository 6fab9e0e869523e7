use crate::conversation::{Columns, KnownAnswer, Message, Role, Seed, Turn};
use crate::worker::Seeds;

/// Conversations of one turn that controls ask about.
pub struct ControlSeeds(pub Vec<Seed>);

impl ControlSeeds {
    /// Returns all of them.
    pub fn all(&self) -> &[Seed] {
        &self.0
    }
}

impl Seeds for ControlSeeds {
    fn seed(&self, row: u64) -> Result<Seed, String> {
        let seed = usize::try_from(row).ok().and_then(|row| self.0.get(row));
        seed.cloned().ok_or_else(|| "there is no such control".to_owned())
    }
}

/// Returns a conversation about a known answer: with an answer of its own, or with two that are compared.
pub fn seed(kind: &str, known: &KnownAnswer, replaced: Option<&str>, given: &[&str]) -> Seed {
    let answer = |text: &&str| Some(Message::new(Role::Assistant, *text));
    Seed {
        id: format!("control-{kind}"),
        turns: vec![Turn {
            messages: vec![Message::new(Role::User, known.question.clone())],
            replaced: replaced.map(str::to_owned),
            given: given.iter().map(answer).collect(),
            follows: Vec::new(),
            ends_in_calls: false,
        }],
        tools: None,
        columns: Columns::new(),
        counts_replaced: replaced.is_some(),
        criteria: Vec::new(),
    }
}
