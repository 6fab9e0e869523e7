use serde_json::{Map, Value, json};

use super::Format;
use crate::conversation::{Answer, Dialogue, Seed};

/// `{"id", "messages": [{"role", "content"}], "meta"}`: what TRL, axolotl, torchtune and the others take.
///
/// Beside `messages` there is never a `prompt`, `completion`, `text`, `chosen` or `rejected`: trainers choose by
/// column names. `meta` carries the source row's other columns and under `turns` what is known of each answer. A
/// source column that is itself called `turns` goes under `source_turns`.
pub struct OpenAi;

impl Format for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn write(&self, seed: &Seed, dialogue: &Dialogue, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        push(out, &seed.id);
        out.extend_from_slice(b",\"messages\":[");
        for (index, spoken) in dialogue.spoken.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"role\":\"" } else { b",{\"role\":\"" });
            out.extend_from_slice(spoken.message.role().name().as_bytes());
            out.extend_from_slice(b"\",\"content\":");
            out.extend_from_slice(spoken.message.content_json().as_bytes());
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"meta\":");
        push(out, &meta(seed, dialogue));
        out.extend_from_slice(b"}\n");
    }
}

fn meta(seed: &Seed, dialogue: &Dialogue) -> Value {
    let mut meta: Map<String, Value> = seed.columns.clone();
    if let Some(turns) = meta.shift_remove("turns") {
        meta.insert("source_turns".to_owned(), turns);
    }
    let turns = dialogue.spoken.iter().filter_map(|spoken| spoken.answer.as_deref()).map(turn);
    meta.insert("turns".to_owned(), turns.collect());
    Value::Object(meta)
}

fn turn(answer: &Answer) -> Value {
    json!({
        "finish_reason": answer.finish.name(),
        "model": answer.model,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "attempts": answer.attempts,
    })
}

fn push(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(out, value).expect("JSON values can always be written to memory");
}
