use std::borrow::Cow;
use std::ops::Range;

use super::Unfit;
use crate::conversation::{Line, LineTokens, Record, TopLogprobs};

/// One sequence of token ids, with the places of the tokens to train on.
pub struct TokenRow<'a> {
    /// The record's id, with `#TURN` for a row of one answer.
    pub id: Cow<'a, str>,
    /// The turn of the only answer that is trained on, from 1; 0 for all answers of the conversation.
    pub turn: u32,
    /// The ids: the last answer's prompt and completion.
    pub input_ids: Vec<u32>,
    /// Where the answers to train on are, in order.
    pub spans: Vec<Range<usize>>,
    /// The logprobs of these answers, if every one has them.
    pub logprobs: Option<Vec<&'a TopLogprobs>>,
    /// The messages.
    pub lines: &'a [Line],
}

/// Returns a record as token ids: one row where each answer's prompt begins with all ids of the answer before, else one
/// row for each answer.
pub fn token_rows(record: &Record) -> Result<Vec<TokenRow<'_>>, Unfit> {
    let answers = answers(record)?;
    if answers.is_empty() {
        return Err(Unfit::NoAnswer);
    }
    let is_stable = answers.windows(2).all(|pair| pair[1].1.continues(pair[0].1));
    if is_stable {
        return Ok(vec![row_of(Cow::Borrowed(&record.id), 0, &answers, record)]);
    }
    let rows = (1..).zip(&answers).map(|(turn, answer)| {
        let id = Cow::Owned(format!("{}#{turn}", record.id));
        row_of(id, turn, std::slice::from_ref(answer), record)
    });
    Ok(rows.collect())
}

/// Returns each answer to train on with its place among the messages. Fails if one of them has no ids.
fn answers(record: &Record) -> Result<Vec<(usize, &LineTokens)>, Unfit> {
    let answers = record.lines.iter().enumerate().filter(|(_, line)| line.is_trained);
    // Tables hold ids as signed numbers of 32 bits; no vocabulary is near that.
    let is_id = |id: &u32| i32::try_from(*id).is_ok();
    let is_usable = |tokens: &&LineTokens| {
        !tokens.completion.is_empty() && tokens.prompt.iter().chain(&tokens.completion).all(is_id)
    };
    let tokens = |(at, line)| Some((at, Line::tokens(line).filter(is_usable)?));
    answers.map(tokens).collect::<Option<_>>().ok_or(Unfit::NoTokens)
}

fn row_of<'a>(id: Cow<'a, str>, turn: u32, answers: &[(usize, &'a LineTokens)], record: &'a Record) -> TokenRow<'a> {
    let (last, tokens) = answers[answers.len() - 1];
    let span = |tokens: &LineTokens| tokens.prompt.len()..tokens.prompt.len() + tokens.completion.len();
    TokenRow {
        id,
        turn,
        input_ids: tokens.sequence(),
        spans: answers.iter().map(|(_, tokens)| span(tokens)).collect(),
        logprobs: answers.iter().map(|(_, tokens)| tokens.complete_logprobs()).collect(),
        lines: &record.lines[..=last],
    }
}

impl TokenRow<'_> {
    /// Returns 1 for each token to train on, 0 for the others.
    pub fn loss_mask(&self) -> Vec<u8> {
        let mut mask = vec![0; self.input_ids.len()];
        self.spans.iter().for_each(|span| mask[span.clone()].fill(1));
        mask
    }

    /// Returns the id of each token to train on, −100 for the others, which losses of `PyTorch` ignore.
    pub fn labels(&self) -> Vec<i64> {
        let mut labels = vec![-100; self.input_ids.len()];
        for at in self.spans.iter().cloned().flatten() {
            labels[at] = self.input_ids[at].into();
        }
        labels
    }

    /// Returns the conversation for people to read: who says what. A trained answer has its reasoning, which its ids hold
    /// as well; in a row of one answer that is the last one.
    pub fn text(&self) -> String {
        let last = self.lines.len().saturating_sub(1);
        let said = |(at, line): (usize, &Line)| {
            let mut parts = vec![line.role().name().to_owned(), ": ".to_owned()];
            let is_trained = line.is_trained && (self.turn == 0 || at == last);
            if let Some(reasoning) = line.reasoning.as_ref().filter(|_| is_trained) {
                parts.push(format!("<think>\n{reasoning}\n</think>\n\n"));
            }
            parts.push(line.text().to_owned());
            if let Some(fields) = line.message.fields().filter(|_| line.message.is_tool_use()) {
                parts.push(serde_json::Value::from(fields.clone()).to_string());
            }
            parts.concat()
        };
        self.lines.iter().enumerate().map(said).collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Message, Role};
    use crate::export::FORMATS;

    fn line(role: Role, tokens: Option<LineTokens>) -> Line {
        let (is_trained, tokens) = (tokens.is_some(), tokens.map(Arc::new));
        Line { is_trained, tokens, ..Line::context(Message::new(role, "text")) }
    }

    fn record(answers: Vec<LineTokens>) -> Record {
        let turn = |tokens| [line(Role::User, None), line(Role::Assistant, Some(tokens))];
        Record { id: "r".to_owned(), lines: answers.into_iter().flat_map(turn).collect(), ..Record::default() }
    }

    fn tokens(prompt: &[u32], completion: &[u32]) -> LineTokens {
        LineTokens { prompt: prompt.to_vec(), completion: completion.to_vec(), logprobs: None }
    }

    /// A dialogue: what the user adds to the prompt, and what is sampled, turn by turn. Where `forgets` is set, later
    /// prompts lack the first token of each answer.
    fn answers(turns: &[(Vec<u32>, Vec<u32>)], forgets: bool) -> Vec<LineTokens> {
        let mut history = Vec::new();
        let answers = turns.iter().map(|(said, sampled)| {
            history.extend_from_slice(said);
            let answer = tokens(&history, sampled);
            history.extend_from_slice(&sampled[usize::from(forgets)..]);
            answer
        });
        answers.collect()
    }

    fn written(record: &Record) -> Vec<Vec<Value>> {
        let formats = FORMATS.iter().filter(|format| format.wants_tokens());
        let rows = formats.map(|format| {
            let mut out = Vec::new();
            format.write(record, &mut out).unwrap();
            out.split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect()
        });
        rows.collect()
    }

    proptest! {
        #[test]
        fn the_mask_holds_as_many_tokens_as_were_sampled(
            turns in prop::collection::vec(
                // Different numbers, so that a forgotten token is missed.
                (prop::collection::vec(0..50u32, 1..20), prop::collection::vec(50..100u32, 1..20)), 1..6),
            forgets: bool,
        ) {
            let record = record(answers(&turns, forgets));
            let sampled: Vec<usize> = turns.iter().map(|(_, sampled)| sampled.len()).collect();
            let is_stable = !forgets || turns.len() == 1;
            for rows in written(&record) {
                prop_assert_eq!(rows.len(), if is_stable { 1 } else { turns.len() });
                for (at, row) in rows.iter().enumerate() {
                    let numbers = |name: &str| -> Vec<i64> {
                        row[name].as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
                    };
                    let (ids, mask) = (numbers("input_ids"), numbers("loss_mask"));
                    prop_assert_eq!(ids.len(), mask.len());
                    let count = mask.iter().sum::<i64>() as usize;
                    let (expected, id) = if is_stable {
                        (turns.iter().flat_map(|(_, sampled)| sampled.clone()).collect::<Vec<_>>(), "r".to_owned())
                    } else {
                        (turns[at].1.clone(), format!("r#{}", at + 1))
                    };
                    let learned: Vec<u32> =
                        ids.iter().zip(&mask).filter(|(_, mask)| **mask == 1).map(|(id, _)| *id as u32).collect();
                    prop_assert_eq!(count, if is_stable { sampled.iter().sum() } else { sampled[at] });
                    prop_assert_eq!(learned, expected);
                    prop_assert_eq!(&row["id"], &json!(id));
                }
            }
        }
    }

    #[test]
    fn a_record_without_all_ids_is_left_out() {
        let unfit = |record: &Record| token_rows(record).err();
        let good = || tokens(&[1], &[2]);
        assert_eq!(unfit(&record(vec![])), Some(Unfit::NoAnswer));
        assert_eq!(unfit(&record(vec![good(), tokens(&[1, 2, 3], &[])])), Some(Unfit::NoTokens), "nothing was sampled");
        assert_eq!(unfit(&record(vec![tokens(&[u32::MAX], &[2])])), Some(Unfit::NoTokens), "no id is that large");
        let mut later = record(vec![good(), good()]);
        later.lines[3].tokens = None;
        assert_eq!(unfit(&later), Some(Unfit::NoTokens));
        // A greeting is context; its ids are in the prompt.
        let mut greeted = record(vec![good()]);
        greeted.lines.insert(0, line(Role::Assistant, None));
        assert_eq!(token_rows(&greeted).unwrap().len(), 1);
    }

    #[test]
    fn the_text_shows_the_reasoning_that_is_learned() {
        let mut two = record(vec![tokens(&[1], &[2]), tokens(&[1, 2, 3], &[4])]);
        for at in [1, 3] {
            two.lines[at].reasoning = Some("so".to_owned());
        }
        let texts = |record: &Record| token_rows(record).unwrap().iter().map(TokenRow::text).collect::<Vec<_>>();
        let (plain, thinking) =
            ("user: text\n\nassistant: text", "user: text\n\nassistant: <think>\nso\n</think>\n\ntext");
        assert_eq!(texts(&two), [format!("{thinking}\n\n{thinking}")]);
        two.lines[3].tokens = Some(Arc::new(tokens(&[1, 3], &[4])));
        assert_eq!(texts(&two), [thinking.to_owned(), format!("{plain}\n\n{thinking}")]);
    }
}
