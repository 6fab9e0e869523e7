use std::sync::Arc;

use super::line_tokens::LineTokens;
use super::message::{Columns, Message, Role};
use super::reasoning::split_reasoning;
use super::tools::ToolSet;
use super::turn::TurnIndex;

/// A dialogue as a row of training data holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The row's name.
    pub id: String,
    /// The messages, in order.
    pub lines: Vec<Line>,
    /// The tools that the assistant may call.
    pub tools: Option<ToolSet>,
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

    /// Returns the record up to the last answer before its first empty one; `None` where no empty answer would be trained
    /// on. An empty answer is no target of training, in any format. Without an earlier answer the messages before it stay.
    pub fn cut_before_empty_answer(&self) -> Option<Self> {
        let is_empty = |line: &Line| line.is_trained && !line.message.is_tool_use() && says_nothing(line.text());
        let end = self.lines.iter().position(is_empty)?;
        let last_answer = self.lines[..end].iter().rposition(|line| line.is_trained);
        let lines = self.lines[..last_answer.map_or(end, |at| at + 1)].to_vec();
        Some(Self { lines, rejected: None, label: None, ..self.clone() })
    }

    /// True where there is an answer to train on.
    pub fn has_answer(&self) -> bool {
        self.lines.iter().any(|line| line.is_trained)
    }

    /// True where an answer is masked in training. A greeting before the first user message does not count as an answer.
    pub fn has_masked_answer(&self) -> bool {
        let answers = self.lines.iter().skip_while(|line| line.role() != Role::User);
        answers.filter(|line| line.role() == Role::Assistant).any(|line| !line.is_trained)
    }
}

/// Tokens that end an answer. One that consists of them alone is empty.
const END_TOKENS: [&str; 6] = ["</s>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<end_of_turn>"];

/// True for an answer without words: white space, invisible characters, tokens that end it, or reasoning alone.
pub fn says_nothing(answer: &str) -> bool {
    let is_blank =
        |letter: char| letter.is_whitespace() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let mut rest = answer.trim_matches(is_blank);
    while let Some(before) = END_TOKENS.iter().find_map(|token| rest.strip_suffix(token)) {
        rest = before.trim_matches(is_blank);
    }
    // Reasoning alone begins with a tag, or ends with one.
    let may_be_reasoning = rest.starts_with(['<', '[', '◁']) || rest.ends_with(['>', ']', '▷']);
    rest.is_empty()
        || may_be_reasoning && split_reasoning(rest).is_some_and(|split| split.text.trim_matches(is_blank).is_empty())
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
    /// Its tokens and those of its prompt, where they are known and the format wants them.
    pub tokens: Option<Arc<LineTokens>>,
}

impl Line {
    /// A line that is context.
    pub fn context(message: Arc<Message>) -> Self {
        Self { message, reasoning: None, is_trained: false, tokens: None }
    }

    /// Returns the tokens.
    pub fn tokens(&self) -> Option<&LineTokens> {
        self.tokens.as_deref()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(role: Role, text: &str, is_trained: bool) -> Line {
        Line { is_trained, ..Line::context(Message::new(role, text)) }
    }

    fn record(lines: &[(Role, &str, bool)]) -> Record {
        let lines = lines.iter().map(|(role, text, is_trained)| line(*role, text, *is_trained)).collect();
        Record { id: "r".to_owned(), lines, label: Some(true), ..Record::default() }
    }

    const ASKS: (Role, &str, bool) = (Role::User, "q", false);
    const SAYS: (Role, &str, bool) = (Role::Assistant, "a", true);
    const EMPTY: (Role, &str, bool) = (Role::Assistant, " </s> ", true);

    #[test]
    fn a_record_is_cut_after_the_last_answer_before_an_empty_one() {
        let cut = |lines: &[(Role, &str, bool)]| {
            let cut = record(lines).cut_before_empty_answer()?;
            assert_eq!((cut.id.as_str(), &cut.rejected, cut.label), ("r", &None, None));
            Some(cut.lines.len())
        };
        assert_eq!(cut(&[ASKS, SAYS, ASKS, SAYS]), None);
        assert_eq!(cut(&[ASKS, SAYS, ASKS, EMPTY, ASKS, SAYS]), Some(2));
        assert_eq!(cut(&[ASKS, SAYS, ASKS, SAYS, ASKS, EMPTY]), Some(4));
        assert_eq!(cut(&[ASKS, EMPTY]), Some(1), "the messages before it stay");
        assert_eq!(cut(&[EMPTY]), Some(0));
        assert_eq!(cut(&[ASKS, (Role::Assistant, "", false), ASKS, SAYS]), None, "nothing is trained on");
    }

    #[test]
    fn answers_are_found_by_who_is_trained() {
        let masked = (Role::Assistant, "a", false);
        assert!(!record(&[masked, ASKS, SAYS]).has_masked_answer(), "a greeting is no answer");
        assert!(record(&[ASKS, masked, ASKS, SAYS]).has_masked_answer());
        assert!(record(&[ASKS, SAYS]).has_answer() && !record(&[ASKS, masked]).has_answer());
        assert!(!record(&[ASKS, SAYS]).uses_tools());
        let context = Line::context(Message::new(Role::User, "words"));
        assert_eq!((context.role(), context.text(), context.is_trained), (Role::User, "words", false));
    }

    #[test]
    fn an_answer_of_nothing_but_marks_says_nothing() {
        for empty in [
            "",
            " \n",
            "\u{200b}\u{feff}",
            "</s>",
            " <|im_end|> </s>\u{2060}",
            "<think>so</think>",
            "<think>so</think></s>",
        ] {
            assert!(says_nothing(empty), "{empty:?}");
        }
        for words in ["x", "x</s>", "<think>so</think>x", "<b>", "</s> x", "[1]"] {
            assert!(!says_nothing(words), "{words:?}");
        }
    }

    #[test]
    fn an_empty_call_to_tools_is_no_empty_answer_and_no_alternative_is_kept() {
        let fields = serde_json::json!({"tool_calls": [{"id": "1"}]});
        let calls = Message::with_fields(Role::Assistant, "", fields.as_object().cloned().unwrap());
        let mut with_tools = record(&[ASKS, SAYS]);
        with_tools.lines.push(Line { is_trained: true, ..Line::context(calls) });
        assert!(with_tools.uses_tools());
        assert_eq!(with_tools.cut_before_empty_answer(), None);
        with_tools.lines.push(line(Role::Assistant, "", true));
        with_tools.rejected = Some(line(Role::Assistant, "worse", false));
        let cut = with_tools.cut_before_empty_answer().unwrap();
        assert_eq!((cut.lines.len(), cut.rejected, cut.label), (3, None, None));
        assert!(cut.lines[2].message.is_tool_use());
    }

    #[test]
    fn reasoning_at_either_end_alone_says_nothing() {
        for empty in ["so</think>", "[THINK]so[/THINK]", "◁think▷so◁/think▷", "so◁/think▷", "so[/THINK]", "<think>so"]
        {
            assert!(says_nothing(empty), "{empty:?}");
        }
        for words in ["so</think> x", "so◁/think▷x", "◁think▷so◁/think▷x", "x [1]"] {
            assert!(!says_nothing(words), "{words:?}");
        }
    }
}
