use serde::Serialize;

use super::column::{ColumnKind, Numbers, id_column, meta_column};
use super::token_rows::{TokenRow, token_rows};
use super::{Column, OutputFormat, Unfit, append_row};
use crate::conversation::{Columns, Record, TopLogprobs};

/// `{"id", "row", "turn", "input_ids", "labels", "loss_mask", "text", "meta"}`: the ids that the server counted, which TRL
/// and trainers on `datasets` take as they are. With logprobs, what distillation of logits needs is beside them.
pub struct TokenIds;

impl OutputFormat for TokenIds {
    fn name(&self) -> &'static str {
        "token-ids"
    }

    fn wants_tokens(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const fn numbers(name: &'static str, kind: Numbers) -> Column {
            Column { name, kind: ColumnKind::Numbers(kind) }
        }
        const {
            &[
                id_column(),
                Column { name: "row", kind: ColumnKind::Text },
                Column { name: "turn", kind: ColumnKind::Number },
                numbers("input_ids", Numbers::Ids),
                numbers("labels", Numbers::Labels),
                numbers("loss_mask", Numbers::Mask),
                Column { name: "logprob_count", kind: ColumnKind::Number },
                numbers("logprob_ids", Numbers::TopIds),
                numbers("logprobs", Numbers::TopSteps),
                numbers("sampled_logprobs", Numbers::SampledSteps),
                Column { name: "text", kind: ColumnKind::Text },
                meta_column(),
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        for row in &token_rows(record)? {
            let line = Row {
                id: &row.id,
                conversation: &record.id,
                turn: row.turn,
                input_ids: &row.input_ids,
                labels: row.labels(),
                loss_mask: row.loss_mask(),
                top: Top::of(row),
                text: row.text(),
                meta: &record.meta,
            };
            append_row(out, &line);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(rename = "row")]
    conversation: &'a str,
    turn: u32,
    input_ids: &'a [u32],
    labels: Vec<i64>,
    loss_mask: Vec<u8>,
    #[serde(flatten)]
    top: Option<Top>,
    text: String,
    meta: &'a Columns,
}

/// The logprobs of all places of the mask, in order. Answers with more tokens at each place than another one lose the least
/// probable.
#[derive(Serialize)]
struct Top {
    #[serde(rename = "logprob_count")]
    count: u8,
    #[serde(rename = "logprob_ids")]
    ids: Vec<i64>,
    #[serde(rename = "logprobs")]
    steps: Vec<u16>,
    #[serde(rename = "sampled_logprobs")]
    sampled: Vec<u16>,
}

impl Top {
    fn of(row: &TokenRow<'_>) -> Option<Self> {
        let answers = row.logprobs.as_ref()?;
        let smallest = answers.iter().map(|top| top.count).min()?;
        let mut all = Self { count: smallest, ids: Vec::new(), steps: Vec::new(), sampled: Vec::new() };
        for top in answers {
            let (ids, steps) = top.most_probable(smallest);
            all.ids.extend(ids.map(shown_id));
            all.steps.extend(steps);
            all.sampled.extend_from_slice(&top.sampled);
        }
        Some(all)
    }
}

/// Returns an id as tables hold it: −1 where there is no further token.
fn shown_id(id: u32) -> i64 {
    if id == TopLogprobs::NO_TOKEN { -1 } else { i32::try_from(id).map_or(-1, i64::from) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::{Line, LineTokens, Message, Role};

    fn answer(prompt: &[u32], completion: &[u32], logprobs: Option<TopLogprobs>) -> Line {
        let tokens = LineTokens { prompt: prompt.to_vec(), completion: completion.to_vec(), logprobs };
        let said = Line::context(Message::new(Role::Assistant, "text"));
        Line { is_trained: true, tokens: Some(Arc::new(tokens)), ..said }
    }

    fn top(count: u8, sampled: &[u16], ids: &[u32]) -> TopLogprobs {
        TopLogprobs { count, sampled: sampled.to_vec(), ids: ids.to_vec(), steps: (0..ids.len() as u16).collect() }
    }

    fn row(lines: Vec<Line>) -> Value {
        let mut out = Vec::new();
        TokenIds.write(&Record { lines, ..Record::default() }, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn answers_with_more_logprobs_lose_the_least_probable() {
        let first =
            answer(&[1], &[2, 3], Some(top(3, &[9, 8], &[10, 11, 12, 13, TopLogprobs::NO_TOKEN, u32::MAX - 1])));
        let second = answer(&[1, 2, 3, 4], &[5], Some(top(2, &[7], &[20, 21])));
        let row = row(vec![first, second]);
        assert_eq!((&row["loss_mask"], &row["labels"]), (&json!([0, 1, 1, 0, 1]), &json!([-100, 2, 3, -100, 5])));
        assert_eq!((&row["logprob_count"], &row["sampled_logprobs"]), (&json!(2), &json!([9, 8, 7])));
        assert_eq!(
            (&row["logprob_ids"], &row["logprobs"]),
            (&json!([10, 11, 13, -1, 20, 21]), &json!([0, 1, 3, 4, 0, 1]))
        );
    }

    #[test]
    fn a_row_has_logprobs_of_every_answer_or_none() {
        let of = |second: Option<TopLogprobs>| {
            row(vec![answer(&[1], &[2], Some(top(1, &[9], &[10]))), answer(&[1, 2], &[3], second)])
        };
        assert_eq!(of(Some(top(1, &[9], &[10])))["logprob_count"], 1);
        for second in [None, Some(top(1, &[], &[])), Some(top(1, &[9, 9], &[10, 11]))] {
            let row = of(second);
            assert!(["logprob_count", "logprob_ids", "logprobs"].iter().all(|name| row.get(name).is_none()), "{row}");
        }
        assert_eq!(of(Some(top(0, &[9], &[])))["sampled_logprobs"], json!([9, 9]));
    }
}
