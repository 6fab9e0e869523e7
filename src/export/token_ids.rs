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
        let kept = usize::from(smallest);
        let mut all = Self { count: smallest, ids: Vec::new(), steps: Vec::new(), sampled: Vec::new() };
        for top in answers {
            let count = usize::from(top.count).max(1);
            for (ids, steps) in top.ids.chunks(count).zip(top.steps.chunks(count)) {
                all.ids.extend(ids[..kept].iter().map(|id| shown_id(*id)));
                all.steps.extend_from_slice(&steps[..kept]);
            }
            all.sampled.extend_from_slice(&top.sampled);
        }
        Some(all)
    }
}

/// Returns an id as tables hold it: −1 where there is no further token.
fn shown_id(id: u32) -> i64 {
    if id == TopLogprobs::NO_TOKEN { -1 } else { i32::try_from(id).map_or(-1, i64::from) }
}
