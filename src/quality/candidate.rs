use std::borrow::Cow;
use std::cell::OnceCell;

use super::text::{Words, outside_fences};
use crate::conversation::Finish;

/// An answer with its context, as the rules see it. Derived texts that several rules need are computed once.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The answer.
    pub answer: &'a str,
    /// The user's message that it answers.
    pub user: &'a str,
    /// The system message, if any.
    pub system: Option<&'a str>,
    /// The earlier answers, oldest first.
    pub earlier: Vec<&'a str>,
    /// How generation ended; `None` where a finished row does not say.
    pub finish: Option<Finish>,
    /// Its length in tokens and the limit, where known.
    pub tokens: Option<(u64, u64)>,
    prose: OnceCell<Cow<'a, str>>,
    words: OnceCell<Words>,
    prose_words: OnceCell<Words>,
}

impl<'a> Candidate<'a> {
    /// Creates an answer to a user message without further context.
    pub fn new(user: &'a str, answer: &'a str) -> Self {
        Self {
            answer,
            user,
            system: None,
            earlier: Vec::new(),
            finish: None,
            tokens: None,
            prose: OnceCell::new(),
            words: OnceCell::new(),
            prose_words: OnceCell::new(),
        }
    }

    /// Returns the answer without its fenced code.
    pub fn prose(&self) -> &str {
        self.prose.get_or_init(|| outside_fences(self.answer))
    }

    /// Returns the words of the answer without its fenced code.
    pub fn prose_words(&self) -> &Words {
        if self.prose().len() == self.answer.len() {
            return self.words();
        }
        self.prose_words.get_or_init(|| Words::of(self.prose()))
    }

    /// Returns the answer's words.
    pub fn words(&self) -> &Words {
        self.words.get_or_init(|| Words::of(self.answer))
    }
}
