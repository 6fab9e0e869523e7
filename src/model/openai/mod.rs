//! The `OpenAI` chat completions dialect.
//!
//! Tolerant where servers differ, strict about one thing: a reply without a known finish reason is not an answer.

mod endpoint;
mod fault;
mod finish;
mod reply;
mod request;
mod stream;
mod wire;

use super::dialect::{Assembler, Capabilities, Dialect, EndpointPath};
use super::failure::Failure;
use super::learned::Adjustment;
use super::refusal::{ErrorBody, RefusedRequest};
use super::request::{RefusedCall, RequestFormat};
use crate::conversation::{Answer, Question, ServiceTier};

/// Chat completions as `OpenAI` defined them and nearly every server supports them.
pub struct OpenAiDialect;

impl Dialect for OpenAiDialect {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            path: EndpointPath::Below("/chat/completions"),
            takes_cache_key: true,
            takes_schema: true,
            gives_tokens: true,
            tiers: &[ServiceTier::Flex],
            ..Capabilities::default()
        }
    }

    fn body(&self, question: &Question, format: &RequestFormat<'_>) -> Result<Vec<u8>, Failure> {
        Ok(request::body(question, format))
    }

    fn read_whole(&self, body: &[u8], question: &Question, attempt: u32) -> Result<Answer, Failure> {
        reply::parse_completion(body, question, attempt)
    }

    fn assembler(&self) -> Option<Box<dyn Assembler>> {
        Some(Box::<stream::ChunkAssembler>::default())
    }

    fn failure_of(&self, refusal: RefusedRequest<'_>) -> Failure {
        endpoint::explained(refusal.into_failure(ErrorBody::parse(refusal.body)))
    }

    fn learn(&self, refused: &RefusedCall<'_>) -> Vec<Adjustment> {
        request::learn(refused)
    }
}
