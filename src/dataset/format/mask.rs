use serde_json::{Map, Value};

/// Whether an answer is trained on, as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// It is trained on.
    Trained,
    /// It is context.
    Untrained,
    /// A part of it is trained on, or it has a weight other than 0 and 1.
    Partial,
}

/// Keys that say whether a message is trained on: axolotl's, ms-swift's, `OpenAI`'s, LLaMA-Factory's.
const KEYS: [&str; 8] =
    ["train", "training", "trainable", "loss", "weight", "loss_weight", "loss_scale", "train_on_turn"];
/// axolotl's list of stretches of an answer.
const DETAIL: [&str; 2] = ["train_detail", "training_detail"];

/// Keys that may mean either.
const UNCLEAR: [&str; 2] = ["masked", "mask"];

fn is_mask_key(key: &str) -> bool {
    // Most keys begin with another letter.
    key.starts_with(['t', 'T', 'l', 'L', 'w', 'W', 'm', 'M'])
        && KEYS.iter().chain(&DETAIL).chain(&UNCLEAR).any(|name| name.eq_ignore_ascii_case(key))
}

impl Mask {
    /// Takes the mask out of the fields of a message or of one of its parts. Keys that disagree are a partial mask.
    pub fn take(fields: &mut Map<String, Value>) -> Option<Self> {
        let mut mask: Option<Self> = None;
        while let Some(key) = fields.keys().find(|key| is_mask_key(key)).cloned() {
            let value = fields.swap_remove(&key).unwrap_or_default();
            let is_in = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(&key));
            let found = match () {
                () if is_in(&KEYS) => Self::of_value(&value),
                () if is_in(&DETAIL) => Self::of_detail(&value),
                // What it means differs from one program to the next.
                () => Self::of_value(&value).map(|_| Self::Partial),
            };
            mask = Self::both(mask, found);
        }
        mask
    }

    /// Reads axolotl's list of stretches. Only one that trains on nothing says what holds for the whole answer.
    fn of_detail(detail: &Value) -> Option<Self> {
        match detail {
            Value::Null => None,
            Value::Array(stretches) if stretches.is_empty() => None,
            Value::Array(stretches) => {
                let is_out = |stretch: &Value| Self::of_value(&stretch["train"]) == Some(Self::Untrained);
                Some(if stretches.iter().all(is_out) { Self::Untrained } else { Self::Partial })
            }
            _ => Some(Self::Partial),
        }
    }

    /// Returns the mask of two that hold for the same answer.
    pub fn both(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) if first != second => Some(Self::Partial),
            (first, second) => first.or(second),
        }
    }

    fn of_value(value: &Value) -> Option<Self> {
        let of_number = |number: f64| match number {
            0.0 => Self::Untrained,
            1.0 => Self::Trained,
            _ => Self::Partial,
        };
        match value {
            Value::Null => None,
            Value::Bool(true) => Some(Self::Trained),
            Value::Bool(false) => Some(Self::Untrained),
            Value::Number(number) => Some(number.as_f64().map_or(Self::Partial, of_number)),
            Value::String(text) => match text.trim().to_lowercase().as_str() {
                "" | "null" | "none" => None,
                "true" | "yes" => Some(Self::Trained),
                "false" | "no" => Some(Self::Untrained),
                other => Some(other.parse().map_or(Self::Partial, of_number)),
            },
            Value::Array(_) | Value::Object(_) => Some(Self::Partial),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mask(fields: Value) -> Option<Mask> {
        let Value::Object(mut fields) = fields else { return None };
        Mask::take(&mut fields)
    }

    #[test]
    fn every_way_to_write_a_mask_is_understood_or_partial() {
        for (fields, expected) in [
            (json!({"weight": "0"}), Some(Mask::Untrained)),
            (json!({"weight": 1.0}), Some(Mask::Trained)),
            (json!({"train": "false"}), Some(Mask::Untrained)),
            (json!({"training": false}), Some(Mask::Untrained)),
            (json!({"loss": null, "weight": null}), None),
            (json!({"loss_weight": 0.5}), Some(Mask::Partial)),
            (json!({"weight": "heavy"}), Some(Mask::Partial)),
            (json!({"train": true, "weight": 0}), Some(Mask::Partial)),
            (json!({"train_detail": [{"train": false}, {"train": true}]}), Some(Mask::Partial)),
            (json!({"train_detail": [{"train": true}]}), Some(Mask::Partial)),
            (json!({"train_detail": "[]"}), Some(Mask::Partial)),
            (json!({"train": true, "train_detail": [{"train": false}]}), Some(Mask::Partial)),
            (json!({"train": false, "train_detail": [{"train": false}]}), Some(Mask::Untrained)),
            (json!({"Train": false}), Some(Mask::Untrained)),
            (json!({"masked": true}), Some(Mask::Partial)),
            (json!({"train": true, "train_detail": []}), Some(Mask::Trained)),
        ] {
            assert_eq!(mask(fields.clone()), expected, "{fields}");
        }
    }
}
