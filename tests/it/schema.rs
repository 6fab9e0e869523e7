//! Every line of `--progress json`, and every `--json`, is as the JSON Schema in docs/ says.

use serde_json::Value;

/// A JSON Schema, as far as those in docs/ use it. A keyword that is not known fails, so that nothing goes unchecked.
pub struct Schema(Value);

impl Schema {
    pub fn read(name: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// Returns the schema of a definition.
    pub fn definition(&self, name: &str) -> &Value {
        &self.0["$defs"][name]
    }

    /// Returns what is wrong with a value.
    pub fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.0, value, "", &mut faults);
        faults
    }

    /// Returns what is wrong with a value of a definition.
    pub fn faults_in(&self, name: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(self.definition(name), value, name, &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let mut fault = |what: String| faults.push(format!("{at}: {what}"));
        let rules = schema.as_object().unwrap();
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => {}
                "type" => {
                    let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                    if !types.iter().any(|one| is_of(one.as_str().unwrap(), value)) {
                        fault(format!("{value} is not {rule}"));
                    }
                }
                "const" if value == rule => {}
                "enum" if rule.as_array().unwrap().contains(value) => {}
                "const" | "enum" => fault(format!("{value} is not {rule}")),
                "minimum" => {
                    if value.as_f64().is_some_and(|number| number < rule.as_f64().unwrap()) {
                        fault(format!("{value} is less than {rule}"));
                    }
                }
                "required" => {
                    let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    for name in names.filter(|name| value.is_object() && value.get(name).is_none()) {
                        fault(format!("{name} is missing in {value}"));
                    }
                }
                "properties" | "additionalProperties" | "items" | "oneOf" | "$ref" => {}
                other => panic!("a keyword that is not checked: {other}"),
            }
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            let known = &schema["properties"][name];
            let at = format!("{at}/{name}");
            match (known, &schema["additionalProperties"]) {
                (Value::Object(_), _) => self.check(known, inner, &at, faults),
                (_, Value::Bool(false)) => faults.push(format!("{at}: is not in the schema")),
                (_, others @ Value::Object(_)) => self.check(others, inner, &at, faults),
                _ => {}
            }
        }
        if let Some(items) = schema.get("items") {
            for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                self.check(items, item, &format!("{at}/{number}"), faults);
            }
        }
        if let Some(reference) = schema.get("$ref") {
            let name = reference.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            self.check(self.definition(name), value, at, faults);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let found: Vec<Vec<String>> = choices
                .iter()
                .map(|choice| {
                    let mut faults = Vec::new();
                    self.check(choice, value, at, &mut faults);
                    faults
                })
                .collect();
            if found.iter().filter(|faults| faults.is_empty()).count() != 1 {
                // The choice that comes closest says most.
                let closest = found.into_iter().min_by_key(Vec::len).unwrap_or_default();
                faults.push(format!("{at}: {value} is not one of the choices; closest: {closest:?}"));
            }
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("a type that is not known: {other}"),
    }
}

#[test]
fn a_schema_finds_what_does_not_belong() {
    let schema = Schema::read("docs/events.schema.json");
    let end = |text: &str| schema.faults(&serde_json::from_str(text).unwrap());
    assert_eq!(end(r#"{"event": "end", "time": "2026-01-01T00:00:00.000Z", "exit_code": 0}"#), Vec::<String>::new());
    for wrong in [
        r#"{"event": "end", "time": "", "exit_code": "0"}"#,
        r#"{"event": "end", "time": "", "exit_code": -1}"#,
        r#"{"event": "end", "time": ""}"#,
        r#"{"event": "end", "exit_code": 0}"#,
        r#"{"event": "end", "time": "", "exit_code": 0, "more": 1}"#,
        r#"{"event": "unheard of", "time": ""}"#,
        "[]",
    ] {
        assert!(!end(wrong).is_empty(), "{wrong}");
    }
}
