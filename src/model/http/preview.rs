use super::{HttpModel, USER_AGENT};
use crate::conversation::{ConversationKey, Question};
use crate::model::Call;
use crate::model::failure::Failure;
use crate::model::learned::Learned;

/// A request as it would be sent, to be shown: secret values are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPreview {
    /// The URL. No key is in it: a URL with one is refused.
    pub url: String,
    /// Names and values of the headers. Secret values are asterisks.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: String,
}

impl HttpModel {
    /// Returns the first request for a question of a conversation, without sending it and without running a key-command.
    pub fn preview(&self, question: &Question, conversation: ConversationKey) -> Result<RequestPreview, Failure> {
        let call = Call { question, attempt: 1, conversation: Some(conversation), avoids_flex: false };
        let session = self.session_name(call);
        let format = self.request_format(session.as_deref(), self.tier(call), Learned::NOTHING);
        let body = self.dialect.body(question, &format)?;
        let has_key = self.settings.key.is_some() || self.tokens.is_some();
        let mut headers = self.headers.shown(has_key);
        // The client adds these unless the user sets them.
        for (name, value) in [("user-agent", USER_AGENT), ("accept", "*/*")] {
            if headers.iter().all(|(other, _)| other != name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let header = self.session_header.as_ref().zip(session.as_ref());
        headers.extend(header.map(|(name, session)| (name.to_string(), session.clone())));
        Ok(RequestPreview { url: self.url.to_string(), headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
