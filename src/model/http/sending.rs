//! Writes and sends a request.

use reqwest::header::HeaderValue;
use tokio::time::timeout;

use super::HttpModel;
use super::Timeouts;
use super::reply::{connection_failure, timed_out};
use crate::conversation::{FailureCode, Question, ServiceTier, TimeoutKind};
use crate::model::Call;
use crate::model::failure::{Failure, FailureClass};
use crate::model::lane::RequestLane;
use crate::model::learned::Learned;
use crate::model::request::RequestFormat;
use crate::model::secret::Secret;

impl HttpModel {
    /// Returns the conversation's key for the server, if one is sent.
    pub(super) fn session_name(&self, call: Call<'_>) -> Option<String> {
        let is_sent = self.sends_cache_key || self.session_header.is_some();
        call.conversation.filter(|_| is_sent).map(|key| format!("{:016x}", key.prefix()))
    }

    /// Returns the tier that a call asks for.
    pub(super) fn tier(&self, call: Call<'_>) -> ServiceTier {
        let is_flex = self.settings.lane == RequestLane::Flex && !call.avoids_flex;
        if is_flex { ServiceTier::Flex } else { ServiceTier::Standard }
    }

    /// Returns the timeouts of a call of this tier.
    pub(super) fn timeouts(&self, tier: ServiceTier) -> Timeouts {
        let timeouts = self.settings.timeouts;
        match tier {
            ServiceTier::Standard => timeouts,
            ServiceTier::Flex => Timeouts { first_byte: timeouts.flex, ..timeouts },
        }
    }

    /// Returns how a request is written, with what is known of the server.
    pub(super) fn request_format<'a>(
        &'a self,
        session: Option<&'a str>,
        tier: ServiceTier,
        learned: &'a Learned,
    ) -> RequestFormat<'a> {
        RequestFormat {
            tier,
            stream: self.stream,
            length_field: self.settings.length_field,
            cache_key: session.filter(|_| self.sends_cache_key),
            api_version: self.settings.api_version.as_deref(),
            cache_control: self.settings.cache_control,
            family: self.family,
            structured: self.settings.structured && self.dialect.capabilities().takes_schema,
            learned,
        }
    }

    /// Returns the key or the current token, for questions beside the model's.
    pub(super) async fn current_key(&self) -> Option<Secret> {
        match &self.tokens {
            Some(tokens) => tokens.current().await.ok().map(|token| token.secret),
            None => self.settings.key.clone(),
        }
    }

    /// Sends the request with the key or the current token. A token that the server refuses is renewed once.
    pub(super) async fn send_with_token(
        &self,
        question: &Question,
        format: &RequestFormat<'_>,
        session: Option<&str>,
    ) -> Result<reqwest::Response, Failure> {
        let Some(tokens) = &self.tokens else {
            return self.send(question, format, session, self.settings.key.as_ref()).await;
        };
        let token = tokens.current().await?;
        let response = self.send(question, format, session, Some(&token.secret)).await?;
        if response.status() != reqwest::StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        match tokens.renewed(&token).await? {
            Some(token) => self.send(question, format, session, Some(&token.secret)).await,
            None => Ok(response),
        }
    }

    /// Sends the request and waits for the reply's headers.
    async fn send(
        &self,
        question: &Question,
        format: &RequestFormat<'_>,
        session: Option<&str>,
        key: Option<&Secret>,
    ) -> Result<reqwest::Response, Failure> {
        let body = self.dialect.body(question, format)?;
        let headers = self.headers.with_key(key);
        let mut headers =
            headers.map_err(|error| Failure::new(FailureClass::Fatal, FailureCode::Auth, error.to_string()))?;
        if let Some((name, session)) = self.session_header.as_ref().zip(session) {
            headers.insert(name, HeaderValue::from_str(session).expect("hexadecimal digits are a header's value"));
        }
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let limit = self.timeouts(format.tier).first_byte;
        let response = timeout(limit, request.send()).await;
        response
            .map_err(|_| timed_out(TimeoutKind::FirstByte, "no reply within", limit))?
            .map_err(|error| connection_failure(&error))
    }
}
