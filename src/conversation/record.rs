use std::sync::Arc;

use serde_json::Value;

use super::message::{Columns, Message, Role};
use super::turn::TurnIndex;

/// A dialogue as a row of training data holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The row's name.
    pub id: String,
    /// The messages, in order.
    pub lines: Vec<Line>,
    /// Everything else that is known of it.
    pub meta: Columns,
    /// A rejected alternative to the last line.
    pub rejected: Option<Line>,
    /// Whether the last line is good.
    pub label: Option<bool>,
    /// The turn, where it is about one turn of a conversation alone.
    pub turn: Option<TurnIndex>,
}

impl Record {
    /// True where tools are called.
    pub fn uses_tools(&self) -> bool {
        self.lines.iter().any(|line| line.message.is_tool_use())
    }

    /// Returns the row's definitions of the tools that it calls, parsed where they are text.
    pub fn tools(&self) -> Option<Value> {
        let tools = self.meta.get("tools").filter(|_| self.uses_tools())?;
        let parsed = tools.as_str().map(serde_json::from_str);
        Some(parsed.and_then(Result::ok).unwrap_or_else(|| tools.clone())).filter(|tools| !tools.is_null())
    }

    /// True where an answer is masked in training. A greeting before the first user message does not count as an answer.
    pub fn has_masked_answer(&self) -> bool {
        let answers = self.lines.iter().skip_while(|line| line.role() != Role::User);
        answers.filter(|line| line.role() == Role::Assistant).any(|line| !line.is_trained)
    }
}

/// One message of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Who says what.
    pub message: Arc<Message>,
    /// The reasoning before it, where known.
    pub reasoning: Option<String>,
    /// True for an assistant's message to train on.
    pub is_trained: bool,
}

impl Line {
    /// A line that is context.
    pub fn context(message: Arc<Message>) -> Self {
        Self { message, reasoning: None, is_trained: false }
    }

    /// Returns who speaks.
    pub fn role(&self) -> Role {
        self.message.role()
    }

    /// Returns the words.
    pub fn text(&self) -> &str {
        self.message.content()
    }
}
