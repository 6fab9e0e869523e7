//! What a refusal says about the request itself: a field that the server does not support, a limit of one, or
//! the schema of an answer.

mod fault;
mod limit;
mod phrases;
mod schema;
mod unsupported;

pub use limit::{Limit, limit};
pub use schema::{may_refuse_schema, refuses_schema};
pub use unsupported::unsupported_fields;

use super::failure::FailureClass;
use super::request::RefusedCall;
use crate::conversation::FailureCode;

/// Wordings that are certain whatever the status, in lower case: home-made servers pass the fields on as arguments.
const CERTAIN: &[&str] = &[
    "unexpected keyword argument",
    "unsupportedparamserror",
    "unsupported_parameter",
    "extra inputs are not permitted",
];

/// True if the request itself may be at fault: not the key, the account, the pace, or the prompt's length or contents.
fn concerns_the_request(refused: &RefusedCall<'_>) -> bool {
    let is_about_it = match refused.failure.code {
        FailureCode::Http(400 | 403 | 422 | 501) | FailureCode::ErrorIn200 => true,
        FailureCode::Http(500) => {
            let text = reply_text(refused).to_lowercase();
            CERTAIN.iter().any(|phrase| text.contains(phrase))
        }
        _ => false,
    };
    is_about_it && !matches!(refused.failure.class, FailureClass::RateLimited | FailureClass::Outage)
}

fn reply_text(refused: &RefusedCall<'_>) -> String {
    if refused.reply.is_empty() {
        return refused.failure.message.clone();
    }
    String::from_utf8_lossy(refused.reply).into_owned()
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::conversation::{Message, Question, Role, Sampling, Slot, Target};
    use crate::model::request::RequestFormat;
    use crate::model::{ErrorBody, RefusedRequest};

    fn question() -> Question {
        let sampling = Sampling { temperature: Some(0.9), max_tokens: Some(16384), ..Sampling::default() };
        let raised = Sampling { temperature: Some(1.1), max_tokens: Some(32768), ..Sampling::default() };
        let target = Target::new("m", "openai", sampling).raised(raised);
        Question { slot: Slot::main(0), target, sample: 1, messages: vec![Message::new(Role::User, "hi")].into() }
    }

    /// Has `read` look at the refusal of a further attempt.
    pub fn with_refusal<T>(status: u16, reply: &str, read: impl FnOnce(&RefusedCall<'_>) -> T) -> T {
        let refusal = RefusedRequest { status, ..RefusedRequest::default() };
        let failure = refusal.into_failure(ErrorBody::parse(reply.as_bytes()));
        let (question, format) = (question(), RequestFormat::default());
        read(&RefusedCall { failure: &failure, reply: reply.as_bytes(), question: &question, format: &format })
    }
}
