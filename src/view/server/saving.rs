use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use http_body_util::channel::{Channel, Sender};
use tokio::runtime::Handle;

use super::Page;
use super::access::refusal;
use crate::view::looked::SavedAs;
use crate::view::query::{Query, pairs};

/// Parts of a file that wait for the browser.
const PARTS_MAX: usize = 4;
/// Bytes of a part.
const PART_BYTES: usize = 64 << 10;

/// Saves what passes a filter: ids, one a line, or conversations as JSON lines. The file is written while it is sent, so it
/// may be as long as the store.
pub async fn save(State(page): State<Arc<Page>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let kind = pairs(&query).find(|(name, _)| name == "as").map(|(_, value)| value).unwrap_or_default();
    let (kind, name) = match kind.as_str() {
        "ids" => (SavedAs::Ids, "attachment; filename=\"conversations.txt\""),
        "jsonl" => (SavedAs::Lines, "attachment; filename=\"conversations.jsonl\""),
        _ => return refusal(StatusCode::BAD_REQUEST, "Conversations are saved as=ids or as=jsonl."),
    };
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("as=")).collect();
    let query = match Query::read(&rest.join("&")) {
        Ok(query) => query,
        Err(fault) => return refusal(StatusCode::BAD_REQUEST, &fault),
    };
    let (sender, body) = Channel::<Bytes, io::Error>::new(PARTS_MAX);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut parts = Parts { sender, runtime, bytes: Vec::new() };
        // A browser that leaves, or an error in the middle, ends the file early.
        let saved = page.looked.save(&query, kind, &mut |line| parts.push(line));
        match saved {
            Ok(()) => drop(parts.send()),
            Err(error) => parts.sender.abort(io::Error::other(error)),
        }
    });
    let mut reply = Response::new(Body::new(body));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    reply.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    reply
}

struct Parts {
    sender: Sender<Bytes, io::Error>,
    runtime: Handle,
    bytes: Vec<u8>,
}

impl Parts {
    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        if self.bytes.len() >= PART_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.bytes));
        let sent = self.runtime.block_on(self.sender.send_data(part));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
