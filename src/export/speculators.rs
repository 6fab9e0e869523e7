use serde_json::json;

use super::column::{ColumnKind, Numbers, id_column};
use super::token_rows::token_rows;
use super::{Column, OutputFormat, Unfit, append_row};
use crate::conversation::Record;

/// `{"id", "primary_id", "input_ids", "loss_mask", "text", "metadata"}`, which `speculators prepare-data` (0.9) passes
/// through to the training of a draft model. `text` is for people. `metadata` has the same fields in every row, because
/// its reader wants columns of one type.
pub struct Speculators;

impl OutputFormat for Speculators {
    fn name(&self) -> &'static str {
        "speculators"
    }

    fn wants_tokens(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                Column { name: "primary_id", kind: ColumnKind::Text },
                Column { name: "input_ids", kind: ColumnKind::Numbers(Numbers::Ids) },
                Column { name: "loss_mask", kind: ColumnKind::Numbers(Numbers::Mask) },
                Column { name: "text", kind: ColumnKind::Text },
                Column { name: "metadata", kind: ColumnKind::Json },
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let meta = serde_json::Value::from(record.meta.clone()).to_string();
        for row in token_rows(record)? {
            let line = json!({
                "id": row.id, "primary_id": record.id, "input_ids": row.input_ids, "loss_mask": row.loss_mask(),
                "text": row.text(), "metadata": {"turn": row.turn, "meta": meta},
            });
            append_row(out, &line);
        }
        Ok(())
    }
}
