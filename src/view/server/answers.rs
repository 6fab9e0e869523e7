use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::Page;
use super::access::refusal;
use crate::job::JobError;
use crate::view::query::{Query, pairs};

/// A file of the page.
#[derive(Clone, Copy)]
pub enum PageFile {
    Html,
    Style,
    Script,
    Pairs,
    Run,
}

/// Returns a file of the page.
pub fn file(file: PageFile) -> Response {
    let (kind, text) = match file {
        PageFile::Html => ("text/html; charset=utf-8", include_str!("../page/page.html")),
        PageFile::Style => ("text/css; charset=utf-8", include_str!("../page/page.css")),
        PageFile::Script => ("text/javascript; charset=utf-8", include_str!("../page/page.js")),
        PageFile::Pairs => ("text/javascript; charset=utf-8", include_str!("../page/pairs.js")),
        PageFile::Run => ("text/javascript; charset=utf-8", include_str!("../page/run.js")),
    };
    let mut reply = Response::new(Body::from(text));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// What is looked at.
pub async fn about(State(page): State<Arc<Page>>) -> Response {
    json(&page.looked.about())
}

/// What changes while a run is at work.
pub async fn live(State(page): State<Arc<Page>>) -> Response {
    blocking(page, |page| page.looked.live()).await
}

/// A part of the list.
pub async fn list(State(page): State<Arc<Page>>, RawQuery(query): RawQuery) -> Response {
    let query = match Query::read(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(fault) => return refusal(StatusCode::BAD_REQUEST, &fault),
    };
    blocking(page, move |page| page.looked.list(&query)).await
}

/// How many conversations have what.
pub async fn counts(State(page): State<Arc<Page>>) -> Response {
    blocking(page, |page| page.looked.counts()).await
}

/// A conversation.
pub async fn item(State(page): State<Arc<Page>>, Path(item): Path<u64>) -> Response {
    let found = blocking_result(page, move |page| page.looked.item(item)).await;
    match found {
        Ok(Some(shown)) => json(&shown),
        Ok(None) => refusal(StatusCode::NOT_FOUND, "There is no conversation with this number."),
        Err(reply) => *reply,
    }
}

/// The number of the conversation with an id or a key.
pub async fn find(State(page): State<Arc<Page>>, RawQuery(query): RawQuery) -> Response {
    let name = pairs(query.as_deref().unwrap_or_default()).find(|(name, _)| name == "name").map(|(_, value)| value);
    blocking(page, move |page| page.looked.find(&name.unwrap_or_default())).await
}

/// Replies with what a function returns that may read files.
pub async fn blocking<T: Serialize + Send + 'static>(
    page: Arc<Page>,
    work: impl FnOnce(&Page) -> Result<T, JobError> + Send + 'static,
) -> Response {
    match blocking_result(page, work).await {
        Ok(value) => json(&value),
        Err(reply) => *reply,
    }
}

pub async fn blocking_result<T: Send + 'static>(
    page: Arc<Page>,
    work: impl FnOnce(&Page) -> Result<T, JobError> + Send + 'static,
) -> Result<T, Box<Response>> {
    let done = tokio::task::spawn_blocking(move || work(&page)).await;
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let hint = error.hint.as_ref().map_or(String::new(), |hint| format!("\nhint: {hint}"));
            Err(Box::new(refusal(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}{hint}"))))
        }
        Err(_) => Err(Box::new(refusal(StatusCode::INTERNAL_SERVER_ERROR, "The request could not be answered."))),
    }
}

/// Makes a reply of JSON.
pub fn json(value: &impl Serialize) -> Response {
    let Ok(bytes) = serde_json::to_vec(value) else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "The reply cannot be written as JSON.");
    };
    let mut reply = Response::new(Body::from(bytes));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}
