//! Where token ids are asked for, each server is to show with one probe that it gives them, before the first question.

use tokio::time::Instant;

use super::model_queue::{ModelQueue, Replica, Standing};
use crate::conversation::{Answer, FailureCode, Question, Target};
use crate::model::{Failure, FailureClass, OutageState};

impl ModelQueue {
    /// Puts every server on trial, if a question asks for tokens and is the first one.
    pub(super) fn begin_token_trial(&mut self, question: &Question, now: Instant) {
        if self.target().is_some() || question.target.detail().is_none() {
            return;
        }
        self.set_target(question);
        for replica in self.replicas.iter_mut().filter(|replica| !replica.is_drained()) {
            replica.standing = Standing::OnTrial;
            replica.breaker.suspect(now);
        }
        self.is_on_token_trial = true;
    }

    /// True while a server has yet to show that it gives tokens. One that is down holds nobody up: it is tried when it is
    /// back.
    pub(super) fn holds_for_token_trial(&mut self) -> bool {
        let is_tried = |replica: &Replica| {
            let state = replica.breaker.gone_since().map(|(_, state)| state);
            replica.standing == Standing::OnTrial && state == Some(OutageState::Suspected)
        };
        self.is_on_token_trial = self.is_on_token_trial && self.replicas.iter().any(is_tried);
        self.is_on_token_trial
    }

    /// Returns what a probe shows where its server is to show that it gives tokens: an answer without them is a failure that
    /// only a person can fix.
    pub(super) fn tried_for_tokens(&self, index: usize, result: Result<Answer, Failure>) -> Result<Answer, Failure> {
        let replica = &self.replicas[index];
        let detail = self.target().and_then(Target::detail);
        let Some(detail) = detail.filter(|_| replica.standing == Standing::OnTrial) else { return result };
        match result {
            Ok(answer) if !answer.tokens.as_deref().is_some_and(|tokens| detail.is_in(tokens)) => {
                let message = if answer.tokens.is_some() {
                    format!("{} gives token ids, and no log-probabilities with the id of each token", replica.label)
                } else {
                    format!("{} gives no token ids", replica.label)
                };
                Err(Failure::new(FailureClass::Fatal, FailureCode::NoTokens, message))
            }
            // The server was not asked: it is tried again after the wait of a failed probe.
            Err(failure) if failure.class == FailureClass::RateLimited => {
                Err(Failure { class: FailureClass::Outage, ..failure })
            }
            result => result,
        }
    }

    /// True where a probe has revealed a setting of a server that is on trial: the next one is sent at once.
    pub(super) fn is_tried_again(&self, index: usize, result: &Result<Answer, Failure>) -> bool {
        let is_learned = result.as_ref().is_err_and(|failure| failure.class == FailureClass::Learned);
        let asks_tokens = self.target().is_some_and(|target| target.detail().is_some());
        is_learned && asks_tokens && self.replicas[index].standing == Standing::OnTrial
    }
}
