use serde_json::{Map, Value, json};

use super::without_nulls;
use crate::conversation::{Columns, ToolSet};
use crate::dataset::python_literal::written_value;

/// Columns with definitions of tools. The first one that has any takes precedence.
const COLUMNS: [&str; 4] = ["tools", "functions", "toolConfig", "tool_config"];
const SCHEMAS: [&str; 5] = ["parameters", "input_schema", "inputSchema", "parametersJsonSchema", "arguments"];

/// Takes a row's definitions of tools. A column of that name that holds something else is left in the row.
pub fn take_definitions(row: &mut Columns) -> Option<ToolSet> {
    let mut found: Option<ToolSet> = None;
    for name in COLUMNS {
        let Some(value) = row.get(name) else { continue };
        match normalised_definitions(value) {
            // Empty where only other rows have tools.
            Some(tools) if tools.is_empty() => drop(row.shift_remove(name)),
            Some(tools) if found.as_ref().is_none_or(|known| known.tools() == tools) => {
                row.shift_remove(name);
                found = Some(ToolSet::new(tools));
            }
            _ => {}
        }
    }
    found
}

/// Returns definitions as `OpenAI`'s `tools` has them: `{"type": "function", "function": {"name", "description",
/// "parameters"}}`. Reads also legacy `functions`, and the forms of Anthropic, Bedrock and Gemini, each also as JSON
/// text. `None` where `value` is something else.
pub fn normalised_definitions(value: &Value) -> Option<Vec<Value>> {
    let mut definitions = Vec::new();
    collect(value, &mut definitions)?;
    let mut distinct: Vec<Value> = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let name = &definition["function"]["name"];
        match distinct.iter().find(|known| name.is_string() && known["function"]["name"] == *name) {
            Some(known) if *known == definition => {}
            // Servers refuse two functions of one name.
            Some(_) => return None,
            None => distinct.push(definition),
        }
    }
    Some(distinct)
}

fn collect(value: &Value, definitions: &mut Vec<Value>) -> Option<()> {
    match value {
        Value::Null => Some(()),
        Value::String(text) if matches!(text.trim(), "" | "null" | "[]" | "{}") => Some(()),
        Value::String(text) => match written_value(text) {
            Some(parsed @ (Value::Array(_) | Value::Object(_))) => collect(&parsed, definitions),
            _ => None,
        },
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, definitions)),
        Value::Object(fields) => {
            let mut fields = Value::Object(fields.clone());
            without_nulls(&mut fields);
            let Value::Object(mut fields) = fields else { return None };
            if fields.is_empty() {
                return Some(());
            }
            for group in ["tools", "functionDeclarations", "function_declarations"] {
                if let Some(group @ Value::Array(_)) = fields.get(group) {
                    // What stands beside the list would be lost.
                    return if fields.len() == 1 { collect(group, definitions) } else { None };
                }
            }
            if let Some(Value::Object(spec)) = fields.get_mut("toolSpec").map(Value::take) {
                fields = spec;
            }
            definitions.push(definition(fields)?);
            Some(())
        }
        Value::Bool(_) | Value::Number(_) => None,
    }
}

fn definition(mut fields: Map<String, Value>) -> Option<Value> {
    let kind = fields.shift_remove("type");
    let mut function = match fields.shift_remove("function") {
        Some(Value::Object(function)) => function,
        Some(_) => return None,
        None if kind.as_ref().is_none_or(|kind| kind == "function" || kind == "custom") => std::mem::take(&mut fields),
        // A tool that the server itself has, such as a search: its type is its name.
        None => {
            let mut whole = Map::from_iter([("type".to_owned(), kind?)]);
            whole.extend(fields);
            return Some(Value::Object(whole));
        }
    };
    let name = function.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty())?.to_owned();
    let schema = SCHEMAS.iter().find_map(|name| function.shift_remove(*name));
    let schema = match schema {
        // A schema that cannot be read leaves the whole column in the row.
        Some(schema) => Some(schema_of(schema)?),
        None => None,
    };
    let mut normal = Map::from_iter([("name".to_owned(), name.into())]);
    normal.extend(function.into_iter().filter(|(name, _)| name != "name" && name != "cache_control"));
    normal.extend(fields.into_iter().filter(|(name, _)| name == "description" || name == "strict"));
    normal.extend(schema.map(|schema| ("parameters".to_owned(), schema)));
    Some(json!({"type": "function", "function": normal}))
}

/// Returns a JSON schema of an object, as servers require it.
fn schema_of(schema: Value) -> Option<Value> {
    let mut schema = match schema {
        Value::String(text) => written_value(&text)?,
        other => other,
    };
    // Bedrock.
    if let Some(inner) = schema.get_mut("json").filter(|inner| inner.is_object()).map(Value::take) {
        schema = inner;
    }
    lower_types(&mut schema);
    let Value::Object(mut fields) = schema else { return None };
    match fields.get("type") {
        Some(Value::String(kind)) if kind == "object" => return Some(Value::Object(fields)),
        // Servers take objects alone.
        Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "object") => {
            fields.insert("type".to_owned(), "object".into());
            return Some(Value::Object(fields));
        }
        None | Some(Value::Object(_)) => {}
        Some(_) => return None,
    }
    if !fields.contains_key("properties") && !fields.is_empty() && fields.values().all(Value::is_object) {
        // Arguments by name, without the schema around them.
        fields = Map::from_iter([("properties".to_owned(), Value::Object(fields))]);
    }
    let mut whole = Map::from_iter([("type".to_owned(), "object".into())]);
    whole.extend(fields);
    Some(Value::Object(whole))
}

/// Replaces type names of Gemini (`OBJECT`) and of Python (`dict`) by those of JSON schema.
fn lower_types(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(kind) if name == "type" => match kind.to_ascii_lowercase().as_str() {
                        "dict" => "object".clone_into(kind),
                        "object" | "string" | "number" | "integer" | "boolean" | "array" | "null" => {
                            kind.make_ascii_lowercase();
                        }
                        _ => {}
                    },
                    _ if ["default", "enum", "const", "examples", "example"].contains(&name.as_str()) => {}
                    other => lower_types(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(lower_types),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_definition_becomes_the_same() {
        let schema = json!({"type": "object", "properties": {"at": {"type": "integer"}}});
        let expected =
            json!({"type": "function", "function": {"name": "tide", "description": "d", "parameters": schema}});
        for value in [
            json!([expected]),
            json!([{"name": "tide", "description": "d", "parameters": schema}]),
            json!([{"type": "function", "name": "tide", "description": "d", "parameters": schema}]),
            json!([{"name": "tide", "description": "d", "input_schema": schema, "cache_control": null}]),
            json!({"tools": [{"toolSpec": {"name": "tide", "description": "d", "inputSchema": {"json": schema}}}]}),
            json!([{"functionDeclarations": [{"name": "tide", "description": "d",
                "parameters": {"type": "OBJECT", "properties": {"at": {"type": "INTEGER"}}}}]}]),
            json!([{"name": "tide", "description": "d", "parameters": {"at": {"type": "integer"}}}]),
            json!([{"name": "tide", "description": "d",
                "parameters": {"type": "object", "properties": {"at": {"type": "integer"}, "place": null}}}]),
            json!([expected.to_string()]),
            json!(json!([expected]).to_string()),
        ] {
            assert_eq!(normalised_definitions(&value), Some(vec![expected.clone()]), "{value}");
        }
    }

    #[test]
    fn a_column_that_holds_something_else_stays() {
        for value in [json!("hammer, saw"), json!(["hammer"]), json!(3), json!([{"weight": 3}])] {
            let mut row = Columns::from_iter([("tools".to_owned(), value.clone())]);
            assert_eq!((take_definitions(&mut row), row.get("tools")), (None, Some(&value)));
        }
        let mut row = Columns::from_iter([("tools".to_owned(), json!("[]"))]);
        assert_eq!((take_definitions(&mut row), row.len()), (None, 0));
    }
}
