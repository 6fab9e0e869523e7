use std::fmt;
use std::sync::{Arc, OnceLock};

use super::identity::{Digest, PartHasher};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions that stand outside the dialogue.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Returns the name that `OpenAI`'s `messages` use.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }

    /// The byte that stands for the role in a [`Message`]'s digest; never reused.
    fn tag(self) -> u8 {
        match self {
            Role::System => 1,
            Role::User => 2,
            Role::Assistant => 3,
        }
    }
}

/// One message, shared by every question whose history holds it.
///
/// Hashed once when made, escaped for JSON once when first sent; a turn late in a conversation costs
/// neither again. Digest: blake3 over `"cohobate message 1\0"`, the role's tag (one byte), the length
/// of the content in bytes (`u64`), the content in UTF-8.
pub struct Message {
    role: Role,
    content: String,
    digest: Digest,
    json: OnceLock<Box<str>>,
}

impl Message {
    /// Makes a message.
    pub fn new(role: Role, content: impl Into<String>) -> Arc<Self> {
        let content = content.into();
        let mut hasher = PartHasher::new("cohobate message 1");
        hasher.raw(&[role.tag()]).text(&content);
        let digest = Digest(hasher.finish());
        Arc::new(Self { role, content, digest, json: OnceLock::new() })
    }

    /// Returns who speaks.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the words.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Returns the hash of role and content.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the content as a JSON string literal, quotes included.
    pub fn content_json(&self) -> &str {
        self.json.get_or_init(|| {
            serde_json::to_string(&self.content).expect("a string is always valid JSON").into_boxed_str()
        })
    }
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
