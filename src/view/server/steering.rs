use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Page;
use super::access::refusal;
use super::answers::{blocking, blocking_result, json};
use crate::job::{ErrorKind, Verb};
use crate::view::running::Running;

const NO_STORE: &str = "This is the output of a job; a run is steered from the page of its store.";

/// How the run is.
pub async fn status(State(page): State<Arc<Page>>) -> Response {
    blocking(page, |page| Ok(page.looked.run().map(Running::shown))).await
}

/// Asks something of the run: the body is what `cohobate ctl` sends, such as `{"verb": "pause"}`.
pub async fn steer(State(page): State<Arc<Page>>, body: Bytes) -> Response {
    let verb = match std::str::from_utf8(&body).map(Verb::parse) {
        Ok(Ok(verb)) => verb,
        Ok(Err(fault)) => return refusal(StatusCode::BAD_REQUEST, &fault.to_string()),
        Err(_) => return refusal(StatusCode::BAD_REQUEST, "The request is not UTF-8."),
    };
    let said = blocking_result(page, move |page| {
        let Some(run) = page.looked.run() else { return Ok(None) };
        // What the run refuses is an answer for the person, not a fault of the page.
        match run.steer(&verb) {
            Err(error) if error.kind == ErrorKind::Usage => {
                let hint = error.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
                Ok(Some(Err(format!("{error}{hint}"))))
            }
            other => other.map(Ok).map(Some),
        }
    });
    match said.await {
        Ok(Some(Ok(reply))) => json(&reply),
        Ok(Some(Err(why))) => refusal(StatusCode::CONFLICT, &why),
        Ok(None) => refusal(StatusCode::NOT_FOUND, NO_STORE),
        Err(reply) => *reply,
    }
}
