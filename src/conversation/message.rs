use std::fmt;
use std::sync::{Arc, OnceLock};

use super::identity::{Digest, PartHasher};
use super::tokens::estimate_tokens;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions outside the dialogue.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool, with the result of a call.
    Tool,
}

impl Role {
    /// Returns the name that `OpenAI`'s `messages` use.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// The byte of the role in a [`Message`]'s digest; never reused.
    fn tag(self) -> u8 {
        match self {
            Role::System => 1,
            Role::User => 2,
            Role::Assistant => 3,
            Role::Tool => 4,
        }
    }
}

/// Named JSON values in their order: a row's columns, or a message's further fields.
pub type Columns = serde_json::Map<String, serde_json::Value>;

/// Returns a name that no column has: the given one, or the same with a number.
pub fn free_name(columns: &Columns, name: &str) -> String {
    let mut free = name.to_owned();
    let mut number = 1;
    while columns.contains_key(&free) {
        number += 1;
        free = format!("{name}_{number}");
    }
    free
}

/// One message, shared by every question whose history holds it.
///
/// Hashed once when made, escaped for JSON once when first sent; a turn late in a conversation costs
/// neither again. Digest: blake3 over `"cohobate message 1\0"`, the role's tag (one byte), the length
/// of the content in bytes (`u64`), the content in UTF-8; where there are fields, the same of these as compact JSON.
pub struct Message {
    role: Role,
    content: String,
    /// Further fields: a call to tools, which call is answered, the speaker's name. None for plain words.
    fields: Option<Box<Columns>>,
    digest: Digest,
    json: OnceLock<Box<str>>,
    tokens: OnceLock<u64>,
}

impl Message {
    /// Makes a message.
    pub fn new(role: Role, content: impl Into<String>) -> Arc<Self> {
        Self::with_fields(role, content, Columns::new())
    }

    /// Makes a message with further fields, as in a request: `tool_calls`, `tool_call_id`, `name`.
    pub fn with_fields(role: Role, content: impl Into<String>, fields: Columns) -> Arc<Self> {
        let content = content.into();
        let fields = Some(fields).filter(|fields| !fields.is_empty()).map(Box::new);
        let mut hasher = PartHasher::new("cohobate message 1");
        hasher.raw(&[role.tag()]).text(&content);
        if let Some(fields) = &fields {
            hasher.text(&json_text(fields));
        }
        let digest = Digest(hasher.finish());
        Arc::new(Self { role, content, fields, digest, json: OnceLock::new(), tokens: OnceLock::new() })
    }

    /// Returns who speaks.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the words.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Returns roughly how many tokens the words are; estimated once.
    pub fn estimated_tokens(&self) -> u64 {
        *self.tokens.get_or_init(|| estimate_tokens(&self.content))
    }

    /// Returns the fields beside role and content, where there are any.
    pub fn fields(&self) -> Option<&Columns> {
        self.fields.as_deref()
    }

    /// Returns these fields as compact JSON, as the digest has them.
    pub fn fields_json(&self) -> Option<String> {
        self.fields.as_ref().map(json_text)
    }

    /// Makes a message whose fields are compact JSON; an empty text for none. `None` where that is no JSON object.
    pub fn with_fields_json(role: Role, content: impl Into<String>, fields: &str) -> Option<Arc<Self>> {
        let fields = if fields.is_empty() { Columns::new() } else { serde_json::from_str(fields).ok()? };
        Some(Self::with_fields(role, content, fields))
    }

    /// Returns the name of the speaker, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.fields()?.get("name")?.as_str().filter(|_| self.role != Role::Tool)
    }

    /// True for a call to tools and for the result of one.
    pub fn is_tool_use(&self) -> bool {
        self.role == Role::Tool || self.fields().is_some_and(|fields| fields.contains_key("tool_calls"))
    }

    /// Appends the messages as a JSON array.
    pub fn write_list(messages: impl IntoIterator<Item = impl AsRef<Self>>, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, message) in messages.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            message.as_ref().write_json(out);
            out.push(b'}');
        }
        out.push(b']');
    }

    /// Appends the message as JSON without the closing brace, so that more may follow.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"role\":\"");
        out.extend_from_slice(self.role.name().as_bytes());
        out.extend_from_slice(b"\",\"content\":");
        out.extend_from_slice(self.content_json().as_bytes());
        for (name, value) in self.fields.iter().flat_map(|fields| fields.iter()) {
            out.push(b',');
            out.extend_from_slice(json_text(name).as_bytes());
            out.push(b':');
            out.extend_from_slice(json_text(value).as_bytes());
        }
    }

    /// Returns the hash of role, content and fields.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the content as a JSON string literal, quotes included.
    pub fn content_json(&self) -> &str {
        self.json.get_or_init(|| json_text(&self.content).into_boxed_str())
    }
}

fn json_text(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("a JSON value is always valid JSON")
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.role.name(), self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(role: Role, fields: &serde_json::Value) -> Arc<Message> {
        Message::with_fields(role, "words", fields.as_object().cloned().unwrap_or_default())
    }

    /// Stored answers are found by these bytes, and requests hold these names.
    #[test]
    fn roles_keep_their_names_and_their_bytes() {
        for (role, name, tag) in [
            (Role::System, "system", 1),
            (Role::User, "user", 2),
            (Role::Assistant, "assistant", 3),
            (Role::Tool, "tool", 4),
        ] {
            assert_eq!(role.name(), name);
            let whole = [&b"cohobate message 1\0"[..], &[tag], &1u64.to_le_bytes(), b"x"].concat();
            assert_eq!(*Message::new(role, "x").digest(), Digest(blake3::hash(&whole).into()), "{name}");
        }
        let whole =
            [&b"cohobate message 1\0\x02"[..], &5u64.to_le_bytes(), b"words", &12u64.to_le_bytes(), br#"{"name":"A"}"#];
        let named = with(Role::User, &serde_json::json!({"name": "A"}));
        assert_eq!(*named.digest(), Digest(blake3::hash(&whole.concat()).into()));
    }

    #[test]
    fn a_speaker_has_a_name_and_a_tool_has_none() {
        let named = serde_json::json!({"name": "Ada"});
        assert_eq!(with(Role::User, &named).name(), Some("Ada"));
        assert_eq!(with(Role::Tool, &named).name(), None, "this is the tool's");
        assert_eq!(with(Role::User, &serde_json::json!({"name": 7})).name(), None);
        assert_eq!(Message::new(Role::User, "words").name(), None);
    }

    #[test]
    fn calls_and_results_are_use_of_tools() {
        assert!(with(Role::Assistant, &serde_json::json!({"tool_calls": []})).is_tool_use());
        assert!(Message::new(Role::Tool, "result").is_tool_use());
        assert!(!with(Role::Assistant, &serde_json::json!({"name": "Ada"})).is_tool_use());
        assert!(!Message::new(Role::Assistant, "words").is_tool_use());
    }

    #[test]
    fn messages_are_equal_where_role_words_and_fields_are() {
        let message = Message::new(Role::User, "words");
        assert_eq!(message, Message::new(Role::User, "words"));
        assert_ne!(message, Message::new(Role::System, "words"));
        assert_ne!(message, Message::new(Role::User, "word"));
        assert_ne!(message, with(Role::User, &serde_json::json!({"name": "Ada"})));
        assert_eq!(format!("{message:?}"), "user: \"words\"");
        assert_eq!((message.role(), message.content(), message.estimated_tokens()), (Role::User, "words", 2));
        assert_eq!((message.fields(), message.content_json()), (None, "\"words\""));
    }

    #[test]
    fn a_list_is_written_as_json() {
        let mut out = Vec::new();
        Message::write_list(
            [with(Role::User, &serde_json::json!({"name": "A"})), Message::new(Role::Tool, "\"")],
            &mut out,
        );
        let text = r#"[{"role":"user","content":"words","name":"A"},{"role":"tool","content":"\""}]"#;
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn fields_are_written_and_read_as_json() {
        let named = with(Role::User, &serde_json::json!({"name": "A", "b": [1]}));
        let json = named.fields_json().unwrap();
        assert_eq!(json, r#"{"name":"A","b":[1]}"#);
        let read = |json: &str| Message::with_fields_json(Role::User, "words", json);
        assert_eq!(read(&json), Some(named));
        assert_eq!((read(""), read("[]"), read("{")), (Some(Message::new(Role::User, "words")), None, None));
        assert_eq!(Message::new(Role::User, "words").fields_json(), None);
    }

    #[test]
    fn a_free_name_is_one_that_no_column_has() {
        let columns = serde_json::json!({"a": 1, "a_2": 2, "b": 3});
        let columns = columns.as_object().unwrap();
        assert_eq!(["a", "b", "c"].map(|name| free_name(columns, name)), ["a_3", "b_2", "c"]);
    }
}
