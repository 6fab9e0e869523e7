use serde_json::Value;

use super::{InputFormat, SourceMessage, assistant_message, user_message};
use crate::conversation::Columns;
use crate::dataset::media::has_media;
use crate::dataset::unread::Unread;

/// `{"question_id", "choices": [{"index", "turns": ["…", "…"]}]}`: a model's answers in files of `FastChat`, beside the user's
/// messages in `turns`. Arena-Hard has `{"content"}` in place of each text. A file of answers alone is no conversation.
pub struct ModelAnswer;

impl InputFormat for ModelAnswer {
    fn name(&self) -> &'static str {
        "model-answer"
    }

    fn matches(&self, row: &Columns) -> bool {
        let choices = row.get("choices").and_then(Value::as_array);
        choices.and_then(|choices| choices.first()).is_some_and(|first| first["turns"].is_array())
    }

    fn take(&self, row: &mut Columns, unread: &mut Unread) -> Result<Vec<SourceMessage>, String> {
        let Some(asked) = row.shift_remove("turns") else {
            return Err(
                "it has the answers of a model in `choices` and no `turns` with the questions; join it with the \
                        file of questions by `question_id`"
                    .to_owned(),
            );
        };
        let Some(Value::Array(mut choices)) = row.shift_remove("choices") else {
            return Err("`choices` is not a list".to_owned());
        };
        if choices.len() > 1 {
            return Err(format!("it has {} `choices`, and a row is one conversation", choices.len()));
        }
        let mut choice = choices.pop().unwrap_or_default();
        let turns = choice.get_mut("turns").map(Value::take).unwrap_or_default();
        let (asked, answers) = (texts(asked, "turns", unread)?, texts(turns, "choices[].turns", unread)?);
        if let Some(fields) = choice.as_object_mut() {
            fields.retain(|name, _| name != "turns" && name != "index");
        }
        unread.add(|| "choices[]".to_owned(), &choice);
        if answers.len() > asked.len() {
            return Err(format!("it has {} answers to {} messages in `turns`", answers.len(), asked.len()));
        }
        let mut answers = answers.into_iter();
        let turn = |text| {
            let asked = SourceMessage { is_turn: true, ..user_message(text) };
            [Some(asked), answers.next().map(assistant_message)].into_iter().flatten()
        };
        Ok(asked.into_iter().flat_map(turn).collect())
    }
}

/// Reads a list of texts, or of objects with one.
fn texts(turns: Value, place: &str, unread: &mut Unread) -> Result<Vec<String>, String> {
    let Value::Array(turns) = turns else { return Err(format!("`{place}` is not a list")) };
    let mut texts = Vec::new();
    for (index, mut turn) in turns.into_iter().enumerate() {
        let text = match &mut turn {
            Value::Object(fields) => match fields.shift_remove("content") {
                Some(Value::Object(mut content)) => content.shift_remove("answer"),
                other => other,
            },
            other => Some(other.take()),
        };
        match text {
            Some(Value::String(text)) => texts.push(text),
            _ => return Err(format!("turn {} of `{place}` has no text", index + 1)),
        }
        if has_media_field(&turn) {
            return Err(format!("turn {} of `{place}` has media", index + 1));
        }
        unread.add(|| format!("{place}[]"), &turn);
    }
    Ok(texts)
}

fn has_media_field(turn: &Value) -> bool {
    turn.as_object().is_some_and(has_media)
}
