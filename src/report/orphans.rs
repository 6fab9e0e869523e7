use std::collections::BTreeMap;

use serde::Serialize;

use super::words::{counted, number};
use crate::conversation::{ConversationStop, Dialogue, Spoken, TurnIndex};

/// Users' messages that refer to a replaced answer, by language.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OrphanCounts(BTreeMap<&'static str, OrphanCount>);

/// Those of one language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrphanCount {
    /// Messages after a new answer.
    pub messages: u64,
    /// Those that refer to a replaced answer; cut and rewritten ones included.
    pub strong: u64,
    /// Those that may do so.
    pub weak: u64,
}

impl OrphanCounts {
    /// Counts a finished conversation. `cut_before` is the turn before which it was cut as an orphan; `language` returns that of a
    /// turn's message, empty where it is not known.
    pub fn add(
        &mut self,
        dialogue: &Dialogue,
        cut_before: Option<TurnIndex>,
        language: impl Fn(TurnIndex) -> &'static str,
    ) {
        let answered = dialogue.spoken.iter().filter(|spoken| spoken.answer.is_some());
        for (turn, spoken) in (0..).map(TurnIndex::from_index).zip(answered).skip(1) {
            let count = self.0.entry(language(turn)).or_default();
            count.messages += 1;
            let has = |flag: &&'static str| spoken.flags.contains(flag);
            let strong = [ConversationStop::ORPHAN_REFERENCE, Spoken::USER_REWRITTEN];
            count.strong += u64::from(strong.iter().any(has));
            count.weak += u64::from(has(&ConversationStop::ORPHAN_REFERENCE_WEAK));
        }
        if let Some(turn) = cut_before {
            let count = self.0.entry(language(turn)).or_default();
            count.messages += 1;
            count.strong += 1;
        }
    }

    /// True where no message was looked at.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the languages with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, OrphanCount)> {
        self.0.iter().map(|(language, count)| (if language.is_empty() { "unknown" } else { *language }, *count))
    }

    /// Returns a line for each language in which there are some.
    pub fn lines(&self) -> Vec<String> {
        let found = self.iter().filter(|(_, count)| count.strong + count.weak > 0);
        let line = |(language, OrphanCount { messages, strong, weak }): (&str, OrphanCount)| {
            let messages = counted(messages, "message");
            format!(
                "orphans in {language}: {} strong, {} weak, of {messages} after a new answer",
                number(strong),
                number(weak)
            )
        };
        found.map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conversation::Answer;

    #[test]
    fn levels_are_counted_by_the_language_of_the_message() {
        let answered = |flags: &[&'static str]| {
            let answer = Arc::new(Answer::complete("m", "so"));
            Spoken { message: Arc::clone(&answer.message), answer: Some(answer), flags: flags.to_vec(), score: None }
        };
        let [strong, weak] = [ConversationStop::ORPHAN_REFERENCE, ConversationStop::ORPHAN_REFERENCE_WEAK];
        let spoken =
            vec![answered(&[]), answered(&[strong, "echo"]), answered(&[weak]), answered(&[Spoken::USER_REWRITTEN])];
        let dialogue = Dialogue { spoken, ..Dialogue::default() };
        let mut counts = OrphanCounts::default();
        counts.add(&dialogue, Some(TurnIndex::from_index(4)), |turn| if turn.index() == 2 { "" } else { "deu" });
        counts.add(&Dialogue::default(), None, |_| "eng");
        assert_eq!(
            counts.lines(),
            [
                "orphans in unknown: 0 strong, 1 weak, of 1 message after a new answer",
                "orphans in deu: 3 strong, 0 weak, of 3 messages after a new answer"
            ]
        );
        assert!(!counts.is_empty());
    }
}
