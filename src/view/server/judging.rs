use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Page;
use super::access::refusal;
use super::answers::{blocking_result, json};
use crate::view::pairs::Choice;
use crate::view::query::pairs;

/// What the page sends when a person has judged a pair.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    said: Choice,
}

const NO_PAIRS: &str = "There are no pairs: this is not the directory of a comparison.";
const NO_PAIR: &str = "There is no pair with this number.";

/// A part of the list of pairs.
pub async fn list(State(page): State<Arc<Page>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let number =
        |wanted: &str| pairs(&query).find(|(name, _)| name == wanted).and_then(|(_, value)| value.parse().ok());
    let (from, limit) = (number("from").unwrap_or(0), number("limit").unwrap_or(50));
    let listed = blocking_result(page, move |page| {
        page.looked.pairs().map(|pairs| pairs.list(from, limit as usize)).transpose()
    });
    reply(listed.await, NO_PAIRS)
}

/// A pair, without the names before it is judged.
pub async fn pair(State(page): State<Arc<Page>>, Path(pair): Path<u64>) -> Response {
    let shown = blocking_result(page, move |page| {
        page.looked.pairs().map(|pairs| pairs.shown(pair)).transpose().map(Option::flatten)
    });
    reply(shown.await, NO_PAIR)
}

/// Saves what a person says of a pair, and returns it with the names.
pub async fn judge(State(page): State<Arc<Page>>, Path(pair): Path<u64>, body: Bytes) -> Response {
    let Ok(Judged { said }) = serde_json::from_slice(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "A pair is judged as {\"said\": \"left\"}, right, tie or skip.");
    };
    let shown = blocking_result(page, move |page| {
        let Some(pairs) = page.looked.pairs() else { return Ok(None) };
        if pairs.judge(pair, said)? { pairs.shown(pair) } else { Ok(None) }
    });
    reply(shown.await, NO_PAIR)
}

fn reply<T: serde::Serialize>(found: Result<Option<T>, Box<Response>>, missing: &str) -> Response {
    match found {
        Ok(Some(found)) => json(&found),
        Ok(None) => refusal(StatusCode::NOT_FOUND, missing),
        Err(reply) => *reply,
    }
}
