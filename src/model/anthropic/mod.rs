//! The Anthropic Messages dialect.
//!
//! | file | contents |
//! |---|---|
//! | `history` | the messages as the API takes them: system apart, turns that alternate, tools as blocks |
//! | `request` | the body, and what a server's refusal reveals about it |
//! | `reply`, `stream` | a reply in one piece, or event by event |
//! | `wire` | the fields that both kinds of reply share |
//! | `refusal` | the error types, with or without an HTTP status of their own |

mod history;
mod refusal;
mod reply;
mod request;
mod stream;
pub(super) mod version;
mod wire;

pub(super) use history::plain_name;

use super::dialect::{Assembler, Capabilities, Dialect, EndpointPath};
use super::failure::Failure;
use super::family::ServerFamily;
use super::learned::Adjustment;
use super::refusal::RefusedRequest;
use super::request::{Header, RefusedCall, RequestFormat};
use crate::conversation::{Answer, Question};

/// Messages as Anthropic defined them and several servers and gateways support them.
pub struct AnthropicDialect;

impl Dialect for AnthropicDialect {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn hosts(&self) -> &'static [&'static str] {
        &["api.anthropic.com"]
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            path: EndpointPath::BelowVersion("/messages"),
            takes_cache_control: true,
            takes_schema: true,
            has_versions: true,
            ..Capabilities::default()
        }
    }

    fn headers(&self, api_version: Option<&str>) -> Vec<Header> {
        let version = version::or_default(api_version);
        let key = if version::sends_bearer(version) { Header::BEARER } else { Header::key("x-api-key", "") };
        vec![Header::JSON, Header::owned("anthropic-version", version.to_owned()), key]
    }

    fn body(&self, question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure> {
        request::body(question, format)
    }

    fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
        reply::parse_message(body, question, attempt)
    }

    fn assembler(&self) -> Option<Box<dyn Assembler>> {
        Some(Box::<stream::EventAssembler>::default())
    }

    fn failure_of(&self, refusal: RefusedRequest<'_>) -> Failure {
        refusal::classify_refusal(refusal)
    }

    fn family(&self) -> Option<ServerFamily> {
        Some(ServerFamily::Anthropic)
    }

    fn learn(&self, refused: &RefusedCall<'_>) -> Vec<Adjustment> {
        request::learn(refused)
    }
}
