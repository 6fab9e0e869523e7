use super::answer::Answer;

/// How a reply was read that must have a form: a verdict, a grade or a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The form of the first reply.
    pub form: ReplyForm,
    /// Whether it could be read.
    pub result: ReadingResult,
}

/// The form of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyForm {
    /// A JSON object and nothing before it, as servers send that follow a schema.
    Json,
    /// Anything else.
    Text,
}

/// Whether a reply could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadingResult {
    /// At once.
    Valid,
    /// Only that to a further question.
    Repaired,
    /// Not at all.
    Invalid,
}

impl Reading {
    /// Returns how the replies were read of which `first` is the first.
    pub fn of(first: &Answer, result: ReadingResult) -> Self {
        let is_json = first.text().trim_start().starts_with('{');
        Self { form: if is_json { ReplyForm::Json } else { ReplyForm::Text }, result }
    }
}
