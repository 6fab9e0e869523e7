use serde_json::{Map, Value, json};

/// The JSON schema that an answer should follow.
///
/// A server that can is asked for it. It follows from the prompt, which asks for the same in words, so it is no part of a
/// question's identity: the answer of a server that cannot is found again as well.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerSchema {
    /// A short name, which servers require.
    pub name: &'static str,
    /// The schema. Only what every server's strict mode takes is in it: objects, lists, texts, numbers and enumerations.
    pub schema: Value,
}

impl AnswerSchema {
    /// Makes the schema of an object with exactly these fields. A model writes them in this order.
    pub fn new(name: &'static str, fields: &[(&str, Value)]) -> Self {
        Self { name, schema: Self::object(fields) }
    }

    /// Returns the schema of an object inside of another.
    pub fn object(fields: &[(&str, Value)]) -> Value {
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let properties: Map<String, Value> =
            fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
    }

    /// Returns the schema of a text.
    pub fn text() -> Value {
        json!({"type": "string"})
    }

    /// Returns the schema of one of some texts.
    pub fn one_of(texts: &[&str]) -> Value {
        json!({"type": "string", "enum": texts})
    }

    /// Returns the schema of a whole number from 1 to `most`. Some servers know no range, so it is an enumeration.
    pub fn up_to(most: u32) -> Value {
        json!({"type": "integer", "enum": (1..=most).collect::<Vec<_>>()})
    }

    /// Returns the schema of a list.
    pub fn list(item: &Value) -> Value {
        json!({"type": "array", "items": item})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers are asked for these forms.
    #[test]
    fn schemas_stay_as_they_are() {
        let text = json!({"type": "string"});
        assert_eq!(AnswerSchema::text(), text);
        assert_eq!(AnswerSchema::one_of(&["a", "b"]), json!({"type": "string", "enum": ["a", "b"]}));
        assert_eq!(AnswerSchema::up_to(3), json!({"type": "integer", "enum": [1, 2, 3]}));
        assert_eq!(AnswerSchema::list(&text), json!({"type": "array", "items": {"type": "string"}}));
        let schema = AnswerSchema::new("s", &[("b", text.clone()), ("a", AnswerSchema::up_to(1))]);
        let whole = r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer","enum":[1]}},"required":["b","a"],"additionalProperties":false}"#;
        assert_eq!((schema.name, schema.schema.to_string().as_str()), ("s", whole));
    }
}
