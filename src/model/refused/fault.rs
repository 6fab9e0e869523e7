use serde_json::Value;

/// One machine-readable fault: the fields that it names, and all of its words in lower case.
pub struct FaultEntry {
    pub fields: Vec<String>,
    pub words: String,
}

/// Returns the machine-readable faults of a JSON reply.
pub fn entries(text: &str) -> Vec<FaultEntry> {
    let mut entries = Vec::new();
    if let Ok(value) = serde_json::from_str::<Value>(text.trim()) {
        add_entries(&value, &mut entries, DEPTH_MAX);
    }
    entries
}

/// Errors are nested a few levels deep; a reply of an enemy may be deeper.
const DEPTH_MAX: u32 = 16;

fn add_entries(value: &Value, entries: &mut Vec<FaultEntry>, depth: u32) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_entries(item, entries, depth)),
        Value::Object(object) => {
            let text = |name: &str| object.get(name).and_then(Value::as_str);
            let of_location =
                object.get("loc").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let names = text("param").into_iter().chain(of_location.filter(|part| *part != "body").take(1));
            let fields: Vec<String> = names.map(str::to_owned).collect();
            if !fields.is_empty() {
                let words =
                    ["code", "type", "msg", "message"].into_iter().filter_map(text).collect::<Vec<_>>().join(" ");
                entries.push(FaultEntry { fields, words: words.to_lowercase() });
            }
            object.values().for_each(|inner| add_entries(inner, entries, depth));
        }
        _ => {}
    }
}
