use serde_json::json;

use super::column::{ColumnKind, Numbers, id_column};
use super::token_rows::token_rows;
use super::{Column, OutputFormat, Unfit, append_row};
use crate::conversation::Record;

/// `{"id", "turn", "input_ids", "loss_mask"}`, which `specforge.data.prompt_builder.prepare_prompt_tasks` (`SpecForge` 0.2)
/// takes as prompts that are tokens already.
pub struct SpecForge;

impl OutputFormat for SpecForge {
    fn name(&self) -> &'static str {
        "specforge"
    }

    fn wants_tokens(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                id_column(),
                Column { name: "turn", kind: ColumnKind::Number },
                Column { name: "input_ids", kind: ColumnKind::Numbers(Numbers::Ids) },
                Column { name: "loss_mask", kind: ColumnKind::Numbers(Numbers::Mask) },
            ]
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), Unfit> {
        for row in token_rows(record)? {
            let mask = row.loss_mask();
            append_row(out, &json!({"id": row.id, "turn": row.turn, "input_ids": row.input_ids, "loss_mask": mask}));
        }
        Ok(())
    }
}
